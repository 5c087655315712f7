package kernel

import (
	"fmt"
	"runtime"

	"weft/compute/par"
)

// A matrix product is cut into tiles of tileRows x tileCols elements of c. The
// micro-kernel keeps one tile in registers while it walks k, so it reads a as
// slivers of tileRows rows and b as panels of tileCols columns:
//
//	            b: panels [k][32]
//	            +----+----+----+
//	            |    |    |    |  k, in steps of blockK
//	            +----+----+----+
//	+--------+  +----+----+----+
//	| sliver |  |tile|    |    |  12 rows
//	+--------+  +----+----+----+
//	| sliver |  |    |    |    |
//	+--------+  +----+----+----+
//	a: [k][12]   c
//
// Threads share the tiles out between them and never split k. Between steps of
// k a tile rests in c and is loaded again, so the chain of additions of an
// element goes on as if there were no steps.
const (
	tileRows = 12
	tileCols = 32
	blockK   = 512 // k of one micro-kernel call: 24 KiB of a sliver, 64 KiB of a panel
)

// Matrix is a view of a float32 matrix: element (i, j) is Data[i*Stride+j],
// or Data[j*Stride+i] when T is set.
type Matrix struct {
	Data   []float32
	Stride int
	T      bool
}

// check panics unless the view holds [rows, cols].
func (m Matrix) check(name string, rows, cols int) {
	if m.T {
		rows, cols = cols, rows
	}
	if rows <= 0 || cols <= 0 {
		return
	}
	if need := (rows-1)*m.Stride + cols; m.Stride < cols || len(m.Data) < need {
		panic(fmt.Sprintf("kernel: matrix %s [%d, %d] with stride %d needs %d values, got %d", name, rows, cols, m.Stride, need, len(m.Data)))
	}
}

// from is the view that starts at element (i, j).
func (m Matrix) from(i, j int) Matrix {
	if m.T {
		i, j = j, i
	}
	m.Data = m.Data[i*m.Stride+j:]
	return m
}

// Gemm computes c = a*b, or c += a*b when add is set, for a [m, k], b [k, n]
// and c [m, n] with row stride ldc. Each element is one chain of fused
// multiply-adds in ascending k (starting from c when add is set), so its bits
// depend on its row of a, its column of b and k alone: not on m, n, threads,
// packing or instruction set. Only the generic tier differs: it rounds twice,
// after multiplying and after adding, in the same order. c must not overlap a
// or b. Nothing is allocated once the scratch memory has its size.
func Gemm(p *par.Pool, c []float32, ldc int, a, b Matrix, m, n, k int, add bool) {
	b.check("b", k, n)
	runGemm(p, gemmCall{c: c, ldc: ldc, a: a, b: b, m: m, n: n, k: k, add: add})
}

// GemmPacked is Gemm with a packed right-hand side: same bits, no packing.
func GemmPacked(p *par.Pool, c []float32, ldc int, a Matrix, b *Packed, m int, add bool) {
	runGemm(p, gemmCall{c: c, ldc: ldc, a: a, packed: b, m: m, n: b.N, k: b.K, add: add})
	runtime.KeepAlive(b)
}

func runGemm(p *par.Pool, x gemmCall) {
	Matrix{Data: x.c, Stride: x.ldc}.check("c", x.m, x.n)
	x.a.check("a", x.m, x.k)
	if x.add && x.k <= 0 || empty(x.c, x.ldc, x.m, x.n, x.k) {
		return
	}
	g := gemmPool.Get().(*gemm)
	g.run(p, x)
	gemmPool.Put(g)
}

// empty reports whether there is nothing to multiply. A c [m, n] that sums over
// no k is then zero.
func empty(c []float32, ldc, m, n, k int) bool {
	if m <= 0 || n <= 0 {
		return true
	}
	for i := 0; i < m && k <= 0; i++ {
		clear(c[i*ldc:][:n])
	}
	return k <= 0
}

// tileArgs are the operands of a micro-kernel call, at most tileRows rows, or as
// many as there are if the tier is tall, and the tier's width of columns; strides
// are in floats.
type tileArgs struct {
	rows, cols, k int
	a             *float32
	rs, cs        int // of a: from row to row, from k to k
	b             *float32
	bs            int // of b: from k to k
	c             *float32
	ldc           int
	add           bool
	ahead         uintptr // fetch bytes from this address on go to L2 meanwhile; it may
	fetch         int     // lie behind what they belong to, so it is no pointer
}

// runTile computes one tile. It is not inlined: its frame is where a goroutine
// that strings tiles together can be stopped, as assembly cannot be.
//
//go:noinline
func runTile(t tier, x *tileArgs) { tile(t, x) }

func ceilDiv(a, b int) int   { return (a + b - 1) / b }
func roundUp(a, b int) int   { return ceilDiv(a, b) * b }
func roundDown(a, b int) int { return max(a/b, 1) * b }
