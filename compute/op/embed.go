package op

import (
	"fmt"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// embedSlab is how many columns of an embedding gradient one worker sums.
const embedSlab = 64

func checkIDs(ids []int32, tokens int) {
	for _, id := range ids {
		if id < 0 || int(id) >= tokens {
			panic(fmt.Sprintf("op: token id %d is outside the embedding of %d tokens", id, tokens))
		}
	}
}

// Embed returns table[ids[i]] in row i: [len(ids), dim] from [vocab, dim]. An
// id outside the table panics: whoever made it has checked the tokenizer's
// size against the model's.
func (p *Pass) Embed(table *tensor.Tensor, ids []int32) *tensor.Tensor {
	checkIDs(ids, table.Rows)
	out := p.raw(len(ids), table.Cols)
	p.rows(len(ids), func(_, from, to int) {
		for i := from; i < to; i++ {
			copy(out.Row(i), table.Row(int(ids[i])))
		}
	})
	if p.Record {
		p.record(func() { p.scatter(table, out, func(i int) int { return int(ids[i]) }) })
	}
	return out
}

// Gather returns the given rows of x, in that order: [len(rows), cols].
func (p *Pass) Gather(x *tensor.Tensor, rows []int) *tensor.Tensor {
	out := p.raw(len(rows), x.Cols)
	for i, r := range rows {
		copy(out.Row(i), x.Row(r))
	}
	if p.Record {
		p.record(func() { p.scatter(x, out, func(i int) int { return rows[i] }) })
	}
	return out
}

// scatter adds row i of out's gradient to row at(i) of x's. Rows may repeat:
// each worker owns some columns and walks the rows in order, so that a sum
// never depends on the threads.
func (p *Pass) scatter(x, out *tensor.Tensor, at func(i int) int) {
	dx, add := p.Grad(x)
	if dx == nil {
		return
	}
	p.Pool.Run((x.Cols+embedSlab-1)/embedSlab, func(s int) {
		from, to := s*embedSlab, min((s+1)*embedSlab, x.Cols)
		if !add {
			for r := range x.Rows {
				clear(dx[r*x.Cols+from : r*x.Cols+to])
			}
		}
		for i := range out.Rows {
			d := dx[at(i)*x.Cols+from : at(i)*x.Cols+to]
			kernel.Add(d, d, out.Grad[i*x.Cols+from:i*x.Cols+to])
		}
	})
}
