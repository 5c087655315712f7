package tokenizer

import (
	"fmt"
	"slices"
)

// readTokens fills the table of tokens from the vocabulary and the added tokens.
func (s *spec) readTokens(vocab map[string]int64, list []addedJSON) error {
	top, most := int64(-1), int64(len(vocab)+len(list)+maxHoles)
	for name, id := range vocab {
		if top = max(top, id); id < 0 {
			return fmt.Errorf("model.vocab: token %q with id %d: %w", name, id, ErrFormat)
		}
	}
	for _, a := range list {
		top = max(top, a.ID)
	}
	if top >= min(most, maxVocab) {
		return fmt.Errorf("model.vocab: id %d with %d tokens: %w; want ids below %d", top, len(vocab)+len(list), ErrFormat, min(most, maxVocab))
	}
	s.tokens = make([]token, top+1)
	level := s.byteLevel()
	if err := s.readAdded(vocab, list, level); err != nil {
		return err
	}
	seen := make([]bool, len(s.tokens))
	for name, id := range vocab {
		old := s.tokens[id]
		if seen[id] || old.kind != absent && s.contentOf(int32(id)) != name {
			return fmt.Errorf("model.vocab: id %d is both %q and %q: %w", id, old.text, name, ErrFormat)
		}
		seen[id] = true
		if old.kind == absent {
			s.tokens[id] = s.decodeName(name, level)
		}
	}
	return nil
}

// contentOf is the name of the added token of an id, "" if there is none.
func (s *spec) contentOf(id int32) string {
	if i, ok := slices.BinarySearchFunc(s.added, id, func(a added, id int32) int { return int(a.id) - int(id) }); ok {
		return s.added[i].content
	}
	return ""
}

// readAdded enters the added tokens, which come before the vocabulary: there they
// may be listed again, by the same id. No text leads to a special token; what is
// merely added stays an ordinary token, if the model has it.
func (s *spec) readAdded(vocab map[string]int64, list []addedJSON, level bool) error {
	for i, a := range list {
		at := node{path: fmt.Sprintf("added_tokens[%d]", i)}
		id, known := vocab[a.Content]
		t := s.decodeName(a.Content, level)
		switch {
		case a.ID < 0 || a.Content == "" || known && id != a.ID:
			return at.errorf("%q with id %d, in the vocabulary with id %d: %w", a.Content, a.ID, id, ErrFormat)
		case s.tokens[a.ID].kind != absent:
			return at.errorf("id %d is both %q and %q: %w", a.ID, s.tokens[a.ID].text, a.Content, ErrFormat)
		case a.Special && level && known && t.kind == plain && len(t.text) == 1:
			return at.errorf("%q is special and a byte: %w; text could not hold that byte", a.Content, ErrUnsupported)
		}
		if a.Special || !known || t.text != a.Content {
			t = token{text: a.Content, kind: special}
		}
		s.tokens[a.ID] = t
		s.added = append(s.added, added{id: int32(a.ID), content: a.Content, special: a.Special, single: a.SingleWord,
			lstrip: a.LStrip, rstrip: a.RStrip, normalized: a.Normalized, outside: !known})
	}
	slices.SortFunc(s.added, func(x, y added) int { return int(x.id) - int(y.id) })
	return nil
}

// decodeName reads a vocabulary entry: bytes in GPT-2's printable spelling where
// the model takes bytes, <0xNN> where it falls back to them, otherwise a name.
func (s *spec) decodeName(name string, level bool) token {
	if level {
		if text, ok := bytesOf(name); ok {
			return token{text: text, kind: plain}
		}
		return token{text: name, kind: literal}
	}
	if name == "" {
		return token{kind: literal}
	}
	if b, ok := fallbackByte(name); ok && s.byteful {
		return token{text: string([]byte{b}), kind: fallback}
	}
	return token{text: name, kind: plain}
}
