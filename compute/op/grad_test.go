package op

import (
	"fmt"
	"math"
	"testing"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/internal/testkit"
)

// mat is a float64 matrix of the naive reference.
type mat struct {
	rows, cols int
	v          []float64
}

func (m mat) at(i, j int) float64 { return m.v[i*m.cols+j] }

func newMat(rows, cols int) mat { return mat{rows, cols, make([]float64, rows*cols)} }

// gradCase compares an operation with its naive float64 forward: the values,
// and the gradients of sum(out*weight) by central differences.
type gradCase struct {
	name   string
	spans  []Span
	in     []*tensor.Tensor
	run    func(p *Pass, in []*tensor.Tensor) *tensor.Tensor
	naive  func(in []mat) mat
	tol    float64 // relative to the largest gradient; 2e-5
	frozen int     // index+1 of an input that wants no gradient
}

func random(rng *tensor.RNG, rows, cols int) *tensor.Tensor {
	t := tensor.New(rows, cols)
	rng.FillNormal(t.Data, 1)
	return t
}

func toMat(t *tensor.Tensor) mat {
	m := newMat(t.Rows, t.Cols)
	for i, v := range t.Data {
		m.v[i] = float64(v)
	}
	return m
}

// clone copies inputs: operations may work in place.
func clone(in []*tensor.Tensor, grads bool) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, t := range in {
		c := tensor.From(t.Rows, t.Cols, append([]float32(nil), t.Data...))
		if grads {
			c.Grad = []float32{}
		}
		out = append(out, c)
	}
	return out
}

func (c gradCase) check(t *testing.T) {
	t.Helper()
	if c.tol == 0 {
		c.tol = 2e-5
	}
	pool := par.New(2)
	defer pool.Close()
	ref := make([]mat, len(c.in))
	for i, x := range c.in {
		ref[i] = toMat(x)
	}
	want := c.naive(ref)
	weight := random(tensor.NewRNG(99), want.rows, want.cols)

	p := &Pass{Spans: c.spans, Record: true, Pool: pool, Arena: &tensor.Arena{}}
	poison(p.Arena)
	in := clone(c.in, true)
	if c.frozen > 0 {
		in[c.frozen-1].Grad = nil
	}
	inputs := append([]*tensor.Tensor(nil), in...) // Add and RoPE give their input back
	out := c.run(p, in)
	testkitClose(t, c.name+": forward", out.Data, want.v, 1e-5)
	out.Grad = append([]float32(nil), weight.Data...)
	p.Backward()

	eval := &Pass{Spans: c.spans, Arena: &tensor.Arena{}}
	poison(eval.Arena)
	if again := c.run(eval, clone(c.in, false)); !sameBits(again.Data, out.Data) {
		t.Errorf("%s: a pass that does not record gives other bits", c.name)
	}
	for i := range inputs {
		if c.frozen == i+1 {
			if inputs[i].Grad != nil {
				t.Errorf("%s: input %d wanted no gradient and got one", c.name, i)
			}
			continue
		}
		testkitClose(t, fmt.Sprintf("%s: gradient of input %d", c.name, i), inputs[i].Grad, differences(c.naive, ref, i, weight), c.tol)
	}
}

// differences is the central-difference gradient of sum(naive(in)*weight) with
// respect to input i.
func differences(naive func([]mat) mat, in []mat, i int, weight *tensor.Tensor) []float64 {
	const h = 1e-5
	sum := func() (s float64) {
		for j, v := range naive(in).v {
			s += v * float64(weight.Data[j])
		}
		return s
	}
	g := make([]float64, len(in[i].v))
	for j := range g {
		x := in[i].v[j]
		in[i].v[j] = x + h
		up := sum()
		in[i].v[j] = x - h
		g[j] = (up - sum()) / (2 * h)
		in[i].v[j] = x
	}
	return g
}

func testkitClose(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	w := make([]float32, len(want))
	for i, v := range want {
		w[i] = float32(v)
	}
	if e := testkit.RelErr(t, got, w); e > tol {
		t.Errorf("%s: relative error %.2g, want at most %.2g", what, e, tol)
	}
}

