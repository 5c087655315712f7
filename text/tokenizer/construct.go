package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// This file reads and writes the constructs of tokenizer.json around the model:
// normaliser, pre-tokenizer, decoder and post-processor.

const spmSpace = "▁" // U+2581, how SentencePiece spells a space

// fallbackByte reads the name of a byte, "<0x0A>".
func fallbackByte(name string) (byte, bool) {
	if len(name) != 6 || name[:3] != "<0x" || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(name[3:5], 16, 8)
	return byte(b), err == nil && name == fallbackName(byte(b))
}

// fallbackName is how SentencePiece vocabularies spell the token of a byte.
func fallbackName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// The Llama-2 layout, as transformers' LlamaConverter wrote it: the normaliser
// makes spaces visible and puts one in front, the decoder undoes it.
const (
	spmNormalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`
	spmDecoder    = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`
)

// same says whether two JSON texts mean the same.
func same(a []byte, b string) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// isNull says whether a construct is absent; both spellings are in use.
func isNull(data []byte) bool { return len(data) == 0 || string(data) == "null" }

// typeOf is the "type" of a construct.
func typeOf(data []byte) (string, error) {
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return t.Type, nil
}

// read goes through the sections of a spec.
func (s *plan) read(from *spec) error {
	s.before, s.after = -1, -1
	if err := s.readNormalizer(from.normalizer); err != nil {
		return fmt.Errorf("normalizer: %w", err)
	}
	if err := s.readPreTokenizer(from.preTokenizer); err != nil {
		return err
	}
	if err := s.readDecoder(from.decoder); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	if s.spm && (!from.byteful || from.whole) {
		return fmt.Errorf("model: byte_fallback %v and ignore_merges %v with a Prepend normalizer: %w", from.byteful, from.whole, ErrUnsupported)
	}
	if err := s.readTemplate(from.tokens, from.postProcessor, 0); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	return nil
}

// readNormalizer also decides between the two kinds of vocabulary: the Llama-2
// normaliser is what makes one SentencePiece style.
func (s *plan) readNormalizer(data []byte) error {
	switch {
	case isNull(data):
		return nil
	case same(data, `{"type":"NFC"}`):
		s.nfc = true
		return nil
	case same(data, spmNormalizer):
		s.spm = true
		return nil
	}
	return fmt.Errorf("%s: %w; want none, NFC, or Prepend and Replace as in Llama 2", clip(data), ErrUnsupported)
}

// clip shortens JSON for an error message.
func clip(data []byte) string {
	const most = 200
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}

// byteLevelJSON is ByteLevel as a pre-tokenizer, decoder or post-processor. The
// regular expression is used unless a file says otherwise: old files do not
// have the field.
type byteLevelJSON struct {
	Type        string `json:"type"`
	PrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets bool   `json:"trim_offsets"` // offsets only
	UseRegex    *bool  `json:"use_regex,omitempty"`
}

// splitJSON cuts text at the matches of a pattern, exactly one of the two.
type splitJSON struct {
	Type    string `json:"type"`
	Pattern struct {
		Regex  *string `json:"Regex,omitempty"`
		String *string `json:"String,omitempty"`
	} `json:"pattern"`
	Behavior string `json:"behavior"`
	Invert   bool   `json:"invert"`
}

// sequenceJSON runs pre-tokenizers one after the other, each inside the pieces
// of the one before.
type sequenceJSON struct {
	Type          string            `json:"type"`
	PreTokenizers []json.RawMessage `json:"pretokenizers"`
}

// readPreTokenizer finds the pattern that a pre-tokenizer means: ByteLevel with
// its own regular expression, the same behind Digits, or Split by a known one
// and ByteLevel without.
func (s *plan) readPreTokenizer(data []byte) (err error) {
	if s.spm {
		if !isNull(data) {
			return fmt.Errorf("pre_tokenizer: %s with a Prepend normalizer: %w", clip(data), ErrUnsupported)
		}
		return nil // chosen when the vocabulary is known
	}
	if isNull(data) {
		return fmt.Errorf("pre_tokenizer: none: %w; want ByteLevel", ErrUnsupported)
	}
	steps := []json.RawMessage{data}
	kind, err := typeOf(data)
	if err != nil {
		return fmt.Errorf("pre_tokenizer: %w", err)
	}
	if kind == "Sequence" {
		var q sequenceJSON
		if err := strict(data, &q); err != nil {
			return fmt.Errorf("pre_tokenizer: %w", err)
		}
		steps = q.PreTokenizers
	}
	if len(steps) == 0 || len(steps) > 2 {
		return fmt.Errorf("pre_tokenizer: Sequence of %d: %w; want one or two", len(steps), ErrUnsupported)
	}
	regex, err := readByteLevel(steps[len(steps)-1])
	if err != nil {
		return fmt.Errorf("pre_tokenizer: %w", err)
	}
	if len(steps) == 1 {
		if !regex {
			return fmt.Errorf("pre_tokenizer: ByteLevel with use_regex false and no Split: %w", ErrUnsupported)
		}
		s.pattern, err = patternNamed("gpt2")
		return err
	}
	s.pattern, err = readSplit(steps[0], regex)
	return err
}

// readByteLevel says whether a ByteLevel pre-tokenizer cuts text itself.
func readByteLevel(data []byte) (regex bool, err error) {
	var b byteLevelJSON
	kind, err := typeOf(data)
	if err == nil && kind != "ByteLevel" {
		return false, fmt.Errorf("%s: %w; want ByteLevel as the last step", kind, ErrUnsupported)
	}
	if err == nil {
		err = strict(data, &b)
	}
	if err == nil && b.PrefixSpace {
		err = fmt.Errorf("ByteLevel: add_prefix_space: %w", ErrUnsupported)
	}
	return b.UseRegex == nil || *b.UseRegex, err
}

