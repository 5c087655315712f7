package kernel

import (
	"fmt"
	"unsafe"
)

// Block8 is how many values along k share a scale in a Packed8.
const Block8 = 32

// Packed8 is a right-hand matrix [k, n] in 8 bits: integers times a scale per
// block, in the panels that the micro-kernel reads.
//
//	q: panels [n/32][k][32] int8     d: [n/32][k/32][32] float32
//
// The value q*d is exact in float32 when d comes from a float16 (8 bits times
// 11), and it is what enters the chain of multiply-adds: so a product with a
// Packed8 has the bits of one with the matrix of those float32 values.
type Packed8 struct {
	K, N int
	q    []int8
	d    []float32
}

// Pack8 lays out a matrix that is stored by columns of b, as a weight [out, in]
// is: column j is q[j*k:][:k] with the scales d[j*ceil(k/32):]. Large matrices
// live outside the Go heap, on huge pages, until the result is garbage.
func Pack8(q []int8, d []float32, k, n int) *Packed8 {
	blocks := ceilDiv(k, Block8)
	if len(q) != k*n || len(d) != blocks*n {
		panic(fmt.Sprintf("kernel: %d integers and %d scales for a matrix [%d, %d], want %d and %d", len(q), len(d), k, n, k*n, blocks*n))
	}
	w := &Packed8{K: k, N: n}
	if k == 0 || n == 0 {
		return w
	}
	width := roundUp(n, tileCols)
	ints := k * width / 4 // in floats
	data := alloc(w, ints+blocks*width)
	w.q, w.d = unsafe.Slice((*int8)(unsafe.Pointer(&data[0])), k*width), data[ints:]
	for j := range n {
		to, col := w.q[j/tileCols*tileCols*k+j%tileCols:], q[j*k:(j+1)*k]
		for l, x := range col {
			to[l*tileCols] = x
		}
		scales := w.d[j/tileCols*tileCols*blocks+j%tileCols:]
		for b, x := range d[j*blocks : (j+1)*blocks] {
			scales[b*tileCols] = x
		}
	}
	return w
}

// Bytes is the memory that the packed matrix takes.
func (w *Packed8) Bytes() int { return len(w.q) + 4*len(w.d) }

// Column writes column j of the matrix, K values, into dst.
func (w *Packed8) Column(dst []float32, j int) {
	if len(dst) != w.K || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d values of a matrix [%d, %d]", j, len(dst), w.K, w.N))
	}
	q, d := w.panel(j/tileCols, 0)
	for l := range dst {
		dst[l] = float32(q[l*tileCols+j%tileCols]) * d[l/Block8*tileCols+j%tileCols]
	}
}

// panel returns a panel from k on, which is a multiple of Block8, to its end.
func (w *Packed8) panel(p, k int) (q []int8, d []float32) {
	blocks := ceilDiv(w.K, Block8)
	return w.q[(p*w.K+k)*tileCols : (p+1)*w.K*tileCols], w.d[(p*blocks+k/Block8)*tileCols : (p+1)*blocks*tileCols]
}

// widenGeneric writes dst [k][32], the values of a panel.
func widenGeneric(dst []float32, q []int8, d []float32, k int) {
	for l := range k {
		scale := d[l/Block8*tileCols:][:tileCols]
		for j, x := range q[l*tileCols:][:tileCols] {
			dst[l*tileCols+j] = float32(x) * scale[j]
		}
	}
}

// tile8Args are the operands of a micro-kernel call on a panel in 8 bits, at
// most tileRows rows and tileCols columns; strides are in floats.
type tile8Args struct {
	rows, cols, k int
	a             *float32
	rs, cs        int // of a: from row to row, from k to k
	q             []int8
	d             []float32
	c             []float32
	ldc           int
	add           bool
}

// runTile8 computes one tile; it is not inlined for the reason given at runTile.
//
//go:noinline
func runTile8(t tier, x *tile8Args) {
	if x.cols == tileCols {
		tile8(t, x)
		return
	}
	// The last panel: whole in a buffer, as its padding has no place in c.
	var buf [tileRows * tileCols]float32
	y := *x
	y.c, y.ldc, y.cols = buf[:], tileCols, tileCols
	for i := range x.rows {
		copy(buf[i*tileCols:], x.c[i*x.ldc:][:x.cols])
	}
	tile8(t, &y)
	for i := range x.rows {
		copy(x.c[i*x.ldc:][:x.cols], buf[i*tileCols:])
	}
}

// tile8Generic is the contract in plain Go, a row at a time.
func tile8Generic(x *tile8Args) {
	for i := range x.rows {
		c := x.c[i*x.ldc:][:tileCols]
		if !x.add {
			clear(c)
		}
		for l := range x.k {
			a := *offset(x.a, i*x.rs+l*x.cs)
			scale := x.d[l/Block8*tileCols:][:tileCols]
			for j, q := range x.q[l*tileCols:][:tileCols] {
				w := float32(q) * scale[j]
				c[j] += float32(a * w)
			}
		}
	}
}
