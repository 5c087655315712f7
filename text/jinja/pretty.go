package jinja

import (
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// unescapeHTML is Markup.unescape: named and numbered entities.
func unescapeHTML(s string) string { return html.UnescapeString(s) }

// pretty is pprint.pformat: repr with sorted dicts, broken into lines where it
// is wider than 80 characters.
func (m *machine) pretty(v value) *str {
	p := &prettyPrinter{m: m}
	p.value(sortDicts(m, v), 0, 0, 1)
	return &str{s: p.b.String(), origin: m.repr(v).origin}
}

// prettyWidth is pformat's default, in characters.
const prettyWidth = 80

// The layout follows CPython's pprint.py: try the repr in what is left of the line, and
// break only what does not fit.
type prettyPrinter struct {
	m *machine
	b strings.Builder
}

// sortDicts copies a value with the keys of its dicts in order, where they
// have one.
func sortDicts(m *machine, v value) value {
	m.enter()
	defer m.leave()
	switch v := v.(type) {
	case *list:
		l := &list{tuple: v.tuple, items: make([]value, len(v.items))}
		for i, x := range v.items {
			l.items[i] = sortDicts(m, x)
		}
		return l
	case *dict:
		order := make([]int, len(v.keys))
		texts := true
		for i, k := range v.keys {
			order[i] = i
			texts = texts && is[*str](k)
		}
		// pprint sorts anything through _safe_key; other keys are rare and stay as they are.
		if texts {
			slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.keys[i].(*str).s, v.keys[j].(*str).s) })
		}
		d := newDict(len(order))
		for _, i := range order {
			m.put(d, v.keys[i], sortDicts(m, v.vals[i]))
		}
		return d
	}
	return v
}

// value writes v behind indent columns, with room for allowance more behind it.
// level is the depth, from 1: at the top a broken text stands in brackets.
func (p *prettyPrinter) value(v value, indent, allowance, level int) {
	p.m.room(p.b.Len())
	rep := p.m.repr(v).s
	// What fits in one line is its repr.
	if utf8.RuneCountInString(rep) > prettyWidth-indent-allowance {
		switch v := v.(type) {
		case *list:
			open, end := "[", "]"
			if v.tuple {
				if open, end = "(", ")"; len(v.items) == 1 {
					end = ",)"
				}
			}
			p.b.WriteString(open)
			p.lines(len(v.items), indent+1, allowance+len(end), func(i, allowance int) {
				p.value(v.items[i], indent+1, allowance, level+1)
			})
			p.b.WriteString(end)
			return
		case *dict:
			p.b.WriteString("{")
			p.lines(len(v.keys), indent+1, allowance+1, func(i, allowance int) {
				key := p.m.repr(v.keys[i]).s
				p.b.WriteString(key + ": ")
				p.value(v.vals[i], indent+1+utf8.RuneCountInString(key)+2, allowance, level+1)
			})
			p.b.WriteString("}")
			return
		case *str:
			p.text(v, indent, allowance, level)
			return
		}
	}
	p.b.WriteString(rep)
}

// lines writes items below each other.
// All but the last are followed by a comma, the last by what closes the group.
func (p *prettyPrinter) lines(n, indent, allowance int, item func(i, allowance int)) {
	for i := range n {
		if i > 0 {
			p.b.WriteString(",\n" + strings.Repeat(" ", indent))
		}
		if i < n-1 {
			item(i, 1)
		} else {
			item(i, allowance)
		}
	}
}

// text writes a long string as several, one a line, cut behind white space.
func (p *prettyPrinter) text(t *str, indent, allowance, level int) {
	// The brackets around take a column, at the front and at the end.
	if level == 1 {
		indent++
		allowance++
	}
	// Escapes and quotes take room too.
	wide := func(s string) int { return utf8.RuneCountInString(quote(s)) }
	width := prettyWidth - indent
	var chunks []string
	for from := 0; from < len(t.s); {
		_, after := lineEnd(t.s, from)
		line := t.s[from:after]
		from = after
		// The last piece leaves room for what closes the values around it.
		room := width
		if from == len(t.s) {
			room -= allowance
		}
		if wide(line) <= room {
			chunks = append(chunks, quote(line))
			continue
		}
		current := ""
		for line != "" {
			n := wordEnd(line)
			room := width
			if n == len(line) && from == len(t.s) {
				room -= allowance
			}
			if wide(current+line[:n]) > room && current != "" {
				chunks = append(chunks, quote(current))
				current = ""
			}
			current += line[:n]
			line = line[n:]
		}
		chunks = append(chunks, quote(current))
	}
	text := strings.Join(chunks, "\n"+strings.Repeat(" ", indent))
	if level == 1 && len(chunks) > 1 {
		text = "(" + text + ")"
	}
	p.b.WriteString(text)
}

// wordEnd is the offset behind the first word of s and the white space after it.
func wordEnd(s string) int {
	n := strings.IndexFunc(s, isSpace)
	if n < 0 {
		return len(s)
	}
	rest := strings.TrimLeftFunc(s[n:], isSpace)
	return len(s) - len(rest)
}
