package op

import (
	"fmt"
	"slices"

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

// Linears sets ys to x W^T for several matrices of the same input width: what
// Linear returns for each, in the same bits, with less packing and waiting.
func (p *Pass) Linears(ys []*tensor.Tensor, x *tensor.Tensor, ws []*tensor.Tensor) {
	products := make([]kernel.Product, len(ws))
	for i, w := range ws {
		if x.Cols != w.Cols {
			panic(fmt.Sprintf("op: linear of %d inputs got rows of %d", w.Cols, x.Cols))
		}
		ys[i] = p.raw(x.Rows, w.Rows)
		products[i] = kernel.Product{C: ys[i].Data, LDC: w.Rows,
			A: kernel.Matrix{Data: x.Data, Stride: w.Cols}, B: kernel.Matrix{Data: w.Data, Stride: w.Cols, T: true},
			M: x.Rows, N: w.Rows, K: w.Cols}
	}
	kernel.GemmAll(p.Pool, products...)
	if p.Record {
		ys := slices.Clone(ys)
		p.record(func() { p.linearsBackward(x, ws, ys) })
	}
}

func (p *Pass) linearBackward(x, w, y *tensor.Tensor) {
	p.linearsBackward(x, []*tensor.Tensor{w}, []*tensor.Tensor{y})
}

// linearsBackward adds dW = dY^T X for each matrix, and dX = dY W, the last first.
func (p *Pass) linearsBackward(x *tensor.Tensor, ws, ys []*tensor.Tensor) {
	products := make([]kernel.Product, 0, 2*len(ws))
	in := x.Cols
	for i := len(ws) - 1; i >= 0; i-- {
		if dx, add := p.Grad(x); dx != nil {
			out := ws[i].Rows
			products = append(products, kernel.Product{C: dx, LDC: in,
				A: kernel.Matrix{Data: ys[i].Grad, Stride: out}, B: kernel.Matrix{Data: ws[i].Data, Stride: in},
				M: x.Rows, N: in, K: out, Add: add})
		}
	}
	for i, w := range ws {
		if dw, add := p.Grad(w); dw != nil {
			products = append(products, kernel.Product{C: dw, LDC: in,
				A: kernel.Matrix{Data: ys[i].Grad, Stride: w.Rows, T: true}, B: kernel.Matrix{Data: x.Data, Stride: in},
				M: w.Rows, N: in, K: x.Rows, Add: add})
		}
	}
	kernel.GemmAll(p.Pool, products...)
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
