package train

import (
	"math"
	"strings"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model/nn"
)

// residual are the endings of the matrices whose outputs are added to the
// residual stream, in the families that weft trains.
var residual = [...]string{".o_proj.weight", ".down_proj.weight"}

// probe stands in for a matrix that writes into the residual stream, and adds
// what it writes to a copy of the stream.
type probe struct {
	nn.Linear
	seen func(y *tensor.Tensor)
}

func (p probe) Apply(pass *op.Pass, x *tensor.Tensor) *tensor.Tensor {
	y := p.Linear.Apply(pass, x)
	p.seen(y)
	return y
}

// activations returns the root mean square of the residual stream after the
// embedding and after each layer, for the first held-out sequence: growth from
// layer to layer or from look to look announces trouble before the loss does.
// The sum is rebuilt from what the layers add, so no family has to expose it.
// It is nil for a model without such matrices.
func (l *Loop) activations() []float64 {
	if len(l.HeldOut) == 0 || len(l.HeldOut[0].Docs) == 0 {
		return nil
	}
	b := l.HeldOut[0]
	d := b.Docs[0]
	ids := b.IDs[d.Row : d.Row+d.Len]

	var stream []float32
	var out []float64
	var swapped []func()
	l.Model.Walk(func(leaf nn.Leaf) {
		if leaf.Param != nil && stream == nil && strings.Contains(leaf.Name, "embed") {
			stream = embedded(leaf.Param.Value, ids)
			return
		}
		if leaf.Linear == nil || stream == nil {
			return
		}
		for i, end := range residual {
			if strings.HasSuffix(leaf.Name, end) {
				at, was := leaf.Linear, *leaf.Linear
				swapped = append(swapped, func() { *at = was })
				*at = probe{was, func(y *tensor.Tensor) {
					kernel.Add(stream, stream, y.Data)
					if i == len(residual)-1 {
						out = append(out, rootMean(stream))
					}
				}}
			}
		}
	})
	if len(swapped) == 0 {
		return nil
	}
	out = append(out, rootMean(stream))
	l.pass.Record = false
	l.pass.Arena.Reset()
	l.pass.Spans = append(l.pass.Spans[:0], op.Span{Len: d.Len})
	l.Model.Hidden(&l.pass, ids)
	for _, back := range swapped {
		back()
	}
	return out
}

// embedded copies the rows of a table.
func embedded(table *tensor.Tensor, ids []int32) []float32 {
	out := make([]float32, 0, len(ids)*table.Cols)
	for _, id := range ids {
		out = append(out, table.Row(int(id))...)
	}
	return out
}

// rootMean is the root of the mean square of x.
func rootMean(x []float32) float64 {
	return math.Sqrt(kernel.SumSquares(x) / float64(max(1, len(x))))
}
