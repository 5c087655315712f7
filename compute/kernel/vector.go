package kernel

import "math"

// chunk is how many elements one assembly call works on at most: assembly
// cannot be preempted, so calls are kept well below 200 us. Sums add the
// partial sums of chunks in order.
const chunk = 1 << 15

// Dot returns the sum of x[i]*y[i].
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	var s float32
	for len(x) > chunk {
		s += dot(x[:chunk], y[:chunk])
		x, y = x[chunk:], y[chunk:]
	}
	return s + dot(x, y)
}

func dotGeneric(x, y []float32) float32 {
	var s float32
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// Axpy adds a*x to y.
func Axpy(a float32, x, y []float32) {
	for y = y[:len(x)]; len(x) > chunk; x, y = x[chunk:], y[chunk:] {
		axpy(a, x[:chunk], y[:chunk])
	}
	axpy(a, x, y)
}

func axpyGeneric(a float32, x, y []float32) {
	for i, v := range x {
		y[i] += a * v
	}
}

// Add sets dst to x + y; dst may be either.
func Add(dst, x, y []float32) {
	for from := 0; from < len(dst); from += chunk {
		to := min(from+chunk, len(dst))
		add(dst[from:to], x[from:to], y[from:to])
	}
}

func addGeneric(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

// Scale multiplies x by a.
func Scale(a float32, x []float32) {
	for ; len(x) > chunk; x = x[chunk:] {
		scale(a, x[:chunk])
	}
	scale(a, x)
}

func scaleGeneric(a float32, x []float32) {
	for i := range x {
		x[i] *= a
	}
}

// SumSquares returns the sum of x[i]^2 in float64, for norms.
func SumSquares(x []float32) float64 {
	var s float64
	for ; len(x) > chunk; x = x[chunk:] {
		s += sumSquares(x[:chunk])
	}
	return s + sumSquares(x)
}

func sumSquaresGeneric(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// RMSNorm sets dst = x * inv * gain with inv = 1/sqrt(mean(x^2) + eps), and
// returns inv, which the backward needs (Zhang & Sennrich 2019). dst may be x.
func RMSNorm(dst, x, gain []float32, eps float32) (inv float32) {
	n := len(x)
	return rmsNorm(dst[:n], x, gain[:n], eps)
}

func rmsNormGeneric(dst, x, gain []float32, eps float32) (inv float32) {
	inv = 1 / float32(math.Sqrt(float64(dotGeneric(x, x)/float32(len(x))+eps)))
	for i, v := range x {
		dst[i] = v * inv * gain[i]
	}
	return inv
}

// RMSNormBackward adds to dx and dgain the gradient of one row given dy.
func RMSNormBackward(dx, dgain, dy, x, gain []float32, inv float32) {
	n := len(dy)
	rmsNormBackward(dx[:n], dgain[:n], dy, x[:n], gain[:n], inv)
}

func rmsNormBackwardGeneric(dx, dgain, dy, x, gain []float32, inv float32) {
	var s float32
	for i, g := range dy {
		dgain[i] += g * x[i] * inv
		s += g * gain[i] * x[i]
	}
	s *= inv * inv * inv / float32(len(x))
	for i, g := range dy {
		dx[i] += g*gain[i]*inv - x[i]*s
	}
}

// SwiGLU sets dst = silu(gate) * up (Shazeer 2020). dst may be gate or up.
func SwiGLU(dst, gate, up []float32) {
	for from := 0; from < len(gate); from += chunk {
		to := min(from+chunk, len(gate))
		swiGLU(dst[from:to], gate[from:to], up[from:to])
	}
}

func swiGLUGeneric(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = g / (1 + float32(math.Exp(float64(-g)))) * up[i]
	}
}

// SwiGLUBackward sets dgate and dup to the gradient given dy. They may be gate
// and up.
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	for from := 0; from < len(gate); from += chunk {
		to := min(from+chunk, len(gate))
		swiGLUBackward(dgate[from:to], dup[from:to], dy[from:to], gate[from:to], up[from:to])
	}
}

func swiGLUBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	for i, g := range gate {
		s := 1 / (1 + float32(math.Exp(float64(-g))))
		dgate[i], dup[i] = dy[i]*up[i]*s*(1+g*(1-s)), dy[i]*g*s
	}
}

