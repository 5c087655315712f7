package op

import (
	"weft/compute/kernel"
	"weft/compute/tensor"
)

// queryChunk is how many query rows of a span one worker takes at once.
const queryChunk = 64

// attnJob is the attention of some query rows to one key/value head.
type attnJob struct{ span, from, n, kv int }

// Attend returns causal attention, [rows, Q*Dim], of q [rows, Q*Dim] over keys
// and values k, v [rows, KV*Dim]. Without a KV a span sees itself alone; with
// one, k and v are first stored at their positions, and the queries then see
// everything stored for their sequence. Both ways run one kernel over the same
// blocks, so a training and a serving pass agree in every bit. After Narrow there
// are fewer rows of q, those of the spans, than of k and v.
func (p *Pass) Attend(layer int, q, k, v *tensor.Tensor, spec kernel.AttnSpec) *tensor.Tensor {
	h := spec.Heads
	out := p.raw(q.Rows, q.Cols)
	var lse []float32 // [rows, Q], for the backward
	if p.Record {
		lse = p.Arena.Raw(q.Rows * h.Q)
	}
	mark := p.Arena.Mark()
	if q.Rows < k.Rows {
		p.storeWide(layer, k, v, h)
	} else {
		p.store(layer, k, v, h)
	}
	p.plan(h)
	p.Pool.Run(len(p.jobs), func(i int) {
		j := p.jobs[i]
		s := p.Spans[j.span]
		row, pos := s.Row+j.from, s.Pos+j.from
		if p.KV == nil {
			pos = j.from
		}
		var l []float32
		if lse != nil {
			l = lse[row*h.Q:]
		}
		kernel.Attend(out.Data[row*q.Cols:], q.Data[row*q.Cols:], l, p.blocks[j.span], j.n, pos, j.kv, spec)
	})
	p.Arena.Release(mark)
	if p.Record {
		p.record(func() { p.attendBackward(q, k, v, out, lse, spec) })
	}
	return out
}

// plan lists the jobs, long ones (late rows see more keys) first. Heads change
// last: threads that write neighbouring heads of a row fight for its lines.
func (p *Pass) plan(h kernel.Heads) {
	p.jobs = p.jobs[:0]
	for kv := range h.KV {
		for i, s := range p.Spans {
			for from := (s.Len - 1) / queryChunk * queryChunk; from >= 0; from -= queryChunk {
				p.jobs = append(p.jobs, attnJob{i, from, min(queryChunk, s.Len-from), kv})
			}
		}
	}
}

// store puts the keys and values of every span into blocks: the cache's, or
// scratch ones from the arena.
func (p *Pass) store(layer int, k, v *tensor.Tensor, h kernel.Heads) {
	p.blocks = p.blocks[:0]
	if p.KV == nil {
		p.scratchBlocks(h)
	} else {
		for _, s := range p.Spans {
			p.blocks = append(p.blocks, p.KV.Blocks(layer, s.Seq, s.Pos+s.Len))
		}
	}
	p.rows(k.Rows, func(_, from, to int) {
		for i, s := range p.Spans {
			pos := s.Pos
			if p.KV == nil {
				pos = 0
			}
			if r, end := max(from, s.Row), min(to, s.Row+s.Len); r < end {
				kernel.StoreRows(p.blocks[i], pos+r-s.Row, k.Data[r*k.Cols:], v.Data[r*v.Cols:], end-r, h)
			}
		}
	})
}

// storeWide stores keys and values of the rows that were there before Narrow, and
// leaves the blocks of the spans there are now.
func (p *Pass) storeWide(layer int, k, v *tensor.Tensor, h kernel.Heads) {
	p.Spans, p.wide = p.wide, p.Spans
	p.store(layer, k, v, h)
	p.Spans, p.wide = p.wide, p.Spans
	p.blocks = p.blocks[:0]
	for _, s := range p.Spans {
		p.blocks = append(p.blocks, p.KV.Blocks(layer, s.Seq, s.Pos+s.Len))
	}
}

// scratchBlocks gives every span blocks of its own, with any contents.
func (p *Pass) scratchBlocks(h kernel.Heads) {
	total := 0
	for _, s := range p.Spans {
		total += (s.Len + kernel.BlockLen - 1) / kernel.BlockLen
	}
	if cap(p.own) < total {
		p.own = make([]kernel.Block, total)
	}
	own, n := p.own[:total], p.KVType.BlockWords(h)
	mem := p.Arena.Raw(2 * n * total)
	for i := range own {
		own[i] = kernel.Block{Type: p.KVType, K: mem[2*n*i : 2*n*i+n], V: mem[2*n*i+n : 2*n*(i+1)]}
	}
	for _, s := range p.Spans {
		c := (s.Len + kernel.BlockLen - 1) / kernel.BlockLen
		p.blocks = append(p.blocks, own[:c])
		own = own[c:]
	}
}

// attendBackward runs every span and key/value head on its own: nothing that
// two of them write is shared.
func (p *Pass) attendBackward(q, k, v, out *tensor.Tensor, lse []float32, spec kernel.AttnSpec) {
	h := spec.Heads
	dq, addQ := p.Grad(q)
	dk, addK := p.Grad(k)
	dv, addV := p.Grad(v)
	group, qs, ks := h.Q/h.KV*h.Dim, q.Cols, k.Cols
	p.Pool.Run(len(p.Spans)*h.KV, func(i int) {
		s, kv := p.Spans[i%len(p.Spans)], i/len(p.Spans)
		for r := s.Row; r < s.Row+s.Len; r++ { // the kernel adds
			if !addQ {
				clear(dq[r*qs+kv*group:][:group])
			}
			if !addK {
				clear(dk[r*ks+kv*h.Dim:][:h.Dim])
			}
			if !addV {
				clear(dv[r*ks+kv*h.Dim:][:h.Dim])
			}
		}
		qo, ko := s.Row*qs, s.Row*ks
		kernel.AttendBackward(dq[qo:], dk[ko:], dv[ko:], out.Grad[qo:], q.Data[qo:], k.Data[ko:], v.Data[ko:],
			out.Data[qo:], lse[s.Row*h.Q:], s.Len, kv, spec)
	})
}
