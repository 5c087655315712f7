package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"weft/compute/par"
)

// PackedInt is a right-hand matrix [k, n] of integers with scales, in the
// panels that the kernel reads: [n/16][blocks of k], a block as its intForm
// says. It takes the bytes that it takes in a file (Q4_K and Q5_K: 2.8
// and 2.3 % more, for their scales of 6 bits take 8), and nothing is kept beside it.
type PackedInt struct {
	K, N int
	form *intForm
	data []byte
}

// intForm is how a format is laid out and multiplied.
type intForm struct {
	format        IntFormat
	name          string
	values, bytes int   // of a block of one column in a file
	panel         int   // bytes of a block of a panel
	spread        int   // bytes of intBlock k of a panel that is spread; 0: decoding is too cheap to be done once for all rows
	halves        []int // where in that there are float16
	wide          bool  // activations of 16 bits, not 8
	// pack writes column col of a panel's block from a block of a file, restore
	// the other way, unpack its values, bit for bit what the format means.
	pack    func(dst, src []byte, col int)
	restore func(dst, src []byte, col int)
	unpack  func(dst []float32, src []byte, col int)
	// sum adds a block's share of a row to c, from the row's records.
	sum func(c *[intCols]float32, w []byte, x unsafe.Pointer)
}

// intForms is indexed by IntFormat. Blocks of a panel are
//
//	Q8_0  d [16] float16 | [16 pairs of k][16 columns][2] int8
//	Q4_0  d [16] float16 | [4][16 columns][4] nibbles, k below and k+16 above
//	Q4_1  d, m [16] float16 | nibbles as in Q4_0
//	Q5_0  d [16] float16 | nibbles as in Q4_0 | [16 columns][4] bytes: fifth bits of k, k+4 ... k+28
//	Q5_1  d, m [16] float16 | nibbles and fifth bits as in Q5_0
//	Q4_K  d, m [16] float16 | 8 times: a, b [16] bytes | nibbles as in Q4_0
//	Q5_K  as Q4_K, and after the nibbles fifth bits as in Q5_0
//	Q6_K  d [16] float16 | 8 times: a [2][16] bytes | twice (16 k each):
//	      [2][16 columns][4] nibbles, k below and k+8 above | [16 columns][4] bytes: 2 bits of k, k+4, k+8, k+12
var intForms = [...]intForm{
	IntQ8_0: {IntQ8_0, "Q8_0", 32, 34, 544, 0, []int{0}, true, packQ8, restoreQ8, unpackQ8, sumQ8},
	IntQ4_0: {IntQ4_0, "Q4_0", 32, 18, 288, 0, []int{0}, false, packQ4, restoreQ4, unpackQ4, sumQ4},
	IntQ4_1: {IntQ4_1, "Q4_1", 32, 20, 320, 0, []int{0, 2}, false, packQ4_1, restoreQ4_1, unpackQ4_1, sumQ4_1},
	IntQ5_0: {IntQ5_0, "Q5_0", 32, 22, 352, 576, []int{0}, false, packQ5, restoreQ5, unpackQ5, sumQ5},
	IntQ5_1: {IntQ5_1, "Q5_1", 32, 24, 384, 640, []int{0, 2}, false, packQ5_1, restoreQ5_1, unpackQ5_1, sumQ5_1},
	IntQ4_K: {IntQ4_K, "Q4_K", 256, 144, 64 + 8*288, 0, []int{0, 2}, false, packK4, restoreK4, unpackK4, sumK4},
	IntQ5_K: {IntQ5_K, "Q5_K", 256, 176, 64 + 8*352, 640, []int{0, 2}, false, packK5, restoreK5, unpackK5, sumK5},
	IntQ6_K: {IntQ6_K, "Q6_K", 256, 210, 32 + 8*416, 640, []int{208}, false, packK6, restoreK6, unpackK6, sumK6},
}

// PackInt lays out a matrix that is stored by columns of b, as a weight [out,
// in] of a GGUF file is: column j is the blocks of k values that column returns,
// k a multiple of a block's values. The workers of p call column, each for its
// share. Large matrices live outside the Go heap, on huge pages, until the
// result is garbage. A scale that is infinite or NaN is an error.
func PackInt(p *par.Pool, f IntFormat, k, n int, column func(j int) []byte) (*PackedInt, error) {
	form := f.form()
	if k < 0 || n < 0 || k%form.values != 0 {
		panic(fmt.Sprintf("kernel: a matrix [%d, %d] of %s, whose columns are blocks of %d", k, n, form.name, form.values))
	}
	want := k / form.values * form.bytes
	var bad atomic.Pointer[error]
	w := packInt(p, form, k, n, func(panel []byte, first, cols int) {
		var src [intCols][]byte
		for j := range cols {
			if src[j] = column(first + j); len(src[j]) != want {
				panic(fmt.Sprintf("kernel: %d bytes of %s for column %d of a matrix [%d, %d], want %d", len(src[j]), form.name, first+j, k, n, want))
			}
		}
		for b := 0; b < want; b += form.bytes {
			for j := range cols {
				block := src[j][b : b+form.bytes]
				if err := form.finite(block); err != nil {
					wrong := fmt.Errorf("kernel: column %d of a matrix [%d, %d]: %w", first+j, k, n, err)
					bad.CompareAndSwap(nil, &wrong) // not &err: each block would allocate one
				}
				form.pack(panel[b/form.bytes*form.panel:][:form.panel], block, j)
			}
		}
	})
	if err := bad.Load(); err != nil {
		return nil, *err
	}
	return w, nil
}

