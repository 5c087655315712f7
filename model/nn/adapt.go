package nn

import (
	"weft/compute/op"
	"weft/compute/tensor"
)

// LowRank is a change of one matrix W [out, in]: Scale * B A is added to it
// (LoRA, Hu 2021). B A is never formed; rows go through A, then through B.
type LowRank struct {
	A, B  *Dense // [r, in], [out, r]
	Scale float32
}

// NewLowRank returns a change of rank r that is zero.
func NewLowRank(in, out, r int, scale float32) *LowRank {
	return &LowRank{A: NewDense(in, r, false), B: NewDense(r, out, false), Scale: scale}
}

// Adapter is a change of some of a model's matrices. A span that names it
// (op.Span.Adapter) goes through it, in any pass of a model that Adapt has
// prepared; while nobody trains it, passes may share it.
type Adapter struct {
	Pairs []*LowRank // by the place of the matrix in Linears; nil: it stays as it is
}

var _ op.Adapter = (*Adapter)(nil)

// Adapts implements op.Adapter.
func (a *Adapter) Adapts(i int) bool { return i < len(a.Pairs) && a.Pairs[i] != nil }

// Delta implements op.Adapter.
func (a *Adapter) Delta(p *op.Pass, i int, x *tensor.Tensor) (*tensor.Tensor, float32) {
	w := a.Pairs[i]
	return w.B.Apply(p, w.A.Apply(p, x)), w.Scale
}

// Freeze packs the pairs for serving.
func (a *Adapter) Freeze() {
	for _, w := range a.Pairs {
		if w != nil {
			w.A.Freeze()
			w.B.Freeze()
		}
	}
}

// Adapted is a matrix that adapters may change, whatever kind of matrix it is.
// Rows without one have the bits of the matrix itself.
type Adapted struct {
	Linear
	at int // place in Linears
}

// Apply returns the product, changed for the spans that say so: [rows, out].
func (l *Adapted) Apply(p *op.Pass, x *tensor.Tensor) *tensor.Tensor {
	return p.Adapt(l.Linear.Apply(p, x), x, l.at)
}

// Each visits the parameters of the matrix; those of adapters are not the model's.
func (l *Adapted) Each(fn func(suffix string, p *Param)) {
	if h, ok := l.Linear.(holder); ok {
		h.Each(fn)
	}
}

// Freeze packs the matrix, if it is of a kind that can be.
func (l *Adapted) Freeze() {
	if f, ok := l.Linear.(freezer); ok {
		f.Freeze()
	}
}

// Thaw undoes Freeze.
func (l *Adapted) Thaw() {
	if f, ok := l.Linear.(freezer); ok {
		f.Thaw()
	}
}

// Plain is the matrix of a leaf, without what adapters add to it.
func Plain(l Linear) Linear {
	if a, ok := l.(*Adapted); ok {
		return a.Linear
	}
	return l
}

// Linears lists the leaves that are matrices in Walk's order, by which adapters
// know them.
func Linears(m Walker) []Leaf {
	var all []Leaf
	m.Walk(func(l Leaf) {
		if l.Linear != nil {
			all = append(all, l)
		}
	})
	return all
}

// Adapt prepares every matrix of a model for adapters. No pass may be under
// way. A second call changes nothing.
func Adapt(m Walker) {
	for i, l := range Linears(m) {
		if _, done := (*l.Linear).(*Adapted); !done {
			*l.Linear = &Adapted{*l.Linear, i}
		}
	}
}
