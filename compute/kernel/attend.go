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

// BlockFloats is the size of the K half, and of the V half, of a block of float32.
func (h Heads) BlockFloats() int { return h.KV * h.Dim * BlockLen }

// AttnSpec describes the mask and scale; position j is seen from i when j <= i
// and, if Window > 0, i-j < Window or j < Sinks (Xiao 2024).
type AttnSpec struct {
	Heads  Heads
	Scale  float32 // 1/sqrt(Dim) when zero
	Window int     // 0: unlimited
	Sinks  int     // positions at the start that a window never leaves behind; 0
}

// Attend computes softmax(q k^T * scale) v for n query rows of one sequence,
// at positions pos..pos+n-1, and the query heads of key/value head kv. q and
// out have rows of Heads.Q*Heads.Dim; blocks[i] holds positions i*BlockLen
// and on, all in one type; one that no row sees may be empty. lse, when not nil, gets the log-sum-exp of each row and query head,
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

// sees returns the positions that a query at position i sees: [0, sink) and
// [lo, hi), which do not meet: what would is all in the second.
func (s AttnSpec) sees(i int) (sink, lo, hi int) {
	if s.Window > 0 {
		lo = max(0, i-s.Window+1)
	}
	if lo <= s.Sinks {
		return 0, 0, i + 1
	}
	return s.Sinks, lo, i + 1
}
