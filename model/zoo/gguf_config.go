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

// arch is a family as GGUF files spell it.
type arch struct {
	name      string // general.architecture, and what its keys begin with
	modelType string // config.json model_type
	// rotary are the leaves whose rows stand in pairs (2i, 2i+1) of a head where
	// config.json's layout has halves (i, i+half), and their number of heads.
	rotary map[string]string
}

func archs() []arch {
	return []arch{{
		name: "llama", modelType: llama.Family,
		rotary: map[string]string{"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"},
	}}
}

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

func (g *GGUF) configKeys() (map[string]any, error) {
	if kind, ok := g.text("general.type"); ok && kind != "model" {
		return nil, fmt.Errorf("%w: general.type is %q, want a model", ErrNoModel, kind)
	}
	name, _ := g.text("general.architecture")
	a, err := archNamed(name)
	if err != nil {
		return nil, err
	}
	_, own := g.file.Tensor("output.weight")
	c := map[string]any{"model_type": a.modelType, "tie_word_embeddings": !own, "torch_dtype": "float32"}
	used := map[string]bool{}
	for _, n := range numbers() {
		key := a.name + "." + n.gguf
		used[key] = true
		v, ok := g.file.Value(key)
		if !ok {
			continue
		}
		if c[n.config], err = n.value(v); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if _, ok := c["vocab_size"]; !ok {
		c["vocab_size"] = g.vocab()
	}
	for _, key := range g.file.Keys() {
		if strings.HasPrefix(key, a.name+".") && !used[key] {
			v, _ := g.file.Value(key)
			if err := g.checkKey(c, strings.TrimPrefix(key, a.name+"."), v); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	g.describe(c)
	return c, g.checkRopeFactors()
}

// describe adds what the vocabulary and the directory say.
func (g *GGUF) describe(c map[string]any) {
	for key, tensor := range map[string]string{"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_gate.bias"} {
		_, c[key] = g.file.Tensor(tensor)
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

// value is a number of metadata as one of config.json. A list says it once per
// layer, and is understood if all layers agree.
func (n number) value(v any) (any, error) {
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

// checkKey accepts keys of the architecture that change nothing, others only
// with the value that is implemented.
func (g *GGUF) checkKey(c map[string]any, key string, v any) error {
	is := func(want any) bool { return fmt.Sprint(v) == fmt.Sprint(want) }
	ok := false
	switch key {
	case "rope.dimension_count", "attention.value_length":
		dim, known := c["head_dim"]
		if !known {
			dim = headDim(c)
		}
		ok = is(dim)
	case "expert_count", "expert_used_count", "attention.sliding_window":
		ok = is(0)
	case "rope.scaling.type":
		ok = is("none")
	case "rope.scaling.factor", "rope.scaling.attn_factor", "rope.scale_linear", "attention.scale", "residual_scale", "embedding_scale", "logit_scale":
		ok = is(1) || is(0)
	case "attention.causal", "use_parallel_residual":
		ok = is(key == "attention.causal")
	case "rope.scaling.finetuned", "rope.scaling.original_context_length", "tensor_data_layout":
		ok = true
	}
	if !ok {
		return fmt.Errorf("%w: it is %.80v, which may change the arithmetic", ErrMetadata, v)
	}
	return nil
}

// headDim is the width of a head where config.json does not say it.
func headDim(c map[string]any) int64 {
	d, _ := c["hidden_size"].(int64)
	n, _ := c["num_attention_heads"].(int64)
	return d / max(1, n)
}

// ropeFactors is the tensor that stretches the rotation of each pair.
const ropeFactors = "rope_freqs.weight"

// checkRopeFactors accepts factors of one.
func (g *GGUF) checkRopeFactors() error {
	t, ok := g.file.Tensor(ropeFactors)
	if !ok {
		return nil
	}
	w := ggufWeights{GGUF: g}
	factors := make([]float32, min(t.Len(), 1<<16))
	if err := w.decode(t, factors); err != nil {
		return err
	}
	if slices.ContainsFunc(factors, func(f float32) bool { return f != 1 }) {
		return fmt.Errorf("%w: tensor %s stretches the rotation (Llama 3.1 and later), but only the plain rotation is implemented", ErrMetadata, ropeFactors)
	}
	return nil
}

// vocab is the number of rows of the embedding.
func (g *GGUF) vocab() int {
	if t, ok := g.file.Tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
		return t.Shape[1]
	}
	return len(g.tokens())
}

// metadata is a config.json as keys of GGUF, in a fixed order.
func metadata(config []byte) (a arch, keys []gguf.KV, err error) {
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		return a, nil, err
	}
	all := archs()
	i := slices.IndexFunc(all, func(a arch) bool { return a.modelType == c["model_type"] })
	if i < 0 {
		return a, nil, fmt.Errorf("%w %q: GGUF files of it cannot be written", ErrFamily, c["model_type"])
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
			return a, nil, errors.New(n.config + " is no whole number")
		default:
			keys = append(keys, gguf.KV{Key: a.name + "." + n.gguf, Value: uint32(v)})
		}
	}
	if dim, ok := c["head_dim"].(float64); ok {
		keys = append(keys, gguf.KV{Key: a.name + ".rope.dimension_count", Value: uint32(dim)},
			gguf.KV{Key: a.name + ".attention.value_length", Value: uint32(dim)})
	}
	return a, keys, nil
}
