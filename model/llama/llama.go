// Package llama is the Llama family: pre-norm blocks of RMSNorm, rotary
// grouped-query attention and SwiGLU, with a tied or separate head (Touvron
// 2023, Dubey 2024). It covers every checkpoint whose config.json says
// model_type "llama" without rope scaling.
//
// The wiring below trains, evaluates, prefills and decodes; the package knows
// nothing of files, text, caches or optimisers.
package llama

import (
	"math"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
)

// Llama is the whole architecture: fields are weights, Hidden is the wiring.
type Llama struct {
	Config
	Embed  *nn.Embedding `hf:"model.embed_tokens" gguf:"token_embd"`
	Blocks []Block       `hf:"model.layers.%d." gguf:"blk.%d."`
	Norm   *nn.RMSNorm   `hf:"model.norm" gguf:"output_norm"`
	Head   nn.Linear     `hf:"lm_head" gguf:"output"`

	rope *op.Rope
	spec kernel.AttnSpec
}

// Block is one layer.
type Block struct {
	AttnNorm *nn.RMSNorm `hf:"input_layernorm" gguf:"attn_norm"`
	Q        nn.Linear   `hf:"self_attn.q_proj" gguf:"attn_q"`
	K        nn.Linear   `hf:"self_attn.k_proj" gguf:"attn_k"`
	V        nn.Linear   `hf:"self_attn.v_proj" gguf:"attn_v"`
	O        nn.Linear   `hf:"self_attn.o_proj" gguf:"attn_output"`
	FFNNorm  *nn.RMSNorm `hf:"post_attention_layernorm" gguf:"ffn_norm"`
	Gate     nn.Linear   `hf:"mlp.gate_proj" gguf:"ffn_gate"`
	Up       nn.Linear   `hf:"mlp.up_proj" gguf:"ffn_up"`
	Down     nn.Linear   `hf:"mlp.down_proj" gguf:"ffn_down"`
}

var _ model.Model = (*Llama)(nil)

// New builds a model of a valid config. With a generator the weights are drawn
// by Init; without one they are zero, for a loader to fill.
func New(cfg Config, rng *tensor.RNG) *Llama {
	cfg = cfg.withDefaults()
	d, f, eps := cfg.HiddenSize, cfg.IntermediateSize, cfg.RMSNormEps
	q, kv := cfg.NumAttentionHeads*cfg.HeadDim, cfg.NumKeyValueHeads*cfg.HeadDim
	m := &Llama{
		Config: cfg,
		Embed:  nn.NewEmbedding(cfg.VocabSize, d),
		Norm:   nn.NewRMSNorm(d, eps),
		rope:   op.NewRope(cfg.RopeTheta, cfg.HeadDim),
		spec:   kernel.AttnSpec{Heads: kernel.Heads{Q: cfg.NumAttentionHeads, KV: cfg.NumKeyValueHeads, Dim: cfg.HeadDim}},
	}
	for range cfg.NumHiddenLayers {
		m.Blocks = append(m.Blocks, Block{
			AttnNorm: nn.NewRMSNorm(d, eps),
			Q:        nn.NewDense(d, q, cfg.AttentionBias),
			K:        nn.NewDense(d, kv, cfg.AttentionBias),
			V:        nn.NewDense(d, kv, cfg.AttentionBias),
			O:        nn.NewDense(q, d, cfg.AttentionBias),
			FFNNorm:  nn.NewRMSNorm(d, eps),
			Gate:     nn.NewDense(d, f, cfg.MLPBias),
			Up:       nn.NewDense(d, f, cfg.MLPBias),
			Down:     nn.NewDense(f, d, cfg.MLPBias),
		})
	}
	if cfg.TieWordEmbeddings {
		m.Head = m.Embed.Head()
	} else {
		m.Head = nn.NewDense(d, cfg.VocabSize, false)
	}
	if rng != nil {
		m.Init().Apply(m, rng)
	}
	return m
}

// Init is the family's starting point: normal weights of standard deviation
// InitializerRange, and 1/sqrt(2L) of that for the matrices that write into
// the residual stream of L layers (Radford 2019).
func (m *Llama) Init() nn.Init {
	return nn.Init{
		Std:      m.InitializerRange,
		Residual: []string{"self_attn.o_proj.weight", "mlp.down_proj.weight"},
		Scale:    1 / math.Sqrt(2*float64(m.NumHiddenLayers)),
	}
}

// Hidden maps token ids to final normalised hidden states [tokens, dim].
func (m *Llama) Hidden(p *op.Pass, ids []int32) *tensor.Tensor {
	h := m.Embed.Apply(p, ids) // [tokens, dim]
	for i := range m.Blocks {
		h = p.Checkpoint(h, func(h *tensor.Tensor) *tensor.Tensor { return m.block(p, i, h) })
	}
	return m.Norm.Apply(p, h)
}

// block is h + Attn(Norm(h)), then h + FFN(Norm(h)).
func (m *Llama) block(p *op.Pass, layer int, h *tensor.Tensor) *tensor.Tensor {
	b := &m.Blocks[layer]
	x := b.AttnNorm.Apply(p, h)
	q := p.RoPE(b.Q.Apply(p, x), m.rope) // [tokens, heads*headDim]
	k := p.RoPE(b.K.Apply(p, x), m.rope) // [tokens, kvHeads*headDim]
	h = p.Add(h, b.O.Apply(p, p.Attend(layer, q, k, b.V.Apply(p, x), m.spec)))
	x = b.FFNNorm.Apply(p, h)
	return p.Add(h, b.Down.Apply(p, p.SwiGLU(b.Gate.Apply(p, x), b.Up.Apply(p, x))))
}

// Logits projects hidden rows to the vocabulary: [rows, vocab].
func (m *Llama) Logits(p *op.Pass, hidden *tensor.Tensor) *tensor.Tensor {
	return m.Head.Apply(p, hidden)
}

// State is the same for every layer: all keys and values.
func (m *Llama) State() []model.State {
	s := make([]model.State, m.NumHiddenLayers)
	for i := range s {
		s[i] = model.State{KVHeads: m.NumKeyValueHeads, HeadDim: m.HeadDim}
	}
	return s
}

// Walk visits the weights, embedding first; a tied head is shown as such.
func (m *Llama) Walk(fn func(nn.Leaf)) {
	nn.WalkTags(m, func(l nn.Leaf) {
		l.Tied = l.Linear == &m.Head && m.TieWordEmbeddings
		fn(l)
	})
}

// Info describes the model in numbers.
func (m *Llama) Info() model.Info {
	return model.Info{
		Family: Family, Layers: m.NumHiddenLayers, Dim: m.HiddenSize, Vocab: m.VocabSize,
		Heads: m.NumAttentionHeads, KVHeads: m.NumKeyValueHeads, HeadDim: m.HeadDim,
		Context: m.MaxPositionEmbeddings, Params: nn.Count(m),
		BOS: m.BOSTokenID.first(), EOS: m.EOSTokenID.first(),
	}
}
