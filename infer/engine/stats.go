package engine

import (
	"slices"
	"time"
)

// Stats is what an engine has done and holds. Counters count from New.
type Stats struct {
	Queued, Preempted, Running       int // requests waiting, thrown out and waiting, in the batch
	PagesFree, PagesUsed, PagesTotal int // free + used + cached = total
	PagesCached                      int // held for their prefixes alone, given up when pages run out
	PageLen, MaxBatch                int

	Iterations, Rows     uint64 // passes, and token rows computed in them, recomputed ones too
	PromptTokens, Tokens uint64 // prompt tokens of requests taken in; tokens generated
	Finished, Cancelled  uint64 // requests that ended so
	Failed, Rejected     uint64 // ended by an error; refused with ErrBusy
	Preemptions          uint64
	Drafts               uint64    // passes of a request with guessed tokens
	Drafted, Accepted    uint64    // tokens guessed; of them, right
	DraftFailures        uint64    // passes in which the draft model panicked
	PrefixQueries        uint64    // prompt tokens looked up in the prefix cache
	PrefixHits           uint64    // of them, those that were there
	PrefixLoaded         uint64    // pages that came from disk
	Wait                 Histogram // seconds from Generate to admission
	TTFT, ITL            Histogram // seconds from Generate to the first token; between two tokens
}

// Histogram counts observations in seconds.
type Histogram struct {
	Bounds []float64 // upper ends of the buckets, rising; one more bucket is above the last
	Counts []uint64  // len(Bounds)+1, not cumulative
	Sum    float64
}

// newHistogram has buckets from 100 us to 100 s in steps of 1, 2.5, 5.
func newHistogram() Histogram {
	var h Histogram
	for scale := 1e-4; scale < 50; scale *= 10 {
		h.Bounds = append(h.Bounds, scale, 2.5*scale, 5*scale)
	}
	h.Counts = make([]uint64, len(h.Bounds)+1)
	return h
}

func (h *Histogram) observe(d time.Duration) {
	s := d.Seconds()
	i, _ := slices.BinarySearch(h.Bounds, s)
	h.Counts[i]++
	h.Sum += s
}

// Count is the number of observations.
func (h Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns an upper bound in seconds for the share q (0 to 1) of
// observations: the end of its bucket.
func (h Histogram) Quantile(q float64) float64 {
	rest := q * float64(h.Count())
	for i, c := range h.Counts {
		if rest -= float64(c); rest <= 0 && i < len(h.Bounds) {
			return h.Bounds[i]
		}
	}
	return h.Bounds[len(h.Bounds)-1]
}

func newStats() Stats { return Stats{Wait: newHistogram(), TTFT: newHistogram(), ITL: newHistogram()} }

// Stats returns a copy of the figures after the last iteration.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Queued = len(e.queue)
	for _, h := range []*Histogram{&s.Wait, &s.TTFT, &s.ITL} {
		h.Counts = slices.Clone(h.Counts)
	}
	return s
}

// publish copies the loop's figures into Stats.
func (e *Engine) publish() {
	free, cached, total := e.cache.Pages()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.stats
	s.PagesFree, s.PagesCached, s.PagesUsed, s.PagesTotal = free, cached, total-free-cached, total
	s.PageLen, s.MaxBatch = e.opts.PageLen, e.opts.MaxBatch
	s.PrefixLoaded = e.cache.Loaded()
	s.Running, s.Preempted = len(e.running), len(e.preempted)
	if len(e.batch) > 0 {
		s.Iterations++
		for _, p := range e.batch {
			s.Rows += uint64(p.n + p.guesses)
		}
	}
}

// observe counts a generated token and its time.
func (e *Engine) observe(t *task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Tokens++
	t.account.served++
	if t.last.IsZero() {
		e.stats.TTFT.observe(now.Sub(t.arrived))
	} else {
		e.stats.ITL.observe(now.Sub(t.last))
	}
	t.last = now
}
