package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// tekkenJSON is a tekken.json (github.com/mistralai/mistral-common,
// tokens/tokenizers/tekken.py). What it says of images and sound is not read.
type tekkenJSON struct {
	Config struct {
		Pattern  string `json:"pattern"`
		Vocab    int    `json:"default_vocab_size"`
		Specials int    `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab []struct {
		Rank  int    `json:"rank"`
		Bytes string `json:"token_bytes"`
	} `json:"vocab"`
	Specials []struct {
		Rank    int    `json:"rank"`
		Name    string `json:"token_str"`
		Control *bool  `json:"is_control"`
	} `json:"special_tokens"`
}

// parseTekken reads Mistral's tekken.json: byte-level BPE by rank. Special tokens
// have the first ids, ranks count from behind them; those that the file reserves
// and does not name are <SPECIAL_n>. Errors name the JSON path.
func parseTekken(data []byte) (*spec, error) {
	var f tekkenJSON
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	c := f.Config
	plainTokens := c.Vocab - c.Specials
	if c.Specials < 0 || plainTokens < 256 || plainTokens > len(f.Vocab) || c.Vocab > maxVocab {
		return nil, fmt.Errorf("config: default_vocab_size %d with %d special and %d other tokens: %w", c.Vocab, c.Specials, len(f.Vocab), ErrFormat)
	}
	pat, err := patternNamed(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("config.pattern: %w", err)
	}
	s := &spec{preTokenizer: preTokenizerOf(pat), decoder: json.RawMessage(byteLevelDecoder), modelSpec: modelSpec{whole: true}}
	if err := f.specials(s); err != nil {
		return nil, err
	}
	for i, v := range f.Vocab {
		if v.Rank >= plainTokens { // left out of the default size
			continue
		}
		text, err := base64.StdEncoding.DecodeString(v.Bytes)
		if err == nil && (len(text) > maxToken || v.Rank < 0) {
			err = fmt.Errorf("a token of %d bytes and rank %d", len(text), v.Rank)
		}
		if err == nil {
			err = s.place(int64(v.Rank)+int64(c.Specials), string(text), plain, c.Vocab)
		}
		if err != nil {
			return nil, fmt.Errorf("vocab[%d]: %w: %w", i, ErrFormat, err)
		}
	}
	s.merges, err = rankMerges(s)
	return s, err
}

// specials enters the tokens in front of the ranks.
func (f *tekkenJSON) specials(s *spec) error {
	most := f.Config.Specials
	enter := func(id int, name string, control bool) error {
		if err := s.place(int64(id), name, special, most); err != nil {
			return err
		}
		s.added = append(s.added, added{id: int32(id), content: name, special: control})
		return nil
	}
	if f.Specials == nil {
		for id, name := range tekkenNames() {
			if err := enter(id, name, true); err != nil {
				return fmt.Errorf("config.default_num_special_tokens %d: %w", most, err)
			}
		}
	}
	for i, t := range f.Specials {
		if err := enter(t.Rank, t.Name, t.Control == nil || *t.Control); err != nil {
			return fmt.Errorf("special_tokens[%d]: %w", i, err)
		}
	}
	for id := range most {
		if id < len(s.tokens) && s.tokens[id].kind != absent {
			continue
		}
		if err := enter(id, fmt.Sprintf("<SPECIAL_%d>", id), true); err != nil {
			return err
		}
	}
	return nil
}

// tekkenNames are the special tokens of files up to version 7, which do not list
// them.
func tekkenNames() []string {
	return []string{unkName, "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
		"[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
		"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"}
}
