package op

import (
	"fmt"

	"weft/compute/quant"
	"weft/compute/tensor"
)

// AtRest is a matrix [out, in] that serves in the form it rests in and is never
// trained. Its values are float32 numbers. A row of a product has the same bits
// however many rows are multiplied at once; whether they are those of a product
// with the float32 numbers is up to the form.
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

// Stored is an AtRest whose blocks can be had back as a file holds them.
type Stored interface {
	AtRest
	Format() quant.Format
	// Blocks writes those of row i into dst.
	Blocks(dst []byte, i int)
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

// LinearsAtRest sets ys to what LinearAtRest returns for each of several matrices,
// with less work where they round x alike. The pass does not record.
func (p *Pass) LinearsAtRest(ys []*tensor.Tensor, x *tensor.Tensor, ws []AtRest) {
	for i, w := range ws {
		out, in := w.Size()
		if x.Cols != in {
			panic(fmt.Sprintf("op: linear of %d inputs got rows of %d", in, x.Cols))
		}
		ys[i] = p.raw(x.Rows, out)
	}
	if multiplyAll(p, ys, x, ws) {
		return
	}
	for i, w := range ws {
		w.Multiply(p, ys[i], x)
	}
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
