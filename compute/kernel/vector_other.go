//go:build !amd64 || purego

package kernel

func dot(x, y []float32) float32            { return dotGeneric(x, y) }
func axpy(a float32, x, y []float32)        { axpyGeneric(a, x, y) }
func add(dst, x, y []float32)               { addGeneric(dst, x, y) }
func scale(a float32, x []float32)          { scaleGeneric(a, x) }
func sumSquares(x []float32) float64        { return sumSquaresGeneric(x) }
func swiGLU(dst, gate, up []float32)        { swiGLUGeneric(dst, gate, up) }
func maximum(x []float32) float32           { return maximumGeneric(x) }
func expSum(x []float32, s float32) float64 { return expSumGeneric(x, s) }

func rmsNorm(dst, x, gain []float32, eps float32) float32 { return rmsNormGeneric(dst, x, gain, eps) }

func rmsNormBackward(dx, dgain, dy, x, gain []float32, inv float32) {
	rmsNormBackwardGeneric(dx, dgain, dy, x, gain, inv)
}

func swiGLUBackward(dgate, dup, dy, gate, up []float32) {
	swiGLUBackwardGeneric(dgate, dup, dy, gate, up)
}

func rope(x, cos, sin []float32, invert bool) { ropeGeneric(x, cos, sin, invert) }

func expSumTo(dst, x []float32, shift float32) float64 { return expSumToGeneric(dst, x, shift) }

func adamW(w, g, m, v []float32, o AdamWParams) { adamWGeneric(w, g, m, v, o) }
