package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"weft/chat"
)

// Limits of the OpenAI protocol, and where it has none, ours.
const (
	maxStops      = 16
	maxBias       = 1024
	maxTopLogprob = 20
	maxChoices    = 128 // n times the number of prompts
)

// common is what chat and plain completions share.
type common struct {
	model        string
	stream       bool
	includeUsage bool
	n            int
	bestOf       int      // choices that are generated for each prompt, of which the n likeliest per token are sent; n
	ignored      []string // unknown fields, accepted and reported
}

// readCommon reads the shared fields and the sampling into r.
func readCommon(o *object, r *chat.Request) common {
	c := common{model: o.str("model"), stream: o.boolean("stream"), n: 1}
	if n := o.integer("n", 1, maxChoices); n != nil {
		c.n = int(*n)
	}
	if v, ok := o.take("stream_options"); ok {
		c.readStreamOptions(o, v)
	}
	r.Sampling = readSampling(o)
	r.Stop = readStop(o)
	for i, v := range o.list("stop_token_ids") {
		r.StopIDs = append(r.StopIDs, tokenID(o, fmt.Sprintf("stop_token_ids[%d]", i), v))
	}
	r.IgnoreEOS = o.boolean("ignore_eos")
	if n := o.integer("speculative.n_max", 0, 1<<16); n != nil { // llama.cpp's: tokens guessed at a time
		if r.DraftMax = int(*n); *n == 0 {
			r.DraftMax = -1 // chat.Request says "none" so
		}
	}
	c.bestOf = c.n
	c.readBeam(o, r)
	r.User = o.str("user")
	r.CacheSalt = o.str("cache_salt") // vLLM's
	return c
}

// readBeam reads vLLM's beam search: the n best of a search that is n wide, or
// best_of where that is given.
func (c *common) readBeam(o *object, r *chat.Request) {
	if !o.boolean("use_beam_search") {
		return
	}
	b := &chat.Beam{Width: c.n, Best: c.n, LengthPenalty: 1, EarlyStopping: o.boolean("early_stopping")}
	if w := o.integer("best_of", int64(c.n), maxChoices); w != nil {
		b.Width = int(*w)
	}
	set(&b.LengthPenalty, o.number("length_penalty", -10, 10))
	for _, name := range []string{"best_of", "length_penalty", "early_stopping"} {
		delete(o.raw, name) // without a search they are refused
	}
	r.Beam = b
}

// readStreamOptions reads what only a stream has. OpenAI refuses it elsewhere,
// and so do we: whoever sends it expects a stream.
func (c *common) readStreamOptions(o *object, v json.RawMessage) {
	if !c.stream {
		o.fail("stream_options", "only allowed when stream is true")
		return
	}
	o.inside("stream_options", v, func(opts *object) {
		c.includeUsage = opts.boolean("include_usage")
		opts.boolean("include_obfuscation") // padding against traffic analysis; we send none either way
		opts.refuse([]refused{{"continuous_usage_stats", []string{"false"}}})
	})
}

// readSampling reads the ranges of the OpenAI protocol, wider ones where only
// vLLM and llama.cpp have the field. The engine has limits of its own.
func readSampling(o *object) chat.Sampling {
	s := chat.Sampling{
		Temperature: o.number("temperature", 0, 2),
		TopP:        o.number("top_p", 0, 1),
	}
	if k := o.integer("top_k", -1, math.MaxInt32); k != nil {
		s.TopK = max(0, int(*k)) // vLLM's clients send -1 for off
	}
	set(&s.MinP, o.number("min_p", 0, 1))
	set(&s.RepetitionPenalty, o.number("repetition_penalty", 0.01, 10))
	set(&s.PresencePenalty, o.number("presence_penalty", -2, 2))
	set(&s.FrequencyPenalty, o.number("frequency_penalty", -2, 2))
	if seed := o.integer("seed", math.MinInt64, math.MaxInt64); seed != nil {
		u := uint64(*seed)
		s.Seed = &u
	}
	s.LogitBias = readBias(o)
	return s
}

// set keeps the zero value, which means the default, when a field is absent.
func set(to, from *float64) {
	if from != nil {
		*to = *from
	}
}

