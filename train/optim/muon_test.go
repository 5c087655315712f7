package optim

import (
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// matrices returns blocks' matrices of several shapes and one embedding.
func matrices(rng *tensor.RNG) []Param {
	var ps []Param
	for i, shape := range [][2]int{{24, 24}, {8, 40}, {40, 8}, {64, 16}, {1, 30}} {
		v := tensor.New(shape[0], shape[1])
		v.Grad = make([]float32, len(v.Data))
		rng.FillNormal(v.Data, 1)
		rng.FillNormal(v.Grad, 1)
		ps = append(ps, Param{Name: string(rune('a' + i)), Value: v, Decay: i%2 == 0, Block: i < 4})
	}
	return ps
}

// The step is compared with the paper's formulas in float64.
func TestMuonMatchesFloat64(t *testing.T) {
	rng := tensor.NewRNG(1)
	ps := matrices(rng)
	a := New(ps, Options{Kind: Muon, WeightDecay: 0.3, Clip: -1}, nil)
	var w, m [][]float64
	for _, p := range ps {
		w, m = append(w, wide(p.Value.Data)), append(m, make([]float64, len(p.Value.Data)))
	}
	const lr = 0.01
	for step := 1; step <= 3; step++ {
		for i, p := range ps[:4] {
			rng.FillNormal(p.Value.Grad, 2)
			g := wide(p.Value.Grad)
			u := make([]float64, len(g))
			for j := range g {
				m[i][j] = 0.95*m[i][j] + 0.05*g[j]
				u[j] = 0.05*g[j] + 0.95*m[i][j]
			}
			u = quintic(u, p.Value.Rows, p.Value.Cols)
			for j := range u {
				if p.Decay {
					w[i][j] *= 1 - lr*0.3
				}
				w[i][j] -= lr * 0.2 * math.Sqrt(float64(max(p.Value.Rows, p.Value.Cols))) * u[j]
			}
		}
		a.Step(lr, a.Norm())
		for i, p := range ps[:4] {
			for j, got := range p.Value.Data {
				if math.Abs(float64(got)-w[i][j]) > 1e-5 {
					t.Fatalf("step %d, %s[%d]: got %g, want %g", step, p.Name, j, got, w[i][j])
				}
			}
			if slices.ContainsFunc(p.Value.Grad, func(g float32) bool { return g != 0 }) {
				t.Fatalf("step %d: gradient of %s was not cleared", step, p.Name)
			}
		}
	}
	if n := len(a.Moments()); n != 4+2 {
		t.Errorf("%d tensors of state, want one for each matrix and two for the rest", n)
	}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// quintic is the iteration, with s = x x^T whatever the shape.
func quintic(x []float64, rows, cols int) []float64 {
	norm := 0.0
	for _, v := range x {
		norm += v * v
	}
	for i := range x {
		x[i] /= math.Sqrt(norm)
	}
	mul := func(a, b []float64, m, k, n int) []float64 {
		c := make([]float64, m*n)
		for i := range m {
			for j := range n {
				for l := range k {
					c[i*n+j] += a[i*k+l] * b[l*n+j]
				}
			}
		}
		return c
	}
	for range 5 {
		xt := make([]float64, len(x))
		for i := range rows {
			for j := range cols {
				xt[j*rows+i] = x[i*cols+j]
			}
		}
		s := mul(x, xt, rows, cols, rows)
		sx := mul(s, x, rows, rows, cols)
		ssx := mul(s, sx, rows, rows, cols)
		for i := range x {
			x[i] = 3.4445*x[i] - 4.7750*sx[i] + 2.0315*ssx[i]
		}
	}
	return x
}

// Singular values come out near 1: x x^T of the shorter side is near the
// identity, so its trace is near its size and every diagonal near 1.
func TestOrthogonal(t *testing.T) {
	rng := tensor.NewRNG(2)
	for _, shape := range [][2]int{{16, 16}, {12, 50}, {50, 12}} {
		v := tensor.New(shape[0], shape[1])
		rng.FillNormal(v.Data, 5)
		u := newMuon([]Param{{Value: v}}, []int{0})
		x := u.orthogonal(slices.Clone(v.Data), v.Rows, v.Cols)
		sum := 0.0
		for _, e := range x {
			sum += float64(e) * float64(e)
		}
		n := float64(min(v.Rows, v.Cols))
		if sum < 0.5*n || sum > 1.5*n {
			t.Errorf("%v: the squares of the singular values add up to %.2f, want about %.0f", shape, sum, n)
		}
	}
}

// No number of threads changes a bit, a restored state goes on as the old one,
// and a gradient of zeros moves nothing but by decay.
func TestMuonRepeats(t *testing.T) {
	run := func(threads, breakAt int) []float32 {
		pool := par.New(threads)
		defer pool.Close()
		rng := tensor.NewRNG(3)
		ps := matrices(rng)
		a := New(ps, Options{Kind: Muon}, pool)
		for step := range 4 {
			if step == breakAt {
				saved := map[string][]float32{}
				for _, m := range a.Moments() {
					saved[m.Name] = slices.Clone(m.Data)
				}
				b := New(ps, Options{Kind: Muon}, pool)
				if err := b.Restore(a.Steps(), func(name string) ([]float32, error) { return saved[name], nil }); err != nil {
					t.Fatal(err)
				}
				a = b
			}
			for _, p := range ps {
				rng.FillNormal(p.Value.Grad, 1)
			}
			a.Step(1e-2, a.Norm())
		}
		var all []float32
		for _, p := range ps {
			all = append(all, p.Value.Data...)
		}
		return all
	}
	want := run(1, -1)
	if !slices.Equal(run(3, -1), want) {
		t.Error("three threads and one differ")
	}
	if !slices.Equal(run(1, 2), want) {
		t.Error("a restored optimiser and one that went on differ")
	}
	ps := matrices(tensor.NewRNG(4))[:1]
	clear(ps[0].Value.Grad)
	before := slices.Clone(ps[0].Value.Data)
	New(ps, Options{Kind: Muon, WeightDecay: -1}, nil).Step(1e-2, 0)
	if !slices.Equal(ps[0].Value.Data, before) {
		t.Error("a gradient of zeros moved the weights, or made them something else than numbers")
	}
}
