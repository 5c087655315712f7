package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// RMSNorm returns x / sqrt(mean(x^2) + eps) * gain, for every run of dim values
// of a row: [rows, n*dim] from x [rows, n*dim] and gain [1, dim] (Zhang &
// Sennrich 2019). A row is one run, or one for each head.
func (p *Pass) RMSNorm(x, gain *tensor.Tensor, eps float32) *tensor.Tensor {
	dim, runs := gain.Cols, x.Cols/gain.Cols
	if x.Cols != dim*runs {
		panic(fmt.Sprintf("op: a norm of %d values got rows of %d", dim, x.Cols))
	}
	out := p.raw(x.Rows, x.Cols)
	inv := p.Arena.Raw(x.Rows * runs)
	p.rows(x.Rows, func(_, from, to int) {
		for i := from * runs; i < to*runs; i++ {
			inv[i] = kernel.RMSNorm(out.Data[i*dim:(i+1)*dim], x.Data[i*dim:(i+1)*dim], gain.Data, eps)
		}
	})
	if p.Record {
		p.record(func() { p.normBackward(x, gain, out, inv) })
	}
	return out
}

func (p *Pass) normBackward(x, gain, out *tensor.Tensor, inv []float32) {
	dim, runs := gain.Cols, x.Cols/gain.Cols
	dx, add := p.Grad(x)
	if dx == nil {
		dx, add = p.Arena.Raw(len(x.Data)), false // the kernel writes both
	}
	partial := p.Arena.Floats(chunks(x.Rows) * dim)
	p.rows(x.Rows, func(c, from, to int) {
		dgain := partial[c*dim : (c+1)*dim]
		for i := from * runs; i < to*runs; i++ {
			a, b := i*dim, (i+1)*dim
			if !add {
				clear(dx[a:b])
			}
			kernel.RMSNormBackward(dx[a:b], dgain, out.Grad[a:b], x.Data[a:b], gain.Data, inv[i])
		}
	})
	if dg, add := p.Grad(gain); dg != nil {
		sumChunks(dg, partial, add)
	}
}
