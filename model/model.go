// Package model defines what a model is to the rest of weft. A family is
// defined once, in one file; the same code trains, evaluates, prefills and
// decodes from a paged cache.
//
//	model/nn        leaves and helpers   model/weights/...  file formats
//	model/llama     a family             model/zoo          folders, list of families
//
// The package knows weights and passes; it knows nothing of text, sampling,
// scheduling or optimisers.
package model

import (
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model/nn"
)

// Model is one network. All methods but Walk are safe for concurrent passes
// as long as nobody changes weights.
type Model interface {
	// Hidden maps token ids, one per row of the pass, to final normalised
	// hidden states [rows, dim]: where p.Want is set, of those rows alone, which
	// the pass's spans then describe (op.Pass.Narrow).
	Hidden(p *op.Pass, ids []int32) *tensor.Tensor
	// Logits projects hidden rows to vocabulary logits [rows, vocab]. The
	// caller selects beforehand (op.Pass.Want) the rows it will sample; for
	// adapters, which may change the head, the pass's spans describe those.
	Logits(p *op.Pass, hidden *tensor.Tensor) *tensor.Tensor
	// State says, per layer, what attention keeps between passes.
	State() []State
	// Walk visits every weight leaf in a fixed order.
	Walk(fn func(nn.Leaf))
	// Info is what the house needs to know without knowing the family.
	Info() Info
}

// State is what one layer keeps per sequence: pages of keys and values.
type State struct {
	KVHeads, HeadDim int
	Window           int // 0: all positions
	Sinks            int // positions at the start that the window never leaves behind; 0
}

// Info describes a model in numbers.
type Info struct {
	Family                  string // config.json model_type, e.g. "llama"
	Layers, Dim, Vocab      int
	Heads, KVHeads, HeadDim int
	Context                 int   // positions it was made for
	Params                  int64 // all weights, tied ones once
	BOS, EOS                int32 // -1: none
}
