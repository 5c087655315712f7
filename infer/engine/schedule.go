package engine

import (
	"fmt"
	"slices"
	"time"

	"weft/compute/op"
)

// part is what one task contributes to a pass: the next n of its tokens, and
// behind them what it is guessed to say.
type part struct {
	task    *task
	n       int
	guesses int
	want    bool    // the last of the n rows is to be sampled, and those of the guesses
	told    []Token // prompt tokens with their log-probabilities
}

// rows is the number of rows that are sampled.
func (p *part) rows() int {
	if !p.want {
		return 0
	}
	return 1 + p.guesses
}

// reap ends the tasks whose reader is gone.
func (e *Engine) reap() {
	e.running = slices.DeleteFunc(e.running, func(t *task) bool {
		gone := e.cancelled(t)
		if gone {
			e.release(t)
		}
		return gone
	})
	e.preempted = slices.DeleteFunc(e.preempted, e.cancelled)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = slices.DeleteFunc(e.queue, func(t *task) bool {
		err := t.ctx.Err()
		if err != nil {
			e.leave(t)
			e.stats.Cancelled++
			t.stream.end(err)
		}
		return err != nil
	})
}

// cancelled ends a task that is not in the queue if its context is done.
func (e *Engine) cancelled(t *task) bool {
	err := t.ctx.Err()
	if err != nil {
		e.end(t, err)
	}
	return err != nil
}

// end closes a task's stream and forgets it. Its pages are the caller's affair.
func (e *Engine) end(t *task, err error) {
	defer t.stream.end(err) // after the books: who sees the end sees it in Stats
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leave(t)
	switch {
	case err == nil:
		e.stats.Finished++
	case t.ctx.Err() != nil:
		e.stats.Cancelled++
	default:
		e.stats.Failed++
	}
}

// admit takes tasks into the running set while a slot is free and the pages of
// all their tokens fit above the watermark, preempted ones first, in order of
// age, then those of the tenant that has had least. Alone, a task is admitted without a watermark: check has made sure that it fits.
func (e *Engine) admit() {
	for len(e.running) < e.opts.MaxBatch {
		t := e.next()
		if t == nil {
			return
		}
		e.open(t)
		if len(e.running) > 0 && (e.promised(t) || !e.cache.Fits(t.seq, len(t.ids))) {
			e.cache.Free(t.seq)
			return
		}
		if !e.unqueue(t) {
			e.cache.Free(t.seq)
			continue
		}
		e.running = append(e.running, t)
		err := e.cache.Grow(t.seq, len(t.ids))
		if err != nil && t.done > 0 { // alone in the pool, and the page that it half shares is one too many
			e.cache.Free(t.seq)
			t.seq, t.done = e.cache.Alloc(), 0
			err = e.cache.Grow(t.seq, len(t.ids))
		}
		if err != nil {
			e.drop(t, fmt.Errorf("engine: %d positions in an empty cache: %w", len(t.ids), err))
		}
	}
}

// open gives a task its sequence, which begins with what the cache knows.
func (e *Engine) open(t *task) {
	if e.opts.NoPrefixCache {
		t.seq, t.done = e.cache.Alloc(), 0
		return
	}
	t.seq = e.cache.Match(t.req.Salt, t.ids[:t.known()])
	t.done = e.cache.Len(t.seq)
}

// promised reports whether a running task is computing a page that t begins
// with: t waits for it, since both would only share the rows of the passes.
func (e *Engine) promised(t *task) bool {
	if e.opts.NoPrefixCache {
		return false
	}
	known, size := t.ids[:t.known()], e.opts.PageLen
	return slices.ContainsFunc(e.running, func(o *task) bool {
		return o.rest() > 1 && o.req.Salt == t.req.Salt && common(known, o.ids)/size > t.done/size
	})
}

