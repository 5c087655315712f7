package sample

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/compute/tensor"
)

// naive is the oracle: probabilities after all stages, by full sort, float64.
func naive(p Params, prompt, output []int32, raw []float32) []float64 {
	type token struct {
		id int
		l  float64
	}
	row := make([]token, len(raw))
	for i, l := range raw {
		x := float64(l)
		n := 0
		for _, o := range output {
			if int(o) == i {
				n++
			}
		}
		if rep := p.repetition(); n > 0 || slices.Contains(prompt, int32(i)) {
			if x > 0 {
				x /= rep
			} else {
				x *= rep
			}
		}
		x -= float64(n) * p.FrequencyPenalty
		if n > 0 {
			x -= p.PresencePenalty
		}
		row[i] = token{i, x + p.LogitBias[int32(i)]}
	}
	slices.SortStableFunc(row, func(a, b token) int { return cmp.Compare(b.l, a.l) })
	top := row[0].l
	if p.Temperature == 0 {
		row = row[:1]
	}
	if p.TopK > 0 {
		row = row[:min(p.TopK, len(row))]
	}
	weight := func(t token) float64 {
		if p.Temperature == 0 {
			return 1
		}
		return math.Exp((t.l - top) / p.Temperature)
	}
	var total float64
	for _, t := range row {
		total += weight(t)
	}
	if p.TopP > 0 && p.TopP < 1 {
		var sum float64
		for i, t := range row {
			if sum += weight(t); sum >= p.TopP*total*(1-1e-6) { // float32 weights
				row = row[:i+1]
				break
			}
		}
	}
	for i, t := range row {
		if weight(t) < p.MinP {
			row = row[:i]
			break
		}
	}
	total = 0
	for _, t := range row {
		total += weight(t)
	}
	probs := make([]float64, len(raw))
	for _, t := range row {
		probs[t.id] = weight(t) / total
	}
	return probs
}

// drawLogits makes a row with ties: few distinct values when coarse.
func drawLogits(t *rapid.T, n int) []float32 {
	rng := tensor.NewRNG(rapid.Uint64().Draw(t, "logits seed"))
	coarse := rapid.Bool().Draw(t, "coarse")
	row := make([]float32, n)
	for i := range row {
		row[i] = float32(4 * rng.Normal())
		if coarse {
			row[i] = float32(math.Round(float64(row[i])))
		}
	}
	return row
}

// drawParams draws penalties that are exact in float32: what ties in the
// sampler ties in the oracle.
func drawParams(t *rapid.T, vocab int) Params {
	pick := func(name string, values ...float64) float64 { return rapid.SampledFrom(values).Draw(t, name) }
	p := Params{
		Temperature:       pick("temperature", 0, 0.3, 1, 1.7),
		TopK:              int(pick("top_k", 0, 1, 2, 5, 40)),
		TopP:              pick("top_p", 0, 0.1, 0.51, 0.9, 1),
		MinP:              pick("min_p", 0, 0, 0.013, 0.31),
		RepetitionPenalty: pick("repetition", 0, 1, 2, 0.5),
		PresencePenalty:   pick("presence", 0, 0.625, -0.375),
		FrequencyPenalty:  pick("frequency", 0, 0.25),
		Seed:              rapid.Uint64().Draw(t, "seed"),
	}
	if rapid.Bool().Draw(t, "biased") {
		p.LogitBias = map[int32]float64{int32(vocab - 1): 3, 0: -100}
	}
	return p
}

