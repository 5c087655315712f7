package optim

import (
	"errors"
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

func params(rng *tensor.RNG, sizes ...int) []Param {
	var ps []Param
	for i, n := range sizes {
		v := tensor.New(1, n)
		v.Grad = make([]float32, n)
		rng.FillNormal(v.Data, 1)
		rng.FillNormal(v.Grad, 1)
		ps = append(ps, Param{Name: string(rune('a' + i)), Value: v, Decay: i%2 == 0})
	}
	return ps
}

// The update is compared with the formula of the paper in float64, several
// steps long, with and without decay.
func TestStepMatchesFloat64(t *testing.T) {
	rng := tensor.NewRNG(1)
	ps := params(rng, 7, 100)
	a := New(ps, Options{WeightDecay: 0.3, Clip: -1}, nil)
	type state struct{ w, m, v float64 }
	ref := make([][]state, len(ps))
	for i, p := range ps {
		for _, w := range p.Value.Data {
			ref[i] = append(ref[i], state{w: float64(w)})
		}
	}
	const lr = 0.01
	for step := 1; step <= 10; step++ {
		for i, p := range ps {
			rng.FillNormal(p.Value.Grad, 2)
			for j := range ref[i] {
				r, g := &ref[i][j], float64(p.Value.Grad[j])
				r.m, r.v = 0.9*r.m+0.1*g, 0.95*r.v+0.05*g*g
				mhat, vhat := r.m/(1-math.Pow(0.9, float64(step))), r.v/(1-math.Pow(0.95, float64(step)))
				decay := 0.0
				if p.Decay {
					decay = 0.3
				}
				r.w -= lr * (mhat/(math.Sqrt(vhat)+1e-8) + decay*r.w)
			}
		}
		a.Step(lr, a.Norm())
		for i, p := range ps {
			for j, w := range p.Value.Data {
				if math.Abs(float64(w)-ref[i][j].w) > 2e-6 {
					t.Fatalf("step %d, %s[%d]: got %g, want %g", step, p.Name, j, w, ref[i][j].w)
				}
			}
			if slices.ContainsFunc(p.Value.Grad, func(g float32) bool { return g != 0 }) {
				t.Fatalf("step %d: gradient of %s was not cleared", step, p.Name)
			}
		}
	}
}

func TestClipping(t *testing.T) {
	ps := params(tensor.NewRNG(2), 3)
	copy(ps[0].Value.Grad, []float32{3, 0, 4})
	a := New(ps, Options{Clip: 1}, nil)
	if n := a.Norm(); n != 5 {
		t.Fatalf("norm of (3, 0, 4) is %g, want 5", n)
	}
	if !a.Step(0.1, 5) {
		t.Error("a norm of 5 was not clipped at 1")
	}
	// The first moment after one step is (1-beta1) times the clipped gradient.
	for i, want := range []float64{0.06, 0, 0.08} {
		if got := float64(a.m[0][i]); math.Abs(got-want) > 1e-7 {
			t.Errorf("moment %d is %g, want %g: the gradient was not scaled to norm 1", i, got, want)
		}
	}
	copy(ps[0].Value.Grad, []float32{0.3, 0, 0.4})
	if a.Step(0.1, a.Norm()) {
		t.Error("a norm of 0.5 was clipped at 1")
	}
}

// Norm and update are the same bits on one and on several threads.
func TestThreadsDoNotMatter(t *testing.T) {
	run := func(threads int) ([]float64, []float32) {
		pool := par.New(threads)
		defer pool.Close()
		rng := tensor.NewRNG(3)
		ps := params(rng, 3*chunkLen+17, 5, chunkLen, 70001)
		a := New(ps, Options{}, pool)
		var norms []float64
		for range 3 {
			for _, p := range ps {
				rng.FillNormal(p.Value.Grad, 1)
			}
			n := a.Norm()
			norms = append(norms, n)
			a.Step(1e-3, n)
		}
		var all []float32
		for _, p := range ps {
			all = append(all, p.Value.Data...)
		}
		return norms, all
	}
	n1, w1 := run(1)
	for _, threads := range []int{2, 3, 7} {
		n, w := run(threads)
		if !slices.Equal(n, n1) || !slices.Equal(w, w1) {
			t.Errorf("%d threads: norms or weights differ from one thread", threads)
		}
	}
}

func TestRestore(t *testing.T) {
	rng := tensor.NewRNG(4)
	ps := params(rng, 50, 20)
	a := New(ps, Options{}, nil)
	a.Step(0.1, a.Norm())
	saved := map[string][]float32{}
	for _, m := range a.Moments() {
		saved[m.Name] = slices.Clone(m.Data)
	}
	get := func(name string) ([]float32, error) {
		if d, ok := saved[name]; ok {
			return d, nil
		}
		return nil, errors.New("not in the file")
	}
	b := New(ps, Options{}, nil)
	if err := b.Restore(1, get); err != nil {
		t.Fatal(err)
	}
	if b.Steps() != 1 || !slices.Equal(a.m[1], b.m[1]) || !slices.Equal(a.v[0], b.v[0]) {
		t.Error("the restored state differs")
	}
	saved["a.v"] = saved["a.v"][:3]
	if err := b.Restore(1, get); err == nil {
		t.Error("a tensor of the wrong size was taken")
	}
	delete(saved, "a.v")
	if err := b.Restore(1, get); err == nil {
		t.Error("a missing tensor was not noticed")
	}
}

func TestStepMakesNoGarbage(t *testing.T) {
	a := New(params(tensor.NewRNG(5), 1000), Options{}, nil)
	if n := testing.AllocsPerRun(10, func() { a.Step(1e-3, a.Norm()) }); n != 0 {
		t.Errorf("a step allocates %g times, want none", n)
	}
}

func BenchmarkStep(b *testing.B) {
	pool := par.New(0)
	defer pool.Close()
	a := New(params(tensor.NewRNG(6), 10_000_000), Options{}, pool)
	b.SetBytes(10_000_000 * 7 * 4) // read w, g, m, v; write w, m, v
	for b.Loop() {
		a.Step(1e-3, a.Norm())
	}
}
