package template

import "strings"

// lane gathers one kind of text. Glue at a border with something else is held
// back; it comes out only between texts of the same kind.
type lane struct {
	glue     string
	held     []piece
	begun    bool // something came out
	bordered bool // something else stood behind what came out last
	ready    []piece
}

func (l *lane) add(w piece) {
	cut := len(strings.TrimRight(w.text, l.glue))
	if cut == 0 {
		l.held = append(l.held, w)
		return
	}
	if l.begun || !l.bordered {
		l.ready = append(l.ready, l.held...)
	} else if lead := len(w.text) - len(strings.TrimLeft(w.text, l.glue)); lead > 0 {
		w, cut = piece{at: w.at + lead, text: w.text[lead:]}, cut-lead
	}
	l.held = nil
	l.ready = append(l.ready, piece{at: w.at, text: w.text[:cut]})
	if cut < len(w.text) {
		l.held = []piece{{at: w.at + cut, text: w.text[cut:]}}
	}
	l.begun, l.bordered = true, false
}

func (l *lane) border() { l.bordered = true }

func (l *lane) finish() {
	if !l.bordered {
		l.ready = append(l.ready, l.held...)
	}
	l.held = nil
}

// quoted follows JSON and knows whether it is inside a string. A line break
// cannot be: it ends the string, so that one missing quote does no harm.
type quoted struct{ in, escaped bool }

func (q *quoted) advance(text string) {
	for _, c := range []byte(text) {
		switch {
		case q.escaped:
			q.escaped = false
		case c == '\n':
			q.in = false
		case q.in && c == '\\':
			q.escaped = true
		case c == '"':
			q.in = !q.in
		}
	}
}

// section follows text in which <![CDATA[ and ]]> stand around what is quoted.
type section struct {
	in   bool
	tail string // in which one of the two may have begun
}

func (s *section) advance(text string) {
	for text = s.tail + text; ; s.in = !s.in {
		mark := cdata
		if s.in {
			mark = cdataEnd
		}
		_, behind, ok := strings.Cut(text, mark)
		if !ok {
			s.tail = text[max(0, len(text)-len(mark)+1):]
			return
		}
		text = behind
	}
}
