package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Late is one more request, with a long prompt, that came while every user of a
// closed loop was being answered, and what it did to the time between their
// tokens: what cutting prompts into chunks is judged by (Agrawal 2024,
// "Sarathi-Serve"). Times are seconds.
type Late struct {
	Prompt int     `json:"prompt_tokens"`   // as the server counts them
	TTFT   float64 `json:"ttft"`            // its own
	Before Times   `json:"itl_before"`      // of the others, from when all had their first text until it was sent
	During Times   `json:"itl_during"`      // of the others, from then until it had its first text
	Error  string  `json:"error,omitempty"` // why there are no such figures
}

// latecomer sends the late prompt of a step.
type latecomer struct {
	after   time.Duration
	waiting atomic.Int64  // users that have no text yet
	all     chan struct{} // closed when there are none
	began   time.Duration // and when that was
	sample  Sample
	asked   bool // it was sent
	done    sync.WaitGroup
}

// defaultLateAfter is how long the users are watched before the prompt comes.
const defaultLateAfter = 5 * time.Second

func newLatecomer(o *Options, users int, last Job) *latecomer {
	l := &latecomer{after: o.LateAfter, all: make(chan struct{})}
	if l.after == 0 {
		l.after = defaultLateAfter
	}
	l.waiting.Store(int64(users))
	l.sample.Job = Job{Number: last.Number + 1, Prompt: o.LateTokens, Prefix: -1, Output: 1}
	return l
}

// begun counts a user that has got the first text of all.
func (l *latecomer) begun() {
	if l.waiting.Add(-1) == 0 {
		close(l.all)
	}
}

// run waits for its time, and asks. It gives up waiting when users ends: nobody
// is left to be disturbed.
func (l *latecomer) run(ctx, users context.Context, c *Client, start time.Time, prompt string) {
	select {
	case <-l.all:
	case <-users.Done():
		return
	}
	l.began = time.Since(start)
	timer := time.NewTimer(l.after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-users.Done():
		return
	}
	l.asked, l.sample.Sent = true, time.Since(start)
	l.sample.Due = l.sample.Sent
	c.do(ctx, start, &l.sample, prompt)
}

// report compares the others' time between tokens before and during.
func (l *latecomer) report(others []Sample) *Late {
	s := &l.sample
	switch {
	case !l.asked:
		return &Late{Error: "the users were done before it came: ask for longer answers"}
	case s.Kind != "":
		return &Late{Error: fmt.Sprintf("%s: %.200s", s.Kind, s.Detail)}
	case !slices.ContainsFunc(others, func(o Sample) bool { return o.End >= s.First }):
		return &Late{Error: "the users were done before its first text: ask for longer answers"}
	}
	return &Late{
		Prompt: s.In, TTFT: s.TTFT().Seconds(),
		Before: timesOf(gaps(others, func(from, to time.Duration) bool { return from >= l.began && to <= s.Sent })),
		During: timesOf(gaps(others, func(from, to time.Duration) bool { return to > s.Sent && from < s.First })),
	}
}

// gaps collects the times between texts, by when they began and ended.
func gaps(samples []Sample, keep func(from, to time.Duration) bool) (all []time.Duration) {
	for i := range samples {
		at := samples[i].First
		for _, gap := range samples[i].Gaps {
			if keep(at, at+gap) {
				all = append(all, gap)
			}
			at += gap
		}
	}
	return all
}

// line is what a report says of it.
func (l *Late) line(load float64, unit string) string {
	if l.Error != "" {
		return fmt.Sprintf("- the late prompt at %.4g %s: %s\n", load, unit, l.Error)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- a prompt of %d tokens came amid %.4g %s: first text after %.4g ms; time between the others' tokens before and meanwhile:",
		l.Prompt, load, unit, 1e3*l.TTFT)
	for _, q := range []struct {
		name           string
		before, during float64
	}{{"p50", l.Before.P50, l.During.P50}, {"p99", l.Before.P99, l.During.P99}} {
		fmt.Fprintf(&b, " %s %.4g and %.4g ms", q.name, 1e3*q.before, 1e3*q.during)
		if q.before > 0 {
			fmt.Fprintf(&b, " (%.2f times)", q.during/q.before)
		}
		b.WriteByte(',')
	}
	return strings.TrimSuffix(b.String(), ",") + "\n"
}
