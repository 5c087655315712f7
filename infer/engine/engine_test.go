package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weft/chat"
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/sample"
	"weft/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAgainstNaive: one request at a time equals the uncached oracle, bit for
// bit: tokens, log-probabilities, alternatives, prompt scores.
func TestAgainstNaive(t *testing.T) {
	m, rng := tiny(), tensor.NewRNG(2)
	e := start(t, m, Options{Chunk: 7})
	for i := range 20 {
		r := randomRequest(rng)
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, generate(m, r)); d != "" {
			t.Fatalf("request %d (%d prompt tokens, %+v): %s", i, len(r.Prompt), r.Params, d)
		}
		if u := got[len(got)-1].Usage; u == nil || u.PromptTokens != len(r.Prompt) || u.PromptTokens+u.CompletionTokens != len(r.Prompt)+countAnswer(got) {
			t.Fatalf("request %d: usage %+v for %d prompt tokens and %d of answer", i, u, len(r.Prompt), countAnswer(got))
		}
	}
}

func countAnswer(tokens []Token) (n int) {
	for _, t := range tokens {
		if !t.Prompt {
			n++
		}
	}
	return n
}

// TestBadRequests: each names its field, got and want; nothing runs.
func TestBadRequests(t *testing.T) {
	e := start(t, tiny(), Options{})
	ok := []int32{1, 2, 3}
	for _, tc := range []struct {
		r    Request
		want string
	}{
		{Request{}, "prompt: got no tokens, want at least 1"},
		{Request{Prompt: []int32{1, vocab}}, "prompt: got token 61 at position 1, want 0 to 60"},
		{Request{Prompt: []int32{-1}}, "prompt: got token -1"},
		{Request{Prompt: ok, Stop: []int32{99}}, "stop: got token 99"},
		{Request{Prompt: ok, Logprobs: -2}, "logprobs: got -2, want -1 to 61"},
		{Request{Prompt: ok, Params: sample.Params{TopP: 2}}, "top_p: got 2, want 0 to 1"},
		{Request{Prompt: ok, Params: sample.Params{LogitBias: map[int32]float64{61: 1}}}, "logit_bias: got token 61"},
	} {
		var in *chat.InputError
		if _, err := collect(e, tc.r); !errors.As(err, &in) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	if s := e.Stats(); s.Iterations != 0 {
		t.Errorf("%d iterations for requests that are all wrong", s.Iterations)
	}
}

// TestContext: prompts that cannot fit are refused with both counts; what just
// fits runs to its end; without a limit the context is the limit.
func TestContext(t *testing.T) {
	for name, tc := range map[string]struct {
		o      Options
		window int
	}{
		"context":      {Options{}, 192},
		"scarce pages": {Options{Pages: 3, PageLen: 32}, 96},
	} {
		e := start(t, tiny(), tc.o)
		if e.Window() != tc.window {
			t.Fatalf("%s: window %d, want %d", name, e.Window(), tc.window)
		}
		long := make([]int32, tc.window)
		var ce *ContextError
		if _, err := collect(e, Request{Prompt: long}); !errors.As(err, &ce) || *ce != (ContextError{Prompt: tc.window, Max: 1, Context: tc.window}) {
			t.Errorf("%s: a full window: got %v", name, err)
		}
		if _, err := collect(e, Request{Prompt: long[:tc.window-5], MaxTokens: 6}); !errors.As(err, &ce) || ce.Max != 6 {
			t.Errorf("%s: one token too many: got %v", name, err)
		}
		got, err := collect(e, Request{Prompt: long[:tc.window-5]})
		if err != nil || len(got) != 5 || got[4].Finish != Length {
			t.Errorf("%s: up to the window: %d tokens, %v, want 5 that end by length", name, len(got), err)
		}
	}
}

// TestScoreOnly: a negative MaxTokens generates nothing; with PromptLogprobs
// the prompt comes back scored, without it only its end.
func TestScoreOnly(t *testing.T) {
	m := tiny()
	e := start(t, m, Options{Chunk: 4})
	r := Request{Prompt: []int32{5, 6, 7, 8, 9, 10, 11, 12, 13}, MaxTokens: -1, PromptLogprobs: true, Logprobs: 2}
	got, err := collect(e, r)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(got, generate(m, r)); d != "" {
		t.Error(d)
	}
	if u := got[len(got)-1].Usage; u == nil || *u != (chat.Usage{PromptTokens: 9}) {
		t.Errorf("usage %+v", u)
	}
	r.PromptLogprobs = false
	got, err = collect(e, r)
	if err != nil || len(got) != 1 || got[0].Finish != Length || !got[0].Prompt || got[0].ID != 13 {
		t.Errorf("without scores: %+v, %v", got, err)
	}
}

// gate holds every pass until the test lets it go.
func gate() (before func(*op.Pass, []int32), open func()) {
	ch := make(chan struct{})
	var once sync.Once
	return func(*op.Pass, []int32) { <-ch }, func() { once.Do(func() { close(ch) }) }
}

// TestBusy: MaxBatch + Queue requests are inside, the next is refused.
func TestBusy(t *testing.T) {
	before, open := gate()
	e := start(t, spy{tiny(), before}, Options{MaxBatch: 2, Queue: 3})
	defer open()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := collect(e, Request{Prompt: []int32{1}, MaxTokens: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "five inside", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.inside == 5 })
	if _, err := collect(e, Request{Prompt: []int32{1}}); !errors.Is(err, ErrBusy) {
		t.Errorf("the sixth request: got %v, want ErrBusy", err)
	}
	open()
	wg.Wait()
	if s := e.Stats(); s.Rejected != 1 || s.Tokens != 10 {
		t.Errorf("rejected %d, tokens %d, want 1 and 10", s.Rejected, s.Tokens)
	}
}

// TestCancelFreesPages: a reader that leaves, in any of three ways, frees its
// pages while another request goes on.
func TestCancelFreesPages(t *testing.T) {
	e := start(t, tiny(), Options{})
	for name, leave := range map[string]func(){
		"break": func() {
			for range e.Generate(context.Background(), Request{Prompt: []int32{1, 2}}) {
				break
			}
		},
		"cancel": func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var last error
			for _, err := range e.Generate(ctx, Request{Prompt: []int32{1, 2}}) {
				cancel()
				last = err
			}
			if !errors.Is(last, context.Canceled) {
				t.Errorf("cancel: the stream ended with %v", last)
			}
		},
		"deadline before": func() {
			ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
			defer cancel()
			for _, err := range e.Generate(ctx, Request{Prompt: []int32{1, 2}}) {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("deadline: got %v", err)
				}
			}
		},
	} {
		leave()
		eventually(t, name+": pages are back", func() bool { return e.Stats().PagesUsed == 0 })
	}
}

