package nn

import (
	"sync/atomic"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/tensor"
)

// Dense is a matrix W [out, in] with an optional bias [1, out]. In float32 it
// trains, and serves faster once frozen; at rest it serves only.
type Dense struct {
	W    *Param
	Bias *Param // nil: none

	packed atomic.Pointer[kernel.Packed]
}

// NewDense returns a zeroed matrix.
func NewDense(in, out int, bias bool) *Dense {
	d := &Dense{W: &Param{Value: tensor.New(out, in), Decay: true}}
	if bias {
		d.Bias = &Param{Value: tensor.New(1, out)}
	}
	return d
}

// In is the width of the input rows.
func (d *Dense) In() int { return d.W.Value.Cols }

// Out is the width of the output rows.
func (d *Dense) Out() int { return d.W.Value.Rows }

// Apply returns x W^T + bias: [rows, out]. A recording pass over a trained
// weight means that the weight is about to change, so it thaws the matrix.
func (d *Dense) Apply(p *op.Pass, x *tensor.Tensor) *tensor.Tensor {
	if p.Record && d.W.Value.Grad != nil {
		d.Thaw()
	}
	var y *tensor.Tensor
	if d.W.AtRest != nil {
		y = p.LinearAtRest(x, d.W.AtRest)
	} else {
		y = p.Linear(x, d.W.Value, d.packed.Load())
	}
	if d.Bias != nil {
		y = p.Bias(y, d.Bias.Value)
	}
	return y
}

// ApplyAll sets ys to what Apply of each matrix returns for the same rows x. Plain
// matrices in training share their work, and matrices at rest do.
func ApplyAll(p *op.Pass, ys []*tensor.Tensor, x *tensor.Tensor, ls ...Linear) {
	if !p.Record && applyAtRest(p, ys, x, ls) {
		return
	}
	if !p.Record || !trained(ls) {
		for i, l := range ls {
			ys[i] = l.Apply(p, x)
		}
		return
	}
	ws := make([]*tensor.Tensor, len(ls))
	for i, l := range ls {
		d := l.(*Dense)
		d.Thaw() // the weight is about to change
		ws[i] = d.W.Value
	}
	p.Linears(ys, x, ws)
	for i, l := range ls {
		if bias := l.(*Dense).Bias; bias != nil {
			ys[i] = p.Bias(ys[i], bias.Value)
		}
	}
}

// applyAtRest is ApplyAll where all matrices are at rest, adapted or not; else it
// does nothing and reports false.
func applyAtRest(p *op.Pass, ys []*tensor.Tensor, x *tensor.Tensor, ls []Linear) bool {
	var ws [3]op.AtRest
	if len(ls) > len(ws) {
		return false
	}
	for i, l := range ls {
		d, ok := Plain(l).(*Dense)
		if !ok || d.W.AtRest == nil {
			return false
		}
		ws[i] = d.W.AtRest
	}
	p.LinearsAtRest(ys, x, ws[:len(ls)])
	for i, l := range ls {
		if bias := Plain(l).(*Dense).Bias; bias != nil {
			ys[i] = p.Bias(ys[i], bias.Value)
		}
		if a, ok := l.(*Adapted); ok {
			ys[i] = p.Adapt(ys[i], x, a.at)
		}
	}
	return true
}

// trained says whether all are plain matrices under training.
func trained(ls []Linear) bool {
	for _, l := range ls {
		if d, ok := l.(*Dense); !ok || d.W.AtRest != nil || d.W.Value.Grad == nil {
			return false
		}
	}
	return true
}

// Freeze packs the weight for the kernel: the same bits, less work per pass.
// Whoever then changes W without a recording pass calls Thaw. A weight at rest
// stays as it is.
func (d *Dense) Freeze() {
	if d.W.AtRest != nil {
		return
	}
	in, out := d.In(), d.Out()
	d.packed.Store(kernel.Pack(kernel.Matrix{Data: d.W.Value.Data, Stride: in, T: true}, in, out))
}

// Thaw drops the packed copy.
func (d *Dense) Thaw() { d.packed.Store(nil) }

// Frozen says whether the packed copy is in use.
func (d *Dense) Frozen() bool { return d.packed.Load() != nil }

// Each visits the parameters; suffix follows the leaf's name.
func (d *Dense) Each(fn func(suffix string, p *Param)) {
	fn(".weight", d.W)
	if d.Bias != nil {
		fn(".bias", d.Bias)
	}
}
