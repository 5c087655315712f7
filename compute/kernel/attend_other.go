//go:build !amd64 || purego

package kernel

func attend(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
	attendGeneric(out, q, lse, blocks, n, pos, kv, s)
}

func attendBackward(dq, dk, dv, dout, q, k, v, out, lse []float32, n, kv int, s AttnSpec) {
	attendBackwardGeneric(dq, dk, dv, dout, q, k, v, out, lse, n, kv, s)
}

func transpose(dst, src []float32, stride, dim int) {
	transposeGeneric(dst, src, stride, BlockLen, dim)
}

func hadamard(x []float32) { hadamardGeneric(x) }
