package template

import (
	"bytes"
	"slices"
	"strings"
)

// special returns the id of a special token; a token that only has a name of
// its own (added, not special) is words.
func special(tok Encoder, name string) (int32, bool) {
	id, ok := tok.Special(name)
	if t, knows := tok.(interface{ IsSpecial(int32) bool }); ok && knows {
		ok = t.IsSpecial(id)
	}
	return id, ok
}

// bare is a special token without the line breaks that some tokenizers have
// inside it.
func bare(token string) string { return strings.TrimRight(token, "\n") }

// list is the markers that count now. None of a family begins as another does.
func (p *Parser) list() []string {
	f := p.f
	switch {
	case p.mode == inHeader:
		return []string{harmonyMessage}
	case f.harmony:
		return f.noise
	case p.mode == inReasoning && !f.within:
		return []string{f.think.close, f.think.open}
	case p.mode == inCall && p.call.close != "":
		return []string{p.call.close}
	}
	list := slices.Clone(f.noise)
	if p.mode != inCall {
		list = append(list, f.think.open, f.think.close)
	}
	for _, c := range f.forms {
		if p.types != nil {
			list = append(list, c.open)
		}
	}
	return list
}

// active is those of list that count when they are spelled in words: the marks
// of reasoning do in front of the content, which some open with the end of none.
func (p *Parser) active() []string {
	return slices.DeleteFunc(slices.Clone(p.list()), func(m string) bool {
		switch {
		case m == "" || p.strict[m]:
			return true
		case m == p.f.think.open:
			return p.content.begun || p.mode == inReasoning && p.reasoning.begun
		case m == p.f.think.close && p.mode != inReasoning:
			return p.content.begun && !slices.Contains(p.f.noise, m)
		}
		return false
	})
}

// find returns the first marker in buf that counts now; "": none.
func (p *Parser) find() (at int, marker string) {
	at = len(p.buf)
	for _, m := range p.active() {
		if i := bytes.Index(p.buf, []byte(m)); i >= 0 && i < at {
			at, marker = i, m
		}
	}
	return at, marker
}

// begun returns the length of the longest end of buf that begins a marker.
func (p *Parser) begun() int {
	longest := 0
	for _, m := range p.active() {
		for n := min(len(m)-1, len(p.buf)); n > longest; n-- {
			if string(p.buf[len(p.buf)-n:]) == m[:n] {
				longest = n
			}
		}
	}
	return longest
}
