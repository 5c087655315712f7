package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
)

// frame is what post-processors do to the ids of one text.
type frame struct {
	before, after []int32 // put around the text
	trims         []trim  // of offsets
}

// trim takes the spaces of a token out of its span. With keep, one space in front
// of the first token stays: the pre-tokenizer may have put it there.
type trim struct{ keep bool }

// readFrame reads the post_processor section.
func readFrame(n node, tokens []token) (f frame, err error) {
	if n.null() {
		return f, nil
	}
	steps, err := n.steps("processors")
	if err != nil {
		return f, err
	}
	for _, s := range steps {
		if err := f.readStep(s, tokens); err != nil {
			return f, err
		}
	}
	return f, nil
}

// readStep reads one step, which goes around those in front of it.
func (f *frame) readStep(n node, tokens []token) error {
	kind, err := n.kind()
	if err != nil {
		return err
	}
	switch kind {
	case "ByteLevel":
		var b byteLevelJSON
		if err := n.read(&b); err != nil {
			return err
		}
		if b.TrimOffsets {
			f.trims = append(f.trims, trim{b.PrefixSpace})
		}
		return nil
	case "TemplateProcessing":
		return f.readTemplate(n, tokens)
	case "BertProcessing", "RobertaProcessing":
		return f.readPair(n, tokens)
	}
	return n.unknown(kind, "ByteLevel", "TemplateProcessing", "BertProcessing", "RobertaProcessing", "Sequence")
}

// around puts ids around what there is already.
func (f *frame) around(before, after []int32) {
	f.before = slices.Concat(before, f.before)
	f.after = slices.Concat(f.after, after)
}

// readPair reads the processors that put one token on each side.
func (f *frame) readPair(n node, tokens []token) error {
	var p struct {
		Type        string            `json:"type"`
		Sep         []json.RawMessage `json:"sep"`
		Cls         []json.RawMessage `json:"cls"`
		TrimOffsets *bool             `json:"trim_offsets"`     // Roberta
		PrefixSpace *bool             `json:"add_prefix_space"` // Roberta
	}
	if err := n.read(&p); err != nil {
		return err
	}
	id := func(field string, pair []json.RawMessage) (int32, error) {
		at := n.field("." + field)
		var name string
		var id int64
		if len(pair) != 2 || json.Unmarshal(pair[0], &name) != nil || json.Unmarshal(pair[1], &id) != nil {
			return 0, at.errorf("%w: want a name and an id", ErrFormat)
		}
		return tokenID(at, tokens, id)
	}
	cls, err := id("cls", p.Cls)
	if err != nil {
		return err
	}
	sep, err := id("sep", p.Sep)
	if err != nil {
		return err
	}
	f.around([]int32{cls}, []int32{sep})
	if p.Type == "RobertaProcessing" && (p.TrimOffsets == nil || *p.TrimOffsets) {
		f.trims = append(f.trims, trim{p.PrefixSpace == nil || *p.PrefixSpace})
	}
	return nil
}

// tokenID checks that there is a token of an id.
func tokenID(at node, tokens []token, id int64) (int32, error) {
	if id < 0 || id >= int64(len(tokens)) || tokens[id].kind == absent {
		return 0, at.errorf("%w: no token has the id %d", ErrFormat, id)
	}
	return int32(id), nil
}

// templateJSON says what stands around one text or two.
type templateJSON struct {
	Type    string           `json:"type"`
	Single  []templateItem   `json:"single"`
	Pair    json.RawMessage  `json:"pair"` // of two texts; not applied
	Special map[string]names `json:"special_tokens"`

	// Left over from a ByteLevel in some files; without meaning here.
	PrefixSpace *bool `json:"add_prefix_space,omitempty"`
	TrimOffsets *bool `json:"trim_offsets,omitempty"`
	UseRegex    *bool `json:"use_regex,omitempty"`
}

// templateItem is one place of a template: a token or the text.
type templateItem struct {
	Special *struct {
		ID   string `json:"id"`
		Kind int    `json:"type_id"` // for models that tell texts apart; not applied
	} `json:"SpecialToken,omitempty"`
	Sequence *struct {
		ID   string `json:"id"`
		Kind int    `json:"type_id"`
	} `json:"Sequence,omitempty"`
}

// names tells which ids a name in a template stands for.
type names struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// readTemplate reads the template of one text.
func (f *frame) readTemplate(n node, tokens []token) error {
	var p templateJSON
	if err := n.read(&p); err != nil {
		return err
	}
	var sides [2][]int32
	side := 0
	for i, item := range p.Single {
		at := n.field(fmt.Sprintf(".single[%d]", i))
		switch {
		case item.Sequence != nil && item.Special == nil:
			if side == 1 || item.Sequence.ID != "A" {
				return at.errorf("text %q: %w; want the text A once", item.Sequence.ID, ErrUnsupported)
			}
			side = 1
		case item.Special != nil && item.Sequence == nil:
			entry, ok := p.Special[item.Special.ID]
			if !ok {
				return at.errorf("%w: %q is not in special_tokens", ErrFormat, item.Special.ID)
			}
			for _, id := range entry.IDs {
				id, err := tokenID(at, tokens, id)
				if err != nil {
					return err
				}
				sides[side] = append(sides[side], id)
			}
		default:
			return at.errorf("%w: want either SpecialToken or Sequence", ErrFormat)
		}
	}
	if side == 0 {
		return n.field(".single").errorf("%w: no place for the text", ErrFormat)
	}
	f.around(sides[0], sides[1])
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
