package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model/nn"
)

type toy struct {
	Note   string
	Embed  *nn.Embedding `hf:"embed" gguf:"e"`
	Blocks []struct {
		Norm *nn.RMSNorm `hf:"norm" gguf:"n"`
		Up   nn.Linear   `hf:"up" gguf:"u"`
	} `hf:"layers.%d." gguf:"b.%d."`
	Scale *nn.Param `hf:"scale" gguf:"s"` // nil here
	Head  nn.Linear `hf:"head" gguf:"h" tied:"true"`
}

func (m *toy) Walk(fn func(nn.Leaf)) { nn.WalkTags(m, fn) }

func newToy() *toy {
	m := &toy{Embed: nn.NewEmbedding(7, 4)}
	for range 2 {
		m.Blocks = append(m.Blocks, struct {
			Norm *nn.RMSNorm `hf:"norm" gguf:"n"`
			Up   nn.Linear   `hf:"up" gguf:"u"`
		}{nn.NewRMSNorm(4, 1e-5), nn.NewDense(4, 3, true)})
	}
	m.Head = m.Embed.Head()
	return m
}

func TestWalk(t *testing.T) {
	m := newToy()
	var leaves, names, gguf []string
	m.Walk(func(l nn.Leaf) {
		leaves = append(leaves, l.Name)
		if (l.Param == nil) == (l.Linear == nil) {
			t.Errorf("%s: want exactly one of Param and Linear", l.Name)
		}
		if l.Tied != (l.Name == "head.weight") {
			t.Errorf("%s: tied is %v", l.Name, l.Tied)
		}
	})
	for _, p := range nn.Params(m) {
		names, gguf = append(names, p.Name), append(gguf, p.GGUF)
		if matrix := !strings.Contains(p.Name, "norm") && !strings.HasSuffix(p.Name, ".bias"); p.Decay != matrix {
			t.Errorf("%s: decay is %v", p.Name, p.Decay)
		}
	}
	want := strings.Fields("embed.weight layers.0.norm.weight layers.0.up.weight layers.1.norm.weight layers.1.up.weight head.weight")
	if !slices.Equal(leaves, want) {
		t.Errorf("leaves are %q, want %q", leaves, want)
	}
	want = strings.Fields("embed.weight layers.0.norm.weight layers.0.up.weight layers.0.up.bias layers.1.norm.weight layers.1.up.weight layers.1.up.bias")
	if !slices.Equal(names, want) {
		t.Errorf("parameters are %q, want %q", names, want)
	}
	want = strings.Fields("e.weight b.0.n.weight b.0.u.weight b.0.u.bias b.1.n.weight b.1.u.weight b.1.u.bias")
	if !slices.Equal(gguf, want) {
		t.Errorf("GGUF names are %q, want %q", gguf, want)
	}
	if n := nn.Count(m); n != 7*4+2*(4+12+3) {
		t.Errorf("count is %d, want %d", n, 7*4+2*(4+12+3))
	}
}

// swapped is a leaf that another package might put in place of a Dense.
type swapped struct{ nn.Linear }

func TestReplaceLeaf(t *testing.T) {
	m := newToy()
	m.Walk(func(l nn.Leaf) {
		if l.Linear != nil && !l.Tied {
			*l.Linear = swapped{*l.Linear}
		}
	})
	if _, ok := m.Blocks[1].Up.(swapped); !ok {
		t.Error("a leaf written through Walk did not reach the model")
	}
	if n := len(nn.Params(m)); n != 3 {
		t.Errorf("%d parameters, want the 3 that no frozen leaf hides", n)
	}
}

func TestInit(t *testing.T) {
	m := &toy{Embed: nn.NewEmbedding(300, 100)}
	m.Blocks = newToy().Blocks
	m.Blocks[1].Up = nn.NewDense(100, 300, true)
	nn.Init{Std: 0.5, Residual: []string{"1.up.weight"}, Scale: 0.1}.Apply(m, tensor.NewRNG(1))
	std := func(x []float32) float64 {
		var s float64
		for _, v := range x {
			s += float64(v) * float64(v)
		}
		return math.Sqrt(s / float64(len(x)))
	}
	if s := std(m.Embed.Value.Data); math.Abs(s-0.5) > 0.01 {
		t.Errorf("embedding deviates by %g, want 0.5", s)
	}
	up := m.Blocks[1].Up.(*nn.Dense)
	if s := std(up.W.Value.Data); math.Abs(s-0.05) > 0.001 {
		t.Errorf("residual matrix deviates by %g, want 0.05", s)
	}
	if s := std(up.Bias.Value.Data); s != 0 {
		t.Errorf("bias deviates by %g, want 0", s)
	}
	if g := m.Blocks[0].Norm.Value.Data; !slices.Equal(g, []float32{1, 1, 1, 1}) {
		t.Errorf("gain is %v, want ones", g)
	}
}

// TestFrozenWeightTrainsNothing: a packed matrix without a gradient, as under
// an adapter, stays packed in a recording pass and still passes the gradient.
func TestFrozenWeightTrainsNothing(t *testing.T) {
	d := nn.NewDense(5, 3, false)
	tensor.NewRNG(1).FillNormal(d.W.Value.Data, 1)
	d.Freeze()
	p := &op.Pass{Record: true}
	x := p.New(2, 5)
	y := d.Apply(p, x)
	y.Grad = []float32{1, 0, 0, 0, 2, 0}
	p.Backward()
	if !d.Frozen() || d.W.Value.Grad != nil {
		t.Errorf("frozen is %v, gradient %v", d.Frozen(), d.W.Value.Grad)
	}
	w := d.W.Value
	for k := range 5 {
		if x.Grad[k] != w.Row(0)[k] || x.Grad[5+k] != 2*w.Row(1)[k] {
			t.Fatalf("gradient of x is %v for weights %v", x.Grad, w.Data)
		}
	}
	w.Grad = []float32{}
	d.Apply(&op.Pass{Record: true}, x)
	if d.Frozen() {
		t.Error("a recording pass over a trained weight left it packed")
	}
}
