package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/kv"
	"weft/infer/sample"
	"weft/model/nn"
)

// TestSoak keeps an engine under sixteen streams of all kinds: answers that are
// read to the end and compared, cancelled, left, over their deadline; one slow
// reader; adapters that come and go; guesses, searches, prefixes on disk, a cache
// that is too small; and requests that make the model panic, which are the only
// ones to fail. Nothing is left behind: pages, goroutines, memory. WEFT_SOAK says
// for how long, else it is a few rounds:
//
//	WEFT_SOAK=30m go test ./infer/engine -run TestSoak -v -timeout 40m
//	WEFT_SOAK=5m go test -race ./infer/engine -run TestSoak -v
func TestSoak(t *testing.T) {
	var length time.Duration
	if s := os.Getenv("WEFT_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("WEFT_SOAK: %v", err)
		}
	}
	s := newSoak(t)
	var warm footprint
	begin := time.Now()
	for round := 0; round < 4 || time.Since(begin) < length; round++ {
		s.round(round)
		now := s.footprint()
		if round == 1 {
			warm = now
		}
		if round > 1 && (now.goroutines > warm.goroutines || now.heap > warm.heap+warm.heap/4+4<<20) {
			t.Fatalf("after round %d: %d goroutines and %.1f MB in use, after the second %d and %.1f",
				round, now.goroutines, float64(now.heap)/1e6, warm.goroutines, float64(warm.heap)/1e6)
		}
		if length > 0 && round%50 == 0 {
			t.Logf("%v: %+v %+v", time.Since(begin).Round(time.Second), now, s.e.Stats())
		}
	}
	finish(t, s.e)
	if st := s.e.Stats(); st.Finished == 0 || st.Cancelled == 0 || st.Failed == 0 || st.Preemptions == 0 || st.PrefixHits == 0 || st.Accepted == 0 {
		t.Errorf("%d finished, %d cancelled, %d failed, %d preemptions, %d prefix hits, %d guesses right: want some of each",
			st.Finished, st.Cancelled, st.Failed, st.Preemptions, st.PrefixHits, st.Accepted)
	}
}

// trap is the token that makes the model panic.
const trap = vocab - 1

// soak is an engine and what is asked of it.
type soak struct {
	t     *testing.T
	e     *Engine
	known []Request // with their answers
	want  [][]Token
	by    op.Adapter // that some of them go through
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t}
	m, rng := tiny(), tensor.NewRNG(11)
	nn.Adapt(m)
	s.by = drawn(m, 3, 1, 12)
	for i := range 12 {
		r, by := s.request(rng), op.Adapter(nil)
		if i%3 == 0 {
			by = s.by
		}
		s.known, s.want = append(s.known, r), append(s.want, generate(through{m, by}, r))
	}
	s.e = start(t, spy{m, func(_ *op.Pass, ids []int32) {
		if slices.Contains(ids, trap) {
			panic("the trap")
		}
	}}, Options{
		MaxAdapters: 17, MaxBatch: 8, Chunk: 24, Pages: 22, Queue: 6, Ngram: 1, Draft: odd(), DraftLen: 3, alwaysDraft: true,
		PrefixDisk: kv.DiskOptions{Dir: t.TempDir(), Key: "soak", Bytes: 1 << 20, Warn: func(err error) { t.Error(err) }},
	})
	for i := 0; i < len(s.known); i += 3 {
		if i == 0 {
			s.known[0].Adapter = add(t, s.e, "stays", s.by)
		}
		s.known[i].Adapter = s.known[0].Adapter
	}
	return s
}

// request is a random one that keeps off the trap.
func (s *soak) request(rng *tensor.RNG) Request {
	r := randomRequest(rng)
	for i := range r.Prompt {
		r.Prompt[i] %= trap
	}
	r.Params.LogitBias = map[int32]float64{trap: -100}
	r.Tenant = []string{"", "a", "b"}[rng.IntN(3)]
	return r
}

// round lets every stream have some requests, and waits for the end.
func (s *soak) round(round int) {
	var wg sync.WaitGroup
	for stream := range 16 {
		rng := tensor.NewRNG(uint64(round<<8 + stream))
		wg.Go(func() {
			for range 6 {
				s.one(rng, stream == 0)
			}
		})
	}
	wg.Wait()
	eventually(s.t, "all pages are back", func() bool { st := s.e.Stats(); return st.PagesUsed+st.Running+st.Queued == 0 })
}

// one sends one request, of some kind, and judges how it ends.
func (s *soak) one(rng *tensor.RNG, slow bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, want, allowed, leave := s.request(rng), []Token(nil), ErrBusy, -1
	var mayFail bool
	switch rng.IntN(9) {
	case 8: // an adapter that comes for one request
		a, err := s.e.AddAdapter("passing", fmt.Sprint(rng.Uint64()), s.by)
		if err != nil {
			s.t.Error(err)
			return
		}
		defer func() {
			if err := s.e.RemoveAdapter(context.Background(), a); err != nil {
				s.t.Error(err)
			}
		}()
		r.Adapter, leave = a, rng.IntN(20)
	case 0, 1, 2:
		i := rng.IntN(len(s.known))
		r, want = s.known[i], s.want[i]
	case 3:
		leave = rng.IntN(40)
	case 4:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(30))*time.Millisecond)
		defer cancel()
		allowed = context.DeadlineExceeded
	case 5:
		allowed = context.Canceled
		leave = rng.IntN(40)
	case 6:
		r.Prompt, mayFail = append(r.Prompt[:min(len(r.Prompt), 8)], trap), true
	case 7: // a search has no biases, and may step into the trap
		r.Params, r.PromptLogprobs, mayFail = sample.Params{}, false, true
		r.Prompt, r.MaxTokens = r.Prompt[:min(len(r.Prompt), 30)], 10
		r.Beam = &Beam{Width: 1 + rng.IntN(4)}
	}
	var got []Token
	var failed error
	for tok, err := range s.e.Generate(ctx, r) {
		if err != nil {
			failed = err
			break
		}
		if got = append(got, tok); len(got) > leave && leave >= 0 {
			if allowed != context.Canceled {
				return
			}
			cancel()
		}
		if slow {
			time.Sleep(500 * time.Microsecond)
		}
	}
	var broke *ModelError
	switch {
	case errors.Is(failed, ErrBusy) || failed != nil && errors.Is(failed, allowed) || mayFail && errors.As(failed, &broke):
	case failed != nil:
		s.t.Errorf("%+v: %v", r, failed)
	case want != nil && differ(got, want) != "":
		s.t.Errorf("%+v: %s", r, differ(got, want))
	}
}

// footprint is what a process holds that may leak.
type footprint struct {
	goroutines int
	heap       uint64 // bytes
}

func (s *soak) footprint() footprint {
	runtime.GC()
	runtime.GC() // pools give up what they hold at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{runtime.NumGoroutine(), m.HeapAlloc}
}
