package load

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Options say what load to make. Prompt, Output, and one of Concurrency and
// Rates are required.
type Options struct {
	Concurrency []int     // closed loop: requests in flight, one step per entry
	Rates       []float64 // open loop: requests per second, one step per entry
	Sweep       bool      // go on doubling the last load until it brings nothing more; off
	InFlight    int       // open loop: most requests in flight, the others wait here; no limit

	Requests int           // of one step; 64, or 8 per request in flight where that is more; with LateTokens 1 per request in flight
	Duration time.Duration // of one step: later no request begins; no limit
	Prompt   Lengths       // tokens of a prompt, without its shared beginning
	Output   Lengths       // tokens of an answer

	PrefixTokens int    // of a shared beginning; none
	Prefixes     int    // how many different ones; 1
	Seed         uint64 // of prompts and arrivals; 0

	// A closed loop can be disturbed once per step: when every user has had the
	// first text for LateAfter, a prompt of LateTokens comes beside them.
	LateTokens int           // none
	LateAfter  time.Duration // 5 s

	TTFT, ITL time.Duration // what a good request keeps: its TTFT, and the mean time between its tokens; 0: any

	// Progress is told what is done, from one goroutine; nobody.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Step, Steps int // from 1; with Sweep, Steps grows
	Load        string
	Done, Total int // requests of this step
}

// Limits of what is asked for.
const (
	maxInFlight = 1 << 14
	maxRequests = 1 << 22
	maxRate     = 1e6
	maxSweep    = 12 // steps of a sweep
)

// Validate says which option makes no sense. The error wraps ErrOptions.
func (o *Options) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...)
	}
	switch {
	case len(o.Concurrency) == 0 && len(o.Rates) == 0:
		return wrong("neither a concurrency nor a rate is given")
	case len(o.Concurrency) > 0 && len(o.Rates) > 0:
		return wrong("a concurrency makes a closed loop and a rate an open one: give one of them")
	case len(o.Concurrency) > 0 && o.InFlight != 0:
		return wrong("the limit of requests in flight is for open loops: in a closed one the concurrency is")
	case o.InFlight < 0 || o.InFlight > maxInFlight:
		return wrong("requests in flight: %d, want 0 (no limit) to %d", o.InFlight, maxInFlight)
	case o.Requests < 0 || o.Requests > maxRequests:
		return wrong("requests: %d, want 0 (the default) to %d", o.Requests, maxRequests)
	case o.LateTokens < 0 || o.LateTokens > maxLength:
		return wrong("a late prompt of %d tokens, want 0 (none) to %d", o.LateTokens, maxLength)
	case o.LateTokens > 0 && len(o.Concurrency) == 0:
		return wrong("a late prompt comes amid the users of a closed loop: give a concurrency")
	case o.LateTokens == 0 && o.LateAfter != 0:
		return wrong("a time to wait for a late prompt, but its tokens are not given")
	case o.Duration < 0 || o.TTFT < 0 || o.ITL < 0 || o.LateAfter < 0:
		return wrong("a time is negative")
	case len(o.Prompt.parts) == 0 || len(o.Output.parts) == 0:
		return wrong("the lengths of prompts and answers are not given")
	case o.PrefixTokens < 0 || o.PrefixTokens > maxLength:
		return wrong("a shared beginning of %d tokens, want 0 to %d", o.PrefixTokens, maxLength)
	case o.Prefixes < 0:
		return wrong("%d shared beginnings, want 1 or more", o.Prefixes)
	}
	for _, c := range o.Concurrency {
		if c < 1 || c > maxInFlight {
			return wrong("concurrency %d, want 1 to %d", c, maxInFlight)
		}
	}
	for _, r := range o.Rates {
		if !(r > 0 && r <= maxRate) {
			return wrong("a rate of %g requests/s, want one above 0, at most %g", r, maxRate)
		}
	}
	return nil
}

// point is the load of one step: requests in flight, or a rate.
type point struct {
	concurrency int
	rate        float64
}

func (p point) value() float64 { return max(float64(p.concurrency), p.rate) }

func (p point) String() string {
	if p.rate > 0 {
		return fmt.Sprintf("%.4g requests/s", p.rate)
	}
	return fmt.Sprintf("%d in flight", p.concurrency)
}

func (o *Options) points() (all []point) {
	for _, c := range o.Concurrency {
		all = append(all, point{concurrency: c})
	}
	for _, r := range o.Rates {
		all = append(all, point{rate: r})
	}
	return all
}

// Run measures every step, one after the other. When ctx ends it returns what
// was measured so far, with ctx's error. It fails when the options make no sense
// or the server answers nothing at all, not when single requests fail.
func Run(ctx context.Context, c *Client, o Options) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	if o.Prefixes == 0 {
		o.Prefixes = 1
	}
	r := Report{URL: c.URL, Model: c.Model, API: c.api(), Options: o.conditions()}
	words, err := calibrate(ctx, c, &r)
	if err != nil {
		return r, err
	}
	next, points := 0, o.points()
	for i := 0; i < len(points) && ctx.Err() == nil; i++ {
		jobs := o.step(points[i], next)
		if next += len(jobs); o.LateTokens > 0 {
			next++
		}
		samples, wall, late := run(ctx, c, &o, points[i], jobs, words, func(done int) {
			if o.Progress != nil {
				o.Progress(Progress{i + 1, len(points), points[i].String(), done, len(jobs)})
			}
		})
		if len(samples) > 0 {
			step := summarize(points[i], samples, wall, &o)
			step.Late = late
			r.Steps = append(r.Steps, step)
		}
		if o.Sweep && i == len(points)-1 && ctx.Err() == nil && worthMore(r.Steps) {
			p := points[i]
			points = append(points, point{2 * p.concurrency, 2 * p.rate})
		}
	}
	r.conclude()
	return r, ctx.Err()
}

