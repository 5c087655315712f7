// Package nn holds the leaves (weights) and helpers that families are wired
// from. A leaf is replaced, never branched on: quantising or adapting a model
// is a Walk that swaps nn.Linear values.
//
//	family struct --tags--> Walk --> Leaf{Name, *Param | *Linear}
//	                          |--> Params: every trainable weight, named
//	                          |--> Freeze: pack the matrices for serving
//	                          |--> Adapt: let adapters change them, span by span
//
// The package knows nothing of families, files, text or optimisers.
package nn

import (
	"fmt"

	"weft/compute/op"
	"weft/compute/tensor"
)

// Param is one trainable weight. Value.Grad is nil unless it is trained.
type Param struct {
	Value *tensor.Tensor // [out, in] for matrices, [1, n] for vectors
	Decay bool           // weight decay applies (matrices, not norms)

	// AtRest, when set, is the matrix in a form to serve and not to train:
	// Value then has its shape and no data. Whatever shares the Param, as a tied
	// head shares the embedding's, works from the same bytes.
	AtRest op.AtRest
}

// Rest puts a matrix to rest in 8 bits: q [out, in], with the scales of each
// row's blocks, d [out, ceil(in/32)].
func (p *Param) Rest(q []int8, d []float32) {
	p.RestAs(op.Pack8(q, d, p.Value.Cols, p.Value.Rows))
}

// RestAs puts a matrix to rest in any form of its shape.
func (p *Param) RestAs(w op.AtRest) {
	if out, in := w.Size(); out != p.Value.Rows || in != p.Value.Cols {
		panic(fmt.Sprintf("nn: a matrix [%d, %d] put to rest as one of [%d, %d]", p.Value.Rows, p.Value.Cols, out, in))
	}
	p.AtRest, p.Value.Data = w, nil
}

// Len is the number of values.
func (p *Param) Len() int { return p.Value.Rows * p.Value.Cols }

// Bytes is the memory that the values take.
func (p *Param) Bytes() int {
	if p.AtRest != nil {
		return p.AtRest.Bytes()
	}
	return 4 * len(p.Value.Data)
}

// Linear is a swappable matrix: y = x W^T.
type Linear interface {
	Apply(p *op.Pass, x *tensor.Tensor) *tensor.Tensor
	In() int
	Out() int
}

// Leaf is one weight as Walk shows it. Exactly one of Param and Linear is set.
type Leaf struct {
	Name   string  // Hugging Face tensor name, ends in ".weight"
	GGUF   string  // GGUF tensor name, ends in ".weight"
	Param  *Param  // norms, embeddings
	Linear *Linear // pointer into the model, so that the visitor can replace it
	Tied   bool    // Linear applies a weight that another leaf owns: not trained or saved twice
}

// Embedding maps token ids to rows of a table [vocab, dim].
type Embedding struct{ Param }

// NewEmbedding returns a zeroed table.
func NewEmbedding(vocab, dim int) *Embedding {
	return &Embedding{Param{Value: tensor.New(vocab, dim), Decay: true}}
}

// Apply returns [len(ids), dim].
func (e *Embedding) Apply(p *op.Pass, ids []int32) *tensor.Tensor {
	if e.AtRest != nil {
		return p.EmbedAtRest(e.AtRest, ids)
	}
	return p.Embed(e.Value, ids)
}

// Head returns the matrix that projects hidden states to logits with the same
// weights (Press & Wolf 2017).
func (e *Embedding) Head() *Dense { return &Dense{W: &e.Param} }

// RMSNorm is a gain [1, dim] with the epsilon of its family.
type RMSNorm struct {
	Param
	Eps float32
}

// NewRMSNorm returns a norm of gain one.
func NewRMSNorm(dim int, eps float32) *RMSNorm {
	n := &RMSNorm{Param: Param{Value: tensor.New(1, dim)}, Eps: eps}
	for i := range n.Value.Data {
		n.Value.Data[i] = 1
	}
	return n
}

// Apply normalises every row of x [rows, dim], or every head of rows that are as
// wide as several. A nil norm leaves x as it is.
func (n *RMSNorm) Apply(p *op.Pass, x *tensor.Tensor) *tensor.Tensor {
	if n == nil {
		return x
	}
	return p.RMSNorm(x, n.Value, n.Eps)
}