func sameBits(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// poison fills an arena's first chunk with NaN, so that reading memory that
// nobody wrote shows.
func poison(a *tensor.Arena) {
	m := a.Mark()
	s := a.Raw(1 << 16)
	for i := range s {
		s[i] = float32(math.NaN())
	}
	a.Release(m)
}

func TestLinear(t *testing.T) {
	rng := tensor.NewRNG(1)
	c := gradCase{
		name: "linear",
		in:   []*tensor.Tensor{random(rng, 37, 9), random(rng, 11, 9), random(rng, 1, 11)},
		run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
			return p.Bias(p.Linear(in[0], in[1], nil), in[2])
		},
		naive: func(in []mat) mat {
			y := newMat(in[0].rows, in[1].rows)
			for i := range y.rows {
				for j := range y.cols {
					s := in[2].v[j]
					for k := range in[0].cols {
						s += in[0].at(i, k) * in[1].at(j, k)
					}
					y.v[i*y.cols+j] = s
				}
			}
			return y
		},
	}
	c.check(t)
	c.frozen = 2
	c.check(t)

	x, w := c.in[0], c.in[1]
	packed := kernel.Pack(kernel.Matrix{Data: w.Data, Stride: w.Cols, T: true}, w.Cols, w.Rows)
	p := &Pass{}
	if !sameBits(p.Linear(x, w, nil).Data, p.Linear(x, w, packed).Data) {
		t.Error("a packed matrix gives other bits")
	}
}

func TestEmbedAndGather(t *testing.T) {
	rng := tensor.NewRNG(2)
	ids := []int32{3, 0, 3, 6, 6, 6, 1}
	pick := func(from []mat, rows []int32) mat {
		y := newMat(len(rows), from[0].cols)
		for i, r := range rows {
			copy(y.v[i*y.cols:(i+1)*y.cols], from[0].v[int(r)*y.cols:])
		}
		return y
	}
	gradCase{
		name:  "embed",
		in:    []*tensor.Tensor{random(rng, 8, 70)},
		run:   func(p *Pass, in []*tensor.Tensor) *tensor.Tensor { return p.Embed(in[0], ids) },
		naive: func(in []mat) mat { return pick(in, ids) },
	}.check(t)
	gradCase{
		name:  "gather",
		in:    []*tensor.Tensor{random(rng, 9, 5)},
		run:   func(p *Pass, in []*tensor.Tensor) *tensor.Tensor { return p.Gather(in[0], []int{8, 2, 2, 0}) },
		naive: func(in []mat) mat { return pick(in, []int32{8, 2, 2, 0}) },
	}.check(t)
}

func TestRMSNorm(t *testing.T) {
	rng := tensor.NewRNG(3)
	const eps = 1e-3
	for _, dim := range []int{12, 4} { // a row at once, and each of three heads
		gradCase{
			name: fmt.Sprintf("rmsnorm of %d", dim),
			in:   []*tensor.Tensor{random(rng, 70, 12), random(rng, 1, dim)}, // three chunks of rows
			run:  func(p *Pass, in []*tensor.Tensor) *tensor.Tensor { return p.RMSNorm(in[0], in[1], eps) },
			naive: func(in []mat) mat {
				y := newMat(in[0].rows, in[0].cols)
				for at := 0; at < len(y.v); at += dim {
					x := in[0].v[at : at+dim]
					var s float64
					for _, v := range x {
						s += v * v
					}
					inv := 1 / math.Sqrt(s/float64(dim)+eps)
					for j, v := range x {
						y.v[at+j] = v * inv * in[1].v[j]
					}
				}
				return y
			},
		}.check(t)
	}
}

