package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// AtRest is a matrix [out, in] that serves in the form it rests in, smaller
// than float32, and is never trained. Its values are float32 numbers; products
// with it have the bits of products with the matrix of those numbers, however
// many rows are multiplied at once.
type AtRest interface {
	// Size is the shape.
	Size() (out, in int)
	// Row writes row i, in values, into dst. It is safe for concurrent use.
	Row(dst []float32, i int)
	// Multiply sets y [rows, out] = x W^T for x [rows, in].
	Multiply(p *Pass, y, x *tensor.Tensor)
	// Bytes is the memory that it takes.
	Bytes() int
}

// LinearAtRest is Linear with a matrix at rest. A recording pass hands the
// gradient on to x.
func (p *Pass) LinearAtRest(x *tensor.Tensor, w AtRest) *tensor.Tensor {
	out, in := w.Size()
	if x.Cols != in {
		panic(fmt.Sprintf("op: linear of %d inputs got rows of %d", in, x.Cols))
	}
	y := p.raw(x.Rows, out)
	w.Multiply(p, y, x)
	if p.Record {
		p.record(func() {
			wide := tensor.Tensor{Rows: out, Cols: in, Data: p.Arena.Raw(out * in)}
			p.rows(out, func(_, from, to int) {
				for j := from; j < to; j++ {
					w.Row(wide.Row(j), j)
				}
			})
			p.linearBackward(x, &wide, y)
		})
	}
	return y
}

// EmbedAtRest is Embed from a table at rest, which is never trained.
func (p *Pass) EmbedAtRest(table AtRest, ids []int32) *tensor.Tensor {
	tokens, dim := table.Size()
	checkIDs(ids, tokens)
	out := p.raw(len(ids), dim)
	p.rows(len(ids), func(_, from, to int) {
		for i := from; i < to; i++ {
			table.Row(out.Row(i), int(ids[i]))
		}
	})
	return out
}

// packed8 is a matrix in 8 bits, laid out for the kernel: its row i is column i
// there.
type packed8 struct{ *kernel.Packed8 }

// Pack8 puts a matrix [out, in] to rest in 8 bits: integers q [out, in], with
// the scales of each row's blocks of 32, d [out, ceil(in/32)].
func Pack8(q []int8, d []float32, in, out int) AtRest { return packed8{kernel.Pack8(q, d, in, out)} }

func (w packed8) Size() (out, in int)      { return w.N, w.K }
func (w packed8) Row(dst []float32, i int) { w.Column(dst, i) }

func (w packed8) Multiply(p *Pass, y, x *tensor.Tensor) {
	kernel.GemmPacked8(p.Pool, y.Data, w.N, kernel.Matrix{Data: x.Data, Stride: w.K}, w.Packed8, x.Rows, false)
}
