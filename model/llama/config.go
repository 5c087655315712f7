package llama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Config is the part of a Hugging Face config.json that shapes the network.
// The zero value of a field with a default means that default.
type Config struct {
	ModelType             string  `json:"model_type"`              // llama; see Variants
	HiddenSize            int     `json:"hidden_size"`             // required
	IntermediateSize      int     `json:"intermediate_size"`       // required; rows of gate and up
	NumHiddenLayers       int     `json:"num_hidden_layers"`       // required
	NumAttentionHeads     int     `json:"num_attention_heads"`     // required
	NumKeyValueHeads      int     `json:"num_key_value_heads"`     // num_attention_heads
	HeadDim               int     `json:"head_dim"`                // hidden_size / num_attention_heads
	VocabSize             int     `json:"vocab_size"`              // required
	MaxPositionEmbeddings int     `json:"max_position_embeddings"` // 2048
	RMSNormEps            float32 `json:"rms_norm_eps"`            // 1e-6
	RopeTheta             float64 `json:"rope_theta"`              // 10000
	InitializerRange      float64 `json:"initializer_range"`       // 0.02
	TieWordEmbeddings     bool    `json:"tie_word_embeddings"`     // false
	AttentionBias         bool    `json:"attention_bias"`          // false; on q, k, v and o
	MLPBias               bool    `json:"mlp_bias"`                // false; on gate, up and down
	BOSTokenID            TokenID `json:"bos_token_id,omitzero"`   // none
	EOSTokenID            TokenID `json:"eos_token_id,omitzero"`   // none
	TorchDtype            string  `json:"torch_dtype,omitempty"`   // what the file stores; weft computes in float32

	RopeScaling                   RopeScaling `json:"rope_scaling,omitzero"`                     // none
	PartialRotaryFactor           float64     `json:"partial_rotary_factor,omitzero"`            // 1; how much of a head turns
	OriginalMaxPositionEmbeddings int         `json:"original_max_position_embeddings,omitzero"` // where RopeScaling does not say it
	SlidingWindow                 int         `json:"sliding_window,omitzero"`                   // none; positions that a query sees, its own included
	LayerTypes                    []string    `json:"layer_types,omitempty"`                     // where some layers have the window; all
	NoRopeLayers                  []int       `json:"no_rope_layers,omitempty"`                  // 0 for layers that know no positions; none
}

// Bounds of sizes, far above any model.
const (
	maxSize   = 1 << 24
	maxLayers = 1 << 16
)

// TokenID is one id or a list of them, as config.json allows.
type TokenID []int32

func (t TokenID) first() int32 {
	if len(t) == 0 {
		return -1
	}
	return t[0]
}

// UnmarshalJSON reads null, a number or a list of numbers.
func (t *TokenID) UnmarshalJSON(b []byte) error {
	var one *int32
	if err := json.Unmarshal(b, &one); err == nil {
		*t = nil
		if one != nil {
			*t = TokenID{*one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]int32)(t))
}

// MarshalJSON writes a single id as a number.
func (t TokenID) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]int32(t))
}

// ParseConfig reads a config.json. A key whose value would change the
// arithmetic, or that nobody knows, is an error that names it.
func ParseConfig(data []byte) (Config, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return Config{}, fmt.Errorf("llama: config.json: %w", err)
	}
	v, err := variantOf(keys)
	if err != nil {
		return Config{}, err
	}
	c := v.missing
	plain := maps.Clone(keys) // the rotation is read by itself
	delete(plain, "rope_scaling")
	text, err := json.Marshal(plain)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return Config{}, fmt.Errorf("llama: config.json: %w", err)
	}
	c.ModelType = v.ModelType
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var value bytes.Buffer
		if err := json.Compact(&value, keys[key]); err != nil {
			return Config{}, fmt.Errorf("llama: config.json: %s: %w", key, err)
		}
		if err := c.checkKey(v, key, value.String()); err != nil {
			return Config{}, err
		}
	}
	if err := c.layers(v, keys); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// checkKey accepts the keys of Config, keys that say nothing about the