// TestColumns takes a matrix apart, one column twice and one never.
func TestColumns(t *testing.T) {
	gradCase{
		name: "columns",
		in:   []*tensor.Tensor{random(tensor.NewRNG(3), 70, 12)},
		run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
			return p.SwiGLU(p.Columns(in[0], 0, 5), p.Columns(in[0], 4, 5))
		},
		naive: func(in []mat) mat {
			y := newMat(in[0].rows, 5)
			for i := range y.rows {
				for j := range y.cols {
					g := in[0].at(i, j)
					y.v[i*y.cols+j] = g / (1 + math.Exp(-g)) * in[0].at(i, j+4)
				}
			}
			return y
		},
	}.check(t)
}

func TestSwiGLU(t *testing.T) {
	rng := tensor.NewRNG(4)
	gradCase{
		name: "swiglu",
		in:   []*tensor.Tensor{random(rng, 33, 7), random(rng, 33, 7)},
		run:  func(p *Pass, in []*tensor.Tensor) *tensor.Tensor { return p.SwiGLU(in[0], in[1]) },
		naive: func(in []mat) mat {
			y := newMat(in[0].rows, in[0].cols)
			for i, g := range in[0].v {
				y.v[i] = g / (1 + math.Exp(-g)) * in[1].v[i]
			}
			return y
		},
	}.check(t)
}

// TestAdd checks the residual shape: x is read twice, once through the block.
func TestAdd(t *testing.T) {
	rng := tensor.NewRNG(5)
	gradCase{
		name: "x + x*w",
		in:   []*tensor.Tensor{random(rng, 40, 6), random(rng, 6, 6)},
		run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
			return p.Add(in[0], p.Linear(in[0], in[1], nil))
		},
		naive: func(in []mat) mat {
			y := newMat(in[0].rows, 6)
			for i := range y.rows {
				for j := range 6 {
					y.v[i*6+j] = in[0].at(i, j)
					for k := range 6 {
						y.v[i*6+j] += in[0].at(i, k) * in[1].at(j, k)
					}
				}
			}
			return y
		},
	}.check(t)
}

func TestRoPE(t *testing.T) {
	rng := tensor.NewRNG(6)
	spans := []Span{{Row: 0, Len: 40, Pos: 0}, {Row: 40, Len: 3, Pos: 1000}}
	const heads, cols = 2, 12
	for _, c := range []struct {
		name    string
		turning int // values of a head of 6
		scale   float64
	}{{"rope", 6, 1}, {"scaled rope", 6, 1.3}, {"rope of a part", 4, 0.7}} {
		rope, half := NewRope(Frequencies(10000, c.turning), cols/heads, c.scale), c.turning/2
		gradCase{
			name:  c.name,
			spans: spans,
			in:    []*tensor.Tensor{random(rng, 43, cols)},
			run:   func(p *Pass, in []*tensor.Tensor) *tensor.Tensor { return p.RoPE(in[0], rope) },
			naive: func(in []mat) mat {
				y := newMat(in[0].rows, cols)
				for i := range y.rows {
					pos := float64(i)
					if i >= 40 {
						pos = float64(1000 + i - 40)
					}
					for j := range cols {
						d, x := j%6, in[0].at(i, j)
						sin, cos := math.Sincos(pos * math.Pow(10000, -2*float64(d%half)/float64(c.turning)))
						switch {
						case d < half:
							x = c.scale * (x*cos - in[0].at(i, j+half)*sin)
						case d < 2*half:
							x = c.scale * (x*cos + in[0].at(i, j-half)*sin)
						}
						y.v[i*cols+j] = x
					}
				}
				return y
			},
		}.check(t)
	}
	if x := random(rng, 43, cols); (&Pass{Spans: spans, Record: true}).RoPE(x, nil) != x {
		t.Error("no rotation gives something else than x")
	}
}

