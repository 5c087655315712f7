// Package llama is the Llama architecture: pre-norm blocks of RMSNorm, rotary
// grouped-query attention and SwiGLU, with a tied or separate head (Touvron
// 2023, Dubey 2024), and the families that are it but for a few switches:
//
//	model_type  differs by
//	llama       -                               biases on all matrices or none
//	mistral     a sliding window                (Jiang 2023)
//	qwen2       biases on q, k and v            windows in some layers if asked for
//	qwen3       norms on the heads of q and k   the same windows
//	phi3        fused q, k, v and gate, up      a window, a part of each head turns
//	smollm3     layers without positions        the same windows
//
// Each has any of the scalings of the rotation (RopeScaling). A switch is a leaf
// that is there or not, or a number in what attention is told: the wiring below
// is one for all. It trains, evaluates, prefills and decodes; the package knows
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

	layers []layer
}

// layer is what the attention of one block is told beside its weights.
type layer struct {
	rope *op.Rope // nil: no positions
	spec kernel.AttnSpec
}

// cols are the columns of queries, and of keys or values.
func (l *layer) cols() (q, kv int) {
	n := l.spec.Heads
	return n.Q * n.Dim, n.KV * n.Dim
}

// Block is one layer. Leaves that a family has not are nil.
type Block struct {
	AttnNorm *nn.RMSNorm `hf:"input_layernorm" gguf:"attn_norm"`
	QKV      nn.Linear   `hf:"self_attn.qkv_proj" gguf:"attn_qkv"` // or Q, K and V
	Q        nn.Linear   `hf:"self_attn.q_proj" gguf:"attn_q"`
	K        nn.Linear   `hf:"self_attn.k_proj" gguf:"attn_k"`
	V        nn.Linear   `hf:"self_attn.v_proj" gguf:"attn_v"`
	QNorm    *nn.RMSNorm `hf:"self_attn.q_norm" gguf:"attn_q_norm"` // of each head
	KNorm    *nn.RMSNorm `hf:"self_attn.k_norm" gguf:"attn_k_norm"`
	O        nn.Linear   `hf:"self_attn.o_proj" gguf:"attn_output"`
	FFNNorm  *nn.RMSNorm `hf:"post_attention_layernorm" gguf:"ffn_norm"`
	GateUp   nn.Linear   `hf:"mlp.gate_up_proj" gguf:"ffn_up"` // or Gate and Up
	Gate     nn.Linear   `hf:"mlp.gate_proj" gguf:"ffn_gate"`
	Up       nn.Linear   `hf:"mlp.up_proj" gguf:"ffn_up"`
	Down     nn.Linear   `hf:"mlp.down_proj" gguf:"ffn_down"`
}

var _ model.Model = (*Llama)(nil)

// New builds a model of a valid config. With a generator the weights are drawn
// by Init; without one they are zero, for a loader to fill.
func New(cfg Config, rng *tensor.RNG) *Llama {
	cfg = cfg.withDefaults()
	m := &Llama{
		Config: cfg,
		Embed:  nn.NewEmbedding(cfg.VocabSize, cfg.HiddenSize),
		Norm:   nn.NewRMSNorm(cfg.HiddenSize, cfg.RMSNormEps),
	}
	freqs, scale := cfg.Rotation()
	rope := op.NewRope(freqs, cfg.HeadDim, scale)
	for i := range cfg.NumHiddenLayers {
		m.Blocks = append(m.Blocks, newBlock(cfg))
		l := layer{spec: kernel.AttnSpec{
			Heads:  kernel.Heads{Q: cfg.NumAttentionHeads, KV: cfg.NumKeyValueHeads, Dim: cfg.HeadDim},
			Window: cfg.window(i),
		}}
		if cfg.turns(i) {
			l.rope = rope
		}
		m.layers = append(m.layers, l)
	}
	if cfg.TieWordEmbeddings {
		m.Head = m.Embed.Head()
	} else {
		m.Head = nn.NewDense(cfg.HiddenSize, cfg.VocabSize, false)
	}
	if rng != nil {
		m.Init().Apply(m, rng)
	}
	return m
}

// newBlock makes the leaves that the family has.
func newBlock(cfg Config) Block {
	v, _ := cfg.variant() // a valid config has one
	d, f, eps := cfg.HiddenSize, cfg.IntermediateSize, cfg.RMSNormEps
	q, kv := cfg.NumAttentionHeads*cfg.HeadDim, cfg.NumKeyValueHeads*cfg.HeadDim
	b := Block{
		AttnNorm: nn.NewRMSNorm(d, eps),
		O:        nn.NewDense(q, d, cfg.AttentionBias),
		FFNNorm:  nn.NewRMSNorm(d, eps),
		Down:     nn.NewDense(f, d, cfg.MLPBias),
	}
	bias := cfg.AttentionBias || v.qkvBias
	if v.fused {
		b.QKV = nn.NewDense(d, q+2*kv, bias)
		b.GateUp = nn.NewDense(d, 2*f, cfg.MLPBias)
	} else {
		b.Q, b.K, b.V = nn.NewDense(d, q, bias), nn.NewDense(d, kv, bias), nn.NewDense(d, kv, bias)
		b.Gate, b.Up = nn.NewDense(d, f, cfg.MLPBias), nn.NewDense(d, f, cfg.MLPBias)
	}
	if v.qkNorm {
		b.QNorm, b.KNorm = nn.NewRMSNorm(cfg.HeadDim, eps), nn.NewRMSNorm(cfg.HeadDim, eps)
	}
	return b
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
	return m.Norm.Apply(p, p.Narrow(h)) // the last block has done so, if there is one
}

