package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/infer/sample"
	"weft/model"
	"weft/model/nn"
)

// drawn is an adapter of a model with pairs of rank r for every nth matrix, the
// head among them.
func drawn(m model.Model, r, nth int, seed uint64) *nn.Adapter {
	leaves, rng := nn.Linears(m), tensor.NewRNG(seed)
	a := &nn.Adapter{Pairs: make([]*nn.LowRank, len(leaves))}
	for i, l := range leaves {
		if (len(leaves)-1-i)%nth != 0 {
			continue
		}
		w := nn.NewLowRank((*l.Linear).In(), (*l.Linear).Out(), r, 0.7)
		rng.FillNormal(w.A.W.Value.Data, 0.2)
		rng.FillNormal(w.B.W.Value.Data, 0.2)
		a.Pairs[i] = w
	}
	a.Freeze()
	return a
}

// through is a model of which every row goes through one adapter: the oracle.
type through struct {
	model.Model
	by op.Adapter
}

func (m through) Hidden(p *op.Pass, ids []int32) *tensor.Tensor {
	for i := range p.Spans {
		p.Spans[i].Adapter = m.by
	}
	return m.Model.Hidden(p, ids)
}

// TestSameRequestSameTokensWithAdapters is the metamorphic test over mixes: the
// same sixteen prompts through none or one of three adapters give what each gives
// alone, bit for bit, whatever shares their passes: over matrices in float32 and in 8
// bits, with preemption, prefix hits, guesses, and adapters that come and go.
func TestSameRequestSameTokensWithAdapters(t *testing.T) {
	rested := odd()
	oracles := map[string]model.Model{"tiny": tiny(), "odd in 8 bits": rest(rested)}
	for name, m := range map[string]model.Model{"tiny": tiny(), "odd in 8 bits": rested} {
		rng := tensor.NewRNG(31)
		nn.Adapt(oracles[name])
		changes := []op.Adapter{nil, drawn(m, 4, 1, 5), drawn(m, 1, 2, 6), drawn(m, 9, 3, 7)}
		requests, which, want := make([]Request, 16), make([]int, 16), make([][]Token, 16)
		for i := range requests {
			requests[i], which[i] = randomRequest(rng), rng.IntN(len(changes))
			want[i] = generate(through{oracles[name], changes[which[i]]}, requests[i])
		}
		if plain := generate(oracles[name], requests[slices.Index(which, 1)]); differ(plain, want[slices.Index(which, 1)]) == "" {
			t.Errorf("%s: an adapter changes nothing", name)
		}
		options := []Options{
			{},
			{MaxBatch: 2, Chunk: 1, NoPrefixCache: true},
			{MaxBatch: 5, Chunk: 5, PageLen: 48, Pages: 10},
			{MaxBatch: 16, Chunk: 9, Pages: 12},
			{MaxBatch: 6, Chunk: 40, Pages: 20, Ngram: 1, DraftLen: 3, alwaysDraft: true},
			{MaxBatch: 5, Chunk: 30, Pages: 24, Draft: tiny(), alwaysDraft: true},
		}
		var sum Stats
		for i, o := range options {
			o.MaxAdapters = 4
			t.Run(fmt.Sprintf("%s,batch%d,chunk%d,pages%d,ngram%d,draft%v", name, o.MaxBatch, o.Chunk, o.Pages, o.Ngram, o.Draft != nil), func(t *testing.T) {
				pool := par.New(1 + 2*(i%2))
				defer pool.Close()
				o.Pool = pool
				s := mixed(t, m, o, rng, changes, requests, which, want)
				sum.Preemptions += s.Preemptions
				sum.PrefixHits += s.PrefixHits
				sum.Drafted += s.Drafted
				sum.Accepted += s.Accepted
			})
		}
		if sum.Preemptions == 0 || sum.PrefixHits == 0 || sum.Accepted == 0 || sum.Accepted == sum.Drafted {
			t.Errorf("%s: %d preemptions, %d prefix hits, %d of %d guesses right: want some of all", name, sum.Preemptions, sum.PrefixHits, sum.Accepted, sum.Drafted)
		}
	}
}

// mixed sends the requests at once, twice, with others among them that break off,
// while one more adapter comes and goes.
func mixed(t *testing.T, m model.Model, o Options, rng *tensor.RNG, changes []op.Adapter, requests []Request, which []int, want [][]Token) Stats {
	e := start(t, m, o)
	handles := make([]*Adapter, len(changes))
	for i := 1; i < len(changes); i++ {
		handles[i] = add(t, e, fmt.Sprint("adapter ", i), changes[i])
	}
	var wg sync.WaitGroup
	for range 2 {
		for _, i := range shuffle(rng, len(requests)) {
			r := requests[i]
			r.Adapter = handles[which[i]]
			wg.Go(func() {
				got, err := collect(e, r)
				if err != nil {
					t.Errorf("request %d: %v", i, err)
				} else if d := differ(got, want[i]); d != "" {
					t.Errorf("request %d through adapter %d: %s", i, which[i], d)
				}
			})
			if rng.IntN(2) == 0 {
				r, after := randomRequest(rng), rng.IntN(8)
				r.Adapter = handles[rng.IntN(len(handles))]
				wg.Go(func() { breakOff(e, r, after) })
			}
		}
	}
	wg.Go(func() {
		for range 3 {
			a := add(t, e, "passing", changes[1])
			r := requests[0]
			r.Adapter = a
			var one sync.WaitGroup
			one.Go(func() { breakOff(e, r, 3) })
			if err := e.RemoveAdapter(context.Background(), a); err != nil {
				t.Error(err)
			}
			one.Wait()
		}
	})
	wg.Wait()
	finish(t, e)
	return e.Stats()
}

