package zoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"weft/model/llama"
	"weft/model/weights/gguf"
)

// arch is a family as GGUF files spell it, or several that are one there.
// The fields say how the layouts differ, so that no code asks for a family by name.
type arch struct {
	name       string   // general.architecture, and what its keys begin with
	modelTypes []string // config.json model_type: read as the first, with a window as the last
	biases     bool     // config.json says whether there are any, the file by having them
	windows    bool     // each layer has the window or not
	factors    []string // tensors of factors of the rotation that other programs look at
}

// archs is the one list: what stands here can be read, and written again.
func archs() []arch {
	return []arch{
		{name: "llama", modelTypes: []string{"llama", "mistral"}, biases: true, factors: []string{ropeFactors, ropeLong}},
		{name: "qwen2", modelTypes: []string{"qwen2"}, windows: true},
		{name: "qwen3", modelTypes: []string{"qwen3"}, windows: true, biases: true},
		{name: "phi3", modelTypes: []string{"phi3"}, factors: []string{ropeLong}},
		{name: "smollm3", modelTypes: []string{"smollm3"}, windows: true, biases: true},
	}
}

// archNamed finds an architecture; ErrFamily lists those that there are.
func archNamed(name string) (arch, error) {
	var known []string
	for _, a := range archs() {
		if a.name == name {
			return a, nil
		}
		known = append(known, a.name)
	}
	return arch{}, fmt.Errorf("%w: general.architecture is %q; known: %s", ErrFamily, name, strings.Join(known, ", "))
}

// number is a key of config.json and its key of GGUF, behind the architecture.
type number struct {
	config, gguf string
	float        bool
}

// numbers are the keys that both layouts have.
func numbers() []number {
	return []number{
		{"hidden_size", "embedding_length", false},
		{"intermediate_size", "feed_forward_length", false},
		{"num_hidden_layers", "block_count", false},
		{"num_attention_heads", "attention.head_count", false},
		{"num_key_value_heads", "attention.head_count_kv", false},
		{"head_dim", "attention.key_length", false},
		{"max_position_embeddings", "context_length", false},
		{"vocab_size", "vocab_size", false},
		{"rms_norm_eps", "attention.layer_norm_rms_epsilon", true},
		{"rope_theta", "rope.freq_base", true},
	}
}

// config is the config.json that the metadata stands for, to be checked by the
// family as any other.
func (g *GGUF) config() ([]byte, error) {
	c, err := g.configKeys()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(c, "", "  ")
}

// configKeys is config as a map, before it is written: sizes, then windows, then the
// rotation, each of which may refuse what it cannot say.
func (g *GGUF) configKeys() (map[string]any, error) {
	if kind, ok := g.text("general.type"); ok && kind != "model" {
		return nil, fmt.Errorf("%w: general.type is %q, want a model", ErrNoModel, kind)
	}
	name, _ := g.text("general.architecture")
	a, err := archNamed(name)
	if err != nil {
		return nil, err
	}
	// A file without a head of its own uses the embedding.
	_, own := g.file.Tensor("output.weight")
	c := map[string]any{"model_type": a.modelTypes[0], "tie_word_embeddings": !own, "torch_dtype": "float32"}
	if err := readNumbers(c, a.name, numbers(), g.file.Value); err != nil {
		return nil, err
	}
	if _, ok := c["vocab_size"]; !ok {
		c["vocab_size"] = g.vocab()
	}
	if err := g.checkKeys(a, c); err != nil {
		return nil, err
	}
	if err := g.windowConfig(a, c); err != nil {
		return nil, err
	}
	g.describe(a, c)
	return c, g.ropeConfig(a, c)
}

// readNumbers adds to a config.json the numbers that metadata has.
func readNumbers(c map[string]any, arch string, all []number, value func(key string) (any, bool)) (err error) {
	// All that is wrong is said at once.
	for _, n := range all {
		key := arch + "." + n.gguf
		v, ok := value(key)
		if !ok {
			continue
		}
		if x, e := n.value(v); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, e))
		} else {
			c[n.config] = x
		}
	}
	return err
}

