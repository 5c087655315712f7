//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go run -C _asm ./integer -out ../integer_amd64.s -stubs ../integer_asm_amd64.go -pkg kernel

// intTile computes some tiles.
func intTile(t tier, f *intForm, x *intArgs) {
	if t == generic {
		intTileGeneric(f, x)
		return
	}
	tile := q8rows
	switch f {
	case &intForms[IntQ4_0]:
		tile = q4rows
	case &intForms[IntQ4_1]:
		tile = q41rows
	case &intForms[IntQ5_0]:
		tile = q5rows
	case &intForms[IntQ5_1]:
		tile = q51rows
	case &intForms[IntQ4_K]:
		tile = k4rows
	case &intForms[IntQ5_K]:
		tile = k5rows
	case &intForms[IntQ6_K]:
		tile = k6rows
	}
	tile(x.rows, x.panels, x.deep, x.x, x.xs, x.w, x.ws, &x.c[0], 4*x.ldc, x.add)
}

// roundBlocks rounds whole blocks of activations. It is not inlined for the
// reason given at runTile.
//
//go:noinline
func roundBlocks(t tier, wide bool, dst []byte, x []float32) {
	switch {
	case t == generic:
		roundGeneric(wide, dst, x)
	case wide:
		round16(&dst[0], &x[0], len(x)/intBlock)
	default:
		round8(&dst[0], &x[0], len(x)/intBlock)
	}
}

// intBurst runs about 25 us of the multiplications and additions that products
// with 8-bit or 4-bit weights consist of, and returns the number of operations.
func intBurst(t tier, wide bool) int64 {
	const n = 4000
	switch {
	case t == generic:
		return intBurstGeneric()
	case wide:
		peak16(n)
		return n * 12 * 16 * 2
	}
	peak8(n)
	return n * 12 * 32 * 2
}

// The records and panels are what the assembly was generated for.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(record16{})-68]
	_ = [1]struct{}{}[unsafe.Sizeof(record8{})-52]
)
