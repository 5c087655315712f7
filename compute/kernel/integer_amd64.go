//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go run -C _asm ./integer -out ../integer_amd64.s -stubs ../integer_stubs_amd64.go -pkg kernel

// intCode is the assembly for a format: products with panels as they are laid
// out; where it pays, the spreading of panels and products with those.
type intCode struct {
	tile, many func(rows, panels, blocks int, x *byte, xs int, w *byte, ws int, c *float32, ldc int, add bool)
	spread     func(dst, w *byte, blocks int)
}

var intCodes = [...]intCode{
	IntQ4_0: {tile: q4rows},
	IntQ4_1: {tile: q41rows},
	IntQ5_0: {q5rows, s5rows, q5rowsSpread},
	IntQ5_1: {q51rows, s51rows, q51rowsSpread},
	IntQ8_0: {tile: q8rows},
	IntQ4_K: {tile: k4rows},
	IntQ5_K: {k5rows, s51rows, k5rowsSpread},
	IntQ6_K: {k6rows, s6rows, k6rowsSpread},
}

// intTile computes some tiles.
func intTile(t tier, f *intForm, x *intArgs) {
	if t == generic {
		intTileGeneric(f, x)
		return
	}
	tile := intCodes[f.format].tile
	if x.spread {
		tile = intCodes[f.format].many
	}
	tile(x.rows, x.panels, x.deep, x.x, x.xs, x.w, x.ws, &x.c[0], 4*x.ldc, x.add)
}

// spreadPanel lays out blocks of a panel for many rows. It is not inlined for the
// reason given at runTile.
//
//go:noinline
func spreadPanel(f *intForm, dst, w []byte, blocks int) {
	intCodes[f.format].spread(&dst[0], &w[0], blocks)
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