// TestAgainstNaive: the kept tokens and their probabilities are the oracle's
// for random params, ties included.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vocab := rapid.IntRange(2, 120).Draw(t, "vocab")
		p := drawParams(t, vocab)
		raw := drawLogits(t, vocab)
		prompt, output := []int32{0, 1, 1}, []int32{1, int32(vocab - 1), 1}
		s := New(p, prompt)
		for _, id := range output {
			if s.seen != nil {
				s.seen[id]++
			}
		}
		want := naive(p, prompt, output, raw)
		row := slices.Clone(raw)
		s.adjust(row)
		best, err := argmax(row)
		if err != nil {
			t.Fatal(err)
		}
		got, w := make([]float64, vocab), &Scratch{}
		if p.Temperature == 0 || p.TopK == 1 {
			got[best] = 1
		} else {
			s.weigh(row, best, w)
			for _, id := range w.ids {
				got[id] = float64(w.weights[id]) / w.sum()
			}
		}
		for i, pr := range want {
			if math.Abs(got[i]-pr) > 2e-5 {
				t.Fatalf("%+v: token %d has probability %v, want %v", p, i, got[i], pr)
			}
		}
		s.restore(row)
		if !slices.Equal(row, raw) {
			t.Fatalf("%+v: the row was not restored", p)
		}
		id, err := s.Sample(row, &Scratch{})
		if err != nil || want[id] == 0 {
			t.Fatalf("%+v: sampled token %d of probability %v (%v)", p, id, want[id], err)
		}
	})
}

// TestDistribution draws many tokens and compares the counts with the exact
// distribution by Pearson's chi-square, at the 99.99 % point of 7 to 15
// degrees of freedom (fixed seeds: the test either always passes or never).
func TestDistribution(t *testing.T) {
	rng := tensor.NewRNG(5)
	raw := make([]float32, 16)
	rng.FillNormal(raw, 1)
	for _, p := range []Params{
		{Temperature: 1},
		{Temperature: 0.6, Seed: 1},
		{Temperature: 1.5, TopK: 9, Seed: 2},
		{Temperature: 1, TopP: 0.95, Seed: 3},
		{Temperature: 1.2, MinP: 0.05, Seed: 4},
		{Temperature: 1, TopK: 12, TopP: 0.97, MinP: 0.01, Seed: 5},
	} {
		want := naive(p, nil, nil, raw)
		s, w := New(p, nil), &Scratch{}
		const n = 50_000
		var count [16]float64
		for range n {
			id, err := s.Sample(raw, w)
			if err != nil {
				t.Fatal(err)
			}
			count[id]++
		}
		chi, free := 0.0, -1
		for i, pr := range want {
			if pr == 0 {
				if count[i] > 0 {
					t.Errorf("%+v: token %d was cut but drawn %v times", p, i, count[i])
				}
				continue
			}
			free++
			chi += (count[i] - n*pr) * (count[i] - n*pr) / (n * pr)
		}
		if free < 6 || chi > 44.3 { // the 99.99 % point of 15 degrees of freedom
			t.Errorf("%+v: chi-square %.1f with %d degrees of freedom", p, chi, free)
		}
	}
}

// TestOwnGenerator: a request's draws depend on its seed and logits alone.
func TestOwnGenerator(t *testing.T) {
	raw := make([]float32, 50)
	tensor.NewRNG(1).FillNormal(raw, 2)
	run := func(seed uint64, noise bool) (ids []int32) {
		s, other, w := New(Params{Temperature: 1, Seed: seed}, nil), New(Params{Temperature: 1, TopK: 3}, nil), &Scratch{}
		for range 40 {
			if noise {
				if _, err := other.Sample(raw, w); err != nil {
					t.Fatal(err)
				}
			}
			id, err := s.Sample(raw, w)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if a, b := run(7, false), run(7, true); !slices.Equal(a, b) {
		t.Errorf("a neighbour changed the draws:\n%v\n%v", a, b)
	}
	if a, b := run(7, false), run(8, false); slices.Equal(a, b) {
		t.Error("two seeds gave the same 40 draws")
	}
}

func TestGreedyTakesTheFirstOfEqual(t *testing.T) {
	for _, p := range []Params{{}, {Temperature: 2, TopK: 1}} {
		id, err := New(p, nil).Sample([]float32{1, 3, 3, 2, 3}, &Scratch{})
		if id != 1 || err != nil {
			t.Errorf("%+v: got token %d (%v), want 1", p, id, err)
		}
	}
}

func TestNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, row := range [][]float32{{1, nan}, {nan, 1}, {inf, 0}, {-inf, -inf}, {}} {
		if _, err := New(Params{Temperature: 1}, nil).Sample(row, &Scratch{}); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%v: got %v, want ErrNotFinite", row, err)
		}
	}
	id, err := New(Params{Temperature: 1}, nil).Sample([]float32{-inf, 2, -inf}, &Scratch{})
	if id != 1 || err != nil {
		t.Errorf("one token not banned: got %d (%v), want 1", id, err)
	}
}

