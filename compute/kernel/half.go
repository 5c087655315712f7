package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
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

// PackedHalf is a right-hand matrix [k, n] of 16-bit floats in panels
// [n/32][k][32], of the size that it has in a file. Of BF16 each 16 columns stand
// in the order 0, 8, 1, 9 ... 15: the lower halves of 32 bits are columns side by
// side, and so are the upper ones.
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
					part[l*tileCols+f.lane(j)] = binary.LittleEndian.Uint16(from[2*l:])
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
func (w *PackedHalf) at(l, j int) int { return (j/tileCols*w.K+l)*tileCols + w.format.lane(j%tileCols) }

// lane is where column j of a panel stands.
func (f HalfFormat) lane(j int) int {
	if f == HalfBF16 {
		return j&16 | j&7<<1 | j>>3&1
	}
	return j
}

// GemmHalf computes c = a*b as GemmPacked does, for a right-hand side of 16-bit
// floats: the bits are those of the product with their float32 values. They are
// widened in registers; nothing is allocated.
func GemmHalf(p *par.Pool, c []float32, ldc int, a Matrix, b *PackedHalf, m int) {
	Matrix{Data: c, Stride: ldc}.check("c", m, b.N)
	a.check("a", m, b.K)
	if a.T {
		panic("kernel: a transposed left side beside 16-bit floats: its rows are read in order")
	}
	if empty(c, ldc, m, b.N, b.K) {
		return
	}
	g := halfPool.Get().(*halfGemm)
	g.run(p, c, ldc, a, b, m)
	halfPool.Put(g)
	runtime.KeepAlive(b)
}

const (
	halfRows = 3    // rows of a call of the kernel
	halfDeep = 2048 // k of a call where rows are many: 128 KiB of a panel stay in L2
)

// halfArgs are the operands of a call of the kernel: at most halfRows rows and a
// panel; strides are in floats.
type halfArgs struct {
	rows, k int
	a       *float32
	rs      int
	b       *uint16
	c       []float32
	ldc     int
	add     bool
}

// halfGemm is a product in progress. As gemm it is reused, so that a product
// allocates nothing.
type halfGemm struct {
	tier     tier
	a        Matrix
	b        *PackedHalf
	c        []float32
	ldc, m   int
	multiply func(panel int)
}

var halfPool = sync.Pool{New: func() any { return newHalfGemm(level()) }}

func newHalfGemm(t tier) *halfGemm {
	g := &halfGemm{tier: t}
	g.multiply = g.multiplyPanel
	return g
}

func (g *halfGemm) run(p *par.Pool, c []float32, ldc int, a Matrix, b *PackedHalf, m int) {
	g.a, g.b, g.c, g.ldc, g.m = a, b, c, ldc, m
	p.Run(ceilDiv(b.N, tileCols), g.multiply)
	*g = halfGemm{tier: g.tier, multiply: g.multiply} // hold on to no memory
}

// multiplyPanel computes 32 columns. Between steps of k sums rest in c.
func (g *halfGemm) multiplyPanel(i int) {
	deep, slivers := g.b.K, ceilDiv(g.m, halfRows)
	if slivers > 1 {
		deep = min(deep, halfDeep)
	}
	x, cols := halfArgs{rs: g.a.Stride, ldc: g.ldc}, min(tileCols, g.b.N-i*tileCols)
	for k := 0; k < g.b.K; k += deep {
		x.k, x.b, x.add = min(deep, g.b.K-k), &g.b.panel(i, k)[0], k > 0
		for s := range slivers {
			r := s * g.m / slivers // slivers differ by one row at most
			x.rows, x.a, x.c = (s+1)*g.m/slivers-r, &g.a.Data[r*g.a.Stride+k], g.c[r*g.ldc+i*tileCols:]
			runHalf(g.tier, g.b.format, &x, cols)
		}
	}
}

// runHalf computes some rows of a panel, of which only the first cols columns
// are there. It is not inlined for the reason given at runTile.
//
//go:noinline
func runHalf(t tier, f HalfFormat, x *halfArgs, cols int) {
	if cols == tileCols {
		halfTile(t, f, x)
		return
	}
	// Whole in a buffer: the padding has no place in c.
	var buf [halfRows * tileCols]float32
	y := *x
	y.c, y.ldc = buf[:], tileCols
	for i := range x.rows {
		copy(buf[i*tileCols:], x.c[i*x.ldc:][:cols])
	}
	halfTile(t, f, &y)
	for i := range x.rows {
		copy(x.c[i*x.ldc:][:cols], buf[i*tileCols:])
	}
}

// halfTileGeneric is the kernel's contract in plain Go, but that it rounds twice,
// as the generic tier of Gemm does.
func halfTileGeneric(f HalfFormat, x *halfArgs) {
	b := unsafe.Slice(x.b, x.k*tileCols)
	for i := range x.rows {
		a := unsafe.Slice(offset(x.a, i*x.rs), x.k)
		for j := range tileCols {
			var sum float32
			if x.add {
				sum = x.c[i*x.ldc+j]
			}
			at := f.lane(j)
			for l, v := range a {
				sum += float32(v * f.widen(b[l*tileCols+at]))
			}
			x.c[i*x.ldc+j] = sum
		}
	}
}
