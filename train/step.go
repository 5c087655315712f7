package train

import (
	"fmt"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/model"
	"weft/model/nn"
	"weft/text/corpus"
	"weft/train/optim"
)

// canTrain refuses a model that was loaded to serve.
func canTrain(m model.Model) error {
	for _, p := range nn.Params(m) {
		if p.AtRest != nil {
			return fmt.Errorf("train: %s is at rest, for serving: load the model with zoo.Load to train it", p.Name)
		}
	}
	return nil
}

// blocks is what the GGUF names of the weights of all families' blocks begin with.
const blocks = "blk."

// trainable lists the model's weights and gives each a gradient.
func (l *Loop) trainable() []optim.Param {
	var out []optim.Param
	for _, p := range nn.Params(l.Model) {
		if len(p.Value.Grad) != len(p.Value.Data) {
			p.Value.Grad = make([]float32, len(p.Value.Data))
		}
		free := slices.ContainsFunc(l.NoDecay, func(end string) bool { return strings.HasSuffix(p.Name, end) })
		out = append(out, optim.Param{Name: p.Name, Value: p.Value, Decay: p.Decay && !free,
			Block: p.Decay && strings.HasPrefix(p.GGUF, blocks)})
	}
	return out
}

// gradients adds up the gradients of one step's batches. The loss is the mean
// over all of the step's targets, whichever batch they are in, so that
// accumulating gives what one large batch would.
func (l *Loop) gradients() (loss float64, tokens int, err error) {
	targets := 0
	for i := range l.batches {
		b, err := l.Source.Next()
		if err != nil {
			return 0, 0, fmt.Errorf("train: step %d: %w", l.state.Step+1, err)
		}
		l.batches[i] = b
		targets += b.Counted
		tokens += len(b.IDs)
	}
	if targets == 0 {
		return 0, 0, fmt.Errorf("train: step %d: no token of the batch has a target", l.state.Step+1)
	}
	l.pass.Record = true
	for _, b := range l.batches {
		loss += forward(l.Model, &l.pass, b, 1/float32(targets))
		l.pass.Backward()
	}
	return loss / float64(targets), tokens, nil
}

// forward returns the summed loss of a batch's targets, nats. Rows without a
// target do not reach the projection to the vocabulary.
func forward(m model.Model, p *op.Pass, b corpus.Batch, scale float32) float64 {
	targets, n := b.Targets, b.Counted
	if n == 0 {
		return 0
	}
	p.Arena.Reset()
	p.Spans = spans(p.Spans[:0], b)
	h := m.Hidden(p, b.IDs)
	if n < len(targets) {
		var rows []int
		rows, targets = wanted(b.Targets, n)
		h = p.Gather(h, rows)
	}
	return p.CrossEntropy(m.Logits(p, h), targets, scale)
}

// wanted lists the rows that have a target, and the targets.
func wanted(targets []int32, n int) (rows []int, ts []int32) {
	rows, ts = make([]int, 0, n), make([]int32, 0, n)
	for i, t := range targets {
		if t >= 0 {
			rows, ts = append(rows, i), append(ts, t)
		}
	}
	return rows, ts
}

// spans gives every document of a batch its own sequence, from position 0.
func spans(dst []op.Span, b corpus.Batch) []op.Span {
	for i, d := range b.Docs {
		dst = append(dst, op.Span{Seq: i, Row: d.Row, Len: d.Len})
	}
	return dst
}

// heldOutLen is the number of held-out targets.
func (l *Loop) heldOutLen() (n int64) {
	for _, b := range l.HeldOut {
		n += int64(b.Counted)
	}
	return n
}
