package nn_test

import (
	"slices"
	"testing"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/nn"
)

// change is an adapter of matrix i alone, drawn from a seed.
func change(i, in, out, r int, seed uint64) *nn.Adapter {
	w, rng := nn.NewLowRank(in, out, r, 0.5), tensor.NewRNG(seed)
	rng.FillNormal(w.A.W.Value.Data, 1)
	rng.FillNormal(w.B.W.Value.Data, 1)
	a := &nn.Adapter{Pairs: make([]*nn.LowRank, i+1)}
	a.Pairs[i] = w
	return a
}

// TestAdaptModel: a prepared model is the model that it was: its parameters,
// its packing, and the bits of rows without an adapter.
func TestAdaptModel(t *testing.T) {
	m := newToy()
	nn.Init{}.Apply(m, tensor.NewRNG(1))
	x := tensor.New(3, 4)
	tensor.NewRNG(2).FillNormal(x.Data, 1)
	p := &op.Pass{Spans: []op.Span{{Len: 3}}}
	want, head, names := m.Blocks[1].Up.Apply(p, x), m.Head.Apply(p, x), nn.Params(m)
	nn.Adapt(m)
	nn.Adapt(m)
	leaf, ok := m.Blocks[1].Up.(*nn.Adapted)
	if !ok || nn.Plain(leaf) != leaf.Linear || nn.Plain(leaf.Linear) != leaf.Linear {
		t.Fatalf("the leaf is a %T", m.Blocks[1].Up)
	}
	if _, twice := leaf.Linear.(*nn.Adapted); twice {
		t.Error("a second call wraps the leaf again")
	}
	if leaf.In() != 4 || leaf.Out() != 3 {
		t.Errorf("the leaf is [%d, %d], want [3, 4]", leaf.Out(), leaf.In())
	}
	if got := nn.Params(m); !slices.EqualFunc(got, names, func(a, b nn.Named) bool { return a.Name == b.Name && a.Param == b.Param }) {
		t.Errorf("parameters are %v, want %v", got, names)
	}
	nn.Freeze(m)
	if d := leaf.Linear.(*nn.Dense); !d.Frozen() {
		t.Error("Freeze does not reach the matrix")
	} else if nn.Thaw(m); d.Frozen() {
		t.Error("Thaw does not reach the matrix")
	}
	if !slices.Equal(m.Blocks[1].Up.Apply(p, x).Data, want.Data) || !slices.Equal(m.Head.Apply(p, x).Data, head.Data) {
		t.Error("rows without an adapter have other bits")
	}

	// Matrix 1 in Walk's order; the middle row keeps its bits, matrix 0 all of them.
	a := change(1, 4, 3, 2, 7)
	p.Spans = []op.Span{{Len: 1, Adapter: a}, {Row: 1, Len: 1}, {Row: 2, Len: 1, Adapter: a}}
	plain := m.Blocks[0].Up.Apply(&op.Pass{}, x)
	if !slices.Equal(m.Blocks[0].Up.Apply(p, x).Data, plain.Data) {
		t.Error("a matrix without a pair is changed")
	}
	got := m.Blocks[1].Up.Apply(p, x)
	a.Freeze()
	if frozen := m.Blocks[1].Up.Apply(p, x); !slices.Equal(frozen.Data, got.Data) {
		t.Error("a packed adapter gives other bits")
	}
	for i := range 3 {
		if same := slices.Equal(got.Row(i), want.Row(i)); same != (i == 1) {
			t.Errorf("row %d is that of the plain matrix: %v", i, same)
		}
	}
}

// TestAdaptAtRest: a matrix in 8 bits takes an adapter like any other: the
// difference is what the pair says.
func TestAdaptAtRest(t *testing.T) {
	const in, out = 64, 5
	d := nn.NewDense(in, out, true)
	rng := tensor.NewRNG(3)
	rng.FillNormal(d.W.Value.Data, 1)
	var q []int8
	var scales []float32
	for i := range out {
		rq, rd := make([]int8, in), make([]uint16, quant.Q8Scales(in))
		if err := quant.Q8Encode(rq, rd, d.W.Value.Row(i)); err != nil {
			t.Fatal(err)
		}
		q = append(q, rq...)
		for _, h := range rd {
			scales = append(scales, quant.FromHalf(h))
		}
	}
	d.W.Rest(q, scales)
	m := &toy{Head: d}
	nn.Adapt(m)
	a := change(0, in, out, 3, 8)
	x := tensor.New(2, in)
	rng.FillNormal(x.Data, 1)
	p := &op.Pass{Spans: []op.Span{{Len: 1}, {Row: 1, Len: 1, Adapter: a}}}
	got, plain := m.Head.Apply(p, x), d.Apply(&op.Pass{}, x)
	if !slices.Equal(got.Row(0), plain.Row(0)) {
		t.Error("a row without an adapter has other bits")
	}
	delta, scale := a.Delta(&op.Pass{}, 0, tensor.From(1, in, x.Row(1)))
	for j, v := range got.Row(1) {
		if want := plain.Row(1)[j] + scale*delta.Data[j]; abs(v-want) > 1e-5*abs(want) {
			t.Errorf("output %d is %v, want %v", j, v, want)
		}
	}
}

func abs(v float32) float32 { return max(v, -v) }

// TestAdapterTrains: gradients reach the pair and what is in front of the
// matrix, which itself stays frozen.
func TestAdapterTrains(t *testing.T) {
	d := nn.NewDense(4, 3, false)
	m, w := &toy{Head: d}, d.W
	tensor.NewRNG(1).FillNormal(w.Value.Data, 1)
	nn.Adapt(m)
	nn.Freeze(m)
	a := change(0, 4, 3, 2, 9)
	a.Pairs[0].A.W.Value.Grad, a.Pairs[0].B.W.Value.Grad = []float32{}, []float32{}
	p := &op.Pass{Record: true, Spans: []op.Span{{Len: 2, Adapter: a}}}
	x := p.New(2, 4)
	tensor.NewRNG(4).FillNormal(x.Data, 1)
	y := m.Head.Apply(p, x)
	y.Grad = []float32{1, 0, 0, 0, 0, 0}
	p.Backward()
	pair := a.Pairs[0]
	for k := range 4 {
		want := w.Value.Row(0)[k]
		for r := range 2 {
			want += pair.Scale * pair.B.W.Value.Row(0)[r] * pair.A.W.Value.Row(r)[k]
		}
		if abs(x.Grad[k]-want) > 1e-5 || x.Grad[4+k] != 0 {
			t.Errorf("gradient of x is %v, want %v at %d and zeros below", x.Grad, want, k)
		}
		for r := range 2 {
			if want := pair.Scale * pair.B.W.Value.Row(0)[r] * x.Row(0)[k]; abs(pair.A.W.Value.Grad[r*4+k]-want) > 1e-5 {
				t.Errorf("gradient of A is %v, want %v at [%d, %d]", pair.A.W.Value.Grad, want, r, k)
			}
		}
	}
	if w.Value.Grad != nil || !d.Frozen() {
		t.Error("the base did not stay frozen")
	}
}
