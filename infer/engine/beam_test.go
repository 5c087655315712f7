package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/sample"
	"weft/model"
)

// text is an answer and its log-probability.
type text struct {
	tokens []Token
	sum    float64
}

// follow gives all texts that one more token makes of t, likeliest first.
func follow(m model.Model, r Request, t text) (out []text) {
	ids := slices.Clone(r.Prompt)
	for _, tok := range t.tokens {
		ids = append(ids, tok.ID)
	}
	_, top := sample.Logprobs(forward(m, ids).Row(len(ids)-1), 0, m.Info().Vocab, &sample.Scratch{})
	for _, a := range top {
		tok := Token{ID: a.ID, Logprob: a.Logprob, Top: top[:max(0, r.Logprobs)]}
		out = append(out, text{append(slices.Clone(t.tokens), tok), t.sum + float64(a.Logprob)})
	}
	return out
}

// naiveBeam is the oracle of beam search: no cache, no pages, all of the
// vocabulary ranked in every step.
func naiveBeam(m model.Model, r Request) (out []Token) {
	b := r.Beam
	var ended []text
	score := func(t text, n int) float64 { return t.sum / math.Pow(float64(n), b.LengthPenalty) }
	end := func(t text, f Finish) {
		t.tokens[len(t.tokens)-1].Finish = f
		ended = append(ended, t)
		slices.SortStableFunc(ended, func(x, y text) int {
			return cmp.Compare(score(y, len(y.tokens)), score(x, len(x.tokens)))
		})
		ended = ended[:min(len(ended), b.Width)]
	}
	live := []text{{}}
	for n := 1; n <= r.MaxTokens && len(live) > 0; n++ {
		var all []text
		for _, t := range live {
			all = append(all, follow(m, r, t)...)
		}
		slices.SortStableFunc(all, func(x, y text) int { return cmp.Compare(y.sum, x.sum) })
		live = nil
		for i, t := range all {
			if len(live) == b.Width {
				break
			}
			if !slices.Contains(r.Stop, t.tokens[n-1].ID) {
				live = append(live, t)
			} else if i < b.Width {
				end(t, Stop)
			}
		}
		if n == r.MaxTokens {
			for _, t := range live {
				end(t, Length)
			}
			break
		}
		most := r.MaxTokens
		if b.LengthPenalty <= 0 {
			most = n + 1
		}
		if len(ended) == b.Width && (b.EarlyStopping || score(live[0], most) <= score(ended[b.Width-1], len(ended[b.Width-1].tokens))) {
			break
		}
	}
	for i, t := range ended[:min(len(ended), max(1, b.Best))] {
		for _, tok := range t.tokens {
			tok.Choice = i
			out = append(out, tok)
		}
	}
	return out
}

// TestNarrowBeamIsGreedy: a search of width 1 says what is said without one, in
// every bit.
func TestNarrowBeamIsGreedy(t *testing.T) {
	m, rng := tiny(), tensor.NewRNG(3)
	e := start(t, m, Options{})
	for _, b := range []*Beam{{Width: 1}, {Width: 1, EarlyStopping: true, LengthPenalty: 1}} {
		for range 8 {
			r := Request{MaxTokens: 1 + rng.IntN(30), Logprobs: 2, Stop: []int32{int32(rng.IntN(vocab))}}
			for range 1 + rng.IntN(20) {
				r.Prompt = append(r.Prompt, int32(rng.IntN(vocab)))
			}
			want := generate(m, r)
			r.Beam = b
			got, err := collect(e, r)
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(got, want); d != "" {
				t.Errorf("%+v: %s", *b, d)
			}
		}
	}
}

