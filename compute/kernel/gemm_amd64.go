//go:build amd64 && !purego

package kernel

//go:generate go run -C _asm ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel

// tile calls the tier's micro-kernel.
func tile(t tier, x *tileArgs) {
	switch t {
	case avx512:
		tile512(x.rows, x.k, x.a, 4*x.rs, 4*x.cs, x.b, 4*x.bs, x.c, 4*x.ldc, uint32(uint64(1)<<x.cols-1), x.add, x.ahead, ceilDiv(x.fetch, x.k))
	case avx2:
		tile2(x.rows, x.k, x.a, 4*x.rs, 4*x.cs, x.b, 4*x.bs, x.c, 4*x.ldc, &laneMask[widthAVX2-x.cols], x.cols == widthAVX2, x.add, x.ahead, ceilDiv(x.fetch, ceilDiv(x.rows, rowsAVX2)*x.k))
	default:
		tileGeneric(x)
	}
}

// The AVX2 micro-kernel has half the columns and goes through any number of rows,
// six at a time.
const (
	widthAVX2 = tileCols / 2
	rowsAVX2  = 6
)

// laneMask[widthAVX2-n:] is a mask of n columns.
var laneMask = [2 * widthAVX2]int32{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// packDepth is the k that is packed for all lanes of a strip before the next:
// long enough to read each lane as a stream, short enough that the part of the
// panel being filled, 256 KiB, stays in L2.
const packDepth = 2048

// packStrip writes dst[k][width] from the lanes of src. Lanes from count on are
// padding that nobody looks at.
func packStrip(t tier, dst []float32, width int, src lanes, count, k int) {
	if t == generic || k < 8 {
		packGeneric(dst, width, src, count, k)
		return
	}
	for k0 := 0; k0 < k; k0 += packDepth {
		part := lanes{src.data[k0*src.along:], src.unit, src.along}
		packPart(dst[k0*width:], width, part, count, min(packDepth, k-k0))
	}
}

// packPart packs lanes that lie side by side, or lanes that lie along k: those
// are transposed, eight or four at a time, with the last one again where lanes
// are missing. It is not inlined, for the reason given at runTile.
//
//go:noinline
func packPart(dst []float32, width int, src lanes, count, k int) {
	if src.unit == 1 {
		copyLanes(dst, width, src, count, k)
		return
	}
	lane := func(i int) *float32 { return &src.data[min(i, count-1)*src.unit] }
	n := k / 8
	for r := 0; r < width && n > 0; r += 8 {
		if r+8 > width {
			transpose4(&dst[r], 4*width, lane(r), lane(r+1), lane(r+2), lane(r+3), n)
			break
		}
		transpose8(&dst[r], 4*width, lane(r), lane(r+1), lane(r+2), lane(r+3), lane(r+4), lane(r+5), lane(r+6), lane(r+7), n)
	}
	if done := 8 * n; done < k {
		packGeneric(dst[done*width:], width, lanes{src.data[done:], src.unit, src.along}, count, k-done)
	}
}

// copyLanes packs lanes that lie side by side. Where some are missing, what
// comes behind the others in the data is the padding.
func copyLanes(dst []float32, width int, src lanes, count, k int) {
	n := k
	if count < width {
		n = max(0, min(k, (len(src.data)-width+src.along)/src.along))
	}
	switch {
	case n == 0:
	case width == tileRows:
		copy12(&dst[0], &src.data[0], 4*src.along, n)
	default:
		copy32(&dst[0], &src.data[0], 4*src.along, n)
	}
	if n < k {
		packGeneric(dst[n*width:], width, lanes{src.data[n*src.along:], 1, src.along}, count, k-n)
	}
}

// fmaBurst runs about 25 us of fused multiply-adds and returns their number of
// floating-point operations.
func fmaBurst(t tier) int64 {
	const n = 4000
	switch t {
	case avx512:
		fma512(n)
		return n * 24 * 16 * 2
	case avx2:
		fma2(n)
		return n * 12 * 8 * 2
	}
	return fmaGeneric()
}

// readBurst reads x, whose length is a multiple of 128.
func readBurst(t tier, x []float32) {
	switch t {
	case avx512:
		stream512(&x[0], len(x)/128)
	case avx2:
		stream2(&x[0], len(x)/128)
	default:
		readGeneric(x)
	}
}