// Describe is the config.json that the first bytes of a GGUF stand for, as far as
// they go: sizes to plan with, not a model to load. Families that nobody here
// runs are described too.
func Describe(head []byte) ([]byte, error) {
	values, err := gguf.Head(head)
	if err != nil {
		return nil, err
	}
	value := func(key string) (any, bool) {
		v, ok := values[key]
		return v, ok
	}
	name, _ := values["general.architecture"].(string)
	c := map[string]any{"model_type": name}
	if a, err := archNamed(name); err == nil {
		c["model_type"] = a.modelTypes[0]
	}
	if tokens, ok := values["tokenizer.ggml.tokens"].([]string); ok {
		c["vocab_size"] = len(tokens)
	}
	all := append(numbers(),
		number{"sliding_window", slidingWindow, false}, number{"num_experts", "expert_count", false},
		number{"num_experts_per_tok", "expert_used_count", false}, number{"moe_intermediate_size", "expert_feed_forward_length", false})
	_ = readNumbers(c, name, all, value) // what is not understood is not described
	return json.MarshalIndent(c, "", "  ")
}

// describe adds what the vocabulary and the directory say.
func (g *GGUF) describe(a arch, c map[string]any) {
	if a.biases {
		for key, tensor := range map[string]string{"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_gate.bias"} {
			// The first layer speaks for all; a file that differs lacks a tensor later.
			_, c[key] = g.file.Tensor(tensor)
		}
	}
	if id, ok := g.id("bos"); ok {
		c["bos_token_id"] = id
	}
	if ids := g.ends(); len(ids) == 1 {
		c["eos_token_id"] = ids[0]
	} else if len(ids) > 1 {
		c["eos_token_id"] = ids
	}
}

// Keys of windows, behind the architecture: how far, and which layers slide.
const (
	slidingWindow  = "attention.sliding_window"
	slidingPattern = "attention.sliding_window_pattern"
)

// windowConfig adds the window. Without a pattern all layers have it.
func (g *GGUF) windowConfig(a arch, c map[string]any) error {
	c["sliding_window"] = nil
	v, _ := g.file.Value(a.name + "." + slidingWindow)
	n, _ := gguf.Int(v)
	if n <= 0 {
		return nil
	}
	c["sliding_window"], c["model_type"] = n, a.modelTypes[len(a.modelTypes)-1]
	if !a.windows {
		return nil
	}
	layers, _ := c["num_hidden_layers"].(int64)
	// The number of layers is not checked yet: no file may ask for more memory than that.
	types := make([]string, min(max(0, layers), 1<<16))
	pattern, said := g.file.Value(a.name + "." + slidingPattern)
	slides, ok := pattern.([]bool)
	if said && (!ok || len(slides) != len(types)) {
		return fmt.Errorf("%s.%s: %w: want a bool for each of %d layers", a.name, slidingPattern, ErrMetadata, layers)
	}
	for i := range types {
		types[i] = "full_attention"
		if !said || slides[i] {
			types[i] = "sliding_attention"
		}
	}
	c["use_sliding_window"], c["layer_types"] = true, types
	return nil
}

// value is a number of metadata as one of config.json. A list says it once per
// layer, and is understood if all layers agree.
func (n number) value(v any) (any, error) {
	// Families with layers of different sizes write lists, others by habit.
	if list, ok := v.([]int32); ok && len(list) > 0 && slices.Min(list) == slices.Max(list) {
		v = list[0]
	}
	if f, ok := v.(float32); ok && n.float {
		return shortFloat(f), nil
	}
	if i, ok := gguf.Int(v); ok && !n.float {
		return i, nil
	}
	return nil, fmt.Errorf("%w: it is %v (%T)", ErrMetadata, v, v)
}

// shortFloat is the float64 that is written like the float32: 1e-05, not
// 9.999999747378752e-06.
func shortFloat(f float32) json.Number {
	text, err := json.Marshal(f)
	if err != nil { // no number at all: the family refuses it
		return json.Number("0")
	}
	return json.Number(text)
}

