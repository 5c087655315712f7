package load

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// closing tells when the body of a long request has been read.
type closing struct {
	long   int64 // bytes of its question
	closed func()
}

func (c closing) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err == nil && q.ContentLength > c.long {
		resp.Body = closer{resp.Body, c.closed}
	}
	return resp, err
}

type closer struct {
	io.ReadCloser
	closed func()
}

func (c closer) Close() error { defer c.closed(); return c.ReadCloser.Close() }

// TestLatePrompt: two users are answered until a long prompt has come, is made
// to wait for two more texts of theirs, and has been answered. How many of these
// are read before its own is the network's affair; TestGaps counts.
func TestLatePrompt(t *testing.T) {
	s := newServer(t)
	came, read := make(chan struct{}), make(chan struct{})
	var meanwhile sync.WaitGroup
	meanwhile.Add(2)
	s.single = func(r request) {
		if len(strings.Fields(r.text())) == 500 {
			close(came)
			meanwhile.Wait()
		}
	}
	s.answer = func(w http.ResponseWriter, _ *http.Request, r request, _ int) {
		until := func(done chan struct{}) {
			for {
				stream(w, r, 1, false)
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}
		until(came)
		stream(w, r, 2, false)
		meanwhile.Done()
		until(read)
		stream(w, r, 1, true)
	}
	c := s.client()
	c.HTTP = &http.Client{Transport: closing{2000, func() { close(read) }}}
	r, err := Run(t.Context(), c, Options{Concurrency: []int{2}, Prompt: lengths(t, "9"), Output: lengths(t, "4"), LateTokens: 1003, LateAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Steps[0].Late
	if l == nil || l.Error != "" || l.Prompt != 1003 || l.TTFT <= 0 || l.During.N < 1 || r.Steps[0].Requests != 2 {
		t.Fatalf("%+v of %d requests, want 1003 tokens, times, and two requests", l, r.Steps[0].Requests)
	}
	if text := r.Markdown(); !strings.Contains(text, "- a prompt of 1003 tokens came amid 2 in flight: first text after ") {
		t.Errorf("the report does not tell of it:\n%s", text)
	}
	r, err = Run(t.Context(), newServer(t).client(), Options{Concurrency: []int{1}, Prompt: lengths(t, "9"), Output: lengths(t, "4"), LateTokens: 9, LateAfter: time.Hour})
	if err != nil || r.Steps[0].Late == nil || !strings.Contains(r.Markdown(), "the users were done before it came") {
		t.Errorf("a prompt that comes too late: %+v, %v", r.Steps[0].Late, err)
	}
}

// TestGaps: texts at 10, 11, 13, 16 and 20, a prompt sent at 12 and answered at 16.
func TestGaps(t *testing.T) {
	l := latecomer{began: 10, asked: true, sample: Sample{Sent: 12 * time.Second, Due: 12 * time.Second, First: 16 * time.Second, In: 7}}
	second := func(n ...time.Duration) (all []time.Duration) {
		for _, d := range n {
			all = append(all, d*time.Second)
		}
		return all
	}
	got := l.report([]Sample{{First: 10 * time.Second, End: 20 * time.Second, Gaps: second(1, 2, 3, 4)}})
	if got.Before.N != 1 || got.Before.Max != 1 || got.During.N != 2 || got.During.P50 != 2 || got.During.Max != 3 || got.TTFT != 4 || got.Prompt != 7 {
		t.Errorf("%+v, want a gap of 1 before and those of 2 and 3 meanwhile", got)
	}
	if got := l.report([]Sample{{First: 10 * time.Second, End: 15 * time.Second}}); got.Error == "" {
		t.Error("no error although nobody was there any more")
	}
}