// readStop takes a string or an array of strings.
func readStop(o *object) []string {
	v, ok := o.take("stop")
	if !ok {
		return nil
	}
	var stops []string
	if one := ""; json.Unmarshal(v, &one) == nil {
		stops = []string{one}
	} else if json.Unmarshal(v, &stops) != nil {
		o.fail("stop", "must be a string or an array of strings, got %s", kind(v))
		return nil
	}
	if len(stops) > maxStops {
		o.fail("stop", "takes at most %d strings, got %d", maxStops, len(stops))
	}
	if slices.Contains(stops, "") {
		o.fail("stop", "a stop string must not be empty")
	}
	return stops
}

// readBias reads {"token id": bias}.
func readBias(o *object) map[int32]float64 {
	v, ok := o.take("logit_bias")
	if !ok {
		return nil
	}
	var raw map[string]float64
	if json.Unmarshal(v, &raw) != nil {
		o.fail("logit_bias", "must be an object of token ids and numbers, such as {\"42\": -100}, got %s", show(v))
		return nil
	}
	if len(raw) > maxBias {
		o.fail("logit_bias", "takes at most %d tokens, got %d", maxBias, len(raw))
	}
	bias := make(map[int32]float64, len(raw))
	for key, b := range raw {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			o.fail("logit_bias", "keys are token ids, got %q", key)
		}
		if !(b >= -100 && b <= 100) {
			o.fail("logit_bias", "values go from -100 to 100, got %g for token %s", b, key)
		}
		bias[int32(id)] = b
	}
	return bias
}

// tokenID reads one non-negative id; whether the model has it, the model says.
func tokenID(o *object, name string, v json.RawMessage) int32 {
	id, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 32)
	if err != nil || id < 0 {
		o.fail(name, "must be a token id, got %s", show(v))
	}
	return int32(id)
}

// refused is a field that weft knows but does not offer, with the values that
// change nothing and are therefore let through. "*" is any value.
type refused struct {
	name    string
	neutral []string // compact JSON
}

// refuse fails on the first of the fields that holds a value which matters.
func (o *object) refuse(fields []refused) {
	for _, f := range fields {
		v, ok := o.take(f.name)
		if !ok || o.err != nil {
			continue
		}
		var flat bytes.Buffer
		json.Compact(&flat, v) // v was parsed as part of the body
		if slices.Contains(f.neutral, "*") || slices.Contains(f.neutral, flat.String()) {
			continue
		}
		hint := "leave it out"
		if len(f.neutral) > 0 {
			hint += " or set it to " + f.neutral[0]
		}
		o.fail(f.name, "not supported by this server: %s", hint)
		o.err.Code = "unsupported_parameter"
	}
}

// neither says which fields chat and plain completions know and do not offer.
// Those with "*" carry no meaning for the answer: labels, cache hints.
func neither() []refused {
	off, on, zero, one, empty := []string{"false"}, []string{"true"}, []string{"0"}, []string{"1", "1.0"}, []string{"{}"}
	return []refused{
		{"metadata", []string{"*"}}, {"safety_identifier", []string{"*"}},
		{"prompt_cache_key", []string{"*"}}, {"prompt_cache_retention", []string{"*"}}, {"cache_prompt", []string{"*"}},
		{"service_tier", []string{`"auto"`, `"default"`}}, {"store", off},
		// vLLM
		{"length_penalty", one}, {"early_stopping", off}, {"min_tokens", zero},
		{"include_stop_str_in_output", off}, {"skip_special_tokens", on}, {"spaces_between_special_tokens", on},
		{"truncate_prompt_tokens", nil}, {"prompt_logprobs", nil}, {"allowed_token_ids", nil}, {"bad_words", []string{"[]"}},
		{"priority", zero}, {"return_tokens_as_token_ids", off}, {"return_token_ids", off},
		{"structured_outputs", nil}, {"guided_json", nil}, {"guided_regex", nil}, {"guided_choice", nil}, {"guided_grammar", nil},
		{"logits_processors", []string{"[]"}}, {"kv_transfer_params", empty}, {"vllm_xargs", empty},
		// llama.cpp and Ollama
		{"grammar", []string{`""`}}, {"json_schema", empty}, {"mirostat", zero}, {"typical_p", one}, {"tfs_z", one},
		{"dry_multiplier", zero}, {"xtc_probability", zero}, {"options", empty}, {"think", off}, {"keep_alive", []string{"*"}},
	}
}