// checkKeys accepts keys of the architecture that are read elsewhere or change
// nothing, others only with the value that is implemented.
// A key that nobody knows is an error: it could change the arithmetic, and a model that
// answers slightly wrong is worse than one that does not load.
func (g *GGUF) checkKeys(a arch, c map[string]any) error {
	read := append(ropeKeys(), slidingWindow, slidingPattern)
	for _, n := range numbers() {
		read = append(read, n.gguf)
	}
	for _, key := range g.file.Keys() {
		short, ok := strings.CutPrefix(key, a.name+".")
		if !ok || slices.Contains(read, short) {
			continue
		}
		v, _ := g.file.Value(key)
		// Compared as text: writers differ in the types of numbers.
		is := func(want any) bool { return fmt.Sprint(v) == fmt.Sprint(want) }
		switch short {
		case "attention.value_length":
			dim, known := c["head_dim"]
			if !known {
				dim = headDim(c)
			}
			ok = is(dim)
		case "expert_count", "expert_used_count", "rope.scaling.yarn_log_multiplier":
			ok = is(0)
		// 0 is how some writers say that there is none.
		case "attention.scale", "residual_scale", "embedding_scale", "logit_scale", "rope.scaling.yarn_ext_factor":
			ok = is(1) || is(0)
		case "attention.causal", "use_parallel_residual":
			ok = is(short == "attention.causal")
		// These say how the model was made, not what it computes.
		case "rope.scaling.finetuned", "tensor_data_layout":
		default:
			ok = false
		}
		if !ok {
			return a.wrong(short, v)
		}
	}
	return nil
}

// headDim is the width of a head where config.json does not say it.
func headDim(c map[string]any) int64 {
	d, _ := c["hidden_size"].(int64)
	n, _ := c["num_attention_heads"].(int64)
	return d / max(1, n)
}

// vocab is the number of rows of the embedding.
func (g *GGUF) vocab() int {
	if t, ok := g.file.Tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
		return t.Shape[1]
	}
	return len(g.tokens())
}

// metadata is a config.json as keys of GGUF, in a fixed order, and what stands
// for it in tensors.
// notes are for people: what is written, but not quite as it was.
func metadata(config []byte) (a arch, keys []gguf.KV, tensors []gguf.Source, notes []string, err error) {
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		return a, nil, nil, nil, err
	}
	all := archs()
	// The file must read back as the same family.
	i := slices.IndexFunc(all, func(a arch) bool { return slices.Contains(a.modelTypes, fmt.Sprint(c["model_type"])) })
	if i < 0 {
		return a, nil, nil, nil, fmt.Errorf("%w %q: GGUF files of it cannot be written", ErrFamily, c["model_type"])
	}
	a = all[i]
	for _, n := range numbers() {
		v, ok := c[n.config].(float64)
		switch {
		case !ok:
			continue
		case n.float:
			keys = append(keys, gguf.KV{Key: a.name + "." + n.gguf, Value: float32(v)})
		case v < 0 || v > math.MaxUint32 || v != math.Trunc(v):
			return a, nil, nil, nil, errors.New(n.config + " is no whole number")
		default:
			keys = append(keys, gguf.KV{Key: a.name + "." + n.gguf, Value: uint32(v)})
		}
	}
	cfg, err := llama.ParseConfig(config)
	if err != nil {
		return a, nil, nil, nil, err
	}
	keys = append(keys, gguf.KV{Key: a.name + ".attention.value_length", Value: uint32(cfg.HeadDim)})
	windows, notes, err := layerMeta(a, cfg)
	if err != nil {
		return a, nil, nil, nil, err
	}
	rope, tensors, note, err := ropeMeta(a, cfg)
	if note != "" {
		notes = append(notes, note)
	}
	return a, slices.Concat(keys, windows, rope), tensors, notes, err
}

// layerMeta is what a GGUF says of single layers.
// What the format has no key for, and the architecture does not imply, is an error:
// better no file than one that means another model.
func layerMeta(a arch, cfg llama.Config) (keys []gguf.KV, notes []string, err error) {
	for i, turns := range cfg.NoRopeLayers { // which the architecture alone says
		if (turns != 0) != ((i+1)%4 != 0) {
			return nil, nil, fmt.Errorf("no_rope_layers: a GGUF of %s cannot say that layer %d is such: every fourth is", a.name, i)
		}
	}
	if cfg.SlidingWindow == 0 {
		return nil, nil, nil
	}
	keys = append(keys, gguf.KV{Key: a.name + "." + slidingWindow, Value: uint32(cfg.SlidingWindow)})
	slides := make([]bool, len(cfg.LayerTypes))
	for i, t := range cfg.LayerTypes {
		slides[i] = t == "sliding_attention"
	}
	if slices.Contains(slides, false) {
		keys = append(keys, gguf.KV{Key: a.name + "." + slidingPattern, Value: slides})
	}
	return keys, []string{fmt.Sprintf("llama.cpp does not know the window of %s: past %d positions it answers otherwise", a.name, cfg.SlidingWindow)}, nil
}
