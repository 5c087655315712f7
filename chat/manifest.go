package chat

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ManifestVersion is the layout of Manifest that is written now.
const ManifestVersion = 1

// Manifest says all that decided the tokens of a response, and the tokens, so
// that they can be computed again and compared. Its JSON is what a response
// carries and what `weft replay` reads.
type Manifest struct {
	Version  int      `json:"version"` // ManifestVersion
	Model    string   `json:"model"`   // the name that it was served under
	Identity Identity `json:"identity"`
	Answers  []Trace  `json:"answers"` // in the order of the response's choices
}

// Identity names the model and the program. Hashes are SHA-256 in hexadecimal.
type Identity struct {
	Weights   string `json:"weights"`             // of the files of weights and of the config
	Stored    string `json:"stored_as,omitempty"` // format that matrices were encoded in when they were loaded; as the files have them
	Adapter   string `json:"adapter,omitempty"`   // of the files of a LoRA adapter; none
	Tokenizer string `json:"tokenizer"`           // of what ids depend on
	Template  string `json:"template,omitempty"`  // of the chat template; a base model has none
	Engine    string `json:"engine"`              // version of the program
	Kernels   string `json:"kernels"`             // the tier of kernels: its bits are its own
	Cache     string `json:"kv_cache"`            // how keys and values are kept
}

// Trace is what decided one answer, beside the identity. The prompt is as the
// model saw it: a template may have written today's date into it.
type Trace struct {
	Prompt   []int32      `json:"prompt_ids"`
	Sampling Settled      `json:"sampling"`
	Stop     []int32      `json:"stop_ids"` // that end an answer
	Tokens   []int32      `json:"token_ids"`
	Finish   FinishReason `json:"finish_reason"`
}

// Settled is a Sampling with every default filled in, the seed too.
type Settled struct {
	Temperature       float64           `json:"temperature"`
	TopP              float64           `json:"top_p"`
	TopK              int               `json:"top_k"` // 0: off
	MinP              float64           `json:"min_p"`
	RepetitionPenalty float64           `json:"repetition_penalty"`
	PresencePenalty   float64           `json:"presence_penalty"`
	FrequencyPenalty  float64           `json:"frequency_penalty"`
	Seed              int64             `json:"seed"` // its 64 bits, as requests write it
	LogitBias         map[int32]float64 `json:"logit_bias,omitempty"`
}

// Difference is one field in which two identities are not the same.
type Difference struct {
	Field    string // as in JSON
	Was, Is  string
	Harmless bool   // it need not change a token
	Hint     string // what to do about it; none
}

// Diff lists in what b differs from i.
func (i Identity) Diff(b Identity) (diffs []Difference) {
	for _, f := range []Difference{
		{Field: "weights", Was: i.Weights, Is: b.Weights, Hint: "name the model that gave the answer"},
		{Field: "stored_as", Was: i.Stored, Is: b.Stored, Hint: "ask for the same --type"},
		{Field: "adapter", Was: i.Adapter, Is: b.Adapter, Hint: "name the adapter that gave the answer"},
		{Field: "tokenizer", Was: i.Tokenizer, Is: b.Tokenizer, Hint: "the model's tokenizer files have changed"},
		{Field: "template", Was: i.Template, Is: b.Template, Hint: "the model's chat template has changed"},
		{Field: "kernels", Was: i.Kernels, Is: b.Kernels, Hint: "set WEFT_KERNEL, or use a processor of the same kind"},
		{Field: "kv_cache", Was: i.Cache, Is: b.Cache, Hint: "ask for the same form of keys and values"},
		{Field: "engine", Was: i.Engine, Is: b.Engine, Harmless: true},
	} {
		if f.Was != f.Is {
			diffs = append(diffs, f)
		}
	}
	return diffs
}

// ParseManifest reads a Manifest. Errors name the field.
func ParseManifest(data []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Version != ManifestVersion:
		return nil, fmt.Errorf("manifest: version is %d, want %d: it was written by another version of this program", m.Version, ManifestVersion)
	case m.Identity.Weights == "" || m.Identity.Tokenizer == "":
		return nil, errors.New("manifest: identity has no hash of weights or tokenizer")
	case len(m.Answers) == 0:
		return nil, errors.New("manifest: it has no answers")
	}
	for i, a := range m.Answers {
		if len(a.Prompt) == 0 {
			return nil, fmt.Errorf("manifest: answers[%d].prompt_ids is empty", i)
		}
	}
	return &m, nil
}
