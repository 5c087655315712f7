package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Config is the part of an adapter_config.json that decides what is computed
// and trained.
type Config struct {
	Base     string   // base_model_name_or_path: what it was trained on; "": not said
	Rank     int      // r; 8
	Alpha    float64  // lora_alpha; 8
	RSLoRA   bool     // use_rslora: the scale is alpha/sqrt(r) (Kalajdzievski 2023) instead of alpha/r; false
	Dropout  float64  // lora_dropout, of training alone; 0
	Targets  []string // target_modules: names of matrices, or how they end; none: those that the file has
	Ranks    Patterns // rank_pattern: exceptions to Rank
	Alphas   Patterns // alpha_pattern: exceptions to Alpha
	complete bool     // every matrix that Targets names has its pair
}

// MaxRank bounds r: more would not be low.
const MaxRank = 1024

// configFile is the layout of the file, as far as it is kept.
type configFile struct {
	PeftType string          `json:"peft_type"`
	TaskType *string         `json:"task_type"`
	Base     *string         `json:"base_model_name_or_path"`
	Rank     int             `json:"r"`
	Alpha    float64         `json:"lora_alpha"`
	RSLoRA   bool            `json:"use_rslora"`
	Dropout  float64         `json:"lora_dropout"`
	Targets  json.RawMessage `json:"target_modules"`
	Ranks    Patterns        `json:"rank_pattern"`
	Alphas   Patterns        `json:"alpha_pattern"`
}

// ParseConfig reads an adapter_config.json. A key whose value asks for what is
// not done here is ErrUnsupported, and so is an unknown key, unless its value says
// that it is off.
func ParseConfig(text []byte) (Config, error) {
	f := configFile{Rank: 8, Alpha: 8} // PEFT's own defaults
	var keys map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &keys), json.Unmarshal(text, &f)); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrFormat, ConfigFile, err)
	}
	if f.PeftType != "LORA" {
		return Config{}, fmt.Errorf("%w: %s: peft_type is %q, want \"LORA\"", ErrUnsupported, ConfigFile, f.PeftType)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var value bytes.Buffer
		if err := json.Compact(&value, keys[key]); err != nil {
			return Config{}, fmt.Errorf("%w: %s: %s: %w", ErrFormat, ConfigFile, key, err)
		}
		if err := checkKey(key, value.String()); err != nil {
			return Config{}, err
		}
	}
	c := Config{Rank: f.Rank, Alpha: f.Alpha, RSLoRA: f.RSLoRA, Dropout: f.Dropout, Ranks: f.Ranks, Alphas: f.Alphas}
	if f.Base != nil {
		c.Base = *f.Base
	}
	// An expression says no more than the tensors do; a list can be checked against them.
	if err := json.Unmarshal(f.Targets, &c.Targets); len(f.Targets) > 0 && err != nil && json.Unmarshal(f.Targets, new(string)) != nil {
		return Config{}, fmt.Errorf("%w: %s: target_modules is %.80s, want a list of names or one expression", ErrFormat, ConfigFile, f.Targets)
	}
	c.complete = off(string(keys["layers_to_transform"])) && off(string(keys["exclude_modules"]))
	return c, c.Validate()
}

// checkKey accepts keys that are read, keys that say nothing about the
// arithmetic, and all others only where they are off.
func checkKey(key, value string) error {
	switch key {
	case "peft_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "lora_dropout", "target_modules", "rank_pattern", "alpha_pattern", // read
		"auto_mapping", "revision", "inference_mode", "peft_version", "runtime_config", "parent_library", "megatron_core", "qalora_group_size",
		"layers_to_transform", "layers_pattern", "exclude_modules", // which tensors there are says the same
		"eva_config", "corda_config", "loftq_config", "lora_ga_config": // of init_lora_weights
		return nil
	case "task_type":
		return only(key, value, `"CAUSAL_LM"`, "null", "a model that continues text")
	case "bias":
		return only(key, value, `"none"`, `"none"`, "biases that stay the base's")
	case "init_lora_weights": // others begin by changing the base's own weights
		if slices.Contains([]string{"true", "false", "null", `"gaussian"`, `"eva"`, `"orthogonal"`}, value) {
			return nil
		}
		return fmt.Errorf("%w: %s: init_lora_weights is %.80s, which changes the weights of the base: convert the adapter with PEFT (save_pretrained with path_initial_model_for_weight_conversion)",
			ErrUnsupported, ConfigFile, value)
	}
	if off(value) {
		return nil
	}
	switch key {
	case "use_dora":
		return unsupported(key, value, "DoRA scales whole columns beside; merge the adapter with PEFT (merge_and_unload) and use the model")
	case "fan_in_fan_out":
		return unsupported(key, value, "its matrices are stored the other way round, as those of GPT-2")
	case "lora_bias":
		return unsupported(key, value, "only B without a bias is read")
	case "modules_to_save", "trainable_token_indices", "target_parameters":
		return unsupported(key, value, "only pairs of low rank for matrices are read; merge the adapter with PEFT and use the model")
	}
	return unsupported(key, value, "nobody here knows the key; remove it if it does not change what is computed")
}

