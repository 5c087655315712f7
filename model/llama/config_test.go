package llama_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"weft/model/llama"
)

// published are config.json files as they are found beside weights, with what
// they mean or why they are refused.
var published = []struct {
	name, config, refused string
	weights               float64 // of matrices
	is                    func(c llama.Config) bool
}{
	{"Qwen2.5-0.5B", `{"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
		"hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864, "max_position_embeddings": 32768,
		"max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
		"rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
		"transformers_version": "4.40.1", "use_cache": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936}`, "", 0.494e9,
		func(c llama.Config) bool {
			return c.TieWordEmbeddings && c.SlidingWindow == 0 && len(c.LayerTypes) == 0
		}},
	{"Qwen2.5-7B-Instruct, with the yarn its card names", `{"architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu", "hidden_size": 3584,
		"intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28,
		"num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
		"tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 152064,
		"rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}}`, "", 7.6e9,
		func(c llama.Config) bool { return c.RopeScaling.Type == "yarn" && c.RopeScaling.Original == 32768 }},
	{"Qwen3-0.6B", `{"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
		"eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3072,
		"max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
		"num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
		"tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "use_sliding_window": false, "vocab_size": 151936}`, "", 0.596e9,
		func(c llama.Config) bool { return c.HeadDim == 128 && c.SlidingWindow == 0 }},
	{"Llama-3.2-1B", `{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
		"eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
		"intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
		"num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
		"high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
		"rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256}`, "", 1.236e9,
		func(c llama.Config) bool { return c.RopeScaling.Type == "llama3" && c.RopeScaling.Factor == 32 }},
	{"Mistral-7B-v0.1", `{"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096,
		"initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32,
		"num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
		"tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000}`, "", 7.24e9,
		func(c llama.Config) bool { return c.SlidingWindow == 4096 && len(c.LayerTypes) == 0 }},
	{"Mistral-7B-v0.3", `{"architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "hidden_size": 4096, "intermediate_size": 14336,
		"max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
		"rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32768}`, "", 7.25e9,
		func(c llama.Config) bool { return c.SlidingWindow == 0 }},
	{"SmolLM2-135M", `{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 0,
		"hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664, "intermediate_size": 1536, "is_llama_config": true,
		"max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
		"pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
		"tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 49152}`, "", 0.1345e9,
		func(c llama.Config) bool { return c.RopeTheta == 100000 }},
	{"SmolLM3-3B", `{"architectures": ["SmolLM3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 2048,
		"initializer_range": 0.02, "intermediate_size": 11008, "layer_types": null, "max_position_embeddings": 65536, "max_window_layers": 28,
		"mlp_bias": false, "model_type": "smollm3", "no_rope_layer_interval": 4, "num_attention_heads": 16, "num_hidden_layers": 36,
		"num_key_value_heads": 4, "pretraining_tp": 2, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 5000000.0,
		"sliding_window": null, "use_cache": false, "use_sliding_window": false, "vocab_size": 128256}`, "", 3.075e9,
		func(c llama.Config) bool {
			return c.TieWordEmbeddings && len(c.NoRopeLayers) == 36 && c.NoRopeLayers[3] == 0 && c.NoRopeLayers[4] == 1
		}},
	{"Phi-3-mini-4k", `{"architectures": ["Phi3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "auto_map": {"AutoConfig": "x"},
		"bos_token_id": 1, "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072, "initializer_range": 0.02,
		"intermediate_size": 8192, "max_position_embeddings": 4096, "model_type": "phi3", "num_attention_heads": 32, "num_hidden_layers": 32,
		"num_key_value_heads": 32, "original_max_position_embeddings": 4096, "pad_token_id": 32000, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05,
		"rope_scaling": null, "rope_theta": 10000.0, "sliding_window": 2047, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
		"use_cache": true, "vocab_size": 32064}`, "", 3.82e9,
		func(c llama.Config) bool { return c.SlidingWindow == 2047 }},
	{"gemma-2", `{"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "hidden_size": 2304}`, `model_type is "gemma2", but known are llama`, 0, nil},
	{"granite", `{"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2,
		"vocab_size": 100, "embedding_multiplier": 12.0}`, "unknown key embedding_multiplier (value 12.0)", 0, nil},
	{"MiniCPM3", `{"model_type": "minicpm3", "q_lora_rank": 768}`, `model_type is "minicpm3"`, 0, nil},
	{"Llama of gptq", `{"model_type": "llama", "quantization_config": {"bits": 4}}`, `quantization_config is {"bits":4}, but only null`, 0, nil},
	{"layer types of another kind", `{"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
		"num_key_value_heads": 4, "num_hidden_layers": 2, "vocab_size": 100, "use_sliding_window": true, "layer_types": ["full_attention", "linear_attention"]}`,
		`layer_types[1] is "linear_attention", but only full_attention and sliding_attention`, 0, nil},
	{"layer types of another depth", `{"model_type": "qwen2", "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
		"num_key_value_heads": 4, "num_hidden_layers": 3, "vocab_size": 100, "use_sliding_window": true, "layer_types": ["full_attention", "sliding_attention"]}`,
		"layer_types names 2 layers, want num_hidden_layers 3", 0, nil},
	{"windows without a window", `{"model_type": "smollm3", "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
		"num_hidden_layers": 1, "vocab_size": 100, "layer_types": ["sliding_attention"]}`, "layer_types has layers with a window, but sliding_window says none", 0, nil},
	{"no positions at an odd interval", `{"model_type": "smollm3", "hidden_size": 64, "num_hidden_layers": 1, "no_rope_layer_interval": 0}`,
		"no_rope_layer_interval is 0", 0, nil},
}

