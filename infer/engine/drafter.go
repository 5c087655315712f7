package engine

import (
	"fmt"
	"slices"
	"time"

	"weft/compute/op"
)

// run lets the draft model guess for the tasks on its list, all together, a
// token per pass. The first pass also takes in what it has not read yet, within
// o.Chunk rows; who is not read up by then gets no guess this time. An error is
// what the model panicked with; its tasks go on without it.
func (d *drafter) run(o Options) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = modelError(v)
			for _, t := range d.fed {
				t.guess.tokens, t.guess.off = t.guess.tokens[:0], true
			}
		}
		d.live, d.most = d.live[:0], d.most[:0]
	}()
	d.open(o)
	for len(d.live) > 0 {
		budget := o.Chunk
		d.lay(&budget)
		begin := time.Now()
		d.forward()
		d.pass.Pool.Run(len(d.rows), d.drawFn)
		if took := time.Since(begin).Seconds(); len(d.ids) <= 2*len(d.rows) {
			d.cost.add(float64(len(d.rows)), took)
		} else { // it reads a prompt
			d.perRow.add(took / float64(len(d.ids)))
		}
		d.sift()
	}
	return nil
}

// maxCauses is how many reasons of failures are told: a reason may hold what
// differs each time.
const maxCauses = 8

// draftFailed counts a failure of the draft model and tells why, each reason once.
func (e *Engine) draftFailed(err error) {
	d, why := e.drafter, err.Error()
	e.mu.Lock()
	e.stats.DraftFailures++
	e.mu.Unlock()
	if slices.Contains(d.causes, why) || len(d.causes) == maxCauses {
		return
	}
	d.causes = append(d.causes, why)
	e.opts.Warn(fmt.Errorf("engine: the draft model guesses no more for the requests it failed on, which go on without: %w", err))
}

// open gives every task on the list a sequence with room for its guesses, and
// takes those off for which there is none.
func (d *drafter) open(o Options) {
	n := 0
	for i, t := range d.live {
		g := &t.guess
		if !g.open {
			if o.NoPrefixCache {
				g.seq = d.cache.Alloc()
			} else {
				g.seq = d.cache.Match(t.space(), t.ids[:len(t.ids)-1])
			}
			g.open, g.done = true, d.cache.Len(g.seq)
			g.kept = g.done / o.PageLen
		} else if n := g.done / o.PageLen; n > g.kept && !o.NoPrefixCache {
			d.cache.Keep(t.space(), g.seq, t.ids[:g.done])
			g.kept = n
		}
		d.cache.Slide(g.seq, g.done)
		if d.cache.Grow(g.seq, len(t.ids)+d.most[i]-1) != nil {
			continue
		}
		t.sampler.CopyTo(&g.shadow)
		d.live[n], d.most[n] = t, d.most[i]
		n++
	}
	d.live, d.most = d.live[:n], d.most[:n]
}

// lay writes the next rows of every live task into the pass, and lists the rows
// to draw from.
func (d *drafter) lay(budget *int) {
	d.ids, d.rows, d.fed, d.pass.Spans = d.ids[:0], d.rows[:0], d.fed[:0], d.pass.Spans[:0]
	n := 0
	for i, t := range d.live {
		g := &t.guess
		rest := len(t.ids) + len(g.tokens) - g.done
		rows := min(rest, *budget)
		if rows == 0 {
			continue
		}
		*budget -= rows
		d.fed = append(d.fed, t)
		d.pass.Spans = append(d.pass.Spans, op.Span{Seq: g.seq, Row: len(d.ids), Len: rows, Pos: g.done})
		for p := g.done; p < g.done+rows; p++ {
			if p < len(t.ids) {
				d.ids = append(d.ids, t.ids[p])
			} else {
				d.ids = append(d.ids, g.tokens[p-len(t.ids)])
			}
		}
		g.done += rows
		if rows == rest {
			d.rows = append(d.rows, len(d.ids)-1)
			d.live[n], d.most[n] = t, d.most[i]
			n++
		}
	}
	d.live, d.most = d.live[:n], d.most[:n]
}

// forward computes the logits of the listed rows.
func (d *drafter) forward() {
	d.arena.Reset()
	if d.pass.Want = nil; len(d.rows) < len(d.ids) {
		d.pass.Want = d.rows
	}
	hidden := d.model.Hidden(&d.pass, d.ids)
	if len(d.rows) > 0 {
		d.logits = d.model.Logits(&d.pass, hidden)
	}
}

// draw guesses one token of live task i.
func (d *drafter) draw(i int) {
	g := &d.live[i].guess
	id, err := g.shadow.Sample(d.logits.Row(i), &d.work[i])
	if d.bad[i] = err != nil; err == nil {
		g.tokens = append(g.tokens, id)
	}
}

// sift takes the tasks off the list that have their guesses, or get no more.
func (d *drafter) sift() {
	n := 0
	for i, t := range d.live {
		if d.bad[i] || len(t.guess.tokens) >= d.most[i] {
			continue
		}
		d.live[n], d.most[n] = t, d.most[i]
		n++
	}
	d.live, d.most = d.live[:n], d.most[:n]
}

// close frees what the draft model holds for a task.
func (d *drafter) close(t *task) {
	if d != nil && t.guess.open {
		d.cache.Free(t.guess.seq)
		t.guess.open, t.guess.done = false, 0
	}
}
