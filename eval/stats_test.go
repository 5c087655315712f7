package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

// TestWilson compares with Newcombe (1998), Table I, method 3, and with
// statsmodels' proportion_confint(0, 10, method="wilson").
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		right, n  int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{0, 10, 0, 0.2775},
		{10, 10, 1 - 0.2775, 1},
		{0, 0, 0, 1},
	} {
		if got := Wilson(c.right, c.n); !near(got.Low, c.low, 5e-5) || !near(got.High, c.high, 5e-5) {
			t.Errorf("%d of %d: got %.4f to %.4f, want %.4f to %.4f", c.right, c.n, got.Low, got.High, c.low, c.high)
		}
	}
}

// TestWilsonCovers draws scores of a known model: the interval holds the truth
// about 95 times out of 100.
func TestWilsonCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range []float64{0.5, 0.9, 0.97} {
		const runs, n = 4000, 500
		held := 0
		for range runs {
			right := 0
			for range n {
				if r.Float64() < p {
					right++
				}
			}
			if Wilson(right, n).Contains(p) {
				held++
			}
		}
		if share := float64(held) / runs; share < 0.93 || share > 0.975 {
			t.Errorf("p = %g: the interval held it in %.3f of the runs, want about 0.95", p, share)
		}
	}
}

// TestMcNemar compares with the values that statsmodels tests its mcnemar
// against (from the calculator of Vassar College).
func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c int
		want float64
	}{
		{121, 59, 0.000004}, {70, 59, 0.378688}, {80, 59, 0.089452}, {30, 60, 0.00206}, {10, 30, 0.002221}, {10, 10, 1},
		{0, 0, 1}, {0, 5, 2.0 / 32}, {1, 9, 2 * 11.0 / 1024},
	} {
		if got := McNemar(c.b, c.c); !near(got, c.want, 5e-7) || got != McNemar(c.c, c.b) {
			t.Errorf("%d against %d: got %.7f, want %.7f both ways", c.b, c.c, got, c.want)
		}
	}
	if got := McNemar(4000, 7000); math.IsNaN(got) || got < 0 || got > 1e-100 {
		t.Errorf("large counts: got %g, want next to nothing", got)
	}
}

// TestDetectable compares with the sample sizes of n = 16 p (1-p) / d², and
// finds the power of the paired test by simulation.
func TestDetectable(t *testing.T) {
	for n, want := range map[int]float64{10_000: 0.02, 160_000: 0.005} {
		if got := Detectable(0.5, n); !near(got, want, 0.01*want) {
			t.Errorf("n = %d: got %.5f, want about %.5f", n, got, want)
		}
	}
	if got := Detectable(1, 500); got <= 0 || got > 0.02 {
		t.Errorf("a perfect score: got %g, want a small difference that is not 0", got)
	}
	const n, psi = 500, 0.2
	d := DetectablePaired(psi, n)
	r := rand.New(rand.NewPCG(3, 4))
	found := 0
	const runs = 2000
	for range runs {
		var b, c int
		for range n {
			switch u := r.Float64(); {
			case u < (psi+d)/2:
				b++
			case u < psi:
				c++
			}
		}
		if McNemar(b, c) < 0.05 {
			found++
		}
	}
	// The exact test is somewhat more careful than the formula assumes.
	if power := float64(found) / runs; power < 0.72 || power > 0.86 {
		t.Errorf("a difference of %.3f was found in %.2f of the runs, want about 0.8", d, power)
	}
	if got := DetectablePaired(0, 100); got != 0.06 || McNemar(0, 5) < 0.05 || McNemar(0, 6) > 0.05 {
		t.Errorf("no disagreement: got %g, want six items, the least that the test can see", got)
	}
}
