package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Linear returns x W^T: [rows, out] from x [rows, in] and w [out, in]. packed,
// when not nil, is w laid out for the kernel (kernel.Pack of w's transpose);
// the result has the same bits.
func (p *Pass) Linear(x, w *tensor.Tensor, packed *kernel.Packed) *tensor.Tensor {
	in, out := w.Cols, w.Rows
	if x.Cols != in {
		panic(fmt.Sprintf("op: linear of %d inputs got rows of %d", in, x.Cols))
	}
	y := p.raw(x.Rows, out)
	a := kernel.Matrix{Data: x.Data, Stride: in}
	if packed != nil {
		kernel.GemmPacked(p.Pool, y.Data, out, a, packed, x.Rows, false)
	} else {
		kernel.Gemm(p.Pool, y.Data, out, a, kernel.Matrix{Data: w.Data, Stride: in, T: true}, x.Rows, out, in, false)
	}
	if p.Record {
		p.record(func() { p.linearBackward(x, w, y) })
	}
	return y
}

// linearBackward adds dW = dY^T X and dX = dY W.
func (p *Pass) linearBackward(x, w, y *tensor.Tensor) {
	in, out := w.Cols, w.Rows
	dy := kernel.Matrix{Data: y.Grad, Stride: out}
	if dw, add := p.Grad(w); dw != nil {
		dyT := kernel.Matrix{Data: y.Grad, Stride: out, T: true}
		kernel.Gemm(p.Pool, dw, in, dyT, kernel.Matrix{Data: x.Data, Stride: in}, out, in, x.Rows, add)
	}
	if dx, add := p.Grad(x); dx != nil {
		kernel.Gemm(p.Pool, dx, in, dy, kernel.Matrix{Data: w.Data, Stride: in}, x.Rows, in, out, add)
	}
}

// Bias adds bias [1, cols] to every row of x, in place, and returns x.
func (p *Pass) Bias(x, bias *tensor.Tensor) *tensor.Tensor {
	p.rows(x.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			kernel.Add(x.Row(i), x.Row(i), bias.Data)
		}
	})
	if p.Record {
		p.record(func() { p.biasBackward(x, bias) })
	}
	return x
}

func (p *Pass) biasBackward(x, bias *tensor.Tensor) {
	db, add := p.Grad(bias)
	if db == nil {
		return
	}
	partial := p.Arena.Floats(chunks(x.Rows) * x.Cols)
	p.rows(x.Rows, func(c, from, to int) {
		sum := partial[c*x.Cols : (c+1)*x.Cols]
		for i := from; i < to; i++ {
			kernel.Add(sum, sum, x.Grad[i*x.Cols:(i+1)*x.Cols])
		}
	})
	sumChunks(db, partial, add)
}
