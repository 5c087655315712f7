package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// CrossEntropy returns the sum over rows of -log softmax(logits)[target], in
// nats; a target of -1 ignores the row. When the pass records, the logits
// become their own gradient: Data and Grad hold scale * d(sum)/d(logits), and
// are no logits any more.
func (p *Pass) CrossEntropy(logits *tensor.Tensor, targets []int32, scale float32) (lossSum float64) {
	if len(targets) != logits.Rows {
		panic("op: cross-entropy needs one target per row of logits")
	}
	for _, t := range targets {
		if int(t) >= logits.Cols {
			panic(fmt.Sprintf("op: target %d is outside the %d logits of a row", t, logits.Cols))
		}
	}
	partial := make([]float64, chunks(logits.Rows))
	p.rows(logits.Rows, func(c, from, to int) {
		for i := from; i < to; i++ {
			row := logits.Row(i)
			var grad []float32
			if p.Record {
				grad = row
			}
			if t := targets[i]; t >= 0 {
				partial[c] += float64(kernel.CrossEntropy(grad, row, int(t), scale))
			} else {
				clear(grad)
			}
		}
	})
	if p.Record {
		logits.Grad = logits.Data
	}
	for _, l := range partial {
		lossSum += l
	}
	return lossSum
}