func TestPublished(t *testing.T) {
	for _, c := range published {
		cfg, err := llama.ParseConfig([]byte(c.config))
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case !c.is(cfg) || math.Abs(cfg.Weights()/c.weights-1) > 0.01:
			t.Errorf("%s: %.4g weights, want %.4g, of %+v", c.name, cfg.Weights(), c.weights, cfg)
		}
	}
}

// TestParseConfig reads files as they are found beside published weights.
func TestParseConfig(t *testing.T) {
	c, err := llama.ParseConfig([]byte(`{
		"architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": [2, 7], "hidden_act": "silu",
		"hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632, "max_position_embeddings": 2048,
		"model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 22, "num_key_value_heads": 4,
		"head_dim": null, "pad_token_id": null, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
		"rope_theta": 500000, "attention_dropout": 0.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
		"transformers_version": "4.31.0.dev0", "use_cache": true, "vocab_size": 32000}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.RopeTheta != 500000 || c.NumKeyValueHeads != 4 || len(c.EOSTokenID) != 2 || c.TorchDtype != "bfloat16" {
		t.Errorf("read %+v", c)
	}
	if n := c.Weights(); n < 1.0e9 || n > 1.2e9 {
		t.Errorf("counts %g weights, want about 1.1e9", n)
	}
	c, err = llama.ParseConfig([]byte(`{"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
		"num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "is_llama_config": true,
		"rope_interleaved": false, "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}}`))
	if err != nil || c.RopeTheta != 100000 {
		t.Errorf("rope_theta is %g, error %v, want 100000 from rope_parameters", c.RopeTheta, err)
	}
}

func TestConfigErrors(t *testing.T) {
	good := map[string]any{"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"vocab_size", 9, ""},
		{"rope_interleaved", true, "rope_interleaved is true, but only false"},
		{"attention_dropout", 0.1, "attention_dropout is 0.1, but only 0"},
		{"quantization_config", map[string]any{"bits": 4}, `quantization_config is {"bits":4}, but only null`},
		{"partial_rotary_factor", 0.5, "partial_rotary_factor is 0.5"},
		{"rope_scaling", map[string]any{"rope_type": "mrope", "factor": 2}, `rope_scaling.rope_type is "mrope", but only default, dynamic, linear, llama3, longrope, yarn`},
		{"rope_scaling", map[string]any{"type": "linear"}, "rope_scaling.factor is missing, which type linear needs"},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 2}, ""},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 0.5}, "rope_scaling.factor is 0.5, want 1 to"},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 2, "beta_fast": 8}, "rope_scaling.beta_fast is 8, which means nothing for type linear"},
		{"rope_scaling", map[string]any{"type": "yarn", "factor": 2, "beta_fast": -1}, "rope_scaling has negative numbers"},
		{"rope_scaling", map[string]any{"type": "su", "short_factor": []int{1, 1}, "long_factor": []int{1}}, "short_factor and long_factor have 2 and 1 numbers, want one for each of 2 pairs"},
		{"rope_scaling", map[string]any{"type": "longrope", "short_factor": []int{1, 1}, "long_factor": []int{1, 0}}, "rope_scaling has the factor 0"},
		{"rope_scaling", map[string]any{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 64},
			"low_freq_factor 4 and high_freq_factor 4, want the second larger"},
		{"rope_parameters", map[string]any{"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"},
		{"model_type", "gpt9", `model_type is "gpt9", but known are llama mistral qwen2 qwen3 phi3 smollm3`},
		{"sliding_window", 4, "sliding_window is 4, but only null"},
		{"rope_parameters", map[string]any{"rope_theta": "big"}, "cannot unmarshal"},
		{"rope_scaling", 4, "rope_scaling: json"},
		{"rope_theta", 0.5, "rope_theta is 0.5, want at least 1"},
		{"rms_norm_eps", -1, "rms_norm_eps is -1"},
		{"vocab_size", 1 << 30, "vocab_size is 1073741824, want 1 to"},
		{"eos_token_id", []string{"</s>"}, "cannot unmarshal"},
		{"final_logit_softcapping", 30, "unknown key final_logit_softcapping (value 30)"},
	} {
		keys := map[string]any{}
		for k, v := range good {
			keys[k] = v
		}
		keys[c.key] = c.value
		text, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		_, err = llama.ParseConfig(text)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.key, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s = %v: error is %v, want one with %q", c.key, c.value, err, c.want)
		}
	}
}
