package llama_test

import (
	"encoding/json"
	"strings"
	"testing"

	"weft/model/llama"
)

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
		{"rope_scaling", map[string]any{"rope_type": "linear"}, `rope_scaling.rope_type is "linear", but only "default"`},
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
