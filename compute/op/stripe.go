package op

import (
	"slices"
	"sync/atomic"

	"weft/compute/tensor"
)

// A stripe is the rows that a worker carries through several operations. Where
// they would take more than a core's cache nothing is won, and wide models want
// to read their weights for more rows at once.
const (
	stripeRows  = 32
	stripeBytes = 512 << 10
)

// stripes is some operations in progress, on stripes of the rows of a batch.
type stripes struct {
	fn     func(p *Pass, ys, xs []*tensor.Tensor)
	ys, xs []*tensor.Tensor
	spans  []Span
	next   atomic.Int32
	each   []stripe // of each worker
	work   func(worker int)
}

// stripe is what a worker has of its own.
type stripe struct {
	pass   Pass
	arena  tensor.Arena
	ys, xs []*tensor.Tensor
	heads  []tensor.Tensor // of xs
}

// Stripe runs fn, which sets ys to what operations make of xs, and returns ys,
// [rows, cols[i]] each, valid until the next Stripe; xs may be used up. The
// operations must treat every row on its own, as all but Attend do. A pass that
// serves many narrow rows, width values of a row in all, runs fn for some rows at
// a time, each time on one worker: they stay in its cache, and the threads meet
// once instead of after every operation.
func (p *Pass) Stripe(width int, cols []int, fn func(p *Pass, ys, xs []*tensor.Tensor), xs ...*tensor.Tensor) []*tensor.Tensor {
	s, rows := &p.stripes, xs[0].Rows
	s.xs, s.ys = append(s.xs[:0], xs...), slices.Grow(s.ys[:0], len(cols))[:len(cols)]
	if p.KV == nil || rows < 2*stripeRows || 4*width*stripeRows > stripeBytes {
		fn(p, s.ys, s.xs)
		return s.ys
	}
	for i, n := range cols {
		s.ys[i] = p.raw(rows, n)
	}
	if s.work == nil {
		s.work = s.run
		s.each = make([]stripe, p.Pool.Size())
	}
	s.fn, s.spans = fn, p.Spans
	s.next.Store(0)
	p.Pool.Run(len(s.each), s.work)
	s.fn, s.spans = nil, nil
	return s.ys
}

// run is the work of one worker: stripes until none is left.
func (s *stripes) run(worker int) {
	w, rows := &s.each[worker], s.xs[0].Rows
	w.pass.Arena = &w.arena
	w.ys, w.xs, w.heads = slices.Grow(w.ys[:0], len(s.ys))[:len(s.ys)], w.xs[:0], slices.Grow(w.heads[:0], len(s.xs))[:len(s.xs)]
	for i := range w.heads {
		w.xs = append(w.xs, &w.heads[i])
	}
	for {
		from := int(s.next.Add(1)-1) * stripeRows
		if from >= rows {
			break
		}
		w.run(s, from, min(from+stripeRows, rows))
	}
	clear(w.pass.Spans) // what they refer to must not live on in scratch memory
}

// run carries the rows from..to through the operations.
func (w *stripe) run(s *stripes, from, to int) {
	w.arena.Reset()
	w.pass.Spans = w.pass.Spans[:0]
	for _, span := range s.spans {
		a, b := max(from, span.Row), min(to, span.Row+span.Len)
		if a < b {
			span.Pos += a - span.Row
			span.Row, span.Len = a-from, b-a
			w.pass.Spans = append(w.pass.Spans, span)
		}
	}
	for i, x := range s.xs {
		w.heads[i] = tensor.Tensor{Rows: to - from, Cols: x.Cols, Data: x.Data[from*x.Cols : to*x.Cols]}
	}
	s.fn(&w.pass, w.ys, w.xs)
	for i, y := range w.ys {
		copy(s.ys[i].Data[from*y.Cols:to*y.Cols], y.Data)
	}
}