// common is the length of the common prefix of a and b.
func common(a, b []int32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// advance counts the next n tokens of a task as computed and keeps the pages
// that they complete.
func (e *Engine) advance(t *task, n int) {
	before := t.done / e.opts.PageLen
	if t.done += n; t.done/e.opts.PageLen > before && !e.opts.NoPrefixCache {
		e.cache.Keep(t.req.Salt, t.seq, t.ids[:t.done])
	}
}

// next returns the task whose turn it is; nil: nobody waits.
func (e *Engine) next() *task {
	if len(e.preempted) > 0 {
		return e.preempted[0]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := e.fairest(); i >= 0 {
		return e.queue[i]
	}
	return nil
}

// unqueue takes a task that is admitted from where next has found it, and
// counts what it costs its tenant and what the prefix cache saves. It reports
// false if the task is gone: displaced by another tenant's.
func (e *Engine) unqueue(t *task) bool {
	if len(e.preempted) > 0 {
		e.preempted = slices.Delete(e.preempted, 0, 1)
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.queue, t)
	if i < 0 {
		return false
	}
	e.queue = slices.Delete(e.queue, i, i+1)
	t.account.served += uint64(t.rest())
	e.stats.Wait.observe(time.Since(t.arrived))
	if !e.opts.NoPrefixCache && !t.req.PromptLogprobs {
		t.cached = t.done
		e.stats.PrefixQueries += uint64(t.prompt())
		e.stats.PrefixHits += uint64(t.cached)
	}
	return true
}

// drop ends a running task and frees its pages.
func (e *Engine) drop(t *task, err error) {
	e.running = slices.DeleteFunc(e.running, func(o *task) bool { return o == t })
	e.release(t)
	e.end(t, err)
}

// release gives back all pages of a running task.
func (e *Engine) release(t *task) {
	e.cache.Free(t.seq)
	e.drafter.close(t)
}

// plan finds pages for the newest token of every running task, oldest first,
// preempting the youngest while there is none, and fills the batch.
func (e *Engine) plan() {
	for i := 0; i < len(e.running); i++ {
		t := e.running[i]
		for i < len(e.running) && e.cache.Grow(t.seq, len(t.ids)) != nil {
			e.preempt()
		}
	}
	e.propose()
	e.batch = e.batch[:0]
	rows := 0
	for _, t := range e.running {
		if t.rest() == 1 {
			p := part{task: t, n: 1, guesses: len(t.guess.tokens), want: t.samples()}
			e.batch = append(e.batch, p)
			rows += 1 + p.guesses
		}
	}
	budget := max(1, e.opts.Chunk-rows)
	for _, t := range e.running {
		if n := min(budget, t.rest()); n > 0 && t.rest() > 1 {
			budget -= n
			e.batch = append(e.batch, part{task: t, n: n, want: n == t.rest() && t.samples()})
		}
	}
}

// preempt takes the pages of the youngest running task. Its tokens and its
// sampler stay, so that computing it again gives the same continuation.
func (e *Engine) preempt() {
	last := len(e.running) - 1
	t := e.running[last]
	e.running = e.running[:last]
	e.release(t)
	t.done = 0
	e.preempted = slices.Insert(e.preempted, 0, t)
	e.mu.Lock()
	e.stats.Preemptions++
	e.mu.Unlock()
}

// lay writes ids and spans of some parts into the pass and lists the rows to
// be sampled.
func (e *Engine) lay(parts []part) {
	e.ids, e.rows, e.pass.Spans = e.ids[:0], e.rows[:0], e.pass.Spans[:0]
	for _, p := range parts {
		t := p.task
		e.pass.Spans = append(e.pass.Spans, op.Span{Seq: t.seq, Row: len(e.ids), Len: p.n + p.guesses, Pos: t.done})
		e.ids = append(e.ids, t.ids[t.done:t.done+p.n]...)
		e.ids = append(e.ids, t.guess.tokens[:p.guesses]...)
		for i := range p.rows() {
			e.rows = append(e.rows, len(e.ids)-p.rows()+i)
		}
	}
}
