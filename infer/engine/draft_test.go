package engine

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/sample"
	"weft/model/llama"
)

// TestGuessesChangeNothing: whoever guesses, a request says what it says alone,
// greedy or drawn, with every log-probability; a twin of the model is always
// right, and pages of wrong guesses come back.
func TestGuessesChangeNothing(t *testing.T) {
	m := tiny()
	for name, o := range map[string]Options{
		"own text": {Ngram: 2},
		"a twin":   {Draft: tiny(), DraftLen: 3},
		"another":  {Draft: odd(), DraftLen: 5},
		"both":     {Draft: odd(), Ngram: 3, Pages: 12},
	} {
		o.alwaysDraft, o.poison = true, true
		e, err := build(m, o)
		if err != nil {
			t.Fatal(err)
		}
		defer e.free()
		rng := tensor.NewRNG(8)
		var tasks []*task
		for range 6 {
			task, err := e.submit(t.Context(), randomRequest(rng))
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		for e.inside > 0 {
			e.turn()
			if err := e.cache.Check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, task := range e.running {
				if n := e.cache.Len(task.seq); n > len(task.ids) {
					t.Fatalf("%s: a sequence of %d positions for %d tokens after the pass", name, n, len(task.ids))
				}
			}
		}
		for i, task := range tasks {
			if d := differ(task.stream.buf, generate(m, task.req)); d != "" {
				t.Errorf("%s, request %d: %s", name, i, d)
			}
		}
		s := e.Stats()
		if s.Drafted == 0 || s.Drafts == 0 || s.Accepted == 0 || name == "another" && s.Accepted > s.Drafted/2 {
			t.Errorf("%s: %d of %d guesses right in %d passes", name, s.Accepted, s.Drafted, s.Drafts)
		}
		if e.drafter != nil {
			if free, cached, total := e.drafter.cache.Pages(); free+cached != total || e.drafter.cache.Check() != nil {
				t.Errorf("%s: %d free + %d cached of %d pages of the draft model: %v", name, free, cached, total, e.drafter.cache.Check())
			}
		}
	}
}

// TestTwinGuessesRight: a draft model with the target's weights is right every
// time, drawn tokens and penalties included, and saves the passes it promises.
func TestTwinGuessesRight(t *testing.T) {
	for _, p := range []sample.Params{{}, {Temperature: 1, Seed: 3}, {Temperature: 1, TopK: 9, PresencePenalty: 1, RepetitionPenalty: 1.3, Seed: 4}} {
		e := start(t, tiny(), Options{Draft: tiny(), DraftLen: 4, alwaysDraft: true})
		if _, err := collect(e, Request{Prompt: []int32{1, 2, 3}, MaxTokens: 51, Params: p}); err != nil {
			t.Fatal(err)
		}
		e.Close()
		if s := e.Stats(); s.Accepted != s.Drafted || s.Accepted != 40 || s.Iterations != 11 || s.Tokens != 51 {
			t.Errorf("%+v: %d of %d guesses right, %d tokens in %d passes, want 40 of 40 and 51 in 11", p, s.Accepted, s.Drafted, s.Tokens, s.Iterations)
		}
	}
}

// TestRequestTurnsGuessesOff: a request's own limit counts.
func TestRequestTurnsGuessesOff(t *testing.T) {
	for limit, want := range map[int]uint64{-1: 0, 1: 10} {
		e := start(t, tiny(), Options{Draft: tiny(), alwaysDraft: true})
		if _, err := collect(e, Request{Prompt: []int32{1}, MaxTokens: 21, DraftLen: limit}); err != nil {
			t.Fatal(err)
		}
		e.Close()
		if s := e.Stats(); s.Drafted != want {
			t.Errorf("DraftLen %d: %d guesses, want %d", limit, s.Drafted, want)
		}
	}
}

// TestDraftModelMayBreak: a draft model that panics is left alone; the request
// does not notice, and the reason is told once. One of another vocabulary is refused.
func TestDraftModelMayBreak(t *testing.T) {
	m := tiny()
	var told []string // by the loop's goroutine
	e := start(t, m, Options{Draft: spy{tiny(), func(p *op.Pass, ids []int32) {
		if slices.Contains(ids, 7) {
			p.Pool.Run(2, func(i int) { panic("no 7") })
		}
	}}, alwaysDraft: true, Warn: func(err error) { told = append(told, err.Error()) }})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := Request{Prompt: []int32{int32(i), int32(5 + i)}, MaxTokens: 30}
			if got, err := collect(e, r); err != nil || differ(got, generate(m, r)) != "" {
				t.Errorf("request %d: %v %s", i, err, differ(got, generate(m, r)))
			}
		})
	}
	wg.Wait()
	for range 2 {
		if _, err := collect(e, Request{Prompt: []int32{7, 8}, MaxTokens: 9}); err != nil {
			t.Error(err)
		}
	}
	finish(t, e)
	if s := e.Stats(); s.DraftFailures < 2 || len(told) != 1 || !strings.Contains(told[0], "draft model") || !strings.HasSuffix(told[0], "no 7") {
		t.Errorf("%d failures of the draft model, told as %q: want several, told once", s.DraftFailures, told)
	}
	c := tiny().Config
	c.VocabSize = 60
	if _, err := Open(m, Options{Draft: llama.New(c, tensor.NewRNG(1))}); err == nil || !strings.Contains(err.Error(), "the draft model has 60 tokens and the model 61") {
		t.Errorf("another vocabulary: %v", err)
	}
}