// block is h + Attn(Norm(h)), then h + FFN(Norm(h)). In the last one, rows that
// nobody wants need keys and values only.
func (m *Llama) block(p *op.Pass, i int, h *tensor.Tensor) *tensor.Tensor {
	b := &m.Blocks[i]
	var q, k, v *tensor.Tensor // [tokens, heads*headDim], twice [tokens, kvHeads*headDim]
	if p.Want != nil && i == len(m.Blocks)-1 {
		k, v = m.kv(p, i, h)
		h = p.Narrow(h)
		q = m.q(p, i, h)
	} else {
		q, k, v = m.qkv(p, i, h)
	}
	return p.Stripe(m.width(), []int{h.Cols}, func(p *op.Pass, ys, xs []*tensor.Tensor) {
		h := p.Add(xs[0], b.O.Apply(p, xs[1]))
		gate, up := b.gateUp(p, b.FFNNorm.Apply(p, h))
		ys[0] = p.Add(h, b.Down.Apply(p, p.SwiGLU(gate, up)))
	}, h, p.Attend(i, q, k, v, m.layers[i].spec))[0]
}

// width is about how many values of a row are under way between two attentions.
func (m *Llama) width() int {
	return 4*m.HiddenSize + 2*m.IntermediateSize + (m.NumAttentionHeads+2*m.NumKeyValueHeads)*m.HeadDim
}

// qkv are queries, keys and values of block i, from three matrices or from one.
func (m *Llama) qkv(p *op.Pass, i int, h *tensor.Tensor) (q, k, v *tensor.Tensor) {
	b, l := &m.Blocks[i], &m.layers[i]
	qs, ks := l.cols()
	y := p.Stripe(m.width(), []int{qs, ks, ks}, func(p *op.Pass, ys, xs []*tensor.Tensor) {
		x := b.AttnNorm.Apply(p, xs[0])
		if b.QKV == nil {
			nn.ApplyAll(p, ys, x, b.Q, b.K, b.V)
		} else {
			all := b.QKV.Apply(p, x)
			ys[0], ys[1], ys[2] = p.Columns(all, 0, qs), p.Columns(all, qs, ks), p.Columns(all, qs+ks, ks)
		}
		ys[0] = p.RoPE(b.QNorm.Apply(p, ys[0]), l.rope)
		ys[1] = p.RoPE(b.KNorm.Apply(p, ys[1]), l.rope)
	}, h)
	return y[0], y[1], y[2]
}

// kv are keys and values alone, in the bits of qkv.
func (m *Llama) kv(p *op.Pass, i int, h *tensor.Tensor) (k, v *tensor.Tensor) {
	b, l := &m.Blocks[i], &m.layers[i]
	if b.QKV != nil {
		_, k, v = m.qkv(p, i, h)
		return k, v
	}
	_, ks := l.cols()
	y := p.Stripe(m.width(), []int{ks, ks}, func(p *op.Pass, ys, xs []*tensor.Tensor) {
		nn.ApplyAll(p, ys, b.AttnNorm.Apply(p, xs[0]), b.K, b.V)
		ys[0] = p.RoPE(b.KNorm.Apply(p, ys[0]), l.rope)
	}, h)
	return y[0], y[1]
}

// q are queries alone, in the bits of qkv.
func (m *Llama) q(p *op.Pass, i int, h *tensor.Tensor) *tensor.Tensor {
	b, l := &m.Blocks[i], &m.layers[i]
	if b.QKV != nil {
		q, _, _ := m.qkv(p, i, h)
		return q
	}
	return p.RoPE(b.QNorm.Apply(p, b.Q.Apply(p, b.AttnNorm.Apply(p, h))), l.rope)
}

// gateUp are both inputs of SwiGLU, from two matrices or from one.
func (b *Block) gateUp(p *op.Pass, x *tensor.Tensor) (gate, up *tensor.Tensor) {
	if b.GateUp == nil {
		var y [2]*tensor.Tensor
		nn.ApplyAll(p, y[:], x, b.Gate, b.Up)
		return y[0], y[1]
	}
	both := b.GateUp.Apply(p, x)
	return p.Columns(both, 0, both.Cols/2), p.Columns(both, both.Cols/2, both.Cols/2)
}

// Logits projects hidden rows to the vocabulary: [rows, vocab].
func (m *Llama) Logits(p *op.Pass, hidden *tensor.Tensor) *tensor.Tensor {
	return m.Head.Apply(p, hidden)
}

// State is keys and values, of every layer as many; those of a layer with a
// window are read that far back only.
func (m *Llama) State() []model.State {
	s := make([]model.State, m.NumHiddenLayers)
	for i := range s {
		s[i] = model.State{KVHeads: m.NumKeyValueHeads, HeadDim: m.HeadDim, Window: m.window(i)}
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
		Family: m.ModelType, Layers: m.NumHiddenLayers, Dim: m.HiddenSize, Vocab: m.VocabSize,
		Heads: m.NumAttentionHeads, KVHeads: m.NumKeyValueHeads, HeadDim: m.HeadDim,
		Context: m.context(), Params: nn.Count(m),
		BOS: m.BOSTokenID.first(), EOS: m.EOSTokenID.first(),
	}
}