// RoPE rotates, in place, each head of one row: with half = len(cos), the pair
// (x[i], x[i+half]) turns by the angle of cos[i], sin[i] (Su 2021, the
// half-split order of Hugging Face). The inverse, for the backward, is the
// same call with sin negated by invert. len(x) is a multiple of 2*half.
func RoPE(x, cos, sin []float32, invert bool) {
	half := len(cos)
	if len(sin) < half || half == 0 && len(x) > 0 || half > 0 && len(x)%(2*half) != 0 {
		panic("kernel: RoPE needs whole heads of 2*len(cos) values, and one sin per cos")
	}
	if len(x) > 0 {
		rope(x, cos, sin, invert)
	}
}

func ropeGeneric(x, cos, sin []float32, invert bool) {
	half := len(cos)
	for ; len(x) > 0; x = x[2*half:] {
		a, b := x[:half], x[half:2*half]
		for i, c := range cos {
			s := sin[i]
			if invert {
				s = -s
			}
			a[i], b[i] = a[i]*c-b[i]*s, b[i]*c+a[i]*s
		}
	}
}

// maxOf returns the largest of x, which is not empty.
func maxOf(x []float32) float32 {
	m := x[0]
	for ; len(x) > chunk; x = x[chunk:] {
		m = max(m, maximum(x[:chunk]))
	}
	if len(x) > 0 {
		m = max(m, maximum(x))
	}
	return m
}

func maximumGeneric(x []float32) float32 {
	m := x[0]
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

// expSumAll returns the sum of exp(x[i]-shift) and, unless dst is nil, leaves
// the exponentials in dst, which may be x.
func expSumAll(dst, x []float32, shift float32) float64 {
	var s float64
	for from := 0; from < len(x); from += chunk {
		to := min(from+chunk, len(x))
		if dst == nil {
			s += expSum(x[from:to], shift)
		} else {
			s += expSumTo(dst[from:to], x[from:to], shift)
		}
	}
	return s
}

func expSumGeneric(x []float32, shift float32) float64 {
	var s float64
	for _, v := range x {
		s += math.Exp(float64(v - shift))
	}
	return s
}

func expSumToGeneric(dst, x []float32, shift float32) float64 {
	var s float64
	for i, v := range x {
		e := math.Exp(float64(v - shift))
		dst[i] = float32(e)
		s += e
	}
	return s
}

// LogSumExp returns max(x) + log(sum(exp(x - max(x)))).
func LogSumExp(x []float32) float32 {
	m := maxOf(x)
	return m + float32(math.Log(expSumAll(nil, x, m)))
}

// Softmax sets dst = exp(x) / sum(exp(x)) and returns the log of that sum.
// dst may be x.
func Softmax(dst, x []float32) (lse float32) {
	m := maxOf(x)
	sum := expSumAll(dst, x, m)
	Scale(float32(1/sum), dst[:len(x)])
	return m + float32(math.Log(sum))
}

// CrossEntropy returns -log softmax(logits)[target] and, when grad is not nil,
// sets grad = scale * (softmax(logits) - onehot(target)); grad may be logits.
func CrossEntropy(grad, logits []float32, target int, scale float32) (loss float32) {
	m, at := maxOf(logits), logits[target]
	if grad != nil {
		grad = grad[:len(logits)]
	}
	sum := expSumAll(grad, logits, m)
	if grad != nil {
		Scale(float32(float64(scale)/sum), grad)
		grad[target] -= scale
	}
	return float32(math.Log(sum) + float64(m) - float64(at))
}

// AdamWParams are the scalars of one AdamW step (Loshchilov & Hutter 2019).
type AdamWParams struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	Correct1, Correct2                 float32 // 1 - beta^t
	GradScale                          float32 // multiplies the gradient first (clipping)
}

// AdamW updates weights w and moments m, v from gradient g, in one pass:
// w -= lr * (mhat / (sqrt(vhat) + eps) + weightDecay * w).
func AdamW(w, g, m, v []float32, o AdamWParams) {
	for from := 0; from < len(w); from += chunk {
		to := min(from+chunk, len(w))
		adamW(w[from:to], g[from:to], m[from:to], v[from:to], o)
	}
}

func adamWGeneric(w, g, m, v []float32, o AdamWParams) {
	for i := range w {
		x := g[i] * o.GradScale
		m[i] = o.Beta1*m[i] + (1-o.Beta1)*x
		v[i] = o.Beta2*v[i] + (1-o.Beta2)*x*x
		d := float32(math.Sqrt(float64(v[i]/o.Correct2))) + o.Eps
		w[i] -= o.LR * (m[i]/o.Correct1/d + o.WeightDecay*w[i])
	}
}
