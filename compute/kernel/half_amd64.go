//go:build amd64 && !purego

package kernel

//go:generate go run -C _asm ./half -out ../half_amd64.s -stubs ../half_asm_amd64.go -pkg kernel

// fewRows sets c [rows, 32] to the product of rows <= halfRows of a and a panel.
func fewRows(f HalfFormat, rows, k int, a *float32, stride int, b *uint16, c *float32, ldc int) {
	if f == HalfBF16 {
		fewBF16(rows, k, a, 4*stride, b, c, 4*ldc)
		return
	}
	fewF16(rows, k, a, 4*stride, b, c, 4*ldc)
}

// widenPanel converts whole steps of a panel. It is not inlined for the reason
// given at runTile.
//
//go:noinline
func widenPanel(t tier, f HalfFormat, dst []float32, src []uint16) {
	switch steps := len(dst) / tileCols; {
	case t == generic:
		widenGeneric(f, dst, src)
	case f == HalfBF16:
		widenBF16(&dst[0], &src[0], steps)
	default:
		widenF16(&dst[0], &src[0], steps)
	}
}