// arithmetic, and others only with the value implemented here.
func (c *Config) checkKey(v Variant, key, value string) error {
	if v.has(key) {
		return nil
	}
	switch key {
	case "architectures", "transformers_version", "use_cache", "pretraining_tp", "pad_token_id", "unk_token_id",
		"dtype", "auto_map", "_name_or_path", "name_or_path", "tokenizer_class", "task_specific_params",
		"return_dict", "output_attentions", "output_hidden_states", "_attn_implementation_autoset",
		"is_llama_config", "transformers.js_config":
		return nil
	case "hidden_act":
		return only(key, value, `"silu"`, `"swish"`)
	case "attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop":
		return only(key, value, "0", "0.0", "null")
	case "sliding_window", "layer_types", "no_rope_layers", "no_rope_layer_interval", "quantization_config":
		return only(key, value, "null")
	case "use_sliding_window", "rope_interleaved", "is_encoder_decoder", "add_cross_attention", "use_mrope",
		"attention_bias", "mlp_bias", "lm_head_bias":
		return only(key, value, "false", "null")
	case "partial_rotary_factor", "full_attn_mod", "interpolate_factor":
		return only(key, value, "1", "1.0", "null")
	case "rope_scaling", "rope_parameters":
		return c.parseRope(v, key, []byte(value))
	}
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == key {
			return nil
		}
	}
	return fmt.Errorf("llama: config.json: unknown key %s (value %.80s): it may change the arithmetic; remove it if it does not", key, value)
}

func only(key, value string, want ...string) error {
	if slices.Contains(want, value) {
		return nil
	}
	return fmt.Errorf("llama: config.json: %s is %.80s, but only %s is implemented", key, value, want[0])
}

func (c Config) withDefaults() Config {
	set(&c.ModelType, Family)
	set(&c.NumKeyValueHeads, c.NumAttentionHeads)
	set(&c.HeadDim, c.HiddenSize/max(1, c.NumAttentionHeads))
	set(&c.MaxPositionEmbeddings, 2048)
	set(&c.RMSNormEps, 1e-6)
	set(&c.RopeTheta, 10000)
	set(&c.InitializerRange, 0.02)
	set(&c.PartialRotaryFactor, 1)
	return c
}

// Weights is the number of weights of the matrices, a tied one once. It is a
// float64 because a hostile config describes more than an integer holds.
func (c Config) Weights() float64 {
	c = c.withDefaults()
	d, f := float64(c.HiddenSize), float64(c.IntermediateSize)
	heads := float64(c.NumAttentionHeads) + float64(c.NumKeyValueHeads)
	n := float64(c.NumHiddenLayers)*d*(2*heads*float64(c.HeadDim)+3*f) + float64(c.VocabSize)*d
	if !c.TieWordEmbeddings {
		n += float64(c.VocabSize) * d
	}
	return n
}

func set[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

// Validate says what is wrong with a config, all of it.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("llama: config: "+format, a...)) }
	for _, f := range []struct {
		name string
		n    int
	}{
		{"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"vocab_size", c.VocabSize},
		{"max_position_embeddings", c.MaxPositionEmbeddings},
	} {
		if f.n <= 0 || f.n > maxSize {
			bad("%s is %d, want 1 to %d", f.name, f.n, maxSize)
		}
	}
	if len(errs) == 0 && c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		bad("num_attention_heads %d is no multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	}
	if _, err := c.variant(); err != nil {
		errs = append(errs, err)
	}
	c.checkRope(bad)
	c.checkLayers(bad)
	if !(c.RMSNormEps > 0 && c.RMSNormEps < 1) {
		bad("rms_norm_eps is %g, want between 0 and 1", c.RMSNormEps)
	}
	for _, id := range slices.Concat(c.BOSTokenID, c.EOSTokenID) {
		if id < 0 || int(id) >= c.VocabSize {
			bad("token id %d is outside the vocabulary of %d", id, c.VocabSize)
		}
	}
	return errors.Join(errs...)
}

// ConfigJSON is the config.json of the model, complete enough for other
// readers of the format.
func (m *Llama) ConfigJSON() ([]byte, error) {
	v, err := m.variant()
	if err != nil {
		return nil, err
	}
	c := m.Config
	c.TorchDtype = "float32"
	if c.PartialRotaryFactor == 1 {
		c.PartialRotaryFactor = 0 // not said
	}
	if v.has("no_rope_layers") && len(c.NoRopeLayers) == 0 { // missing, it means every fourth
		c.NoRopeLayers = pattern(c.NumHiddenLayers, func(int) int { return 1 })
	}
	if v.has("layer_types") && len(c.LayerTypes) == 0 && c.SlidingWindow > 0 { // missing, it means layers from the 28th
		c.LayerTypes = pattern(c.NumHiddenLayers, func(int) string { return slidingAttention })
	}
	var window json.RawMessage
	if v.has("sliding_window") { // missing, it may mean one
		window = []byte("null")
		if c.SlidingWindow > 0 {
			window = strconv.AppendInt(nil, int64(c.SlidingWindow), 10)
		}
	}
	return json.MarshalIndent(struct {
		Architectures    []string `json:"architectures"`
		HiddenAct        string   `json:"hidden_act"`
		UseSlidingWindow bool     `json:"use_sliding_window,omitzero"`
		Config
		SlidingWindow json.RawMessage `json:"sliding_window,omitempty"`
	}{[]string{v.Architecture}, "silu", v.asks && c.SlidingWindow > 0, c, window}, "", "  ")
}
