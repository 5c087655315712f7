package template

import (
	"fmt"
	"slices"
	"strings"

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

// mark is a special token in a rendered text.
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
	e := &joiner{tok: st, text: text, learn: learn}
	at, before := 0, ""
	for _, m := range marks {
		e.words(before, at, m.at, text[m.at:m.end], m.id)
		e.add(m.at, m.id)
		before, at = text[m.at:m.end], m.end
	}
	e.words(before, at, len(text), "", -1)
	r := Rendered{IDs: e.ids, Mask: e.mask, Text: text}
	if o.NoMask {
		r.Mask = nil
	}
	return r, nil
}

// findMarks finds the special tokens that the template's author wrote. What
// came out of a message is never one, nor what begins or ends in it.
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
			if !tok.IsSpecial(id) {
				continue
			}
			name := string(tok.Bytes(id))
			if j := strings.Index(text[next:], name); j >= 0 && name != "" {
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
	learn []Span // ascending
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

// words encodes text[from:to], which stands between the special tokens before
// and after (id next), as any program does that cuts the special tokens out
// first: in their company, since some swallow white space or make a difference
// to where a text begins. Where the mask changes inside a token, the words in
// front and behind become tokens of their own, as they are when generated.
func (e *joiner) words(before string, from, to int, after string, next int32) {
	for from < to {
		end := to // of what is learned, or not learned, as one
		for _, s := range e.learn {
			for _, b := range []int{s.From, s.To} {
				if b > from && b < end {
					end = b
				}
			}
		}
		whole, ok := e.between(before, e.text[from:to], after, next)
		if !ok { // words that spell special tokens: they stay words
			e.add(from, e.tok.Encode(e.text[from:end])...)
			before, from = "", end
			continue
		}
		if end == to {
			e.add(from, whole...)
			return
		}
		first, ok := e.between(before, e.text[from:end], "", -1)
		if !ok {
			first = e.tok.Encode(e.text[from:end])
		}
		e.add(from, first...)
		if ok && len(first) <= len(whole) && slices.Equal(first, whole[:len(first)]) && e.sameMask(end, to) {
			e.add(end, whole[len(first):]...)
			return
		}
		before, from = "", end
	}
}

// sameMask reports whether the bytes from a to b are all learned or all not.
func (e *joiner) sameMask(a, b int) bool {
	return !slices.ContainsFunc(e.learn, func(s Span) bool { return s.From > a && s.From < b || s.To > a && s.To < b })
}

// between encodes words in the company of special tokens; ok is false when
// other special tokens come out.
func (e *joiner) between(before, words, after string, next int32) (ids []int32, ok bool) {
	ids = e.tok.EncodeSpecial(before + words + after)
	if before != "" {
		if len(ids) == 0 || !e.tok.IsSpecial(ids[0]) {
			return nil, false
		}
		ids = ids[1:]
	}
	if after != "" {
		if len(ids) == 0 || ids[len(ids)-1] != next {
			return nil, false
		}
		ids = ids[:len(ids)-1]
	}
	return ids, !slices.ContainsFunc(ids, e.tok.IsSpecial)
}