// TestCancelInQueue: a waiting request whose context ends leaves the queue
// while the batch is still full.
func TestCancelInQueue(t *testing.T) {
	turn := make(chan struct{})
	before := func(*op.Pass, []int32) { <-turn }
	e := start(t, spy{tiny(), before}, Options{MaxBatch: 1})
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := collect(e, Request{Prompt: []int32{1}, MaxTokens: 3}); len(got) != 3 || err != nil {
			t.Errorf("the running request: %d tokens, %v", len(got), err)
		}
	})
	turn <- struct{}{} // one pass has begun: the slot is taken
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wg.Go(func() {
		for _, err := range e.Generate(ctx, Request{Prompt: []int32{2}}) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the waiting request: got %v", err)
			}
		}
	})
	eventually(t, "one in the queue", func() bool { return e.Stats().Queued == 1 })
	cancel()
	turn <- struct{}{}
	eventually(t, "the queue is empty", func() bool { return e.Stats().Queued == 0 })
	turn <- struct{}{}
	wg.Wait()
	if s := e.Stats(); s.Cancelled != 1 {
		t.Errorf("%d cancelled, want 1", s.Cancelled)
	}
}

// TestPanicFailsOneRequest: token 7 makes the model panic; its request fails
// with the reason, its neighbours in the batch do not notice.
func TestPanicFailsOneRequest(t *testing.T) {
	m := tiny()
	bad := errors.New("weight 7 is gone")
	e := start(t, spy{m, func(_ *op.Pass, ids []int32) {
		if slices.Contains(ids, 7) {
			panic(bad)
		}
	}}, Options{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			r := Request{Prompt: []int32{int32(20 + i), 3}, MaxTokens: 30, Params: sample.Params{LogitBias: map[int32]float64{7: -100}}}
			got, err := collect(e, r)
			if err != nil {
				t.Errorf("neighbour %d: %v", i, err)
			} else if d := differ(got, generate(m, r)); d != "" {
				t.Errorf("neighbour %d: %s", i, d)
			}
		})
		wg.Go(func() {
			var me *ModelError
			if _, err := collect(e, Request{Prompt: []int32{1, 7}}); !errors.As(err, &me) || !errors.Is(err, bad) || len(me.Stack) == 0 {
				t.Errorf("the culprit: got %v, want a ModelError with its stack", err)
			}
		})
	}
	wg.Wait()
	if s := e.Stats(); s.Failed != 6 || s.Finished != 6 {
		t.Errorf("%d failed, %d finished, want 6 and 6", s.Failed, s.Finished)
	}
}

