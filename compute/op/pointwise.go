package op

import (
	"weft/compute/kernel"
	"weft/compute/tensor"
)

// SwiGLU returns silu(gate) * up, all [rows, ffn] (Shazeer 2020). gate and up
// must be fresh results that nobody else reads: a pass that does not record
// computes in the memory of gate, and in the backward of one that does, both
// become their own gradients.
func (p *Pass) SwiGLU(gate, up *tensor.Tensor) *tensor.Tensor {
	out := gate
	if p.Record {
		out = p.raw(gate.Rows, gate.Cols)
	}
	p.rows(gate.Rows, func(_, from, to int) {
		from, to = from*gate.Cols, to*gate.Cols
		kernel.SwiGLU(out.Data[from:to], gate.Data[from:to], up.Data[from:to])
	})
	if p.Record {
		p.record(func() { p.swiGLUBackward(gate, up, out) })
	}
	return out
}

func (p *Pass) swiGLUBackward(gate, up, out *tensor.Tensor) {
	if len(gate.Grad) > 0 || len(up.Grad) > 0 {
		panic("op: somebody else read what SwiGLU was given: give it results of its own")
	}
	p.rows(gate.Rows, func(_, from, to int) {
		from, to = from*gate.Cols, to*gate.Cols
		g, u := gate.Data[from:to], up.Data[from:to]
		kernel.SwiGLUBackward(g, u, out.Grad[from:to], g, u)
	})
	gate.Grad, up.Grad = gate.Data, up.Data
}

// Add returns a + b in the memory of b, which must be a fresh result that
// nobody else reads: the residual stream plus what a block found.
func (p *Pass) Add(a, b *tensor.Tensor) *tensor.Tensor {
	p.rows(b.Rows, func(_, from, to int) {
		from, to = from*b.Cols, to*b.Cols
		kernel.Add(b.Data[from:to], b.Data[from:to], a.Data[from:to])
	})
	if p.Record {
		p.record(func() { p.addBackward(a, b) })
	}
	return b
}

// addBackward passes b's gradient, which is the sum's, on to a.
func (p *Pass) addBackward(a, b *tensor.Tensor) {
	da, add := p.Grad(a)
	if da == nil {
		return
	}
	p.rows(b.Rows, func(_, from, to int) {
		from, to = from*b.Cols, to*b.Cols
		if add {
			kernel.Add(da[from:to], da[from:to], b.Grad[from:to])
		} else {
			copy(da[from:to], b.Grad[from:to])
		}
	})
}