func TestAttend(t *testing.T) {
	for _, c := range []struct {
		name  string
		heads kernel.Heads
		spec  kernel.AttnSpec
		spans []Span
	}{
		{"mha", kernel.Heads{Q: 2, KV: 2, Dim: 4}, kernel.AttnSpec{}, []Span{{Row: 0, Len: 19}, {Row: 19, Len: 1}, {Row: 20, Len: 33}}},
		{"gqa", kernel.Heads{Q: 4, KV: 2, Dim: 8}, kernel.AttnSpec{Scale: 0.7}, []Span{{Row: 0, Len: 16}, {Row: 16, Len: 5}}},
		{"window", kernel.Heads{Q: 2, KV: 1, Dim: 4}, kernel.AttnSpec{Window: 5}, []Span{{Row: 0, Len: 21}}},
		{"positions off zero", kernel.Heads{Q: 2, KV: 1, Dim: 4}, kernel.AttnSpec{}, []Span{{Row: 0, Len: 18, Pos: 7}}},
	} {
		rng := tensor.NewRNG(7)
		spec := c.spec
		spec.Heads = c.heads
		rows := c.spans[len(c.spans)-1].Row + c.spans[len(c.spans)-1].Len
		gradCase{
			name:  "attend " + c.name,
			spans: c.spans,
			in: []*tensor.Tensor{random(rng, rows, c.heads.Q*c.heads.Dim), random(rng, rows, c.heads.KV*c.heads.Dim),
				random(rng, rows, c.heads.KV*c.heads.Dim)},
			run: func(p *Pass, in []*tensor.Tensor) *tensor.Tensor {
				return p.Attend(0, in[0], in[1], in[2], spec)
			},
			naive: func(in []mat) mat { return naiveAttend(in, c.spans, spec) },
			tol:   1e-4,
		}.check(t)
	}
}

// naiveAttend writes the definition out, one query at a time.
func naiveAttend(in []mat, spans []Span, spec kernel.AttnSpec) mat {
	h := spec.Heads
	scale := float64(spec.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(h.Dim))
	}
	y := newMat(in[0].rows, in[0].cols)
	for _, s := range spans {
		for i := range s.Len {
			for q := range h.Q {
				kv := q / (h.Q / h.KV)
				score := make([]float64, i+1)
				var sum float64
				for j := range score {
					for d := range h.Dim {
						score[j] += in[0].at(s.Row+i, q*h.Dim+d) * in[1].at(s.Row+j, kv*h.Dim+d) * scale
					}
					score[j] = math.Exp(score[j])
					if spec.Window > 0 && i-j >= spec.Window {
						score[j] = 0
					}
					sum += score[j]
				}
				for j, w := range score {
					for d := range h.Dim {
						y.v[(s.Row+i)*y.cols+q*h.Dim+d] += w / sum * in[2].at(s.Row+j, kv*h.Dim+d)
					}
				}
			}
		}
	}
	return y
}

func TestCrossEntropy(t *testing.T) {
	rng := tensor.NewRNG(8)
	const rows, vocab = 70, 9
	targets := make([]int32, rows)
	for i := range targets {
		targets[i] = int32(rng.IntN(vocab+1)) - 1
	}
	naive := func(in []mat) mat {
		y := newMat(1, 1)
		for i, target := range targets {
			if target < 0 {
				continue
			}
			var sum float64
			for j := range vocab {
				sum += math.Exp(in[0].at(i, j))
			}
			y.v[0] += math.Log(sum) - in[0].at(i, int(target))
		}
		return y
	}
	x := random(rng, rows, vocab)
	ref := []mat{toMat(x)}
	want := naive(ref).v[0]
	scale := tensor.From(1, 1, []float32{0.25})
	grad := differences(naive, ref, 0, scale)

	eval := &Pass{}
	logits := clone([]*tensor.Tensor{x}, false)[0]
	got := eval.CrossEntropy(logits, targets, 0.25)
	if math.Abs(got-want) > 1e-6*want {
		t.Errorf("loss is %v, want %v", got, want)
	}
	if !sameBits(logits.Data, x.Data) {
		t.Error("a pass that does not record changed the logits")
	}
	train := &Pass{Record: true}
	if again := train.CrossEntropy(logits, targets, 0.25); again != got {
		t.Errorf("loss when recording is %v, want %v", again, got)
	}
	testkitClose(t, "cross-entropy gradient", logits.Grad, grad, 1e-5)
}
