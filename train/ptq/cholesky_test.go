package ptq

import (
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// naiveFactor is the textbook way: the inverse by Gauss-Jordan elimination, then
// its Cholesky factor, transposed.
func naiveFactor(c []float32, n int, order []int, damp float64) []float64 {
	a, inv := make([]float64, n*n), make([]float64, n*n)
	var mean float64
	for i := range n {
		mean += float64(c[i*n+i]) / float64(n)
	}
	for i := range n {
		for j := range n {
			a[i*n+j] = float64(c[order[i]*n+order[j]])
		}
		a[i*n+i] += damp * mean
		inv[i*n+i] = 1
	}
	for k := range n {
		pivot := a[k*n+k]
		for j := range n {
			a[k*n+j] /= pivot
			inv[k*n+j] /= pivot
		}
		for i := range n {
			if f := a[i*n+k]; i != k {
				for j := range n {
					a[i*n+j] -= f * a[k*n+j]
					inv[i*n+j] -= f * inv[k*n+j]
				}
			}
		}
	}
	u := make([]float64, n*n)
	for i := range n {
		for j := i; j < n; j++ {
			s := inv[i*n+j]
			for k := range i {
				s -= u[k*n+i] * u[k*n+j]
			}
			if i == j {
				u[i*n+i] = math.Sqrt(s)
			} else {
				u[i*n+j] = s / u[i*n+i]
			}
		}
	}
	return u
}

// products returns the second moments of rows of correlated noise.
func products(rng *tensor.RNG, rows, in int) (x *tensor.Tensor, seen Moments) {
	x, mix := tensor.New(rows, in), tensor.New(in, in)
	rng.FillNormal(mix.Data, 1)
	z := make([]float32, in)
	for r := range rows {
		rng.FillNormal(z, 1)
		for j := range in {
			x.Row(r)[j] = z[j]
			for k := range min(4, in) { // neighbours in a shuffled order share noise
				x.Row(r)[j] += mix.Row(j)[k] * z[k]
			}
		}
	}
	seen = newMoments(in, true)
	seen.add(nil, x)
	return x, seen
}

func TestInverseFactor(t *testing.T) {
	pool := par.New(3)
	defer pool.Close()
	for _, n := range []int{1, 2, 7, 33, 70} {
		rng := tensor.NewRNG(uint64(n))
		_, seen := products(rng, 3*n, n)
		order := make([]int, n)
		for i := range order {
			order[i] = (i*5 + 3) % n
		}
		if n%5 == 0 {
			for i := range order {
				order[i] = n - 1 - i
			}
		}
		got, err := inverseFactor(pool, seen.Cross, n, order, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		want := naiveFactor(seen.Cross, n, order, 0.01)
		var top, worst float64
		for i, v := range want {
			top, worst = max(top, math.Abs(v)), max(worst, math.Abs(v-got[i]))
		}
		if worst > 1e-9*top {
			t.Errorf("n=%d: factors differ by %g of %g", n, worst, top)
		}
		alone, err := inverseFactor(nil, seen.Cross, n, order, 0.01)
		if err != nil || !slices.Equal(alone, got) {
			t.Errorf("n=%d: one thread gives another factor than three (%v)", n, err)
		}
	}
}

func TestInverseFactorRefuses(t *testing.T) {
	if _, err := inverseFactor(nil, []float32{1, 2, 2, 1}, 2, []int{0, 1}, 0.01); err == nil {
		t.Error("a matrix that is not positive definite was factored")
	}
	if _, err := inverseFactor(nil, []float32{float32(math.NaN())}, 1, []int{0}, 0.01); err == nil {
		t.Error("a matrix of NaN was factored")
	}
	u, err := inverseFactor(nil, make([]float32, 9), 3, []int{0, 1, 2}, 0.01)
	if err != nil || !slices.Equal(u, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}) {
		t.Errorf("nothing seen gives %v, %v; want the identity", u, err)
	}
}
