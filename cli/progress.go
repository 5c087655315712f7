package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far a long job is: a bar with speed and time left on a
// terminal, a line every few seconds elsewhere, nothing with --json.
type progress struct {
	w      io.Writer
	name   string
	bars   *mpb.Progress
	bar    *mpb.Bar
	unit   string // of done and total, with a space before it
	note   string
	from   int // done before this run: no part of its speed
	start  time.Time
	last   time.Time
	silent bool
}

// plainEvery is how often a job reports where no bar can be drawn.
const plainEvery = 5 * time.Second

// The caller ends it, whatever happened: a bar left open garbles what is printed next.
func (e *env) progress(name string) *progress {
	p := &progress{w: e.err, name: name, start: time.Now(), silent: e.json}
	if !e.json && isTerminal(e.err) {
		p.bars = mpb.New(mpb.WithOutput(e.err), mpb.WithWidth(32), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return p
}

// set says that done of total units are done; note is shown beside.
func (p *progress) set(done, total int, note string) {
	p.note = note
	switch {
	// How much there is may not be known yet.
	case p.silent || total <= 0:
	case p.bars != nil:
		p.draw(done, total)
	case time.Since(p.last) >= plainEvery || done == total:
		p.last = time.Now()
		fmt.Fprintf(p.w, "%s %d/%d%s%s %s\n", p.name, done, total, p.unit, eta(p.start, done-p.from, total-p.from), note)
	}
}

// draw moves the bar, made on the first call.
func (p *progress) draw(done, total int) {
	if p.bar == nil {
		p.bar = p.bars.AddBar(0, // a total given here could not change, nor the bar end before it
			mpb.PrependDecorators(decor.Name(p.name+" "), decor.Percentage(decor.WCSyncSpace)),
			mpb.AppendDecorators(
				decor.Any(func(s decor.Statistics) string { return eta(p.start, int(s.Current)-p.from, int(s.Total)-p.from) }),
				decor.Any(func(decor.Statistics) string { return " " + p.note }),
			))
	}
	p.bar.SetTotal(int64(total), false)
	p.bar.SetCurrent(int64(done))
}

// end finishes the bar where it stands.
func (p *progress) end() {
	if p.bar != nil {
		// A total below zero means: as much as is done by now.
		p.bar.SetTotal(-1, true)
	}
	if p.bars != nil {
		p.bars.Wait()
	}
}

// eta is the time left at the average speed so far.
// done and total are without what an earlier run did: that says nothing of this speed.
func eta(start time.Time, done, total int) string {
	if done <= 0 || done >= total {
		return ""
	}
	left := time.Duration(float64(time.Since(start)) * float64(total-done) / float64(done))
	return " ETA " + left.Round(time.Second).String()
}
