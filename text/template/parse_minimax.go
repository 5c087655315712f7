package template

import (
	"errors"
	"fmt"
	"strings"

	"weft/chat"
)

// readMiniMax3 reads <invoke name="f"> elements whose children are the
// arguments. Each tag has a mark in front, so that values need no escapes.
// Objects are elements by name in turn, lists are elements "item".
func readMiniMax3(text string, t types) ([]chat.ToolCall, error) {
	e := &elements{s: text}
	var calls []chat.ToolCall
	for {
		if e.space(); e.i == len(e.s) {
			return calls, nil
		}
		name := ""
		if e.tag(`<invoke name="`) {
			name, _, _ = strings.Cut(e.s[e.i:], `">`)
			e.i += min(len(name)+len(`">`), len(e.s)-e.i)
		}
		if name == "" || strings.ContainsAny(name, " \t\r\n<") {
			return nil, fmt.Errorf(`want <invoke name="name">, got %.20q`, e.s[e.i:])
		}
		args, err := e.children("</invoke>", param{of: []string{"object"}, members: t[name]})
		if err != nil {
			return nil, fmt.Errorf("tool call %s: %w", name, err)
		}
		calls = append(calls, chat.ToolCall{Name: name, Arguments: args})
	}
}

// elements reads marked elements and writes JSON.
type elements struct {
	s        string
	i, depth int
}

func (e *elements) space() {
	e.i = len(e.s) - len(strings.TrimLeft(e.s[e.i:], " \t\r\n"))
}

// tag takes a tag with its mark, if it comes next, and the space in front.
func (e *elements) tag(name string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(e.s[e.i:], " \t\r\n"), minimaxMark+name)
	if ok {
		e.i = len(e.s) - len(rest)
	}
	return ok
}

// children takes elements up to the tag end: a list if there is one and that
// is not against its type, otherwise an object.
func (e *elements) children(end string, p param) (string, error) {
	if e.depth++; e.depth > maxLiteral {
		return "", fmt.Errorf("values nest deeper than %d", maxLiteral)
	}
	defer func() { e.depth-- }()
	var names, values []string
	isList := !p.is("object")
	for !e.tag(end) {
		if !e.tag("<") {
			return "", fmt.Errorf("want %s%s, got %.20q", minimaxMark, end, e.s[e.i:])
		}
		name, _, ok := strings.Cut(e.s[e.i:], ">")
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n</") {
			return "", errors.New("a tag has no end")
		}
		e.i += len(name) + 1
		isList = isList && name == "item"
		inner := p.members[name]
		if isList && p.items != nil {
			inner = *p.items
		}
		value, err := e.value("</"+name+">", inner)
		if err != nil {
			return "", err
		}
		names, values = append(names, name), append(values, value)
	}
	if isList {
		return "[" + strings.Join(values, ", ") + "]", nil
	}
	var o object
	for i, v := range values {
		if err := o.add(names[i], v); err != nil {
			return "", err
		}
	}
	return o.String(), nil
}

// value takes what is inside an element, up to the tag end.
func (e *elements) value(end string, p param) (string, error) {
	text, rest, ok := strings.Cut(e.s[e.i:], minimaxMark)
	switch {
	case !ok:
		return "", fmt.Errorf("want %s%s, got %.20q", minimaxMark, end, text)
	case strings.TrimSpace(text) == "" && strings.HasPrefix(rest, "<") && !strings.HasPrefix(rest, "</"):
		return e.children(end, p)
	case !strings.HasPrefix(rest, end):
		return "", fmt.Errorf("want %s%s, got %.20q", minimaxMark, end, rest)
	}
	e.i += len(text) + len(minimaxMark) + len(end)
	switch {
	case text == "" && p.is("array"):
		return "[]", nil
	case text == "" && p.is("object"):
		return "{}", nil
	}
	return p.value(text), nil
}