// TestBeamFindsTheBest: a search as wide as there are texts finds the best of
// all, by every rule of scoring; and a narrow one finds likelier texts than
// greedy choice does.
func TestBeamFindsTheBest(t *testing.T) {
	const n = 3
	m := small(1)
	e := start(t, m, Options{MaxBatch: 144})
	for i, b := range []Beam{{}, {LengthPenalty: 1}, {LengthPenalty: 2.5}, {LengthPenalty: -0.5}} {
		b.Width, b.Best = 144, 2
		r := Request{Prompt: []int32{int32(i), 3}, MaxTokens: n, Stop: []int32{int32(5 + i)}, Beam: &b}
		var best [2]text
		scores := [2]float64{math.Inf(-1), math.Inf(-1)}
		var visit func(x text)
		visit = func(x text) {
			if k := len(x.tokens); k == n || k > 0 && x.tokens[k-1].ID == r.Stop[0] {
				switch s := x.sum / math.Pow(float64(k), b.LengthPenalty); {
				case s > scores[0]:
					best[0], best[1], scores[0], scores[1] = x, best[0], s, scores[0]
				case s > scores[1]:
					best[1], scores[1] = x, s
				}
				return
			}
			for _, next := range follow(m, r, x) {
				visit(next)
			}
		}
		visit(text{})
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Concat(ids(best[0].tokens), ids(best[1].tokens))
		if !slices.Equal(ids(got), want) || got[0].Choice != 0 || got[len(got)-1].Choice != 1 {
			t.Errorf("%+v: found %v, the best of all are %v", b, ids(got), want)
		}
	}
	better := 0
	for i := range 24 {
		r := Request{Prompt: []int32{int32(i % 12), int32(i / 2)}, MaxTokens: 6}
		greedy, _ := collect(e, r)
		r.Beam = &Beam{Width: 4}
		found, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		switch g, f := likelihood(greedy), likelihood(found); {
		case f > g:
			better++
		case f < g:
			better--
		}
	}
	if better < 3 {
		t.Errorf("of 24 texts %d more are likelier than less likely than the greedy ones: want some", better)
	}
}

func ids(tokens []Token) (out []int32) {
	for _, t := range tokens {
		out = append(out, t.ID)
	}
	return out
}

func likelihood(tokens []Token) (sum float64) {
	for _, t := range tokens {
		sum += float64(t.Logprob)
	}
	return sum
}