func unsupported(key, value, why string) error {
	return fmt.Errorf("%w: %s: %s is %.80s: %s", ErrUnsupported, ConfigFile, key, value, why)
}

func only(key, value, one, other, what string) error {
	if value == one || value == other {
		return nil
	}
	return fmt.Errorf("%w: %s: %s is %.80s, want %s: %s", ErrUnsupported, ConfigFile, key, value, one, what)
}

// off reports whether a JSON value, "" for none, asks for nothing.
func off(value string) bool {
	return slices.Contains([]string{"", "null", "false", "[]", "{}"}, value)
}

// Validate names the first value that makes no sense.
func (c Config) Validate() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrFormat, ConfigFile, fmt.Sprintf(format, a...))
	}
	switch {
	case c.Rank < 1 || c.Rank > MaxRank:
		return bad("r is %d, want 1 to %d", c.Rank, MaxRank)
	case !finite(c.Alpha):
		return bad("lora_alpha is %g, want a number within 1e6", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return bad("lora_dropout is %g, want 0 to less than 1", c.Dropout)
	case slices.Contains(c.Targets, ""):
		return bad("target_modules names nothing")
	}
	for _, p := range c.Ranks.list {
		if p.value != math.Trunc(p.value) || p.value < 1 || p.value > MaxRank {
			return bad("rank_pattern of %q is %g, want 1 to %d", p.key, p.value, MaxRank)
		}
	}
	for _, p := range c.Alphas.list {
		if !finite(p.value) {
			return bad("alpha_pattern of %q is %g, want a number within 1e6", p.key, p.value)
		}
	}
	return nil
}

func finite(v float64) bool { return v >= -1e6 && v <= 1e6 }

// targets reports whether target_modules names a matrix: whole, or by the end
// of its name.
func (c Config) targets(module string) bool {
	return slices.ContainsFunc(c.Targets, func(t string) bool { return ends(module, t) })
}

// ends reports whether a dotted name is end, or ends with its parts.
func ends(name, end string) bool {
	return name == end || strings.HasSuffix(name, "."+end)
}

// rank is r of a matrix.
func (c Config) rank(module string) int { return int(c.Ranks.find(module, float64(c.Rank))) }

// scale is what B A counts of a matrix, given its rank.
func (c Config) scale(module string, rank int) float32 {
	alpha := c.Alphas.find(module, c.Alpha)
	if c.RSLoRA {
		return float32(alpha / math.Sqrt(float64(rank)))
	}
	return float32(alpha / float64(rank))
}

// JSON is the adapter_config.json, with the keys that PEFT writes for a plain
// adapter.
func (c Config) JSON() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var base *string
	if c.Base != "" {
		base = &c.Base
	}
	return json.MarshalIndent(struct {
		Alphas   Patterns `json:"alpha_pattern"`
		Base     *string  `json:"base_model_name_or_path"`
		Bias     string   `json:"bias"`
		FanIn    bool     `json:"fan_in_fan_out"`
		Infer    bool     `json:"inference_mode"`
		Init     bool     `json:"init_lora_weights"`
		Alpha    float64  `json:"lora_alpha"`
		Dropout  float64  `json:"lora_dropout"`
		Save     []string `json:"modules_to_save"`
		PeftType string   `json:"peft_type"`
		Rank     int      `json:"r"`
		Ranks    Patterns `json:"rank_pattern"`
		Targets  []string `json:"target_modules"`
		Task     string   `json:"task_type"`
		DoRA     bool     `json:"use_dora"`
		RSLoRA   bool     `json:"use_rslora"`
	}{c.Alphas, base, "none", false, true, true, c.Alpha, c.Dropout, nil, "LORA", c.Rank, c.Ranks, c.Targets, "CAUSAL_LM", false, c.RSLoRA}, "", "  ")
}