// readSplit reads the step in front of ByteLevel. regex says that ByteLevel cuts
// by its own pattern as well.
func readSplit(data []byte, regex bool) (*pattern, error) {
	kind, err := typeOf(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	case same(data, digitsJSON) && regex:
		return patternNamed("gpt2-digits")
	case kind != "Split" || regex:
		return nil, fmt.Errorf("pre_tokenizer: %s in front of ByteLevel with use_regex %v: %w", clip(data), regex, ErrUnsupported)
	}
	var p splitJSON
	if err := strict(data, &p); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: Split: %w", err)
	}
	// The known patterns match everything, so that matches kept and gaps dropped
	// come to the same as matches set apart.
	if p.Behavior != "Isolated" && !(p.Behavior == "Removed" && p.Invert) {
		return nil, fmt.Errorf("pre_tokenizer: Split: behavior %q, invert %v: %w", p.Behavior, p.Invert, ErrUnsupported)
	}
	if p.Pattern.Regex == nil {
		return nil, fmt.Errorf("pre_tokenizer: Split by a string: %w", ErrUnsupported)
	}
	return patternOf(*p.Pattern.Regex)
}

const digitsJSON = `{"type":"Digits","individual_digits":true}`

// preTokenizerOf is a pattern in the words of tokenizer.json.
func preTokenizerOf(p *pattern) json.RawMessage {
	own := true
	byteLevel := byteLevelJSON{Type: "ByteLevel", TrimOffsets: true, UseRegex: &own}
	var v any = byteLevel
	switch {
	case p.digits:
		v = map[string]any{"type": "Sequence", "pretokenizers": []any{json.RawMessage(digitsJSON), byteLevel}}
	case len(p.regex) > 0:
		own = false
		split := splitJSON{Type: "Split", Behavior: "Isolated"}
		split.Pattern.Regex = &p.regex[0]
		v = map[string]any{"type": "Sequence", "pretokenizers": []any{split, byteLevel}}
	}
	return mustJSON(v)
}

// byteLevelDecoder is the decoder of byte-level vocabularies.
const byteLevelDecoder = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`

// mustJSON writes values that are known to be sound, with <, > and & as they are.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// readDecoder checks that a file wants its ids decoded as Decode does it.
func (s *plan) readDecoder(data []byte) error {
	if s.spm {
		if !same(data, spmDecoder) {
			return fmt.Errorf("%s with a Prepend normalizer: %w", clip(data), ErrUnsupported)
		}
		return nil
	}
	kind, err := typeOf(data)
	if err == nil && kind != "ByteLevel" {
		err = fmt.Errorf("%s: %w; want ByteLevel", clip(data), ErrUnsupported)
	}
	return err
}

// templateJSON is a post-processor of any type that is understood.
type templateJSON struct {
	Type       string            `json:"type"`
	Single     []templateItem    `json:"single"`
	Pair       json.RawMessage   `json:"pair"` // of two texts; not applied
	Special    map[string]names  `json:"special_tokens"`
	Processors []json.RawMessage `json:"processors,omitempty"`
}

// templateItem is one place of a template: a token or the text.
type templateItem struct {
	Special *struct {
		ID string `json:"id"`
	} `json:"SpecialToken,omitempty"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence,omitempty"`
}

// names tells which ids a name in a template stands for.
type names struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// readTemplate finds the token that a post-processor puts in front of a text,
// and the one behind it.
func (s *plan) readTemplate(tokens []token, data []byte, depth int) error {
	if isNull(data) {
		return nil
	}
	var p templateJSON
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	switch {
	case p.Type == "ByteLevel": // offsets only
		return nil
	case p.Type == "Sequence" && depth == 0:
		for _, step := range p.Processors {
			if err := s.readTemplate(tokens, step, 1); err != nil {
				return err
			}
		}
		return nil
	case p.Type != "TemplateProcessing":
		return fmt.Errorf("%s: %w", p.Type, ErrUnsupported)
	}
	into, seen := &s.before, false
	for _, item := range p.Single {
		if item.Special == nil {
			into, seen = &s.after, true
			continue
		}
		n, ok := p.Special[item.Special.ID]
		if !ok || len(n.IDs) != 1 || n.IDs[0] < 0 || n.IDs[0] >= int64(len(tokens)) || tokens[n.IDs[0]].kind != special {
			return fmt.Errorf("TemplateProcessing: %q: %w: want one id of an added token", item.Special.ID, ErrFormat)
		}
		if *into >= 0 {
			return fmt.Errorf("TemplateProcessing: %q: %w: more than one token on one side of the text", item.Special.ID, ErrUnsupported)
		}
		*into = int32(n.IDs[0])
	}
	if !seen {
		return fmt.Errorf("TemplateProcessing: %w: no place for the text", ErrFormat)
	}
	return nil
}

// templateOf is a post-processor that puts a token in front of a text and one
// behind it; -1 means none.
func (s *spec) templateOf(before, after int32) json.RawMessage {
	if before < 0 && after < 0 {
		return nil
	}
	special := map[string]names{}
	side := func(id int32, kind int) []any {
		if id < 0 {
			return nil
		}
		name := s.tokens[id].text
		special[name] = names{ID: name, IDs: []int64{int64(id)}, Tokens: []string{name}}
		return []any{map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": kind}}}
	}
	text := func(name string, kind int) []any {
		seq := []any{map[string]any{"Sequence": map[string]any{"id": name, "type_id": kind}}}
		return append(append(side(before, kind), seq...), side(after, kind)...)
	}
	return mustJSON(map[string]any{"type": "TemplateProcessing", "single": text("A", 0),
		"pair": append(text("A", 0), text("B", 1)...), "special_tokens": special})
}
