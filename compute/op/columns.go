package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Columns copies n columns of x from one on: [rows, n]. It takes apart what one
// matrix computed for several.
func (p *Pass) Columns(x *tensor.Tensor, from, n int) *tensor.Tensor {
	if from < 0 || n < 0 || from+n > x.Cols {
		panic(fmt.Sprintf("op: columns %d to %d of rows of %d", from, from+n, x.Cols))
	}
	out := p.raw(x.Rows, n)
	p.rows(x.Rows, func(_, a, b int) {
		for i := a; i < b; i++ {
			copy(out.Row(i), x.Row(i)[from:])
		}
	})
	if p.Record {
		p.record(func() { p.columnsBackward(x, out, from) })
	}
	return out
}

// columnsBackward adds to a part of x's gradient; who writes it first clears the
// rest, which may be nobody else's.
func (p *Pass) columnsBackward(x, out *tensor.Tensor, from int) {
	dx, add := p.Grad(x)
	if dx == nil {
		return
	}
	p.rows(x.Rows, func(_, a, b int) {
		for i := a; i < b; i++ {
			row := dx[i*x.Cols : (i+1)*x.Cols]
			if !add {
				clear(row)
			}
			part := row[from : from+out.Cols]
			kernel.Add(part, part, out.Grad[i*out.Cols:(i+1)*out.Cols])
		}
	})
}