// finite looks at the scales of a block.
func (f *intForm) finite(block []byte) error {
	for _, at := range f.halves {
		if block[at+1]&0x7c == 0x7c {
			return fmt.Errorf("a scale of %s is %g, want a finite number", f.name, half(block[at:]))
		}
	}
	return nil
}

// PackInt8 is PackInt of Q8_0 whose integers and scales lie apart: column j is
// q[j*k:][:k] with the scales d[j*ceil(k/32):], which are float16 in value; any
// other scale panics. k need not be a multiple of 32.
func PackInt8(q []int8, d []float32, k, n int) *PackedInt {
	blocks := ceilDiv(k, intBlock)
	if len(q) != k*n || len(d) != blocks*n {
		panic(fmt.Sprintf("kernel: %d integers and %d scales for a matrix [%d, %d], want %d and %d", len(q), len(d), k, n, k*n, blocks*n))
	}
	form := &intForms[IntQ8_0]
	return packInt(nil, form, k, n, func(panel []byte, first, cols int) {
		for b := range blocks {
			for j := first; j < first+cols; j++ {
				var block [34]byte
				binary.LittleEndian.PutUint16(block[:], exactHalf(d[j*blocks+b]))
				for l, x := range q[j*k+b*intBlock : j*k+min((b+1)*intBlock, k)] {
					block[2+l] = byte(x)
				}
				packQ8(panel[b*form.panel:][:form.panel], block[:], j-first)
			}
		}
	})
}

// packInt lays out a matrix panel by panel: fill writes the columns from first
// on, block by block, so that a panel and its columns are walked once.
func packInt(p *par.Pool, form *intForm, k, n int, fill func(panel []byte, first, cols int)) *PackedInt {
	w := &PackedInt{K: k, N: n, form: form}
	panels := ceilDiv(n, intCols)
	if size := panels * w.stride(); size > 0 {
		w.data = bytesOf(alloc(w, size/4))
	}
	p.Run(panels, func(i int) {
		fill(w.data[i*w.stride():][:w.stride()], i*intCols, min(intCols, n-i*intCols))
	})
	return w
}

// blocks is how many blocks of the format k has, stride the bytes of a panel.
func (w *PackedInt) blocks() int { return ceilDiv(w.K, w.form.values) }
func (w *PackedInt) stride() int { return w.blocks() * w.form.panel }

func (w *PackedInt) block(panel, b int) []byte {
	return w.data[panel*w.stride()+b*w.form.panel:][:w.form.panel]
}

// Format is the format of the blocks.
func (w *PackedInt) Format() IntFormat { return w.form.format }

// Bytes is the memory that the packed matrix takes.
func (w *PackedInt) Bytes() int { return len(w.data) }

// Column writes column j of the matrix, K values, into dst: the float32 values
// that the format stands for.
func (w *PackedInt) Column(dst []float32, j int) {
	if len(dst) != w.K || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d values of a matrix [%d, %d]", j, len(dst), w.K, w.N))
	}
	for b := range w.blocks() {
		to := dst[b*w.form.values:]
		w.form.unpack(to[:min(len(to), w.form.values)], w.block(j/intCols, b), j%intCols)
	}
}

// Blocks writes column j as PackInt was given it into dst, byte for byte.
func (w *PackedInt) Blocks(dst []byte, j int) {
	if len(dst) != w.blocks()*w.form.bytes || j < 0 || j >= w.N {
		panic(fmt.Sprintf("kernel: column %d into %d bytes of a matrix [%d, %d] of %s", j, len(dst), w.K, w.N, w.form.name))
	}
	for b := range w.blocks() {
		w.form.restore(dst[b*w.form.bytes:][:w.form.bytes], w.block(j/intCols, b), j%intCols)
	}
}

// half widens a float16, the first two bytes of b.
func half(b []byte) float32 {
	h := binary.LittleEndian.Uint16(b)
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112)
	if h&0x7c00 == 0x7c00 { // infinite or NaN
		bits |= 0xff << 23
	}
	return math.Float32frombits(bits | uint32(h>>15)<<31)
}

// exactHalf is the float16 of the same value.
func exactHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	h := uint16(bits >> 16 & 0x8000)
	if x := math.Float32bits(math.Float32frombits(bits&^(1<<31)) * 0x1p-112); x>>13 < 0x7c00 {
		h |= uint16(x >> 13)
	}
	var b [2]byte
	binary.LittleEndian.PutUint16(b[:], h)
	if half(b[:]) != f {
		panic(fmt.Sprintf("kernel: a scale of %g is no float16", f))
	}
	return h
}
