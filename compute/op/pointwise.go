package op

import (
	"weft/compute/kernel"
	"weft/compute/tensor"
)

// SwiGLU returns silu(gate) * up, all [rows, ffn] (Shazeer 2020). A pass that
// does not record computes it in the memory of gate.
func (p *Pass) SwiGLU(gate, up *tensor.Tensor) *tensor.Tensor {
	if !p.Record {
		p.swiGLU(gate, gate, up)
		return gate
	}
	out := p.raw(gate.Rows, gate.Cols)
	p.swiGLU(out, gate, up)
	p.record(func() { p.swiGLUBackward(gate, up, out) })
	return out
}

func (p *Pass) swiGLU(out, gate, up *tensor.Tensor) {
	p.rows(gate.Rows, func(_, from, to int) {
		from, to = from*gate.Cols, to*gate.Cols
		kernel.SwiGLU(out.Data[from:to], gate.Data[from:to], up.Data[from:to])
	})
}

func (p *Pass) swiGLUBackward(gate, up, out *tensor.Tensor) {
	dgate, addGate := p.Grad(gate)
	dup, addUp := p.Grad(up)
	p.rows(gate.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			a, b := i*gate.Cols, (i+1)*gate.Cols
			if !addGate { // the kernel adds; a row stays in the cache between
				clear(dgate[a:b])
			}
			if !addUp {
				clear(dup[a:b])
			}
			kernel.SwiGLUBackward(dgate[a:b], dup[a:b], out.Grad[a:b], gate.Data[a:b], up.Data[a:b])
		}
	})
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
