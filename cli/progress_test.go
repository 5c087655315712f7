package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
)

// A job that stops early, or learns late how long it is, must still end its bar.
func TestProgressEnds(t *testing.T) {
	var screen bytes.Buffer
	p := &progress{w: &screen, name: "train", start: time.Now(), bars: mpb.New(mpb.WithOutput(&screen), mpb.WithAutoRefresh(), mpb.WithRefreshRate(10*time.Millisecond))}
	p.set(1, 100, "loss 3")
	p.set(2, 50, "loss 2")
	ended := make(chan struct{})
	go func() { p.end(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the bar never ended")
	}
	if !strings.Contains(screen.String(), "train") {
		t.Errorf("the bar does not name its job: %q", screen.String())
	}
}

func TestProgressPrintsLines(t *testing.T) {
	var lines bytes.Buffer
	e := &env{err: &lines}
	p := e.progress("merges")
	p.set(1, 4, "first")
	p.set(2, 4, "hidden: too soon")
	p.set(4, 4, "last")
	p.end()
	if got := lines.String(); !strings.Contains(got, "merges 1/4 ETA") || !strings.Contains(got, "merges 4/4") || strings.Contains(got, "hidden") {
		t.Errorf("got %q", got)
	}
}
