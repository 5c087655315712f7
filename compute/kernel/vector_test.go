package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// forTiers runs fn once for each instruction tier that this processor has.
// Tests that use it must not run in parallel.
func forTiers(t *testing.T, fn func(t *testing.T)) {
	was := active
	defer func() { active = was }()
	for tier := generic; tier <= best(); tier++ {
		active = tier
		t.Run(tier.String(), fn)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// floats returns n normal values in a slice that starts off any alignment.
func floats(r *rand.Rand, n int, std float64) []float32 {
	off := r.IntN(16)
	x := make([]float32, off+n)[off:]
	for i := range x {
		x[i] = float32(r.NormFloat64() * std)
	}
	return x
}

func clone(x []float32) []float32 { return append([]float32{}, x...) }

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// worst returns the largest error of got, in units of the larger of |want| and
// floor.
func worst(got []float32, want []float64, floor float64) float64 {
	var e float64
	for i, w := range want {
		d := math.Abs(float64(got[i])-w) / max(math.Abs(w), floor)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		e = max(e, d)
	}
	return e
}

// ulp is the relative spacing of float32.
const ulp = 1.0 / (1 << 23)

// checkBound fails unless the kernel's error is at most twice that of plain
// float32 arithmetic, or a few ulps where plain is lucky.
func checkBound(t *testing.T, what string, got, plain []float32, want []float64, floor float64) {
	t.Helper()
	g, p := worst(got, want, floor), worst(plain, want, floor)
	if g > 2*p+4*ulp {
		t.Errorf("%s, %d values: error %.3g, plain float32 has %.3g", what, len(want), g, p)
	}
}

// lengths are all up to 200 and some that cross the chunk.
func lengths() []int {
	var n []int
	for i := range 201 {
		n = append(n, i)
	}
	return append(n, 1000, 4097, chunk, chunk+1, 2*chunk+77)
}

func TestDotAndSums(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(1)
		for _, n := range lengths() {
			x, y := floats(r, n, 1), floats(r, n, 1)
			var dot64, size, sq, plainSq float64
			for i := range x {
				dot64 += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
				sq += float64(x[i]) * float64(x[i])
			}
			plainSq = sumSquaresGeneric(x)
			checkBound(t, "Dot", []float32{Dot(x, y)}, []float32{dotGeneric(x, y)}, []float64{dot64}, size)
			if got := SumSquares(x); math.Abs(got-sq) > 2*math.Abs(plainSq-sq)+1e-12*sq {
				t.Errorf("SumSquares of %d: got %v, want %v", n, got, sq)
			}
			if n == 0 {
				continue
			}
			var sum float64
			m := maximumGeneric(x)
			for _, v := range x {
				sum += math.Exp(float64(v) - float64(m))
			}
			want := []float64{float64(m) + math.Log(sum)}
			plain := []float32{m + float32(math.Log(expSumGeneric(x, m)))}
			checkBound(t, "LogSumExp", []float32{LogSumExp(x)}, plain, want, 1)
		}
	})
}

func TestElementwise(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(2)
		for _, n := range lengths() {
			x, y, z := floats(r, n, 1), floats(r, n, 1), floats(r, n, 3)
			axpy64, add64, swiglu64 := wide(y), wide(x), make([]float64, n)
			for i := range x {
				axpy64[i] += 0.7 * float64(x[i]) * (float64(float32(0.7)) / 0.7)
				add64[i] += float64(y[i])
				g := float64(z[i])
				swiglu64[i] = g / (1 + math.Exp(-g)) * float64(y[i])
			}
			a, plain := clone(y), clone(y)
			Axpy(0.7, x, a)
			axpyGeneric(0.7, x, plain)
			checkBound(t, "Axpy", a, plain, axpy64, 1)
			a, plain = clone(x), clone(x)
			Add(a, a, y)
			addGeneric(plain, plain, y)
			checkBound(t, "Add", a, plain, add64, 1)
			a, plain = clone(x), clone(x)
			Scale(-1.5, a)
			scaleGeneric(-1.5, plain)
			for i := range a {
				if a[i] != plain[i] {
					t.Fatalf("Scale of %d: element %d is %v, want %v", n, i, a[i], plain[i])
				}
			}
			a, plain = clone(z), clone(z)
			SwiGLU(a, a, y)
			swiGLUGeneric(plain, plain, y)
			checkBound(t, "SwiGLU", a, plain, swiglu64, 1e-30)
		}
	})
}

