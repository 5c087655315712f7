package engine

import (
	"slices"
	"time"

	"weft/compute/kernel"
)

// Stats is what an engine has done and holds. Counters count from New.
type Stats struct {
	Queued, Preempted, Running       int // requests waiting, thrown out and waiting, in the batch
	PagesFree, PagesUsed, PagesTotal int // free + used + cached = total
	PagesCached                      int // held for their prefixes alone, given up when pages run out
	PageLen, MaxBatch                int
	PageBytes                        int           // memory of a page
	KVType                           kernel.KVType // how it keeps keys and values

	MaxAdapters int            // see Options
	Adapters    []AdapterStats // oldest first

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
	Batch                Histogram // token rows of a pass
}

// Histogram counts observations, of seconds unless said otherwise.
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

// newRowHistogram has buckets of the sizes that a pass may have.
func newRowHistogram() Histogram {
	bounds := []float64{1}
	for n := 8.0; n <= 1<<14; n *= 2 {
		bounds = append(bounds, n)
	}
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *Histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.Bounds, v)
	h.Counts[i]++
	h.Sum += v
}

// Add counts the observations of o, which has the same bounds, as well; a zero
// Histogram takes its bounds.
func (h *Histogram) Add(o Histogram) {
	if h.Bounds == nil {
		h.Bounds, h.Counts = o.Bounds, make([]uint64, len(o.Counts))
	}
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}

// Count is the number of observations.
func (h Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

func newStats() Stats {
	return Stats{Wait: newHistogram(), TTFT: newHistogram(), ITL: newHistogram(), Batch: newRowHistogram()}
}

// Stats returns a copy of the figures after the last iteration.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Queued, s.Adapters = len(e.queue), e.adapterStats()
	for _, h := range []*Histogram{&s.Wait, &s.TTFT, &s.ITL, &s.Batch} {
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
	s.PageLen, s.MaxBatch, s.MaxAdapters = e.opts.PageLen, e.opts.MaxBatch, e.opts.MaxAdapters
	s.PageBytes, s.KVType = e.cache.PageBytes(), e.opts.KVType
	s.PrefixLoaded = e.cache.Loaded()
	s.Running, s.Preempted = len(e.running), len(e.preempted)
	e.countAdapters()
	if len(e.batch) > 0 {
		s.Iterations++
		rows := 0
		for _, p := range e.batch {
			rows += p.n + p.guesses
		}
		s.Rows += uint64(rows)
		s.Batch.observe(float64(rows))
	}
}

// observe counts a generated token and its time.
func (e *Engine) observe(t *task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Tokens++
	t.account.served++
	if t.last.IsZero() {
		e.stats.TTFT.observe(now.Sub(t.arrived).Seconds())
		t.times.Prefill = now.Sub(t.arrived) - t.times.Queue
	} else {
		e.stats.ITL.observe(now.Sub(t.last).Seconds())
		t.times.Decode += now.Sub(t.last)
	}
	t.last = now
}
