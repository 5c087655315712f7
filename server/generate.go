package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"weft/chat"
)

// parallel is how many choices of one request are generated at a time: a long
// list of prompts takes its turns instead of filling the queue by itself.
const parallel = 8

// codec writes the deltas of a request in one API's shape.
type codec interface {
	whole(answers []answer, u usage, m *chat.Manifest) any // the body of an answer that is not streamed
	open(index int) any                                    // first chunk of a choice; nil: none
	pieces(index int, d chat.Delta) []any                  // the chunks of one delta
	end(u usage, m *chat.Manifest) any                     // last chunk, if counts or manifest are asked for
}

// event is one delta of one choice, or the error that ended it.
type event struct {
	index int
	delta chat.Delta
	err   error
}

// answer is one choice put together.
type answer struct {
	text      strings.Builder
	reasoning strings.Builder
	logprobs  []chat.TokenLogprob
	calls     []chat.ToolCall
	finish    chat.FinishReason
}

// answer generates every job and writes the response, whole or as a stream.
// When it returns, nothing of the request runs any more.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, m *Model, c common, jobs []chat.Request, enc codec) {
	info := infoOf(r)
	info.model, info.stream = m.ID, c.stream
	if len(c.ignored) > 0 {
		info.ignored = strings.Join(c.ignored, ",")
		w.Header().Set("X-Weft-Ignored-Fields", header(info.ignored))
	}
	t := &tally{server: s, model: m, info: info, n: c.bestOf, sent: c.n, jobs: jobs}
	if err := t.wantManifest(r); err != nil {
		refuse(w, r, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	events, wait := s.generate(ctx, info.start, m, jobs)
	defer wait()
	defer cancel() // runs before wait: it frees what the jobs hold
	s.metrics.asked(m.ID, c.n, jobs)
	if c.stream {
		s.stream(w, r, events, enc, t, c.includeUsage)
	} else {
		s.collect(w, r, events, enc, t)
	}
}

// generate runs the jobs and sends their deltas as they come; the channel
// closes after the last. wait returns when no job runs any more; cancel ctx
// first unless the channel was drained.
func (s *Server) generate(ctx context.Context, start time.Time, m *Model, jobs []chat.Request) (events <-chan event, wait func()) {
	out := make(chan event, 2*parallel)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(parallel, len(jobs)) {
		wg.Go(func() {
			for i := range next {
				s.generateOne(ctx, start, m, i, jobs[i], out)
			}
		})
	}
	wg.Go(func() {
		defer close(next)
		for i := range jobs {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(out)
		close(done)
	}()
	return out, func() { <-done }
}

// generateOne sends the deltas of one job, whose request began at start. A panic
// of the model ends this request with an error, not the process.
func (s *Server) generateOne(ctx context.Context, start time.Time, m *Model, i int, job chat.Request, out chan<- event) {
	send := func(e event) bool {
		select {
		case out <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if p := recover(); p != nil {
			send(event{index: i, err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())})
		}
	}()
	limited := ctx // the model's alone: its error still has to be sent
	if s.opts.Deadline > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, start.Add(s.opts.Deadline))
		defer cancel()
	}
	if job.Beam != nil {
		i *= job.Beam.Best
	}
	for d, err := range m.Model.Generate(limited, job) {
		if !send(event{i + d.Choice, d, err}) || err != nil {
			return
		}
	}
}

// collect writes one JSON body when every choice is complete.
func (s *Server) collect(w http.ResponseWriter, r *http.Request, events <-chan event, enc codec, t *tally) {
	answers := make([]answer, t.choices())
	for e := range events {
		if e.err != nil {
			s.fail(w, r, e.err)
			return
		}
		t.count(e)
		a := &answers[e.index]
		a.text.WriteString(e.delta.Text)
		a.reasoning.WriteString(e.delta.Reasoning)
		a.logprobs = append(a.logprobs, e.delta.Logprobs...)
		a.calls = append(a.calls, e.delta.ToolCalls...)
		if e.delta.Finish != "" {
			a.finish = e.delta.Finish
		}
	}
	if r.Context().Err() != nil {
		s.fail(w, r, r.Context().Err())
		return
	}
	manifest, err := t.manifest()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	t.done()
	writeJSON(w, http.StatusOK, enc.whole(best(answers, t.n, t.sent), t.usage, manifest))
}

// best keeps of each n answers the few that are likeliest per token, these first.
func best(answers []answer, n, few int) (kept []answer) {
	if n == few {
		return answers
	}
	for ; len(answers) > 0; answers = answers[n:] {
		slices.SortStableFunc(answers[:n], func(a, b answer) int { return cmp.Compare(b.perToken(), a.perToken()) })
		kept = append(kept, answers[:few]...)
	}
	return kept
}

// perToken is the mean log-probability of an answer's tokens.
func (a *answer) perToken() (mean float64) {
	for _, t := range a.logprobs {
		if !math.IsNaN(t.Logprob) { // the first of an echo
			mean += t.Logprob / float64(len(a.logprobs))
		}
	}
	return mean
}

// heartbeat is how often a stream that has nothing to say yet sends an SSE
// comment, so that proxies keep the connection.
const heartbeat = 15 * time.Second

// stream writes each delta as it comes. Until the first one, an error is still
// an HTTP status; afterwards it is an event, and the stream closes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, events <-chan event, enc codec, t *tally, includeUsage bool) {
	out := newStream(w)
	opened := map[int]bool{}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		var e event
		var more bool
		select {
		case e, more = <-events:
		case <-tick.C:
			out.comment("waiting")
			continue
		}
		switch {
		case !more && r.Context().Err() != nil:
			s.failStream(w, r, out, r.Context().Err())
			return
		case !more:
			manifest, err := t.manifest()
			if err != nil {
				s.failStream(w, r, out, err)
				return
			}
			t.done()
			if includeUsage || manifest != nil {
				out.send(enc.end(t.usage, manifest))
			}
			out.done()
			return
		case e.err != nil:
			s.failStream(w, r, out, e.err)
			return
		}
		t.count(e)
		if !opened[e.index] {
			opened[e.index] = true
			if first := enc.open(e.index); first != nil {
				out.send(first)
			}
		}
		for _, chunk := range enc.pieces(e.index, e.delta) {
			out.send(chunk)
		}
		if out.err != nil {
			t.info.gone = true // the deferred cancel frees what is held for it
			return
		}
	}
}

// fail answers a request that has sent nothing yet.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	refuse(w, r, s.translate(r, err))
}

// failStream ends a stream with an error: as a status if it has not begun.
func (s *Server) failStream(w http.ResponseWriter, r *http.Request, out *stream, err error) {
	api := s.translate(r, err)
	if !out.begun {
		refuse(w, r, api)
		return
	}
	out.send(errorBody{api})
}

// translate logs what the client is not told and counts refusals.
func (s *Server) translate(r *http.Request, err error) *apiError {
	info := infoOf(r)
	if r.Context().Err() != nil && !s.stopping() {
		info.gone = true // nobody reads the answer
	}
	api := fromModel(err, info.id)
	if info.gone {
		api.Code = "client_left" // for the log
	}
	info.failure = api.Code
	if api.Status == http.StatusInternalServerError {
		s.opts.Log.Error("request failed", "request_id", info.id, "error", err)
	}
	if errors.Is(err, chat.ErrBusy) {
		s.metrics.rejected.WithLabelValues(info.model).Inc()
	}
	return api
}
