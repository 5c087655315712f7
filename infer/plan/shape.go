package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Shape is what a config.json says about sizes. Zero fields are absent parts.
type Shape struct {
	Family                  string // model_type
	Layers, Dim, FFN        int    // FFN: rows of gate and up in a dense layer
	Heads, KVHeads, HeadDim int
	Vocab, Context          int
	Tied                    bool // the embedding is the output matrix too
	QKVBias, OutBias        bool // of attention
	FFNBias, QKNorm         bool
	Fused                   bool // queries, keys and values are one matrix, and so are gate and up
	Window, Sliding         int  // positions that Sliding of the layers look back; the others see all

	Experts *Experts // nil: dense
	Latent  *Latent  // nil: keys and values are kept as they are
	DType   string   // how the config says that weights are stored
	Notes   []string // what was assumed, a sentence each
}

// Experts are the feed-forwards of a sparse layer (Shazeer 2017).
type Experts struct {
	Count, Chosen int // in a layer; per token
	FFN           int // rows of one expert's gate and up
	Shared        int // rows of the expert that every token goes through; 0: none
	Dense         int // layers at the start that have one dense feed-forward
}

// Latent is multi-head latent attention (DeepSeek-V2): what is kept of a
// position is one vector for all heads, and its rotated key.
type Latent struct {
	Query        int // rank of the queries; 0: full
	KV, Rope     int // values kept per position
	Plain, Value int // width of a head's unrotated key, and of its value
}

// config is what of a config.json says sizes, by the names that families use.
type config struct {
	ModelType    string          `json:"model_type"`
	TextConfig   json.RawMessage `json:"text_config"`
	Hidden       int             `json:"hidden_size"`
	FFN          int             `json:"intermediate_size"`
	Layers       int             `json:"num_hidden_layers"`
	Heads        int             `json:"num_attention_heads"`
	KVHeads      int             `json:"num_key_value_heads"`
	HeadDim      int             `json:"head_dim"`
	Vocab        int             `json:"vocab_size"`
	Context      int             `json:"max_position_embeddings"`
	Tied         bool            `json:"tie_word_embeddings"`
	AttnBias     bool            `json:"attention_bias"`
	MLPBias      bool            `json:"mlp_bias"`
	TorchDType   string          `json:"torch_dtype"`
	DType        string          `json:"dtype"`
	Window       int             `json:"sliding_window"`
	UseWindow    *bool           `json:"use_sliding_window"`
	WindowFrom   *int            `json:"max_window_layers"`
	RopeScaling  map[string]any  `json:"rope_scaling"`
	Rope         map[string]any  `json:"rope_parameters"` // what newer files call it
	Original     int             `json:"original_max_position_embeddings"`
	LayerTypes   []string        `json:"layer_types"`
	LocalExperts int             `json:"num_local_experts"`
	Experts      int             `json:"num_experts"`
	Routed       int             `json:"n_routed_experts"`
	Chosen       int             `json:"num_experts_per_tok"`
	ExpertFFN    int             `json:"moe_intermediate_size"`
	SharedFFN    int             `json:"shared_expert_intermediate_size"`
	SharedCount  int             `json:"n_shared_experts"`
	FirstDense   int             `json:"first_k_dense_replace"`
	QueryRank    int             `json:"q_lora_rank"`
	KVRank       int             `json:"kv_lora_rank"`
	RopeDim      int             `json:"qk_rope_head_dim"`
	PlainDim     int             `json:"qk_nope_head_dim"`
	ValueDim     int             `json:"v_head_dim"`
}

