package engine

import (
	"slices"
	"sync"
	"testing"

	"weft/infer/kv"
	"weft/infer/sample"
)

// counting is a prompt of n tokens.
func counting(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i * 7 % vocab)
	}
	return ids
}

// TestPrefixHit: what a request shares with an earlier one, its answer
// included, is not computed again, and every bit of the rest stays the same,
// wherever the shared part ends.
func TestPrefixHit(t *testing.T) {
	m := tiny()
	e := start(t, m, Options{Chunk: 20})
	first := Request{Prompt: counting(70), MaxTokens: 20, Logprobs: 2, Params: sample.Params{Temperature: 1, Seed: 5}}
	want := generate(m, first)
	said := slices.Clone(first.Prompt)
	for _, tok := range want {
		said = append(said, tok.ID)
	}
	hits := 0
	ask := func(r Request, cached int) {
		t.Helper()
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, generate(m, r)); d != "" {
			t.Errorf("%d prompt tokens, %d of them cached: %s", len(r.Prompt), cached, d)
		}
		if u := got[len(got)-1].Usage; u.CachedTokens != cached || got[0].Cached != cached {
			t.Errorf("%d of %d prompt tokens cached, want %d", u.CachedTokens, len(r.Prompt), cached)
		}
		hits += cached
	}
	ask(first, 0)
	ask(first, 69) // 64 of the prompt's own pages, 5 of one that its answer filled; the last is computed
	for _, cut := range []int{1, 15, 16, 17, 40, 63, 64, 65, 80} {
		r := first
		r.Prompt = append(slices.Clone(said[:cut]), 1+said[cut]%(vocab-1)) // something else follows
		ask(r, cut)
	}
	next := first
	next.Prompt = append(slices.Clone(said), 9, 9, 9) // the next turn of a conversation
	ask(next, 80)
	whole := first
	whole.Prompt = said[:64] // all of it is known: the last token is computed for its logits
	ask(whole, 63)
	other := first
	other.Salt = "another tenant"
	ask(other, 0)
	scored := first
	scored.PromptLogprobs = true // every row is wanted
	ask(scored, 0)
	if s := e.Stats(); s.PrefixHits != uint64(hits) || s.PrefixQueries <= s.PrefixHits {
		t.Errorf("%d hits of %d tokens looked up, want %d hits", s.PrefixHits, s.PrefixQueries, hits)
	}
}

// TestPrefixIsComputedOnce: requests that begin alike and come together wait
// for the first of them: the shared pages go through the model once.
func TestPrefixIsComputedOnce(t *testing.T) {
	before, open := gate()
	e := start(t, spy{tiny(), before}, Options{Chunk: 16})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := Request{Prompt: append(counting(96), int32(i)), MaxTokens: 1}
			if _, err := collect(e, r); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "eight inside", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.inside == 8 })
	open()
	wg.Wait()
	if s := e.Stats(); s.Rows != 96+8 || s.PrefixHits != 7*96 {
		t.Errorf("%d rows computed and %d tokens found, want 104 and 672", s.Rows, s.PrefixHits)
	}
}

// TestPrefixInTheSmallestPool: a request that fills the whole pool finds room
// even when it begins inside a page that is kept.
func TestPrefixInTheSmallestPool(t *testing.T) {
	m := tiny()
	e := start(t, m, Options{Pages: 3})
	for _, cut := range []int{48, 20, 47, 1} {
		r := Request{Prompt: append(counting(48)[:cut-1:cut-1], 3), MaxTokens: 48 - cut}
		if r.MaxTokens == 0 {
			r.MaxTokens = -1
		}
		got, err := collect(e, r)
		if err != nil {
			t.Fatalf("%d tokens: %v", cut, err)
		}
		if r.MaxTokens > 0 {
			if d := differ(got, generate(m, r)); d != "" {
				t.Errorf("%d tokens: %s", cut, d)
			}
		}
	}
}

// TestPrefixFromDisk: the second engine finds what the first one computed, and
// says the same.
func TestPrefixFromDisk(t *testing.T) {
	m, dir := tiny(), t.TempDir()
	r := Request{Prompt: counting(70), MaxTokens: 8, Params: sample.Params{Temperature: 1, Seed: 2}}
	for starts, cached := range []int{0, 64} {
		e := start(t, m, Options{PrefixDisk: kv.DiskOptions{Dir: dir, Key: "tiny", Warn: func(err error) { t.Error(err) }}})
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, generate(m, r)); d != "" {
			t.Errorf("start %d: %s", starts, d)
		}
		e.Close()
		if s := e.Stats(); got[0].Cached != cached || s.PrefixLoaded != uint64(cached/16) {
			t.Errorf("start %d: %d tokens cached, %d pages from disk, want %d and %d", starts, got[0].Cached, s.PrefixLoaded, cached, cached/16)
		}
	}
}
