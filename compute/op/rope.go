package op

import (
	"math"
	"sync"
	"sync/atomic"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Rope is a rotary position embedding: pair i of a head turns by
// pos * base^(-2i/headDim) (Su 2021). Its tables grow by themselves to the
// largest position seen, and may be shared by concurrent passes.
type Rope struct {
	base  float64
	half  int // pairs per head
	table atomic.Pointer[ropeTable]
	mu    sync.Mutex // held while growing
}

// ropeTable holds cos and sin of every pair, [n, half] each.
type ropeTable struct {
	n        int
	cos, sin []float32
}

// NewRope returns the rotation of heads of headDim with the given base.
func NewRope(base float64, headDim int) *Rope {
	r := &Rope{base: base, half: headDim / 2}
	r.table.Store(&ropeTable{})
	return r
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
	t := &ropeTable{n: n, cos: make([]float32, n*r.half), sin: make([]float32, n*r.half)}
	copy(t.cos, old.cos)
	copy(t.sin, old.sin)
	for i := range r.half {
		freq := math.Pow(r.base, -float64(i)/float64(r.half))
		for pos := old.n; pos < n; pos++ {
			sin, cos := math.Sincos(float64(pos) * freq)
			t.cos[pos*r.half+i], t.sin[pos*r.half+i] = float32(cos), float32(sin)
		}
	}
	r.table.Store(t)
	return t
}

// RoPE turns every head of every row of x [rows, heads*headDim] by its
// position, in place, and returns x. Positions come from the spans.
func (p *Pass) RoPE(x *tensor.Tensor, rope *Rope) *tensor.Tensor {
	n := 0
	for _, s := range p.Spans {
		n = max(n, s.Pos+s.Len)
	}
	t := rope.upTo(n)
	p.turn(x.Data, x.Cols, rope.half, t, false)
	if p.Record {
		p.record(func() { p.turn(x.Grad, x.Cols, rope.half, t, true) })
	}
	return x
}

// turn rotates data [rows, cols] by the rows' positions.
func (p *Pass) turn(data []float32, cols, half int, t *ropeTable, invert bool) {
	p.rows(len(data)/cols, func(_, from, to int) {
		for _, s := range p.Spans {
			for i := max(from, s.Row); i < min(to, s.Row+s.Len); i++ {
				at := (s.Pos + i - s.Row) * half
				kernel.RoPE(data[i*cols:(i+1)*cols], t.cos[at:at+half], t.sin[at:at+half], invert)
			}
		}
	})
}
