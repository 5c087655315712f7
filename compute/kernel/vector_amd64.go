//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go run -C _asm ./vector -out ../vector_amd64.s -stubs ../vector_stubs_amd64.go -pkg kernel

// at is the address of the first element; the assembly touches no memory when
// the length is zero.
func at(x []float32) *float32 { return unsafe.SliceData(x) }

func dot(x, y []float32) float32 {
	switch level() {
	case avx512:
		return dotAVX512(at(x), at(y), len(x))
	case avx2:
		return dotAVX2(at(x), at(y), len(x))
	}
	return dotGeneric(x, y)
}

func axpy(a float32, x, y []float32) {
	switch level() {
	case avx512:
		axpyAVX512(a, at(x), at(y), len(x))
	case avx2:
		axpyAVX2(a, at(x), at(y), len(x))
	default:
		axpyGeneric(a, x, y)
	}
}

func add(dst, x, y []float32) {
	switch level() {
	case avx512:
		addAVX512(at(dst), at(x), at(y), len(dst))
	case avx2:
		addAVX2(at(dst), at(x), at(y), len(dst))
	default:
		addGeneric(dst, x, y)
	}
}

func scale(a float32, x []float32) {
	switch level() {
	case avx512:
		scaleAVX512(a, at(x), len(x))
	case avx2:
		scaleAVX2(a, at(x), len(x))
	default:
		scaleGeneric(a, x)
	}
}

// sumSquares hands whole groups of 16 to the assembly.
func sumSquares(x []float32) float64 {
	n := len(x) &^ 15
	switch level() {
	case avx512:
		return sumSquaresAVX512(at(x), n) + sumSquaresGeneric(x[n:])
	case avx2:
		return sumSquaresAVX2(at(x), n) + sumSquaresGeneric(x[n:])
	}
	return sumSquaresGeneric(x)
}

func rmsNorm(dst, x, gain []float32, eps float32) float32 {
	switch level() {
	case avx512:
		return rmsNormAVX512(at(dst), at(x), at(gain), len(x), eps)
	case avx2:
		return rmsNormAVX2(at(dst), at(x), at(gain), len(x), eps)
	}
	return rmsNormGeneric(dst, x, gain, eps)
}

func rmsNormBackward(dx, dgain, dy, x, gain []float32, inv float32) {
	switch level() {
	case avx512:
		rmsNormBackwardAVX512(at(dx), at(dgain), at(dy), at(x), at(gain), len(x), inv)
	case avx2:
		rmsNormBackwardAVX2(at(dx), at(dgain), at(dy), at(x), at(gain), len(x), inv)
	default:
		rmsNormBackwardGeneric(dx, dgain, dy, x, gain, inv)
	}
}

func swiGLU(dst, gate, up []float32) {
	switch level() {
	case avx512:
		swiGLUAVX512(at(dst), at(gate), at(up), len(dst))
	case avx2:
		swiGLUAVX2(at(dst), at(gate), at(up), len(dst))
	default:
		swiGLUGeneric(dst, gate, up)
	}
}

func swiGLUBackward(dgate, dup, dy, gate, up []float32) {
	switch level() {
	case avx512:
		swiGLUBackwardAVX512(at(dgate), at(dup), at(dy), at(gate), at(up), len(dy))
	case avx2:
		swiGLUBackwardAVX2(at(dgate), at(dup), at(dy), at(gate), at(up), len(dy))
	default:
		swiGLUBackwardGeneric(dgate, dup, dy, gate, up)
	}
}

func rope(x, cos, sin []float32, invert bool) {
	half, flip := len(cos), uint32(0)
	if invert {
		flip = 1 << 31
	}
	switch level() {
	case avx512:
		ropeAVX512(at(x), at(cos), at(sin), half, len(x)/(2*half), flip)
	case avx2:
		ropeAVX2(at(x), at(cos), at(sin), half, len(x)/(2*half), flip)
	default:
		ropeGeneric(x, cos, sin, invert)
	}
}

// maximum leaves short slices to Go: the assembly reads whole vectors.
func maximum(x []float32) float32 {
	switch {
	case len(x) < 16:
	case level() == avx512:
		return maximumAVX512(at(x), len(x))
	case level() == avx2:
		return maximumAVX2(at(x), len(x))
	}
	return maximumGeneric(x)
}

func expSum(x []float32, shift float32) float64 {
	switch level() {
	case avx512:
		return float64(expSumAVX512(at(x), len(x), shift))
	case avx2:
		return float64(expSumAVX2(at(x), len(x), shift))
	}
	return expSumGeneric(x, shift)
}

func expSumTo(dst, x []float32, shift float32) float64 {
	switch level() {
	case avx512:
		return float64(expSumToAVX512(at(dst), at(x), len(x), shift))
	case avx2:
		return float64(expSumToAVX2(at(dst), at(x), len(x), shift))
	}
	return expSumToGeneric(dst, x, shift)
}

func adamW(w, g, m, v []float32, o AdamWParams) {
	if level() == generic {
		adamWGeneric(w, g, m, v, o)
		return
	}
	s := [9]float32{o.GradScale, o.Beta1, 1 - o.Beta1, o.Beta2, 1 - o.Beta2, 1 / o.Correct2, o.Eps,
		o.LR / o.Correct1, o.LR * o.WeightDecay}
	if level() == avx512 {
		adamWAVX512(at(w), at(g), at(m), at(v), len(w), &s)
	} else {
		adamWAVX2(at(w), at(g), at(m), at(v), len(w), &s)
	}
}
