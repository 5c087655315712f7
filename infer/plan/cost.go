package plan

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"weft/compute/kernel"
)

// kept is how many values a position keeps in a layer, as rows of cols values: a
// key and a value for every head.
func (s Shape) kept() (rows, cols int) {
	if l := s.Latent; l != nil {
		return 1, l.KV + l.Rope
	}
	return 2 * s.KVHeads, s.HeadDim
}

// KVBytes is the cache of one request of n positions, in a type:
// 2 * layers * kv heads * bytes of a head's row * n, scales included; of sliding
// layers at most the window's positions count.
func (s Shape) KVBytes(n int, t kernel.KVType) int64 {
	rows, cols := s.kept()
	row, n64 := int64(rows)*int64(t.RowBytes(cols)), s.positions(n)
	if float64(row)*float64(n64) > mostBytes {
		return mostBytes
	}
	return row * n64
}

// mostBytes is more than any machine has, and little enough that a few of it add
// up without overflow.
const mostBytes = 1 << 58

// positions sums over the layers how many of n positions each keeps.
func (s Shape) positions(n int) int64 {
	return int64(s.Layers-s.Sliding)*int64(n) + int64(s.Sliding)*int64(min(n, cmp.Or(s.Window, n)))
}

// perPair is the work of one query with one key, over all heads: two FLOPs per
// value of the key, two per value of the value.
func (s Shape) perPair() float64 {
	if l := s.Latent; l != nil {
		return 2 * float64(s.Heads) * float64(l.Plain+l.Rope+l.Value)
	}
	return 4 * float64(s.Heads) * float64(s.HeadDim)
}

// pairs is how many keys the queries of positions 0 to n-1 see under a causal
// mask with a window (0: none).
func pairs(n, window int) float64 {
	w := float64(min(n, cmp.Or(window, n)))
	return w*(w+1)/2 + (float64(n)-w)*w
}

// matrices counts the FLOPs of a token's products: in the layers, and with the
// output matrix.
func (s Shape) matrices() (layers, head float64) {
	for _, t := range s.Tensors() {
		work := 2 * float64(t.Rows) * float64(t.Cols) * float64(t.Used)
		if t.head() {
			head += work
		} else {
			layers += work
		}
	}
	return layers, head
}

// Prefill is the work of a prompt of n tokens whose last one alone is
// projected to the vocabulary: 2 FLOPs per weight and token, and attention. In
// the last layer the others need keys and values only.
func (s Shape) Prefill(n int) float64 {
	layers, head := s.matrices()
	return layers*float64(n) - s.spared()*float64(n-1) + head + s.pairsOf(n)
}

// pairsOf is the part of a prompt's work that is done by pairs of positions. The
// last layer has one query, in a window where all layers have one.
func (s Shape) pairsOf(n int) float64 {
	window := 0
	if s.Sliding == s.Layers {
		window = s.Window
	}
	return s.perPair() * (float64(s.Layers-s.Sliding)*pairs(n, 0) + float64(s.Sliding)*pairs(n, s.Window) - pairs(n-1, window))
}

// spared are the FLOPs of the last layer's products that make no keys or values.
func (s Shape) spared() (work float64) {
	for _, t := range s.Tensors() {
		name, last := strings.CutPrefix(t.Name, fmt.Sprintf("blk.%d.", s.Layers-1))
		if last && !strings.HasPrefix(name, "attn_k") && !strings.HasPrefix(name, "attn_v") && !strings.HasPrefix(name, "attn_qkv") {
			work += 2 * float64(t.Rows) * float64(t.Cols) * float64(t.Used)
		}
	}
	return work
}

// Decode is the work of one token that sees n positions, itself counted.
func (s Shape) Decode(n int) float64 {
	layers, head := s.matrices()
	return layers + head + s.perPair()*float64(s.positions(n))
}

// Machine is what a machine can do.
type Machine struct {
	FLOPs  float64 `json:"flops_per_s"` // peak of the arithmetic
	Reads  float64 `json:"bytes_per_s"` // bandwidth of reading memory
	Memory int64   `json:"memory_bytes"`
}

// Floor is the least time of some work, and which roof it hangs from.
type Floor struct {
	FLOPs   float64 `json:"flops"`
	Bytes   float64 `json:"bytes_read"`
	Seconds float64 `json:"seconds"`
	Bound   string  `json:"bound"` // "arithmetic" or "memory"
}

// The roofs.
const (
	Arithmetic = "arithmetic"
	Memory     = "memory"
)

// Floor is the roofline: whichever takes longer, computing or reading.
func (m Machine) Floor(flops, bytes float64) Floor {
	compute, read := flops/m.FLOPs, bytes/m.Reads
	if compute > read {
		return Floor{flops, bytes, compute, Arithmetic}
	}
	return Floor{flops, bytes, read, Memory}
}

// Tokens is how many tokens one pass of speculation yields on average, drafting
// k tokens of which each is accepted with probability a: (1-a^(k+1))/(1-a)
// (Leviathan 2023, equation 1).
func Tokens(a float64, k int) float64 {
	if a >= 1 {
		return float64(k + 1)
	}
	return (1 - math.Pow(a, float64(k+1))) / (1 - a)
}

// Speedup is what speculation brings: Tokens in the time of k drafted tokens,
// each draft of a step's time, and of one pass that checks them, verify of a
// step's time (1 where reading the weights is all that counts).
func Speedup(a float64, k int, draft, verify float64) float64 {
	return Tokens(a, k) / (float64(k)*draft + verify)
}

// MaxDraft is the longest draft that BestDraft looks at.
const MaxDraft = 16

// BestDraft finds the length of draft that brings most, 0 where none brings
// anything. verify is the time of a pass over so many rows, in steps.
func BestDraft(a, draft float64, verify func(rows int) float64) (k int, speedup float64) {
	speedup = 1
	for n := 1; n <= MaxDraft; n++ {
		if s := Speedup(a, n, draft, verify(n+1)); s > speedup {
			k, speedup = n, s
		}
	}
	return k, speedup
}
