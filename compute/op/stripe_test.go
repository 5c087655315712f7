package op

import (
	"strings"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// TestStripe: rows that workers carry through several operations have the bits of
// operations on all rows; positions and adapters go with them.
func TestStripe(t *testing.T) {
	rng := tensor.NewRNG(14)
	const rows = 145
	x, w := random(rng, rows, 16), random(rng, 24, 16)
	first, second := &pair{random(rng, 3, 16), random(rng, 24, 3), 0.5}, &pair{random(rng, 2, 16), random(rng, 24, 2), 2}
	spans := []Span{{Row: 0, Len: 50, Pos: 7, Adapter: first}, {Row: 50, Len: 1}, {Row: 51, Len: 90, Adapter: second}, {Row: 141, Len: 4, Pos: 90}}
	rope := NewRope(Frequencies(10000, 8), 8, 1)
	run := func(p *Pass, width int) []*tensor.Tensor {
		p.Spans = spans
		ys := p.Stripe(width, []int{24, 5}, func(p *Pass, ys, xs []*tensor.Tensor) {
			ys[0] = p.RoPE(p.Adapt(p.Linear(xs[0], w, nil), xs[0], 3), rope)
			ys[1] = p.Columns(xs[1], 2, 5)
		}, x, x)
		return []*tensor.Tensor{ys[0], ys[1]}
	}
	want := run(&Pass{}, 0)
	for _, size := range []int{1, 2, 3} {
		pool := par.New(size)
		defer pool.Close()
		for _, width := range []int{1, stripeBytes} { // one that stays in a cache, one that does not
			p := &Pass{KV: noKV{}, Pool: pool, Arena: &tensor.Arena{}}
			for range 2 {
				p.Reset()
				for i, y := range run(p, width) {
					if !sameBits(y.Data, want[i].Data) {
						t.Errorf("%d threads, width %d: result %d has other bits", size, width, i)
					}
				}
			}
			for i := range p.stripes.each {
				for _, s := range p.stripes.each[i].pass.Spans {
					if s.Adapter != nil {
						t.Error("scratch memory keeps an adapter alive")
					}
				}
			}
		}
	}
}

// TestNarrow: what is left are the rows that are wanted, with their positions.
func TestNarrow(t *testing.T) {
	x := random(tensor.NewRNG(15), 20, 3)
	mine := &pair{}
	p := &Pass{KV: noKV{}, Want: []int{1, 2, 3, 9, 10, 11, 19}, Spans: []Span{
		{Seq: 4, Row: 0, Len: 3, Pos: 30}, {Seq: 5, Row: 3, Len: 7}, {Seq: 6, Row: 10, Len: 8, Pos: 5}, {Seq: 7, Row: 18, Len: 2, Adapter: mine}}}
	want := p.Want
	y := p.Narrow(x)
	for i, r := range want {
		if !sameBits(y.Row(i), x.Row(r)) {
			t.Errorf("row %d is not row %d", i, r)
		}
	}
	spans := []Span{{4, 0, 2, 31, nil}, {5, 2, 1, 0, nil}, {5, 3, 1, 6, nil}, {6, 4, 2, 5, nil}, {7, 6, 1, 1, mine}}
	if len(p.Spans) != len(spans) || y.Rows != len(want) {
		t.Fatalf("%d rows in spans %v, want %d in %v", y.Rows, p.Spans, len(want), spans)
	}
	for i, s := range spans {
		if p.Spans[i] != s {
			t.Errorf("span %d is %v, want %v", i, p.Spans[i], s)
		}
	}
	if p.Narrow(y) != y {
		t.Error("a second Narrow changes something")
	}
	p.ForgetSpans()
	if p.Spans[4].Adapter != nil || p.wide[3].Adapter != nil {
		t.Error("forgotten spans keep an adapter")
	}
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "needs a KV") {
			t.Errorf("without a KV the panic is %q", v)
		}
	}()
	(&Pass{Want: want, Spans: spans}).Narrow(x)
}
