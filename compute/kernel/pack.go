package kernel

import (
	"fmt"
	"runtime"
)

// Packed is a right-hand matrix [k, n] laid out for the micro-kernel, made
// once for weights that do not change: panels [n/32][k][32], so that the
// product with one row, too, reads memory in order. The last panel is padded.
type Packed struct {
	K, N int
	data []float32
}

// Bytes is the memory that the packed matrix takes.
func (w *Packed) Bytes() int { return 4 * len(w.data) }

// PackedBytes is the memory that a matrix [k, n] takes once it is packed.
func PackedBytes(k, n int) int { return 4 * k * roundUp(n, tileCols) }

// Pack lays out b [k, n] for GemmPacked. Large matrices live outside the Go
// heap, on huge pages, until w is garbage.
func Pack(b Matrix, k, n int) *Packed {
	b.check("b", k, n)
	w := &Packed{K: k, N: n}
	w.data = alloc(w, k*roundUp(n, tileCols))
	for s := 0; s < n && k > 0; s += tileCols {
		packStrip(level(), w.data[s*k:], tileCols, b.columns(s), min(tileCols, n-s), k)
	}
	return w
}

// Column writes column j of the matrix, K values, into dst.
func (w *Packed) Column(dst []float32, j int) {
	if len(dst) != w.K || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d values of a matrix [%d, %d]", j, len(dst), w.K, w.N))
	}
	panel := w.data[j/tileCols*tileCols*w.K:]
	for l := range dst {
		dst[l] = panel[l*tileCols+j%tileCols]
	}
	runtime.KeepAlive(w)
}

// lanes is a strip before packing: lane r at depth k is data[r*unit+k*along],
// and one of unit and along is 1.
type lanes struct {
	data        []float32
	unit, along int
}

// rows returns the rows from i on as lanes; the depth runs along the columns.
func (m Matrix) rows(i int) lanes {
	m = m.from(i, 0)
	if m.T {
		return lanes{m.Data, 1, m.Stride}
	}
	return lanes{m.Data, m.Stride, 1}
}

// columns returns the columns from j on as lanes; the depth runs down the rows.
func (m Matrix) columns(j int) lanes {
	m.T = !m.T
	return m.rows(j)
}

// packGeneric writes dst[k][width] from the lanes. Lanes from count on are
// padding: nobody looks at what is computed from them.
func packGeneric(dst []float32, width int, src lanes, count, k int) {
	for l := range k {
		row := dst[l*width : (l+1)*width]
		for r := range count {
			row[r] = src.data[r*src.unit+l*src.along]
		}
		clear(row[count:])
	}
}