// TestNotFinite: damaged weights are an error, not a token.
func TestNotFinite(t *testing.T) {
	m := tiny()
	m.Norm.Value.Data[3] = float32(math.NaN())
	e := start(t, m, Options{})
	if got, err := collect(e, Request{Prompt: []int32{1}}); !errors.Is(err, sample.ErrNotFinite) || len(got) != 0 {
		t.Errorf("got %d tokens and %v, want ErrNotFinite", len(got), err)
	}
}

// TestPrefillDoesNotStarveDecodes: while a long prompt goes in, chunk by
// chunk, a running answer gets a row in every pass, and no pass is longer than
// Chunk.
func TestPrefillDoesNotStarveDecodes(t *testing.T) {
	var passes [][]op.Span
	wait := make(chan struct{})
	e := start(t, spy{tiny(), func(p *op.Pass, ids []int32) {
		passes = append(passes, slices.Clone(p.Spans))
		if len(passes) == 2 {
			<-wait
		}
	}}, Options{Chunk: 16, fullChunks: true})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = collect(e, Request{Prompt: []int32{1}, MaxTokens: 60}) })
	eventually(t, "the first token", func() bool { return e.Stats().Tokens == 1 })
	wg.Go(func() { _, _ = collect(e, Request{Prompt: make([]int32, 150), MaxTokens: 1}) })
	eventually(t, "two inside", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.inside == 2 })
	close(wait)
	wg.Wait()
	e.Close()
	chunks := 0
	for i, spans := range passes {
		rows := 0
		for _, s := range spans {
			rows += s.Len
		}
		if rows > 16 {
			t.Errorf("pass %d has %d rows, want at most 16", i, rows)
		}
		if len(spans) == 2 {
			chunks++
			if spans[0].Len != 1 {
				t.Errorf("pass %d: spans %+v, want the decode first", i, spans)
			}
		}
	}
	if chunks != 10 { // 150 tokens by 15
		t.Errorf("the prompt shared %d passes with the decode, want 10", chunks)
	}
}

