package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"weft/compute/par"
)

// HalfFormat is a format of 16-bit floats whose weights take part in products
// as the float32 numbers that they are. The number is the type id in GGUF files.
type HalfFormat uint8

// The formats: IEEE binary16, and the upper half of a float32.
const (
	HalfF16  HalfFormat = 1
	HalfBF16 HalfFormat = 30
)

// Valid reports whether f is one of the constants.
func (f HalfFormat) Valid() bool { return f == HalfF16 || f == HalfBF16 }

// widen is the value of one number.
func (f HalfFormat) widen(h uint16) float32 {
	if f == HalfBF16 {
		return math.Float32frombits(uint32(h) << 16)
	}
	var b [2]byte
	binary.LittleEndian.PutUint16(b[:], h)
	return half(b[:])
}

// PackedHalf is a right-hand matrix [k, n] of 16-bit floats in the panels of
// Packed, [n/32][k][32], half as large.
type PackedHalf struct {
	K, N   int
	format HalfFormat
	data   []uint16
}

// PackHalf lays out a matrix that is stored by columns of b: column j is the k
// numbers, little-endian, that column returns. The workers of p call it, each for
// its share. Large matrices live outside the Go heap, on huge pages, until the
// result is garbage.
func PackHalf(p *par.Pool, f HalfFormat, k, n int, column func(j int) []byte) *PackedHalf {
	if !f.Valid() || k < 0 || n < 0 {
		panic(fmt.Sprintf("kernel: a matrix [%d, %d] of 16-bit floats of type id %d, want 1 or 30", k, n, uint8(f)))
	}
	w := &PackedHalf{K: k, N: n, format: f}
	panels := ceilDiv(n, tileCols)
	if size := panels * tileCols * k; size > 0 {
		w.data = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(alloc(w, size/2)))), size)
	}
	p.Run(panels, func(i int) {
		var src [tileCols][]byte
		cols := min(tileCols, n-i*tileCols)
		for j := range cols {
			if src[j] = column(i*tileCols + j); len(src[j]) != 2*k {
				panic(fmt.Sprintf("kernel: %d bytes of 16-bit floats for column %d of a matrix [%d, %d], want %d", len(src[j]), i*tileCols+j, k, n, 2*k))
			}
		}
		const deep = 256 // a part of the panel that stays in L1
		for k0 := 0; k0 < k; k0 += deep {
			part := w.panel(i, k0)
			for j := range cols {
				from := src[j][2*k0:]
				for l := range min(deep, k-k0) {
					part[l*tileCols+j] = binary.LittleEndian.Uint16(from[2*l:])
				}
			}
		}
	})
	return w
}

// panel is panel i from depth k on.
func (w *PackedHalf) panel(i, k int) []uint16 {
	return w.data[(i*w.K+k)*tileCols : (i+1)*w.K*tileCols]
}

// Format is the format of the numbers.
func (w *PackedHalf) Format() HalfFormat { return w.format }

// Bytes is the memory that the packed matrix takes.
func (w *PackedHalf) Bytes() int { return 2 * len(w.data) }

// Column writes column j of the matrix, K values, into dst.
func (w *PackedHalf) Column(dst []float32, j int) {
	if len(dst) != w.K || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d values of a matrix [%d, %d]", j, len(dst), w.K, w.N))
	}
	for l := range dst {
		dst[l] = w.format.widen(w.data[w.at(l, j)])
	}
}

// Blocks writes column j as PackHalf was given it into dst.
func (w *PackedHalf) Blocks(dst []byte, j int) {
	if len(dst) != 2*w.K || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d bytes of a matrix [%d, %d]", j, len(dst), w.K, w.N))
	}
	for l := range w.K {
		binary.LittleEndian.PutUint16(dst[2*l:], w.data[w.at(l, j)])
	}
}

// at is where element (l, j) is.
func (w *PackedHalf) at(l, j int) int { return (j/tileCols*w.K+l)*tileCols + j%tileCols }

// GemmHalf is GemmPacked with a right-hand side of 16-bit floats: the bits are
// those of the product with their float32 values. For few rows they are widened
// in registers; for many, panel by panel into scratch memory.
func GemmHalf(p *par.Pool, c []float32, ldc int, a Matrix, b *PackedHalf, m int) {
	if a.T {
		panic("kernel: a transposed left side beside 16-bit floats: its rows are read in order")
	}
	runGemm(p, gemmCall{c: c, ldc: ldc, a: a, half: b, m: m, n: b.N, k: b.K})
	runtime.KeepAlive(b)
}

const (
	halfRows = 3  // rows of a call of the kernel for few
	halfFew  = 24 // rows up to which it is the faster one
)

// few says whether the whole product is one of few rows with 16-bit floats.
func (g *gemm) few() bool { return g.half != nil && g.m <= halfFew && g.tier != generic }

// multiplyFew multiplies few rows with panel i.
func (g *gemm) multiplyFew(i int) {
	cols := min(tileCols, g.n-i*tileCols)
	for r := 0; r < g.m; r += halfRows {
		runHalf(g.half.format, min(halfRows, g.m-r), g.k, &g.a.Data[r*g.a.Stride], g.a.Stride, &g.half.panel(i, 0)[0], g.c[r*g.ldc+i*tileCols:], g.ldc, cols)
	}
}

// runHalf computes some rows of a panel, of which only the first cols columns
// are there. It is not inlined for the reason given at runTile.
//
//go:noinline
func runHalf(f HalfFormat, rows, k int, a *float32, stride int, b *uint16, c []float32, ldc, cols int) {
	if cols == tileCols {
		fewRows(f, rows, k, a, stride, b, &c[0], ldc)
		return
	}
	// The padding has no place in c.
	var buf [halfRows * tileCols]float32
	fewRows(f, rows, k, a, stride, b, &buf[0], tileCols)
	for i := range rows {
		copy(c[i*ldc:][:cols], buf[i*tileCols:])
	}
}

// widenGeneric converts src to as many float32 numbers.
func widenGeneric(f HalfFormat, dst []float32, src []uint16) {
	for i := range dst {
		dst[i] = f.widen(src[i])
	}
}
