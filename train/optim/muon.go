package optim

import (
	"math"

	"weft/compute/kernel"
)

// The constants of Muon (Jordan 2024): momentum, and the quintic whose
// iteration drives singular values towards 1.
const (
	muonMomentum = 0.95
	muonSteps    = 5
	quinticA     = 3.4445
	quinticB     = -4.7750
	quinticC     = 2.0315

	// muonRMS makes an update as large as AdamW's are, so that both share one
	// learning rate and one weight decay (Liu 2025, "Muon is scalable").
	muonRMS = 0.2
)

// muon updates matrices, each on one thread:
//
//	gradient -> momentum (Nesterov) -> nearly orthogonal: its singular values made about 1
//	         -> weights -= rate * (0.2 sqrt(max(rows, cols)) * that + decay * weights)
//
// It holds the memory of one thread's iteration, for the largest matrix.
type muon struct {
	x, y []float32 // [short, long]: the iterate, and the next
	a, b []float32 // [short, short]
}

func newMuon(params []Param, matrices []int) *muon {
	area, square := 0, 0
	for _, i := range matrices {
		v := params[i].Value
		area, square = max(area, len(v.Data)), max(square, min(v.Rows, v.Cols))
	}
	return &muon{make([]float32, area), make([]float32, area), make([]float32, square*square), make([]float32, square*square)}
}

// update makes the step of one matrix and clears its gradient.
func (u *muon) update(p Param, m []float32, o kernel.AdamWParams) {
	v := p.Value
	x := u.x[:len(m)]
	for i, g := range v.Grad {
		g *= o.GradScale
		m[i] += (1 - muonMomentum) * (g - m[i])
		x[i] = g + muonMomentum*(m[i]-g) // Nesterov's look ahead
	}
	clear(v.Grad)
	x = u.orthogonal(x, v.Rows, v.Cols)
	decay := float32(0)
	if p.Decay {
		decay = o.LR * o.WeightDecay
	}
	rate := o.LR * float32(muonRMS*math.Sqrt(float64(max(v.Rows, v.Cols))))
	for i := range v.Data {
		v.Data[i] -= rate*x[i] + decay*v.Data[i]
	}
}

// orthogonal returns x [rows, cols] with singular values between about 0.7 and
// 1.2: five times x <- a x + (b s + c s^2) x, s = x x^T of the shorter side.
// What it returns is memory of u.
func (u *muon) orthogonal(x []float32, rows, cols int) []float32 {
	norm := float32(math.Sqrt(kernel.SumSquares(x))) + 1e-7
	for i := range x {
		x[i] /= norm
	}
	y := u.y[:len(x)]
	n := min(rows, cols)
	wide := rows <= cols
	a, b := u.a[:n*n], u.b[:n*n]
	for range muonSteps {
		plain, flipped := kernel.Matrix{Data: x, Stride: cols}, kernel.Matrix{Data: x, Stride: cols, T: true}
		if wide {
			kernel.Gemm(nil, a, n, plain, flipped, n, n, cols, false)
		} else {
			kernel.Gemm(nil, a, n, flipped, plain, n, n, rows, false)
		}
		square := kernel.Matrix{Data: a, Stride: n}
		kernel.Gemm(nil, b, n, square, square, n, n, n, false)
		for i := range b {
			b[i] = quinticB*a[i] + quinticC*b[i]
		}
		for i := range n {
			b[i*n+i] += quinticA
		}
		factor := kernel.Matrix{Data: b, Stride: n}
		if wide {
			kernel.Gemm(nil, y, cols, factor, plain, n, cols, n, false)
		} else {
			kernel.Gemm(nil, y, cols, plain, factor, rows, n, n, false)
		}
		x, y = y, x
	}
	return x
}