func (c *Client) api() string {
	if c.API == "" {
		return Chat
	}
	return c.API
}

// worthMore says whether a sweep goes on: until twice the load has brought less
// than 5 % more, or no request of the last step was good.
func worthMore(steps []Step) bool {
	n := len(steps)
	if n == 0 || n >= maxSweep || steps[n-1].Good == 0 || 2*steps[n-1].Load > maxInFlight {
		return false
	}
	return n < 2 || steps[n-1].throughput() > 1.05*steps[n-2].throughput()
}

// step lists the requests of one step; first is the number of the first.
func (o *Options) step(p point, first int) []Job {
	n := o.Requests
	switch {
	case n == 0 && o.LateTokens > 0:
		n = p.concurrency
	case n == 0:
		n = max(64, 8*p.concurrency)
	}
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = o.job(first + i)
	}
	return jobs
}

// run makes the requests of one step and returns those that ended, in the order
// in which they did, how long it took, and what a late prompt did to them (nil:
// none was wanted). Requests that ctx cut off are left out.
func run(ctx context.Context, c *Client, o *Options, p point, jobs []Job, w Words, done func(int)) ([]Sample, time.Duration, *Late) {
	work, cancel := context.WithCancel(ctx) // ends the senders
	defer cancel()
	due := make(chan *Sample)
	out := make(chan *Sample)
	var workers sync.WaitGroup
	users := o.workers(p, len(jobs))
	var late *latecomer
	if o.LateTokens > 0 {
		late = newLatecomer(o, users, jobs[len(jobs)-1])
	}
	start := time.Now()
	for range users {
		workers.Go(func() {
			for s := range due {
				prompt := o.text(s.Job, w)
				s.Sent = time.Since(start)
				if p.rate == 0 {
					s.Due = s.Sent // in a closed loop a request is due when its sender is free
				}
				if late != nil && s.Number-jobs[0].Number < users { // every user's first
					s.begun = late.begun
				}
				c.do(work, start, s, prompt)
				out <- s
			}
		})
	}
	go func() {
		defer close(due)
		o.feed(work, p, jobs, start, due)
	}()
	go func() { workers.Wait(); close(out) }()
	if late != nil {
		late.done.Go(func() { late.run(ctx, work, c, start, o.text(late.sample.Job, w)) })
	}

	var samples []Sample
	for s := range out {
		if ctx.Err() != nil && s.Kind != "" {
			continue // cut off by us
		}
		samples = append(samples, *s)
		done(len(samples))
	}
	wall := time.Since(start)
	if late == nil {
		return samples, wall, nil
	}
	cancel()
	late.done.Wait()
	return samples, wall, late.report(samples)
}

// workers is how many requests can be in flight.
func (o *Options) workers(p point, jobs int) int {
	switch {
	case p.rate == 0:
		return min(p.concurrency, jobs)
	case o.InFlight > 0:
		return min(o.InFlight, jobs)
	}
	return min(jobs, maxInFlight)
}

// feed hands out the jobs: in an open loop when each is due, whether or not
// anybody is free to send it, in a closed one as senders become free.
func (o *Options) feed(ctx context.Context, p point, jobs []Job, start time.Time, due chan<- *Sample) {
	last := o.Duration
	if last == 0 {
		last = math.MaxInt64
	}
	var at []time.Duration
	if p.rate > 0 {
		at = o.arrivals(p.rate, jobs[0].Number, len(jobs))
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, j := range jobs {
		s := &Sample{Job: j}
		if at != nil {
			s.Due = at[i]
		}
		if at != nil && s.Due > last || at == nil && time.Since(start) > last {
			return
		}
		if wait := s.Due - time.Since(start); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case due <- s:
		case <-ctx.Done():
			return
		}
	}
}

// calibrate asks how many tokens the server makes of plain words: two prompts of
// one token to generate. They warm up the server as well.
func calibrate(ctx context.Context, c *Client, r *Report) (Words, error) {
	const few, many = 8, 24            // short, for models of little context
	o := Options{Seed: math.MaxUint64} // words that no step sends
	var in [2]int
	for i, n := range []int{few, many} {
		s := Sample{Job: Job{Number: i, Prompt: n, Prefix: -1, Output: 1}}
		c.do(ctx, time.Now(), &s, o.text(s.Job, Words{PerWord: 1}))
		switch {
		case ctx.Err() != nil:
			return Words{}, ctx.Err()
		case s.Kind != "":
			return Words{}, fmt.Errorf("%w: %s: the first request failed: %s: %.300s", ErrServer, c.URL, s.Kind, s.Detail)
		}
		in[i] = s.In
	}
	w := Words{PerWord: float64(in[1]-in[0]) / (many - few)}
	w.Fixed = float64(in[0]) - few*w.PerWord
	if !(w.PerWord > 0) {
		w = Words{PerWord: 1.3}
		r.Notes = append(r.Notes, "the server does not count tokens: 1.3 per word are assumed, and an answer has as many as it has pieces")
	}
	r.Words = w
	return w, nil
}