// TestNoStrayWrites puts sentinels around destinations of every short length.
func TestNoStrayWrites(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(3)
		for n := range 70 {
			x := floats(r, n, 1)
			guarded := func(fn func(dst []float32)) {
				t.Helper()
				mem := make([]float32, n+64)
				for i := range mem {
					mem[i] = 42
				}
				fn(mem[32 : 32+n : 32+n])
				for i, v := range mem {
					if (i < 32 || i >= 32+n) && v != 42 {
						t.Fatalf("length %d: wrote outside, at %d", n, i-32)
					}
				}
			}
			guarded(func(d []float32) { Axpy(2, x, d) })
			guarded(func(d []float32) { Add(d, x, x) })
			guarded(func(d []float32) { Scale(3, d) })
			guarded(func(d []float32) { SwiGLU(d, x, x) })
			guarded(func(d []float32) { SwiGLUBackward(d, clone(x), x, x, x) })
			guarded(func(d []float32) { SwiGLUBackward(clone(x), d, x, x, x) })
			guarded(func(d []float32) { AdamW(d, x, clone(x), make([]float32, n), AdamWParams{Correct1: 1, Correct2: 1}) })
			guarded(func(d []float32) { RMSNorm(d, x, x, 1e-5) })
			guarded(func(d []float32) { RMSNormBackward(d, clone(x), x, x, x, 1) })
			guarded(func(d []float32) { RMSNormBackward(clone(x), d, x, x, x, 1) })
			guarded(func(d []float32) { RoPE(d[:n&^1], x[:n/2], x[:n/2], true) })
			if n > 0 {
				guarded(func(d []float32) { Softmax(d, x) })
				guarded(func(d []float32) { CrossEntropy(d, x, n/2, 1) })
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(4)
		for n := 1; n < 300; n += 1 + n/20 {
			x, gain, dy := floats(r, n, 1), floats(r, n, 1), floats(r, n, 1)
			const eps = 1e-5
			out, plain := make([]float32, n), make([]float32, n)
			inv, plainInv := RMSNorm(out, x, gain, eps), rmsNormGeneric(plain, x, gain, eps)
			var ms float64
			for _, v := range x {
				ms += float64(v) * float64(v)
			}
			inv64 := 1 / math.Sqrt(ms/float64(n)+float64(float32(eps)))
			want, s := make([]float64, n), 0.0
			for i := range x {
				want[i] = float64(x[i]) * inv64 * float64(gain[i])
				s += float64(dy[i]) * float64(gain[i]) * float64(x[i])
			}
			checkBound(t, "inv", []float32{inv}, []float32{plainInv}, []float64{inv64}, 0)
			checkBound(t, "RMSNorm", out, plain, want, 1e-30)

			dx, dgain := floats(r, n, 1), floats(r, n, 1)
			wantX, wantG := wide(dx), wide(dgain)
			for i := range x {
				wantG[i] += float64(dy[i]) * float64(x[i]) * inv64
				wantX[i] += float64(dy[i])*float64(gain[i])*inv64 - float64(x[i])*s*inv64*inv64*inv64/float64(n)
			}
			plainX, plainG := clone(dx), clone(dgain)
			RMSNormBackward(dx, dgain, dy, x, gain, inv)
			rmsNormBackwardGeneric(plainX, plainG, dy, x, gain, plainInv)
			checkBound(t, "RMSNormBackward dx", dx, plainX, wantX, 1)
			checkBound(t, "RMSNormBackward dgain", dgain, plainG, wantG, 1)
		}
	})
}

