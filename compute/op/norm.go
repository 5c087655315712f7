package op

import (
	"weft/compute/kernel"
	"weft/compute/tensor"
)

// RMSNorm returns x / sqrt(mean(x^2) + eps) * gain, row by row: [rows, dim]
// from x [rows, dim] and gain [1, dim] (Zhang & Sennrich 2019).
func (p *Pass) RMSNorm(x, gain *tensor.Tensor, eps float32) *tensor.Tensor {
	out := p.raw(x.Rows, x.Cols)
	inv := p.Arena.Raw(x.Rows)
	p.rows(x.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			inv[i] = kernel.RMSNorm(out.Row(i), x.Row(i), gain.Data, eps)
		}
	})
	if p.Record {
		p.record(func() { p.normBackward(x, gain, out, inv) })
	}
	return out
}

func (p *Pass) normBackward(x, gain, out *tensor.Tensor, inv []float32) {
	dim := x.Cols
	dx, add := p.Grad(x)
	if dx == nil {
		dx, add = p.Arena.Raw(len(x.Data)), false // the kernel writes both
	}
	partial := p.Arena.Floats(chunks(x.Rows) * dim)
	p.rows(x.Rows, func(c, from, to int) {
		dgain := partial[c*dim : (c+1)*dim]
		for i := from; i < to; i++ {
			d := dx[i*dim : (i+1)*dim]
			if !add {
				clear(d)
			}
			kernel.RMSNormBackward(d, dgain, out.Grad[i*dim:(i+1)*dim], x.Row(i), gain.Data, inv[i])
		}
	})
	if dg, add := p.Grad(gain); dg != nil {
		sumChunks(dg, partial, add)
	}
}