// add takes in an adapter whose hash is its address.
func add(t *testing.T, e *Engine, name string, by op.Adapter) *Adapter {
	t.Helper()
	a, err := e.AddAdapter(name, fmt.Sprintf("%p", by), by)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPrefixesOfAdapters: prefixes are found again with the same adapter alone,
// and are forgotten with it.
func TestPrefixesOfAdapters(t *testing.T) {
	m := tiny()
	e := start(t, m, Options{MaxAdapters: 3})
	first, second := add(t, e, "first", drawn(m, 3, 1, 1)), add(t, e, "second", drawn(m, 3, 1, 2))
	ask := func(what string, a *Adapter, salt string, cached int) {
		t.Helper()
		r := Request{Prompt: counting(70), MaxTokens: 3, Adapter: a, Salt: salt, Params: sample.Params{Temperature: 1, Seed: 4}}
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, generate(through{m, a.changes()}, r)); d != "" {
			t.Errorf("%s: %s", what, d)
		}
		if got[0].Cached != cached {
			t.Errorf("%s: %d tokens of the prompt are known, want %d", what, got[0].Cached, cached)
		}
	}
	ask("without", nil, "", 0)
	ask("through the first", first, "", 0)
	ask("through the first again", first, "", 64)
	ask("through the second", second, "", 0)
	ask("without, again", nil, "", 64)
	ask("a salt that looks like an adapter", nil, first.hash, 0)
	ask("a salt", first, "s", 0)
	eventually(t, "five prefixes of four pages are kept", func() bool { return e.Stats().PagesCached == 20 })
	before := e.Stats()
	if before.Adapters[0].Name != "first" || before.MaxAdapters != 3 || len(before.Adapters) != 2 {
		t.Errorf("stats know %+v of at most %d", before.Adapters, before.MaxAdapters)
	}
	if err := e.RemoveAdapter(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	if after := e.Stats(); len(after.Adapters) != 1 {
		t.Errorf("stats still know %+v", after.Adapters)
	}
	again := add(t, e, "first", first.by)
	eventually(t, "the pages of both salts are free", func() bool {
		return e.Stats().PagesCached == 12
	})
	ask("loaded anew", again, "", 0)
	ask("the second, again", second, "", 64)
	twin, err := e.AddAdapter("twin", second.hash, second.by)
	if err != nil {
		t.Fatal(err)
	}
	ask("the same under another name", twin, "", 64)
	if err := e.RemoveAdapter(context.Background(), twin); err != nil {
		t.Fatal(err)
	}
	ask("the second, without its twin", second, "", 64)
}

// TestRemoveAdapter: an adapter that leaves takes no more requests, waits for
// those inside, and then is gone.
func TestRemoveAdapter(t *testing.T) {
	before, open := gate()
	m := tiny()
	e := start(t, spy{m, before}, Options{MaxAdapters: 1})
	a := add(t, e, "a", drawn(m, 2, 1, 1))
	if _, err := e.AddAdapter("b", "b", a.by); !errors.Is(err, ErrAdapters) {
		t.Errorf("one adapter too many: %v", err)
	}
	if _, err := e.AddAdapter("b", "", a.by); err == nil {
		t.Error("an adapter without a hash is taken")
	}
	r := Request{Prompt: counting(5), MaxTokens: 4, Adapter: a}
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := collect(e, r); err != nil || len(got) != 4 {
			t.Errorf("a request under way gets %d tokens and %v", len(got), err)
		}
	})
	eventually(t, "it runs", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return a.inside == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := e.RemoveAdapter(ctx, a); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("removed under a running request: %v", err)
	}
	if _, err := collect(e, r); !errors.Is(err, ErrAdapter) {
		t.Errorf("a request through an adapter that leaves: %v", err)
	}
	if _, err := e.AddAdapter("b", "b", a.by); !errors.Is(err, ErrAdapters) {
		t.Errorf("its place is free while it is in use: %v", err)
	}
	open()
	wg.Wait()
	if err := e.RemoveAdapter(context.Background(), a); err != nil {
		t.Error(err)
	}
	b := add(t, e, "b", a.by)
	other := start(t, tiny(), Options{})
	if _, err := collect(other, Request{Prompt: counting(5), MaxTokens: 1, Adapter: b}); !errors.Is(err, ErrAdapter) {
		t.Errorf("an adapter of another engine: %v", err)
	}
	if err := other.RemoveAdapter(context.Background(), b); !errors.Is(err, ErrAdapter) {
		t.Errorf("removed from an engine that has it not: %v", err)
	}
	if _, err := other.AddAdapter("c", "c", a.by); !errors.Is(err, ErrAdapters) {
		t.Errorf("an engine without room for adapters: %v", err)
	}
}
