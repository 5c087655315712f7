package llama

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Names of the first of the families, which a Config without a ModelType is of.
const (
	Family       = "llama"
	Architecture = "LlamaForCausalLM"
)

// Variant is a family of this architecture: how config.json names it, and what
// the name alone means.
type Variant struct {
	ModelType    string // model_type
	Architecture string // architectures[0]

	qkvBias bool     // q, k and v have biases, whatever attention_bias says
	qkNorm  bool     // every head of q and k is normalised before it turns
	fused   bool     // q, k and v are one matrix, and so are gate and up
	asks    bool     // windows only where use_sliding_window says so
	keys    []string // of config.json that change the arithmetic and that not all families have

	missing Config // what keys mean that are missing, where that is not what Config says
}

// Variants lists the families.
func Variants() []Variant {
	return []Variant{
		{ModelType: Family, Architecture: Architecture, keys: []string{"attention_bias", "mlp_bias"}},
		{ModelType: "mistral", Architecture: "MistralForCausalLM", keys: []string{"sliding_window"},
			missing: Config{NumKeyValueHeads: 8, SlidingWindow: 4096}},
		{ModelType: "qwen2", Architecture: "Qwen2ForCausalLM", qkvBias: true, asks: true, keys: windowKeys(),
			missing: Config{MaxPositionEmbeddings: 32768, SlidingWindow: 4096}},
		{ModelType: "qwen3", Architecture: "Qwen3ForCausalLM", qkNorm: true, asks: true, keys: append(windowKeys(), "attention_bias"),
			missing: Config{MaxPositionEmbeddings: 32768, SlidingWindow: 4096, HeadDim: 128}},
		{ModelType: "phi3", Architecture: "Phi3ForCausalLM", fused: true, keys: []string{"sliding_window", "partial_rotary_factor"},
			missing: Config{MaxPositionEmbeddings: 4096, RMSNormEps: 1e-5}},
		{ModelType: "smollm3", Architecture: "SmolLM3ForCausalLM", asks: true,
			keys:    append(windowKeys(), "attention_bias", "mlp_bias", "no_rope_layers", "no_rope_layer_interval"),
			missing: Config{MaxPositionEmbeddings: 32768, RopeTheta: 2e6, NumKeyValueHeads: 4, TieWordEmbeddings: true}},
	}
}

func windowKeys() []string {
	return []string{"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"}
}

// variant is the family of a config.
func (c Config) variant() (Variant, error) {
	all, known := Variants(), ""
	for _, v := range all {
		if v.ModelType == c.ModelType || c.ModelType == "" && v.ModelType == Family {
			return v, nil
		}
		known += " " + v.ModelType
	}
	return all[0], fmt.Errorf("llama: config.json: model_type is %q, but known are%s", c.ModelType, known)
}

// variantOf finds the family by the keys of a config.json: by its model_type, or
// where that is missing by its architectures.
func variantOf(keys map[string]json.RawMessage) (Variant, error) {
	var c Config
	var names []string
	for key, to := range map[string]any{"model_type": &c.ModelType, "architectures": &names} {
		if text, ok := keys[key]; ok {
			if err := json.Unmarshal(text, to); err != nil {
				return Variant{}, fmt.Errorf("llama: config.json: %s: %w", key, err)
			}
		}
	}
	if c.ModelType == "" {
		for _, v := range Variants() {
			if slices.Contains(names, v.Architecture) {
				c.ModelType = v.ModelType
			}
		}
	}
	return c.variant()
}

// has says whether a key that not all families have means something here.
func (v Variant) has(key string) bool { return slices.Contains(v.keys, key) }

// What layer_types calls layers that see all positions, and those with a window.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// layers reads what config.json says of single layers in the ways that families
// have for it, and leaves it in SlidingWindow, LayerTypes and NoRopeLayers.
func (c *Config) layers(v Variant, keys map[string]json.RawMessage) error {
	var k struct {
		Window   *int     `json:"sliding_window"`
		Use      bool     `json:"use_sliding_window"`
		From     *int     `json:"max_window_layers"`
		Types    []string `json:"layer_types"`
		NoRope   []int    `json:"no_rope_layers"` // 1 where a layer turns
		Interval *int     `json:"no_rope_layer_interval"`
	}
	text, err := json.Marshal(keys)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return fmt.Errorf("llama: config.json: %w", err)
	}
	if _, said := keys["sliding_window"]; said && k.Window == nil || v.asks && !k.Use {
		c.SlidingWindow = 0
	}
	switch {
	case c.SlidingWindow == 0:
		if slices.Contains(k.Types, slidingAttention) {
			return fmt.Errorf("llama: config.json: layer_types has layers with a window, but sliding_window says none")
		}
		c.LayerTypes = nil
	case len(k.Types) == 0 && v.has("max_window_layers"):
		from := 28 // as transformers has it
		if k.From != nil {
			from = *k.From
		}
		c.LayerTypes = pattern(c.NumHiddenLayers, func(i int) string {
			if i < from {
				return fullAttention
			}
			return slidingAttention
		})
	}
	if v.has("no_rope_layers") && len(k.NoRope) == 0 {
		every := 4
		if k.Interval != nil {
			every = *k.Interval
		}
		if every < 1 {
			return fmt.Errorf("llama: config.json: no_rope_layer_interval is %d, want 1 or more", every)
		}
		c.NoRopeLayers = pattern(c.NumHiddenLayers, func(i int) int { return min(1, (i+1)%every) })
	}
	return nil
}

// pattern makes one value per layer; of so many layers that Validate refuses
// them, none.
func pattern[T any](layers int, of func(i int) T) []T {
	if layers > maxLayers {
		return nil
	}
	var all []T
	for i := range layers {
		all = append(all, of(i))
	}
	return all
}

// window is how many positions a layer looks back, itself included; 0: all.
func (c Config) window(layer int) int {
	if len(c.LayerTypes) > 0 && c.LayerTypes[layer] == fullAttention {
		return 0
	}
	return c.SlidingWindow
}

// turns says whether a layer knows positions.
func (c Config) turns(layer int) bool { return len(c.NoRopeLayers) == 0 || c.NoRopeLayers[layer] != 0 }

// checkLayers says what is wrong with what is said of single layers.
func (c Config) checkLayers(bad func(format string, a ...any)) {
	if c.SlidingWindow < 0 || c.SlidingWindow > maxSize {
		bad("sliding_window is %d, want 0 (none) to %d", c.SlidingWindow, maxSize)
	}
	for key, n := range map[string]int{"layer_types": len(c.LayerTypes), "no_rope_layers": len(c.NoRopeLayers)} {
		if n != 0 && n != c.NumHiddenLayers {
			bad("%s names %d layers, want num_hidden_layers %d", key, n, c.NumHiddenLayers)
		}
	}
	for i, t := range c.LayerTypes {
		if t != fullAttention && t != slidingAttention {
			bad("layer_types[%d] is %q, but only %s are implemented", i, t, strings.Join([]string{fullAttention, slidingAttention}, " and "))
			break
		}
	}
}