// TestBeamsInACrowd: searches among other requests, chunked and preempted, find
// what the oracle finds, bit for bit, share pages while they run, and leave none.
func TestBeamsInACrowd(t *testing.T) {
	m, rng := tiny(), tensor.NewRNG(6)
	var requests []Request
	var want [][]Token
	for i := range 10 {
		r := randomRequest(rng)
		if i%2 == 0 {
			r.Prompt, r.PromptLogprobs = r.Prompt[:min(len(r.Prompt), 40)], false
			r.MaxTokens, r.Params = 2+rng.IntN(14), sample.Params{}
			width := 1 + rng.IntN(4)
			r.Beam = &Beam{Width: width, Best: rng.IntN(width + 1), LengthPenalty: float64(rng.IntN(3)) / 2, EarlyStopping: rng.IntN(2) == 0}
			want = append(want, naiveBeam(m, r))
		} else {
			want = append(want, generate(m, r))
		}
		requests = append(requests, r)
	}
	preempted := uint64(0)
	for name, o := range map[string]Options{
		"roomy":           {},
		"in small chunks": {Chunk: 5, MaxBatch: 6},
		"few pages":       {Pages: 20, MaxBatch: 7},
		"fewer":           {Pages: 16, MaxBatch: 8, NoPrefixCache: true, Chunk: 30},
		"with guesses":    {Pages: 22, Ngram: 2, alwaysDraft: true},
	} {
		o.poison = true
		e, err := build(m, o)
		if err != nil {
			t.Fatal(err)
		}
		defer e.free()
		var tasks []*task
		for i, r := range requests {
			task, err := e.submit(t.Context(), r)
			if err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			tasks = append(tasks, task)
		}
		for e.inside > 0 {
			e.turn()
			if err := e.cache.Check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for i, task := range tasks {
			if d := differ(task.stream.buf, want[i]); d != "" || task.stream.err != nil {
				t.Errorf("%s, request %d (%+v): %v %s", name, i, requests[i].Beam, task.stream.err, d)
			}
		}
		s := e.Stats()
		if preempted += s.Preemptions; s.PagesUsed != 0 {
			t.Errorf("%s: %d pages in use at the end", name, s.PagesUsed)
		}
	}
	if preempted == 0 {
		t.Error("nobody was preempted")
	}
}

// TestBeamSharesPages: eight texts that go on from one prompt of six pages hold
// it once.
func TestBeamSharesPages(t *testing.T) {
	e, err := build(tiny(), Options{MaxBatch: 8, poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	if _, err := e.submit(t.Context(), Request{Prompt: counting(100), MaxTokens: 20, Beam: &Beam{Width: 8}}); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		e.turn()
	}
	if s := e.Stats(); s.PagesUsed < 7 || s.PagesUsed > 6+8 {
		t.Errorf("%d pages for eight texts, want 7 to 14", s.PagesUsed)
	}
	for e.inside > 0 {
		e.turn()
	}
}

// TestAnswersShareAPrompt: n answers to one prompt compute it once, the last
// page that it fills in part too, and say what each says alone.
func TestAnswersShareAPrompt(t *testing.T) {
	for _, length := range []int{9, 44, 48} { // within a page, and to its end
		m := tiny()
		e, err := build(m, Options{poison: true})
		if err != nil {
			t.Fatal(err)
		}
		defer e.free()
		var tasks []*task
		for i := range 6 {
			r := Request{Prompt: counting(length), MaxTokens: 12, Params: sample.Params{Temperature: 1, Seed: uint64(i)}}
			task, err := e.submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		most := 0
		for e.inside > 0 {
			e.turn()
			most = max(most, e.Stats().PagesUsed)
			if err := e.cache.Check(); err != nil {
				t.Fatal(err)
			}
		}
		for i, task := range tasks {
			if d := differ(task.stream.buf, generate(m, task.req)); d != "" {
				t.Errorf("%d prompt tokens, answer %d: %s", length, i, d)
			}
		}
		whole := length / e.opts.PageLen
		if limit := whole + 6*(1+(length%16+12)/16); most > limit {
			t.Errorf("%d prompt tokens: %d pages at once, want at most %d", length, most, limit)
		}
		if rows := e.Stats().Rows; rows != uint64(length+5+6*11) { // the last token of a prompt is computed by each
			t.Errorf("%d prompt tokens: %d rows, want %d", length, rows, length+5+6*11)
		}
	}
}

// TestBadBeams: what makes no sense is refused with the field and what was got.
func TestBadBeams(t *testing.T) {
	e := start(t, tiny(), Options{MaxBatch: 4, Pages: 12})
	ok := []int32{1, 2, 3}
	for _, tc := range []struct {
		r    Request
		want string
	}{
		{Request{Prompt: ok, Beam: &Beam{}}, "use_beam_search: got a search 0 wide, want 1 to 4"},
		{Request{Prompt: ok, Beam: &Beam{Width: 5}}, "use_beam_search: got a search 5 wide, want 1 to 4"},
		{Request{Prompt: ok, Beam: &Beam{Width: 2, Best: 3}}, "use_beam_search: got 3 answers of a search 2 wide"},
		{Request{Prompt: ok, Beam: &Beam{Width: 2, LengthPenalty: math.NaN()}}, "length penalty of NaN"},
		{Request{Prompt: ok, Beam: &Beam{Width: 2}, Params: sample.Params{Temperature: 1}}, "leave out temperature"},
	} {
		var in *chat.InputError
		if _, err := collect(e, tc.r); !errors.As(err, &in) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	var ce *ContextError // four texts have three of twelve pages each
	if _, err := collect(e, Request{Prompt: make([]int32, 40), MaxTokens: 10, Beam: &Beam{Width: 4}}); !errors.As(err, &ce) || ce.Context != 48 {
		t.Errorf("four texts of 50 positions in twelve pages: %v", err)
	}
}

// TestBeamFails: a panic of the model ends the search and no other request.
func TestBeamFails(t *testing.T) {
	bad, m := errors.New("no more"), tiny()
	e := start(t, spy{m, func(p *op.Pass, ids []int32) {
		for _, s := range p.Spans {
			if s.Pos+s.Len > 20 && slices.Contains(ids, 59) {
				panic(bad)
			}
		}
	}}, Options{})
	r := Request{Prompt: []int32{1, 2}, MaxTokens: 8, Beam: &Beam{Width: 3}}
	want := naiveBeam(m, r)
	if _, err := collect(e, Request{Prompt: append(make([]int32, 30), 59), MaxTokens: 30, Beam: &Beam{Width: 4}}); !errors.Is(err, bad) {
		t.Errorf("got %v, want %v", err, bad)
	}
	if got, err := collect(e, r); err != nil || differ(got, want) != "" {
		t.Error(fmt.Errorf("beside it: %w %s", err, differ(got, want)))
	}
}