// TestSlowReader: a reader that has not taken a token does not hold up others,
// and still gets everything.
func TestSlowReader(t *testing.T) {
	m := tiny()
	e := start(t, m, Options{MaxBatch: 2})
	r := Request{Prompt: []int32{4}, MaxTokens: 100}
	var slow []Token
	for tok, err := range e.Generate(context.Background(), r) {
		if err != nil {
			t.Fatal(err)
		}
		if slow = append(slow, tok); len(slow) == 1 {
			for range 5 {
				if got, err := collect(e, Request{Prompt: []int32{9, 9}, MaxTokens: 50}); len(got) != 50 || err != nil {
					t.Fatalf("beside a slow reader: %d tokens, %v", len(got), err)
				}
			}
		}
	}
	if d := differ(slow, generate(m, r)); d != "" {
		t.Error(d)
	}
}

// TestClose: requests inside finish, later ones are refused, and a second
// Close returns.
func TestClose(t *testing.T) {
	before, open := gate()
	e := start(t, spy{tiny(), before}, Options{MaxBatch: 1})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if got, err := collect(e, Request{Prompt: []int32{1}, MaxTokens: 4}); len(got) != 4 || err != nil {
				t.Errorf("inside at Close: %d tokens, %v", len(got), err)
			}
		})
	}
	eventually(t, "three inside", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.inside == 3 })
	wg.Go(e.Close)
	eventually(t, "closed", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.closed })
	if _, err := collect(e, Request{Prompt: []int32{1}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	open()
	wg.Wait()
}

// TestStats: the figures of one request add up.
func TestStats(t *testing.T) {
	e := start(t, tiny(), Options{Chunk: 8})
	if _, err := collect(e, Request{Prompt: make([]int32, 20), MaxTokens: 5}); err != nil {
		t.Fatal(err)
	}
	e.Close()
	s := e.Stats()
	if s.PromptTokens != 20 || s.Tokens != 5 || s.Rows != 24 || s.Iterations != 7 || s.Wait.Count() != 1 || s.TTFT.Count() != 1 || s.ITL.Count() != 4 {
		t.Errorf("%+v", s)
	}
}

// still is a model that computes nothing and allocates nothing.
type still struct {
	model.Model
	hidden, logits *tensor.Tensor
}

func (s still) Hidden(*op.Pass, []int32) *tensor.Tensor        { return s.hidden }
func (s still) Logits(*op.Pass, *tensor.Tensor) *tensor.Tensor { return s.logits }

// TestIterationDoesNotAllocate: scheduling, sampling and streaming of eight
// decodes, four of them drawn with all stages, take no memory from the heap.
func TestIterationDoesNotAllocate(t *testing.T) {
	e, err := build(still{tiny(), tensor.New(8, 32), tensor.New(8, vocab)}, Options{MaxBatch: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	for i := range 8 {
		r := Request{Prompt: []int32{1}}
		if i%2 == 0 {
			r.Params = sample.Params{Temperature: 1, TopK: 30, TopP: 0.9, MinP: 0.01, PresencePenalty: 0.1}
		}
		if _, err := e.submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		e.turn()
	}
	if n := testing.AllocsPerRun(50, e.turn); n != 0 {
		t.Errorf("%v allocations per iteration, want 0", n)
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{Pages: -1}, "Pages is -1"},
		{Options{PageLen: 17}, "PageLen is 17, want a multiple of 16"},
		{Options{Queue: -2}, "Queue is -2"},
		{Options{Pages: 1e12}, "Pages is 1000000000000, want 0 (the default) to 16777216"},
	} {
		if err := tc.o.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %q", tc.o, err, tc.want)
		}
	}
	// A page of 1 MiB: whole contexts when memory allows, else half of it.
	info := tiny().Info()
	if o := (Options{}).fill(info, 1<<20, 64<<30); o.Pages != 16*12 {
		t.Errorf("%d pages with plenty of memory, want %d", o.Pages, 16*12)
	}
	if o := (Options{}).fill(info, 1<<20, 64<<20); o.Pages != 32 {
		t.Errorf("%d pages with 64 MiB free, want 32", o.Pages)
	}
}
