package op

import (
	"slices"
	"strings"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// pair is an adapter of matrix 3 alone.
type pair struct {
	a, b  *tensor.Tensor // [r, in], [out, r]
	scale float32
}

func (w *pair) Adapts(i int) bool { return i == 3 }

func (w *pair) Delta(p *Pass, _ int, x *tensor.Tensor) (*tensor.Tensor, float32) {
	return p.Linear(p.Linear(x, w.a, nil), w.b, nil), w.scale
}

// mixture is 45 rows: of two adapters in turns, and some of none.
func mixture(first, second Adapter) []Span {
	return []Span{
		{Row: 0, Len: 3, Adapter: first}, {Row: 3, Len: 35}, {Row: 38, Len: 1, Adapter: second},
		{Row: 39, Len: 5, Adapter: first}, {Row: 44, Len: 1, Adapter: second},
	}
}

// TestAdapt compares values and all gradients, x's too, with a naive form.
func TestAdapt(t *testing.T) {
	rng := tensor.NewRNG(11)
	spans := mixture(nil, nil)
	gradCase{
		name:  "adapt",
		spans: spans,
		in: []*tensor.Tensor{random(rng, 45, 9), random(rng, 7, 9), // x, w
			random(rng, 4, 9), random(rng, 7, 4), random(rng, 2, 9), random(rng, 7, 2)}, // two pairs a, b
		run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
			copy(p.Spans, mixture(&pair{in[2], in[3], 0.5}, &pair{in[4], in[5], -3}))
			return p.Adapt(p.Linear(in[0], in[1], nil), in[0], 3)
		},
		naive: func(in []mat) mat {
			y := newMat(45, 7)
			for i := range y.rows {
				a, b, scale := in[2], in[3], 0.5
				switch {
				case i >= 3 && i < 38:
					scale = 0
				case i == 38 || i == 44:
					a, b, scale = in[4], in[5], -3
				}
				for j := range y.cols {
					for k := range 9 {
						w := in[1].at(j, k)
						for r := range a.rows {
							w += scale * b.at(j, r) * a.at(r, k)
						}
						y.v[i*7+j] += w * in[0].at(i, k)
					}
				}
			}
			return y
		},
	}.check(t)
}

// TestAdaptWhole: a batch of one adapter, as in training, is not moved about.
func TestAdaptWhole(t *testing.T) {
	rng := tensor.NewRNG(12)
	gradCase{
		name:  "adapt all rows",
		spans: []Span{{Len: 40}},
		in:    []*tensor.Tensor{random(rng, 40, 6), random(rng, 3, 6), random(rng, 5, 3)},
		run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
			p.Spans[0].Adapter = &pair{in[1], in[2], 2}
			return p.Adapt(p.New(40, 5), in[0], 3)
		},
		naive: func(in []mat) mat {
			y := newMat(40, 5)
			for i := range y.rows {
				for j := range y.cols {
					for r := range 3 {
						for k := range 6 {
							y.v[i*5+j] += 2 * in[2].at(j, r) * in[1].at(r, k) * in[0].at(i, k)
						}
					}
				}
			}
			return y
		},
	}.check(t)
}

// TestAdaptRowsStayApart: a row has the same bits alone and in a mixture, and
// without an adapter those of the plain product.
func TestAdaptRowsStayApart(t *testing.T) {
	rng := tensor.NewRNG(13)
	x, w := random(rng, 45, 70), random(rng, 37, 70)
	first := &pair{random(rng, 5, 70), random(rng, 37, 5), 0.3}
	second := &pair{random(rng, 16, 70), random(rng, 37, 16), 1.7}
	pool := par.New(3)
	defer pool.Close()
	plain := (&Pass{}).Linear(x, w, nil)
	p := &Pass{Spans: mixture(first, second), Pool: pool, Arena: &tensor.Arena{}}
	for range 2 { // the second time from scratch memory
		mixed := p.Adapt(p.Linear(x, w, nil), x, 3)
		for _, s := range p.Spans {
			for r := s.Row; r < s.Row+s.Len; r++ {
				alone := &Pass{Spans: []Span{{Len: 1, Adapter: s.Adapter}}}
				one := tensor.From(1, 70, x.Row(r))
				if want := alone.Adapt(alone.Linear(one, w, nil), one, 3); !sameBits(mixed.Row(r), want.Data) {
					t.Fatalf("row %d has other bits in the mixture", r)
				}
				if same := sameBits(mixed.Row(r), plain.Row(r)); same != (s.Adapter == nil) {
					t.Errorf("row %d: bits of the plain product: %v", r, same)
				}
			}
		}
		if other := p.Adapt(p.Linear(x, w, nil), x, 2); !sameBits(other.Data, plain.Data) {
			t.Error("a matrix that no adapter changes has other bits")
		}
		if slices.ContainsFunc(p.groups, func(g adapted) bool { return g.by != nil }) {
			t.Error("scratch memory keeps an adapter alive")
		}
	}
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "spans of 45 rows, but matrix 3 is applied to 2") {
			t.Errorf("rows that the spans do not describe: panic is %q", v)
		}
	}()
	p.Adapt(p.New(2, 37), tensor.From(2, 70, x.Data[:140]), 3)
}
