package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"weft/compute/tensor"
	"weft/text/corpus"
	"weft/train/optim"
)

// stateVersion is raised when state.json changes so that older runs cannot be
// resumed.
const stateVersion = 1

// State is what a checkpoint knows besides tensors. It is state.json of every
// checkpoint; the newest is shown as train/state.json of the run.
type State struct {
	Version int           `json:"version"`
	Kind    string        `json:"kind"` // "pretrain", "sft"
	Step    int           `json:"step"` // updates made
	Tokens  int64         `json:"tokens"`
	Seconds float64       `json:"seconds"` // spent so far, interruptions left out
	Plan    optim.Plan    `json:"plan"`
	Cursor  corpus.Cursor `json:"cursor"` // of the Source
	RNG     tensor.RNG    `json:"rng"`
	Lineage Lineage       `json:"lineage"`
	Before  *Eval         `json:"before,omitempty"` // evaluation before the first step
	Latest  *Eval         `json:"latest,omitempty"` // newest evaluation
	Loss    float64       `json:"loss"`             // of the last step, nats per token
	Speed   float64       `json:"tok_s"`            // tokens per second over the steps of the last part
	Done    bool          `json:"done"`             // the plan is fulfilled

	// Settings are the options that decide the result, as the run resolved them.
	Settings json.RawMessage `json:"settings"`
}

// Lineage says what a model was made from. Hashes are SHA-256 in hexadecimal.
type Lineage struct {
	Parent     string `json:"parent,omitempty"`      // weights the run began with; empty: random ones
	ParentPath string `json:"parent_path,omitempty"` // where they were found
	Tokenizer  string `json:"tokenizer"`
	Template   string `json:"template,omitempty"` // text of the chat template
	Data       string `json:"data,omitempty"`     // training data
}

// ReadState returns the state that a run's folder shows.
func ReadState(dir string) (*State, error) {
	return readState(filepath.Join(dir, filepath.FromSlash(StateFile)))
}

func readState(path string) (*State, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return parseState(data, path)
}

// parseState reads the text of a state.json; path is for its errors.
func parseState(data []byte, path string) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("train: %s: version is %d, want %d: made by another version of weft", path, s.Version, stateVersion)
	}
	return s, nil
}

// Changes compares the settings of a run with options given now: a field of
// asked that is set (not zero) and differs is named with both values. Both are
// structs, or raw JSON of structs.
func Changes(recorded, asked any) ([]string, error) {
	have, err := fields(recorded)
	if err != nil {
		return nil, err
	}
	want, err := fields(asked)
	if err != nil {
		return nil, err
	}
	var out []string
	for name, w := range want {
		if h := have[name]; !isZero(w) && fmt.Sprint(h) != fmt.Sprint(w) {
			out = append(out, fmt.Sprintf("%s: the run has %v, asked for %v", name, h, w))
		}
	}
	slices.Sort(out)
	return out, nil
}

func fields(v any) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a seed may have more digits than a float64
	return m, d.Decode(&m)
}

func isZero(v any) bool { return v == nil || v == "" || v == json.Number("0") || v == false }
