package engine

import (
	"fmt"
	"slices"
	"time"

	"weft/compute/op"
)

// part is what one lane of a task contributes to a pass: the next n of its
// tokens, and behind them what it is guessed to say.
type part struct {
	task    *task
	lane    *lane
	n       int
	guesses int
	reads   bool    // more than a lane's newest token is not in the cache: a prompt, mostly
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

// admit takes tasks into the running set while there are slots and the pages of
// all their tokens fit above the watermark, preempted ones first, in order of
// age, then those of the tenant that has had least. Alone, a task is admitted
// without a watermark: check has made sure that it fits.
func (e *Engine) admit() {
	slots := e.opts.MaxBatch
	for _, t := range e.running {
		slots -= t.width()
	}
	for slots > 0 {
		t := e.next()
		if t == nil || t.width() > slots || !e.enter(t) {
			return
		}
		if !e.unqueue(t) {
			e.release(t)
			continue
		}
		e.running = append(e.running, t)
		slots -= t.width()
		if err := e.settleIn(t); err != nil {
			e.drop(t, fmt.Errorf("engine: %d positions in an empty cache: %w", len(t.ids), err))
		}
	}
}

// enter gives every lane of a task its sequence. Beside others, it takes the
// pages too; if they are not there, or will soon be shared, it reports false
// and has changed nothing.
func (e *Engine) enter(t *task) bool {
	for i, l := range t.lanes {
		e.open(t, l)
		if len(e.running) > 0 && (e.promised(t, l) || !e.fits(l) || e.cache.Grow(l.seq, e.reach(l)) != nil) {
			for _, l := range t.lanes[:i+1] {
				e.close(l)
			}
			return false
		}
	}
	return true
}

// reach is how far a lane takes pages: to its end or, where some layers give pages
// back, as far as one pass can come.
func (e *Engine) reach(l *lane) int {
	if e.cache.Slides() {
		return min(len(l.ids), l.done+e.opts.Chunk)
	}
	return len(l.ids)
}

// fits reports whether there is room for all that a lane will hold at a time.
// Running lanes that have not taken all of theirs yet come first.
func (e *Engine) fits(l *lane) bool {
	room := e.cache.Room()
	if e.cache.Slides() {
		for _, t := range e.running {
			for _, o := range t.lanes {
				room -= e.cache.Lacks(o.seq, len(o.ids))
			}
		}
	}
	return room >= e.cache.Lacks(l.seq, len(l.ids))
}

// settleIn takes the pages of a task that has entered.
func (e *Engine) settleIn(t *task) error {
	for _, l := range t.lanes {
		err := e.cache.Grow(l.seq, e.reach(l))
		if err != nil && l.done > 0 { // alone in the pool, and the page that it half shares is one too many
			e.close(l)
			l.seq = e.cache.Alloc()
			err = e.cache.Grow(l.seq, e.reach(l))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open gives a lane its sequence. It begins with the pages that are kept for its
// first tokens, or with those of a running task that begins alike, the half full
// one too (n answers to one prompt): who grows into that one gets a copy.
func (e *Engine) open(t *task, l *lane) {
	if e.opts.NoPrefixCache {
		l.seq, l.done = e.cache.Alloc(), 0
		return
	}
	known := t.known(l)
	l.seq = e.cache.Match(t.space(), known)
	l.done = e.cache.Len(l.seq)
	for _, o := range e.running {
		if n := min(common(known, o.ids), o.done); n > l.done && o.space() == t.space() && e.cache.Holds(o.seq, n) {
			e.cache.Free(l.seq)
			l.seq, l.done = e.cache.Fork(o.seq, n), n
		}
	}
}

// close gives a lane's pages back.
func (e *Engine) close(l *lane) {
	e.cache.Free(l.seq)
	l.done = 0
}

// promised reports whether a running task is computing a page that a lane begins
// with, or the rest of all that it can share: it waits for it, since both would
// only share the rows of the passes.
func (e *Engine) promised(t *task, l *lane) bool {
	if e.opts.NoPrefixCache {
		return false
	}
	known, size := t.known(l), e.opts.PageLen
	return slices.ContainsFunc(e.running, func(o *task) bool {
		if o.rest() <= 1 || o.space() != t.space() {
			return false
		}
		n := common(known, o.ids)
		return n/size > l.done/size || n == len(known) && n > l.done
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

// advance counts the next n tokens of a lane as computed, keeps the pages that
// they complete and gives back those that they leave behind all windows.
func (e *Engine) advance(t *task, l *lane, n int) {
	before := l.done / e.opts.PageLen
	if l.done += n; l.done/e.opts.PageLen > before && !e.opts.NoPrefixCache {
		e.cache.Keep(t.space(), l.seq, l.ids[:l.done])
	}
	e.cache.Slide(l.seq, l.done)
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
	t.times.Queue = time.Since(t.arrived)
	e.stats.Wait.observe(t.times.Queue.Seconds())
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
	for _, l := range t.lanes {
		e.close(l)
	}
	e.drafter.close(t)
}

// plan finds pages for the newest token of every running task, oldest first,
// preempting the youngest while there is none, and fills the batch.
func (e *Engine) plan() {
	for i := 0; i < len(e.running); i++ {
		for _, l := range e.running[i].lanes {
			for i < len(e.running) && e.cache.Grow(l.seq, e.reach(l)) != nil {
				e.preempt()
			}
			if i == len(e.running) { // it has had to go itself
				break
			}
		}
	}
	e.propose()
	e.batch = e.batch[:0]
	rows, prompts := 0, 0
	for _, t := range e.running {
		if !t.decodes() {
			prompts++
			continue
		}
		for _, l := range t.lanes {
			p := part{task: t, lane: l, n: 1, guesses: len(t.guess.tokens), want: t.samples()}
			e.batch = append(e.batch, p)
			rows += 1 + p.guesses
		}
	}
	if prompts > 0 {
		e.read(e.promptRows(rows, prompts))
	}
}

// read fills the batch with at most budget rows of what tasks have not read,
// the oldest first.
func (e *Engine) read(budget int) {
	for _, t := range e.running {
		if t.decodes() {
			continue
		}
		for _, l := range t.lanes {
			rest := l.rest()
			if len(t.lanes) > 1 { // they go on together, once all are read
				rest--
			}
			if n := min(budget, rest); n > 0 {
				budget -= n
				e.batch = append(e.batch, part{task: t, lane: l, n: n, reads: true, want: n == l.rest() && t.samples()})
			}
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
		l := p.lane
		e.pass.Spans = append(e.pass.Spans, op.Span{Seq: l.seq, Row: len(e.ids), Len: p.n + p.guesses, Pos: l.done, Adapter: p.task.req.Adapter.changes()})
		e.ids = append(e.ids, l.ids[l.done:l.done+p.n]...)
		e.ids = append(e.ids, p.task.guess.tokens[:p.guesses]...)
		for i := range p.rows() {
			e.rows = append(e.rows, len(e.ids)-p.rows()+i)
		}
	}
}