// TestRMSNormGradient differentiates the forward in float64 numerically.
func TestRMSNormGradient(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(5)
		const n, eps = 37, 1e-3
		x, gain, dy := floats(r, n, 1), floats(r, n, 1), floats(r, n, 1)
		inv := RMSNorm(make([]float32, n), x, gain, eps)
		dx, dgain := make([]float32, n), make([]float32, n)
		RMSNormBackward(dx, dgain, dy, x, gain, inv)
		loss := func(v []float64) float64 {
			ms, sum := 0.0, 0.0
			for _, e := range v[:n] {
				ms += e * e
			}
			for i := range n {
				sum += v[i] / math.Sqrt(ms/n+eps) * v[n+i] * float64(dy[i])
			}
			return sum
		}
		checkGradient(t, loss, append(wide(x), wide(gain)...), append(clone(dx), dgain...), 1e-5)
	})
}

// checkGradient compares a gradient with central differences of loss at v.
func checkGradient(t *testing.T, loss func(v []float64) float64, v []float64, grad []float32, tol float64) {
	t.Helper()
	const h = 1e-5
	want := make([]float64, len(v))
	size := 0.0
	for i := range v {
		was := v[i]
		v[i] = was + h
		up := loss(v)
		v[i] = was - h
		want[i] = (up - loss(v)) / (2 * h)
		v[i] = was
		size = max(size, math.Abs(want[i]))
	}
	if e := worst(grad, want, size); e > tol {
		t.Errorf("gradient differs from finite differences by %.3g of its largest value, want at most %.3g", e, tol)
	}
}

func TestSwiGLUGradient(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(6)
		const n = 83
		gate, up, dy := floats(r, n, 2), floats(r, n, 1), floats(r, n, 1)
		dgate, dup := make([]float32, n), make([]float32, n)
		SwiGLUBackward(dgate, dup, dy, gate, up)
		loss := func(v []float64) (sum float64) {
			for i := range n {
				sum += v[i] / (1 + math.Exp(-v[i])) * v[n+i] * float64(dy[i])
			}
			return sum
		}
		checkGradient(t, loss, append(wide(gate), wide(up)...), append(clone(dgate), dup...), 1e-6)
	})
}

func TestRoPE(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(7)
		for _, half := range []int{1, 3, 8, 16, 20, 32, 64} {
			for heads := range 4 {
				x := floats(r, heads*2*half, 1)
				cos, sin := make([]float32, half), make([]float32, half)
				for i := range cos {
					s, c := math.Sincos(r.Float64() * 6)
					cos[i], sin[i] = float32(c), float32(s)
				}
				got, plain, want := clone(x), clone(x), wide(x)
				for i := range want {
					j, c, s := i%(2*half)%half, 0.0, 0.0
					c, s = float64(cos[j]), float64(sin[j])
					if i%(2*half) < half {
						want[i] = float64(x[i])*c - float64(x[i+half])*s
					} else {
						want[i] = float64(x[i])*c + float64(x[i-half])*s
					}
				}
				RoPE(got, cos, sin, false)
				ropeGeneric(plain, cos, sin, false)
				checkBound(t, "RoPE", got, plain, want, 1)
				RoPE(got, cos, sin, true)
				checkBound(t, "RoPE there and back", got, x, wide(x), 1)
			}
		}
	})
}

// TestExp walks the range of exp through Softmax's numerators.
func TestExp(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		var x []float32
		for v := -87.0; v < 88; v += 0.00371 {
			x = append(x, float32(v))
		}
		got, want := make([]float32, len(x)), make([]float64, len(x))
		expSumTo(got, x, 0)
		for i, v := range x {
			want[i] = math.Exp(float64(v))
		}
		if e := worst(got, want, 0); e > 2e-7 {
			t.Errorf("relative error of exp is %.3g, want below 2e-7", e)
		}
		inf := float32(math.Inf(1))
		special := []float32{0, -200, -1e30, -inf, 200, 1e30, inf, float32(math.NaN())}
		expSumTo(special, special, 0)
		for i, w := range []float32{1, 0, 0, 0, inf, inf, inf} { // AVX2 stops at the largest number
			if special[i] != w && !(w == inf && special[i] > 3e38) && !(i == 1 && special[i] < 1e-80) {
				t.Errorf("special value %d: got %v, want %v", i, special[i], w)
			}
		}
		if special[7] == special[7] {
			t.Errorf("exp(NaN) = %v", special[7])
		}
	})
}

