package op

import (
	"math"
	"sync"
	"sync/atomic"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Rope is a rotary position embedding (Su 2021): of the first 2*len(freqs)
// values of a head, value i and value len(freqs)+i turn together by
// pos*freqs[i] radians; the rest of the head stays as it is. Its tables grow by
// themselves to the largest position seen, and may be shared by concurrent
// passes.
type Rope struct {
	freqs []float64 // radians per position, of each pair
	dim   int       // width of a head
	scale float64   // what turned values are multiplied with
	table atomic.Pointer[ropeTable]
	mu    sync.Mutex // held while growing
}

// ropeTable holds scaled cos and sin of every pair, [n, pairs] each.
type ropeTable struct {
	n        int
	cos, sin []float32
}

// NewRope returns the rotation of heads of headDim by the given frequencies, at
// most headDim/2 of them; what it turns it also multiplies with scale.
func NewRope(freqs []float64, headDim int, scale float64) *Rope {
	r := &Rope{freqs: freqs, dim: headDim, scale: scale}
	r.table.Store(&ropeTable{})
	return r
}

// Frequencies are those of the plain rotation of dim values: base^(-2i/dim).
func Frequencies(base float64, dim int) []float64 {
	f := make([]float64, dim/2)
	for i := range f {
		f[i] = math.Pow(base, -float64(i)/float64(len(f)))
	}
	return f
}

// upTo returns tables that hold positions below n. Angles are computed in
// float64 and rounded once.
func (r *Rope) upTo(n int) *ropeTable {
	if t := r.table.Load(); t.n >= n {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.table.Load()
	if old.n >= n {
		return old
	}
	n = max(n, 2*old.n, 64)
	pairs := len(r.freqs)
	t := &ropeTable{n: n, cos: make([]float32, n*pairs), sin: make([]float32, n*pairs)}
	copy(t.cos, old.cos)
	copy(t.sin, old.sin)
	for i, freq := range r.freqs {
		for pos := old.n; pos < n; pos++ {
			sin, cos := math.Sincos(float64(pos) * freq)
			t.cos[pos*pairs+i], t.sin[pos*pairs+i] = float32(r.scale*cos), float32(r.scale*sin)
		}
	}
	r.table.Store(t)
	return t
}

// RoPE turns every head of every row of x [rows, heads*headDim] by its
// position, in place, and returns x. Positions come from the spans. Without a
// rope nothing turns.
func (p *Pass) RoPE(x *tensor.Tensor, rope *Rope) *tensor.Tensor {
	if rope == nil {
		return x
	}
	n := 0
	for _, s := range p.Spans {
		n = max(n, s.Pos+s.Len)
	}
	t := rope.upTo(n)
	p.turn(x.Data, x.Cols, rope, t, false)
	if p.Record {
		p.record(func() { p.turn(x.Grad, x.Cols, rope, t, true) })
	}
	return x
}

// turn rotates data [rows, cols] by the rows' positions.
func (p *Pass) turn(data []float32, cols int, r *Rope, t *ropeTable, invert bool) {
	pairs := len(r.freqs)
	run := cols // what the kernel gets at once: whole heads, or the front of each
	if 2*pairs < r.dim {
		run = 2 * pairs
	}
	step := max(run, r.dim)
	p.rows(len(data)/cols, func(_, from, to int) {
		for _, s := range p.Spans {
			for i := max(from, s.Row); i < min(to, s.Row+s.Len); i++ {
				at := (s.Pos + i - s.Row) * pairs
				cos, sin := t.cos[at:at+pairs], t.sin[at:at+pairs]
				for h := i * cols; h < (i+1)*cols; h += step {
					kernel.RoPE(data[h:h+run], cos, sin, invert)
				}
			}
		}
	})
}
