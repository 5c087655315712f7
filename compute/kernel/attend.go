package kernel

import (
	"fmt"
	"math"
)

// BlockLen is the number of positions in a key/value block. A cache page is a
// whole number of blocks.
const BlockLen = 16

// Heads is the geometry of an attention layer. Query heads kv*Q/KV up to
// (kv+1)*Q/KV share key/value head kv (grouped-query attention, Ainslie 2023).
type Heads struct{ Q, KV, Dim int }

// BlockFloats is the size of the K half, and of the V half, of a block.
func (h Heads) BlockFloats() int { return h.KV * h.Dim * BlockLen }

// Block holds BlockLen positions of one layer. K is [KV][Dim][BlockLen], so
// that a block's scores are the lanes of one vector; V is [KV][BlockLen][Dim].
type Block struct{ K, V []float32 }

// Store writes one position's key and value rows, each [KV*Dim], into slot.
func (b Block) Store(slot int, k, v []float32, h Heads) {
	for kv := range h.KV {
		kb := b.K[kv*h.Dim*BlockLen:]
		for d, x := range k[kv*h.Dim : (kv+1)*h.Dim] {
			kb[d*BlockLen+slot] = x
		}
		copy(b.V[(kv*BlockLen+slot)*h.Dim:][:h.Dim], v[kv*h.Dim:])
	}
}

// StoreRows writes n positions from pos on, rows of k and v [n, KV*Dim], into
// blocks, where blocks[i] holds positions i*BlockLen and on. It is Store for
// each row, faster: whole blocks are transposed.
func StoreRows(blocks []Block, pos int, k, v []float32, n int, h Heads) {
	width := h.KV * h.Dim
	for n > 0 {
		b, slot := blocks[pos/BlockLen], pos%BlockLen
		rows := min(n, BlockLen-slot)
		if rows == BlockLen {
			for kv := range h.KV {
				at := kv * h.Dim
				transposeBlock(b.K[at*BlockLen:(at+h.Dim)*BlockLen], k[at:], width, BlockLen, h.Dim)
				for i := range BlockLen {
					copy(b.V[(kv*BlockLen+i)*h.Dim:][:h.Dim], v[i*width+at:])
				}
			}
		} else {
			for i := range rows {
				b.Store(slot+i, k[i*width:(i+1)*width], v[i*width:(i+1)*width], h)
			}
		}
		pos, n = pos+rows, n-rows
		k, v = k[rows*width:], v[rows*width:]
	}
}

// transposeBlock sets dst [dim][BlockLen] to the transpose of rows of src,
// zero where there is no row.
func transposeBlock(dst, src []float32, stride, rows, dim int) {
	if rows == BlockLen && dim%8 == 0 {
		transpose(dst, src[:(BlockLen-1)*stride+dim], stride, dim)
		return
	}
	clear(dst)
	transposeGeneric(dst, src, stride, rows, dim)
}

func transposeGeneric(dst, src []float32, stride, rows, dim int) {
	for i := range rows {
		for d, x := range src[i*stride : i*stride+dim] {
			dst[d*BlockLen+i] = x
		}
	}
}

// AttnSpec describes the mask and scale; position j is seen from i when j <= i
// and, if Window > 0, i-j < Window.
type AttnSpec struct {
	Heads  Heads
	Scale  float32 // 1/sqrt(Dim) when zero
	Window int     // 0: unlimited
}

// Attend computes softmax(q k^T * scale) v for n query rows of one sequence,
// at positions pos..pos+n-1, and the query heads of key/value head kv. q and
// out have rows of Heads.Q*Heads.Dim; blocks[i] holds positions i*BlockLen
// and on. lse, when not nil, gets the log-sum-exp of each row and query head,
// [n, Heads.Q], for the backward. Memory is O(n) (Dao 2022).
func Attend(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
	s = s.withScale()
	h := s.Heads
	checkAttend(n, h, len(q), len(out))
	if need := (pos + n + BlockLen - 1) / BlockLen; len(blocks) < need {
		panic(fmt.Sprintf("kernel: attention up to position %d needs %d blocks, got %d", pos+n-1, need, len(blocks)))
	}
	if lse != nil {
		lse = lse[:(n-1)*h.Q+h.Q]
	}
	attend(out, q, lse, blocks, n, pos, kv, s)
}

// AttendBackward adds to dq, dk, dv the gradient of Attend for one whole span
// of n rows whose keys and values are the span's own rows: q, dq, out, dout
// are [n, Q*Dim], k, v, dk, dv are [n, KV*Dim], lse is [n, Q] from Attend.
// Probabilities are recomputed tile by tile: memory is O(n). Only the slices
// that belong to key/value head kv are written, so heads run in parallel.
func AttendBackward(dq, dk, dv, dout, q, k, v, out, lse []float32, n, kv int, s AttnSpec) {
	s = s.withScale()
	h := s.Heads
	checkAttend(n, h, len(q), len(out), len(dq), len(dout))
	checkAttend(n, Heads{Q: h.KV, KV: h.KV, Dim: h.Dim}, len(k), len(v), len(dk), len(dv))
	attendBackward(dq, dk, dv, dout, q, k, v, out, lse[:n*h.Q], n, kv, s)
}

// withScale fills in the default scale.
func (s AttnSpec) withScale() AttnSpec {
	if s.Scale == 0 {
		s.Scale = 1 / float32(math.Sqrt(float64(s.Heads.Dim)))
	}
	return s
}

// checkAttend panics unless the lengths hold n >= 1 rows of whole heads: the
// assembly behind does not look.
func checkAttend(n int, h Heads, lengths ...int) {
	if h.KV < 1 || h.Dim < 1 || h.Q < h.KV || h.Q%h.KV != 0 {
		panic(fmt.Sprintf("kernel: attention heads %+v: want Q a multiple of KV, all positive", h))
	}
	for _, l := range lengths {
		if n < 1 || l < n*h.Q*h.Dim {
			panic(fmt.Sprintf("kernel: attention over %d rows of %d heads of %d needs %d values, got %d", n, h.Q, h.Dim, n*h.Q*h.Dim, l))
		}
	}
}

// sees returns the positions that a query at position i sees: [lo, hi).
func (s AttnSpec) sees(i int) (lo, hi int) {
	if s.Window > 0 {
		lo = max(0, i-s.Window+1)
	}
	return lo, i + 1
}