func TestSoftmaxAndCrossEntropy(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(8)
		for _, n := range []int{1, 2, 15, 16, 17, 63, 100, 1000, chunk + 5} {
			for _, std := range []float64{0, 1, 1e4} {
				x := floats(r, n, std)
				target := r.IntN(n)
				m, sum := float64(maximumGeneric(x)), 0.0
				for _, v := range x {
					sum += math.Exp(float64(v) - m)
				}
				soft, grad := make([]float64, n), make([]float64, n)
				for i, v := range x {
					soft[i] = math.Exp(float64(v)-m) / sum
					grad[i] = 0.25 * soft[i]
				}
				grad[target] -= 0.25
				loss := math.Log(sum) + m - float64(x[target])
				got := make([]float32, n)
				Softmax(got, x)
				if e := worst(got, soft, 1e-6); e > 1e-6 {
					t.Errorf("Softmax of %d, std %g: error %.3g", n, std, e)
				}
				g := clone(x)
				l := CrossEntropy(g, g, target, 0.25)
				if e := worst(g, grad, 1e-6); e > 1e-6 {
					t.Errorf("CrossEntropy gradient of %d, std %g: error %.3g", n, std, e)
				}
				if math.Abs(float64(l)-loss) > 1e-6*max(1, loss) || l != CrossEntropy(nil, x, target, 1) {
					t.Errorf("CrossEntropy of %d, std %g: loss %v, want %v", n, std, l, loss)
				}
			}
		}
	})
}

func TestAdamW(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(9)
		o := AdamWParams{LR: 3e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.5}
		for _, n := range []int{1, 7, 16, 33, 200, chunk + 3} {
			w := floats(r, n, 1)
			plain, want := clone(w), wide(w)
			m, v := make([]float32, n), make([]float32, n)
			pm, pv := make([]float32, n), make([]float32, n)
			m64, v64 := make([]float64, n), make([]float64, n)
			for step := 1; step <= 5; step++ {
				g := floats(r, n, math.Pow(10, float64(step-4)))
				g[0] = 0
				o.Correct1 = float32(1 - math.Pow(float64(o.Beta1), float64(step)))
				o.Correct2 = float32(1 - math.Pow(float64(o.Beta2), float64(step)))
				AdamW(w, g, m, v, o)
				adamWGeneric(plain, g, pm, pv, o)
				for i := range want {
					x, b1, b2 := float64(g[i])*0.5, float64(o.Beta1), float64(o.Beta2)
					m64[i] = b1*m64[i] + (1-b1)*x
					v64[i] = b2*v64[i] + (1-b2)*x*x
					d := math.Sqrt(v64[i]/float64(o.Correct2)) + float64(o.Eps)
					want[i] -= float64(o.LR) * (m64[i]/float64(o.Correct1)/d + float64(o.WeightDecay)*want[i])
				}
				checkBound(t, "AdamW weights", w, plain, want, 1e-2)
				checkBound(t, "AdamW first moment", m, pm, m64, 1e-3)
				checkBound(t, "AdamW second moment", v, pv, v64, 1e-9)
			}
		}
	})
}

// TestPositionIndependence: an element's bits do not depend on where in a
// slice it lies, so callers may cut work as they like.
func TestPositionIndependence(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(10)
		const n = 100
		x, y := floats(r, n, 2), floats(r, n, 1)
		whole := make([]float32, n)
		SwiGLU(whole, x, y)
		for cut := range n {
			parts := make([]float32, n)
			SwiGLU(parts[:cut], x[:cut], y[:cut])
			SwiGLU(parts[cut:], x[cut:], y[cut:])
			for i := range whole {
				if whole[i] != parts[i] {
					t.Fatalf("cut at %d: element %d differs", cut, i)
				}
			}
		}
	})
}
