package op

import (
	"fmt"
	"slices"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Adapter changes what a model's matrices do to the rows of some spans (LoRA,
// Hu 2021). Matrices are known by their number, which is the model's affair.
// Rows of one Adapter are computed together: it is compared, so it is a pointer.
type Adapter interface {
	// Adapts says whether products with matrix i change at all.
	Adapts(i int) bool
	// Delta is the change for rows x [rows, in], up to a factor: [rows, out], fresh.
	Delta(p *Pass, i int, x *tensor.Tensor) (z *tensor.Tensor, scale float32)
}

// adapted are the rows of a batch that go through one adapter.
type adapted struct {
	by   Adapter
	rows []int
}

// Adapt adds to y [rows, out], the product of x [rows, in] with matrix i, what
// the adapters of the spans change about it, in place, and returns y. Rows of
// other spans are not touched; those of a span have the same bits whatever else
// is in the batch. Spans must describe the rows of x.
func (p *Pass) Adapt(y, x *tensor.Tensor, i int) *tensor.Tensor {
	groups := p.adapted(i, x.Rows)
	for k := range groups {
		g := &groups[k]
		mark := p.Arena.Mark()
		in, rows := x, g.rows
		if len(rows) == x.Rows {
			rows = nil // all of them, each on its own: no need to move any
		} else {
			in = p.Gather(x, rows)
		}
		z, scale := g.by.Delta(p, i, in)
		p.AddRows(y, z, rows, scale)
		if !p.Record {
			p.Arena.Release(mark)
		}
		g.by = nil // an adapter must not live on in scratch memory
	}
	return y
}

// adapted sorts the rows of the spans that matrix i changes for by adapter. The
// result is scratch memory, unless the pass records: closures then keep the rows.
func (p *Pass) adapted(i, rows int) []adapted {
	groups, total := p.groups[:0], 0
	if p.Record {
		groups = nil
	}
	for _, s := range p.Spans {
		total += s.Len
		if s.Adapter == nil || !s.Adapter.Adapts(i) {
			continue
		}
		k := slices.IndexFunc(groups, func(g adapted) bool { return g.by == s.Adapter })
		if k < 0 {
			if k = len(groups); k < cap(groups) {
				groups = groups[:k+1]
			} else {
				groups = append(groups, adapted{})
			}
			groups[k] = adapted{s.Adapter, groups[k].rows[:0]}
		}
		for r := s.Row; r < s.Row+s.Len; r++ {
			groups[k].rows = append(groups[k].rows, r)
		}
	}
	if !p.Record {
		p.groups = groups
	}
	if len(groups) > 0 && total != rows {
		panic(fmt.Sprintf("op: adapters for spans of %d rows, but matrix %d is applied to %d: the spans must describe them", total, i, rows))
	}
	return groups
}

// AddRows adds scale times row i of z [n, cols] to row rows[i] of y, in place,
// and returns y. No row of y is named twice; nil rows are those of z in order.
func (p *Pass) AddRows(y, z *tensor.Tensor, rows []int, scale float32) *tensor.Tensor {
	at := func(i int) int {
		if rows == nil {
			return i
		}
		return rows[i]
	}
	p.rows(z.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			kernel.Axpy(scale, z.Row(i), y.Row(at(i)))
		}
	})
	if p.Record {
		p.record(func() { p.addRowsBackward(y, z, at, scale) })
	}
	return y
}

// addRowsBackward passes scale times the gradient of y's rows on to z. That of
// y, the sum, is y's own before anything was added.
func (p *Pass) addRowsBackward(y, z *tensor.Tensor, at func(int) int, scale float32) {
	dz, add := p.Grad(z)
	if dz == nil {
		return
	}
	p.rows(z.Rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			d := dz[i*z.Cols : (i+1)*z.Cols]
			if !add {
				clear(d)
			}
			kernel.Axpy(scale, y.Grad[at(i)*y.Cols:(at(i)+1)*y.Cols], d)
		}
	})
}