func TestLookup(t *testing.T) {
	for _, tc := range []struct {
		ids     []int32
		n, most int
		want    []int32
	}{
		{[]int32{1, 2, 3, 4, 1, 2}, 3, 3, []int32{3, 4, 1}},
		{[]int32{1, 2, 3, 4, 1, 2}, 3, 9, []int32{3, 4, 1, 2, 3, 4, 1, 2, 3}}, // goes on from itself
		{[]int32{7, 7, 7}, 2, 4, []int32{7, 7, 7, 7}},
		{[]int32{1, 2, 9, 2, 8, 1, 2}, 2, 2, []int32{9, 2}}, // the longer run, not the later
		{[]int32{1, 2, 5, 1, 2, 6, 1, 2}, 2, 1, []int32{6}}, // the later of two
		{[]int32{1, 2, 3, 2}, 2, 2, nil},                    // one token is not enough
		{[]int32{1, 2, 3, 2}, 1, 2, []int32{3, 2}},
		{[]int32{1}, 3, 2, nil},
	} {
		if got := lookup(nil, tc.ids, tc.n, tc.most); !slices.Equal(got, tc.want) {
			t.Errorf("%v, runs of %d: got %v, want %v", tc.ids, tc.n, got, tc.want)
		}
	}
}

// TestGuessesKeepTheDistribution: the second and third tokens of many requests,
// guessed by the text and by another model, are distributed as the model says:
// chi-square against the exact probabilities is not rejected at 1 %.
func TestGuessesKeepTheDistribution(t *testing.T) {
	const requests = 3000
	m := small(1)
	p := sample.Params{Temperature: 0.6, TopK: 9}
	prompt := make([]int32, 60)
	for i := range prompt {
		prompt[i] = int32(i * 5 % m.VocabSize)
	}
	second, third := exact(m, prompt, p)
	for name, o := range map[string]Options{
		"own text":    {Ngram: 1},
		"draft model": {Draft: small(2)},
	} {
		o.alwaysDraft, o.DraftLen, o.Queue, o.MaxBatch = true, 2, requests, 64
		e := start(t, m, o)
		counts := [2][]float64{make([]float64, m.VocabSize), make([]float64, m.VocabSize)}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i := range requests {
			wg.Go(func() {
				r := Request{Prompt: prompt, MaxTokens: 4, Logprobs: -1, Params: p}
				r.Params.Seed = uint64(i)
				got, err := collect(e, r)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				counts[0][got[1].ID]++
				counts[1][got[2].ID]++
			})
		}
		wg.Wait()
		e.Close()
		s := e.Stats()
		if s.Accepted < requests/20 || s.Accepted > s.Drafted*9/10 {
			t.Errorf("%s: %d of %d guesses right: the test says little", name, s.Accepted, s.Drafted)
		}
		for i, want := range [][]float64{second, third} {
			if x, limit := chiSquare(counts[i], want, requests); x > limit {
				t.Errorf("%s, token %d: chi-square %.1f, want at most %.1f", name, i+2, x, limit)
			}
		}
	}
}

// small is a random model of twelve tokens.
func small(seed uint64) *llama.Llama {
	return llama.New(llama.Config{
		HiddenSize: 16, IntermediateSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, VocabSize: 12,
		MaxPositionEmbeddings: 96, InitializerRange: 0.3,
	}, tensor.NewRNG(seed))
}

// exact gives the probabilities of the second and third token after a prompt,
// by all ways to get there. p has a temperature and top-k.
func exact(m *llama.Llama, prompt []int32, p sample.Params) (second, third []float64) {
	next := func(ids []int32) []float64 {
		logits := forward(m, ids)
		row := logits.Row(len(ids) - 1)
		floor := slices.Sorted(slices.Values(row))[len(row)-p.TopK]
		out, sum := make([]float64, len(row)), 0.0
		for i, l := range row {
			if l >= floor {
				out[i] = math.Exp(float64(l) / p.Temperature)
				sum += out[i]
			}
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	second, third = make([]float64, m.VocabSize), make([]float64, m.VocabSize)
	for a, pa := range next(prompt) {
		if pa == 0 {
			continue
		}
		for b, pb := range next(append(slices.Clone(prompt), int32(a))) {
			second[b] += pa * pb
			if pb == 0 {
				continue
			}
			for c, pc := range next(append(slices.Clone(prompt), int32(a), int32(b))) {
				third[c] += pa * pb * pc
			}
		}
	}
	return second, third
}

// chiSquare compares counts with probabilities: the statistic and its 1 %
// limit (Wilson and Hilferty's approximation). Cells that expect less than five
// are put together.
func chiSquare(counts, want []float64, n float64) (x, limit float64) {
	cells, restWant, restGot := 0.0, 0.0, 0.0
	for i, p := range want {
		if p*n < 5 {
			restWant += p * n
			restGot += counts[i]
			continue
		}
		x += (counts[i] - p*n) * (counts[i] - p*n) / (p * n)
		cells++
	}
	if restWant > 0 {
		x += (restGot - restWant) * (restGot - restWant) / restWant
		cells++
	}
	k := cells - 1
	return x, k * math.Pow(1-2/(9*k)+2.326*math.Sqrt(2/(9*k)), 3)
}