// ParseConfig reads the sizes of a Hugging Face config.json. Keys that say
// nothing about sizes are passed over. Errors wrap ErrConfig.
func ParseConfig(data []byte) (Shape, error) {
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return Shape{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var notes []string
	if c.Hidden == 0 && len(bytes.TrimSpace(c.TextConfig)) > 0 {
		outer := c.ModelType
		if err := json.Unmarshal(c.TextConfig, &c); err != nil {
			return Shape{}, fmt.Errorf("%w: text_config: %w", ErrConfig, err)
		}
		notes = append(notes, fmt.Sprintf("of %s the text model alone is planned for", outer))
	}
	s := Shape{
		Family: c.ModelType, Layers: c.Layers, Dim: c.Hidden, FFN: c.FFN, Heads: c.Heads, KVHeads: cmp.Or(c.KVHeads, c.Heads),
		HeadDim: cmp.Or(c.HeadDim, c.Hidden/max(1, c.Heads)), Vocab: c.Vocab, Context: cmp.Or(c.Context, 2048), Tied: c.Tied,
		QKVBias: c.AttnBias, OutBias: c.AttnBias, FFNBias: c.MLPBias, DType: cmp.Or(c.DType, c.TorchDType), Notes: notes,
	}
	s.family()
	s.stretch(c)
	s.window(c)
	s.experts(c)
	if c.KVRank > 0 {
		s.Latent = &Latent{c.QueryRank, c.KVRank, c.RopeDim, c.PlainDim, c.ValueDim}
	}
	return s, s.validate()
}

// family adds what a model_type means without saying so in its config.
func (s *Shape) family() {
	if s.Vocab == 0 {
		s.Notes = append(s.Notes, "vocab_size is not said: what depends on it is not counted")
	}
	switch s.Family {
	case "llama", "mistral", "mixtral", "deepseek_v2", "deepseek_v3", "smollm3", "granite":
	case "phi3":
		s.Fused = true
	case "qwen2", "qwen2_moe":
		s.QKVBias = true
	case "qwen3", "qwen3_moe":
		s.QKNorm = true
	default:
		s.Notes = append(s.Notes, fmt.Sprintf("family %q is not known: gated feed-forwards and two norms per layer are assumed", s.Family))
	}
}

// stretch counts the positions that YaRN adds, which not all files say in
// max_position_embeddings.
func (s *Shape) stretch(c config) {
	for _, r := range []map[string]any{c.RopeScaling, c.Rope} {
		if r["rope_type"] != "yarn" && r["type"] != "yarn" {
			continue
		}
		factor, _ := r["factor"].(float64)
		original, ok := r["original_max_position_embeddings"].(float64)
		if !ok {
			original = float64(cmp.Or(c.Original, s.Context))
		}
		if n := factor * original; n > float64(s.Context) && n <= maxContext {
			s.Context = int(n)
		}
	}
}

// window finds the layers that slide: those that layer_types names, in families
// that ask for windows those from max_window_layers on, else all.
func (s *Shape) window(c config) {
	asks := slices.Contains([]string{"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3"}, s.Family)
	use := !asks
	if c.UseWindow != nil {
		use = *c.UseWindow
	}
	if c.Window <= 0 || !use {
		return
	}
	s.Window, s.Sliding = c.Window, c.Layers
	switch {
	case len(c.LayerTypes) > 0:
		s.Sliding = 0
		for _, t := range c.LayerTypes {
			if t == "sliding_attention" {
				s.Sliding++
			}
		}
	case asks:
		from := 28 // as transformers has it
		if c.WindowFrom != nil {
			from = *c.WindowFrom
		}
		s.Sliding = max(0, c.Layers-max(0, from))
	}
}

func (s *Shape) experts(c config) {
	n := max(c.LocalExperts, c.Experts, c.Routed)
	if n == 0 {
		return
	}
	e := &Experts{Count: n, Chosen: c.Chosen, FFN: cmp.Or(c.ExpertFFN, c.FFN), Shared: c.SharedFFN, Dense: c.FirstDense}
	if c.SharedCount > 0 {
		e.Shared = c.SharedCount * e.FFN
	}
	s.Experts = e
}

// The largest sizes that are planned for: far above any model, and low enough
// that no product overflows.
const (
	maxLayers  = 4096
	maxWidth   = 1 << 22
	maxExperts = 4096
	maxVocab   = 1 << 26
	maxContext = 1 << 31
	maxParams  = 1e15
)

func (s *Shape) validate() error {
	var wrong []string
	check := func(name string, n, low, high int) {
		if n < low || n > high {
			wrong = append(wrong, fmt.Sprintf("%s is %d, want %d to %d", name, n, low, high))
		}
	}
	check("num_hidden_layers", s.Layers, 1, maxLayers)
	check("hidden_size", s.Dim, 1, maxWidth)
	check("num_attention_heads", s.Heads, 1, maxWidth)
	check("num_key_value_heads", s.KVHeads, 1, s.Heads)
	check("head_dim", s.HeadDim, 1, maxWidth)
	check("vocab_size", s.Vocab, 0, maxVocab)
	check("max_position_embeddings", s.Context, 1, maxContext)
	if s.Window > 0 {
		check("sliding_window", s.Window, 1, maxContext)
		check("sliding layers", s.Sliding, 0, s.Layers)
	}
	if e := s.Experts; e != nil {
		check("experts", e.Count, 1, maxExperts)
		check("num_experts_per_tok", e.Chosen, 1, e.Count)
		check("moe_intermediate_size", e.FFN, 1, maxWidth)
		check("shared_expert_intermediate_size", e.Shared, 0, maxWidth)
		check("first_k_dense_replace", e.Dense, 0, s.Layers)
	}
	if s.Experts == nil || s.Experts.Dense > 0 {
		check("intermediate_size", s.FFN, 1, maxWidth)
	}
	if l := s.Latent; l != nil {
		check("q_lora_rank", l.Query, 0, maxWidth)
		check("kv_lora_rank", l.KV, 1, maxWidth)
		check("qk_rope_head_dim", l.Rope, 0, maxWidth)
		check("qk_nope_head_dim", l.Plain, 1, maxWidth)
		check("v_head_dim", l.Value, 1, maxWidth)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrConfig, strings.Join(wrong, "; "))
	}
	if n := s.roughly(); n > maxParams {
		return fmt.Errorf("%w: it describes %.3g weights", ErrConfig, n)
	}
	return nil
}

// roughly is the number of weights, in a type that cannot overflow.
func (s *Shape) roughly() (n float64) {
	for _, t := range s.Tensors() {
		n += float64(t.Rows) * float64(t.Cols) * float64(t.Count)
	}
	return n
}

// String describes the shape in a line.
func (s Shape) String() string {
	parts := []string{
		fmt.Sprintf("%d layers", s.Layers), fmt.Sprintf("%d wide", s.Dim),
		fmt.Sprintf("%d heads of %d (%d for keys and values)", s.Heads, s.HeadDim, s.KVHeads),
	}
	if l := s.Latent; l != nil {
		parts[2] = fmt.Sprintf("%d heads over a latent of %d+%d", s.Heads, l.KV, l.Rope)
	}
	if e := s.Experts; e != nil {
		parts = append(parts, fmt.Sprintf("%d experts, %d per token", e.Count, e.Chosen))
	}
	if s.Sliding > 0 {
		parts = append(parts, fmt.Sprintf("window %d in %d layers", s.Window, s.Sliding))
	}
	parts = append(parts, fmt.Sprintf("vocabulary %d", s.Vocab), fmt.Sprintf("context %d", s.Context))
	return strings.Join(slices.Insert(parts, 0, cmp.Or(s.Family, "unnamed family")), ", ")
}