// TestLogprobs: probabilities sum to one, the order is total, n is bounded.
func TestLogprobs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vocab := rapid.IntRange(1, 80).Draw(t, "vocab")
		raw := drawLogits(t, vocab)
		id := int32(rapid.IntRange(0, vocab-1).Draw(t, "id"))
		w := &Scratch{}
		chosen, all := Logprobs(raw, id, vocab+5, w)
		if len(all) != vocab {
			t.Fatalf("%d alternatives of a vocabulary of %d", len(all), vocab)
		}
		var sum float64
		for i, a := range all {
			sum += math.Exp(float64(a.Logprob))
			if a.ID == id && a.Logprob != chosen {
				t.Fatalf("chosen %v, in the list %v", chosen, a.Logprob)
			}
			if i > 0 && (all[i-1].Logprob < a.Logprob || all[i-1].Logprob == a.Logprob && all[i-1].ID > a.ID) {
				t.Fatalf("alternatives %d and %d are out of order: %v", i-1, i, all)
			}
		}
		if math.Abs(sum-1) > 1e-4 {
			t.Fatalf("probabilities sum to %v", sum)
		}
		n := rapid.IntRange(0, vocab).Draw(t, "n")
		if _, top := Logprobs(raw, id, n, w); !slices.Equal(top, all[:n]) {
			t.Fatalf("top %d is %v, want %v", n, top, all[:n])
		}
	})
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		p     Params
		field string
		want  string
	}{
		{Params{Temperature: -1}, "temperature", "got -1, want 0 to 100"},
		{Params{Temperature: math.NaN()}, "temperature", "got NaN"},
		{Params{TopP: 1.5}, "top_p", "got 1.5, want 0 to 1"},
		{Params{TopK: -3}, "top_k", "got -3"},
		{Params{MinP: 2}, "min_p", "got 2"},
		{Params{RepetitionPenalty: -0.5}, "repetition_penalty", "got -0.5, want 0.01 to 100"},
		{Params{PresencePenalty: math.Inf(1)}, "presence_penalty", "got +Inf"},
		{Params{FrequencyPenalty: -101}, "frequency_penalty", "got -101"},
		{Params{LogitBias: map[int32]float64{12: 1}}, "logit_bias", "got token 12, want 0 to 9"},
		{Params{LogitBias: map[int32]float64{3: 101}}, "logit_bias", "got 101 for token 3"},
	} {
		var in *chat.InputError
		if err := tc.p.Validate(10); !errors.As(err, &in) || in.Param != tc.field || !strings.Contains(in.Msg, tc.want) {
			t.Errorf("%+v: got %v, want %s: %s", tc.p, err, tc.field, tc.want)
		}
	}
	if err := (Params{}).Validate(10); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

func BenchmarkSample(b *testing.B) {
	raw := make([]float32, 32000)
	tensor.NewRNG(1).FillNormal(raw, 3)
	for name, p := range map[string]Params{
		"greedy":      {},
		"temperature": {Temperature: 1},
		"topk40":      {Temperature: 1, TopK: 40},
		"topp95":      {Temperature: 1, TopP: 0.95},
	} {
		b.Run(name, func(b *testing.B) {
			s, w := New(p, nil), &Scratch{}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sample(raw, w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTopKOfAll: a top-k that cuts nothing changes nothing, also not what
// top-p takes its share of.
func TestTopKOfAll(t *testing.T) {
	raw := []float32{0, 2.4, 1, 1, -8, 6, -1, -5, 2, -1, 6.4}
	want := []int32{5, 10} // 38 % and 48 %: one of them is not 51 %
	for _, k := range []int{0, 11, 40} {
		s, w := New(Params{Temperature: 1.7, TopP: 0.51, TopK: k}, nil), &Scratch{}
		if s.weigh(raw, 10, w); !slices.Equal(w.ids, want) {
			t.Errorf("top-k %d of 11: kept %v, want %v", k, w.ids, want)
		}
	}
}
