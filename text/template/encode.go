package template

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weft/chat"
	"weft/text/jinja"
)

// SpecialEncoder is an Encoder for templates in Jinja, which write special
// tokens by their text. EncodeSpecial takes trusted text and adds none: so a
// template that writes the token that begins a text gives it once.
type SpecialEncoder interface {
	Encoder
	EncodeSpecial(text string) []int32
	IsSpecial(id int32) bool
	Bytes(id int32) []byte
}

// mark is a marker in a rendered text.
type mark struct {
	at, end int // bytes
	id      int32
}

// rendered turns a conversation into ids and mask.
func (t *Template) rendered(tok Encoder, msgs []chat.Message, o Options) (Rendered, error) {
	st, ok := tok.(SpecialEncoder)
	if !ok {
		return Rendered{}, fmt.Errorf("%w: it cannot say which tokens are special", ErrMarker)
	}
	list, err := t.script.segments(msgs, o)
	if err != nil {
		return Rendered{}, err
	}
	text := jinja.Text(list)
	marks := findMarks(st, list)
	var learn []Span
	if !o.NoMask {
		if learn, err = t.script.learned(msgs, o, list, marks, t.family); err != nil {
			return Rendered{}, err
		}
	}
	e := &joiner{tok: st, text: text, learn: learn, marks: map[int32]string{}}
	for _, m := range marks {
		e.marks[m.id] = text[m.at:m.end]
	}
	at, before := 0, int32(-1)
	for _, m := range marks {
		e.words(before, at, m.at, m.id)
		e.add(m.at, m.id)
		before, at = m.id, m.end
	}
	e.words(before, at, len(text), -1)
	r := Rendered{IDs: e.ids, Mask: e.mask, Text: text}
	if o.NoMask {
		r.Mask = nil
	}
	return r, nil
}

// markName is the text of an id that stands for a marker: a special token, or
// one that a tokenizer's file adds under such a name and forgot to call special.
func markName(tok SpecialEncoder, id int32) (name string, ok bool) {
	name = string(tok.Bytes(id))
	if tok.IsSpecial(id) {
		return name, name != ""
	}
	if len(name) < 3 || name[0] != '<' && name[0] != '[' {
		return "", false
	}
	own, ok := tok.Special(name)
	return name, ok && own == id
}

// findMarks finds the markers that the template's author wrote. What came out
// of a message is never one, nor what begins or ends in it.
func findMarks(tok SpecialEncoder, list []jinja.Segment) []mark {
	var marks []mark
	at := 0
	for i := 0; i < len(list); {
		var run strings.Builder
		from := at
		for ; i < len(list) && !list[i].Data; i++ {
			run.WriteString(list[i].Text)
		}
		text, next := run.String(), 0
		for _, id := range tok.EncodeSpecial(text) {
			name, ok := markName(tok, id)
			if j := strings.Index(text[next:], name); ok && j >= 0 {
				marks = append(marks, mark{from + next + j, from + next + j + len(name), id})
				next += j + len(name)
			}
		}
		at += len(text)
		for ; i < len(list) && list[i].Data; i++ {
			at += len(list[i].Text)
		}
	}
	return marks
}

// joiner gathers ids and their mask.
type joiner struct {
	tok   SpecialEncoder
	text  string
	learn []Span           // ascending
	marks map[int32]string // the markers of this text
	ids   []int32
	mask  []bool
}

// learns reports whether the byte at i is learned.
func (e *joiner) learns(i int) bool {
	return slices.ContainsFunc(e.learn, func(s Span) bool { return s.From <= i && i < s.To })
}

func (e *joiner) add(at int, ids ...int32) {
	learn := e.learns(at)
	for range ids {
		e.mask = append(e.mask, learn)
	}
	e.ids = append(e.ids, ids...)
}

// words encodes text[from:to], which stands between the markers before and
// after (ids, -1: none), as any program does that cuts the markers out first: in
// their company, since some swallow white space or make a difference to where a
// text begins. Where the mask changes inside a token, the words in front and
// behind become tokens of their own, as they are when generated.
func (e *joiner) words(before int32, from, to int, after int32) {
	for from < to {
		end := to // of what is learned, or not learned, as one
		for _, s := range e.learn {
			for _, b := range []int{s.From, s.To} {
				if b > from && b < end {
					end = b
				}
			}
		}
		whole, ok := e.between(before, e.text[from:to], after)
		if !ok {
			e.add(from, e.spelled(e.text[from:end])...)
			before, from = -1, end
			continue
		}
		if end == to {
			e.add(from, whole...)
			return
		}
		first, ok := e.between(before, e.text[from:end], -1)
		if !ok {
			first = e.spelled(e.text[from:end])
		}
		e.add(from, first...)
		if ok && len(first) <= len(whole) && slices.Equal(first, whole[:len(first)]) && e.sameMask(end, to) {
			e.add(end, whole[len(first):]...)
			return
		}
		before, from = -1, end
	}
}

// sameMask reports whether the bytes from a to b are all learned or all not.
func (e *joiner) sameMask(a, b int) bool {
	return !slices.ContainsFunc(e.learn, func(s Span) bool { return s.From > a && s.From < b || s.To > a && s.To < b })
}

// between encodes words in the company of markers; ok is false when other
// markers come out, which the words spell.
func (e *joiner) between(before int32, words string, after int32) (ids []int32, ok bool) {
	ids = e.tok.EncodeSpecial(e.marks[before] + words + e.marks[after])
	if before >= 0 {
		if len(ids) == 0 || ids[0] != before {
			return nil, false
		}
		ids = ids[1:]
	}
	if after >= 0 {
		if len(ids) == 0 || ids[len(ids)-1] != after {
			return nil, false
		}
		ids = ids[:len(ids)-1]
	}
	return ids, !slices.ContainsFunc(ids, func(id int32) bool { return e.marks[id] != "" || e.tok.IsSpecial(id) })
}

// spelled encodes words that spell markers: each is cut behind its first
// character, so that it stays words.
func (e *joiner) spelled(words string) (ids []int32) {
	for words != "" {
		at := len(words)
		for _, name := range e.marks {
			if i := strings.Index(words, name); i >= 0 {
				_, n := utf8.DecodeRuneInString(words[i:])
				at = min(at, i+n)
			}
		}
		ids = append(ids, e.tok.Encode(words[:at])...)
		words = words[at:]
	}
	return ids
}
