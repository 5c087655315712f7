package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"weft/chat"
)

// maxLiteral bounds how deep values of a call may nest.
const maxLiteral = 64

// literal reads calls that are written like code and writes JSON.
type literal struct {
	s     string
	i     int
	depth int
	out   strings.Builder
}

// readPython reads calls as Python writes them, f(a="x", b=[1, True]), one or
// a list of several, of literals by keyword alone. print(f()) is f().
func readPython(text string, _ types) ([]chat.ToolCall, error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "print("); ok && strings.HasSuffix(inner, ")") {
		text = strings.TrimSuffix(inner, ")")
	}
	l := &literal{s: text}
	list := l.eat("[")
	var calls []chat.ToolCall
	for {
		l.space()
		if l.i == len(l.s) && !list || list && l.eat("]") {
			if l.space(); l.i < len(l.s) {
				return nil, fmt.Errorf("more stands behind it: %.20q", l.s[l.i:])
			}
			return calls, nil
		}
		name := l.word()
		if name == "" || !l.eat("(") {
			return nil, fmt.Errorf("want name(, got %.20q", l.s[l.i:])
		}
		args, err := l.members(")", "=")
		if err != nil {
			return nil, fmt.Errorf("tool call %s: %w", name, err)
		}
		calls = append(calls, chat.ToolCall{Name: name, Arguments: args})
		l.space()
		l.eat(",")
	}
}

// readGemma reads call:name{key:value}, in which texts stand in gemmaQuote.
func readGemma(text string, _ types) ([]chat.ToolCall, error) {
	l := &literal{s: strings.TrimSpace(text)}
	if !l.eat("call:") {
		return nil, fmt.Errorf("want call:name{, got %.20q", l.s)
	}
	name := l.word()
	if name == "" || !l.eat("{") {
		return nil, fmt.Errorf("want call:name{, got %.20q", l.s)
	}
	args, err := l.members("}", ":")
	if err == nil && l.i < len(l.s) {
		err = fmt.Errorf("more stands behind it: %.20q", l.s[l.i:])
	}
	if err != nil {
		return nil, fmt.Errorf("tool call %s: %w", name, err)
	}
	return []chat.ToolCall{{Name: name, Arguments: args}}, nil
}

func (l *literal) space() {
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n", l.s[l.i]) >= 0 {
		l.i++
	}
}

// eat takes token, if it comes next, and the space in front of it.
func (l *literal) eat(token string) bool {
	at := l.i
	l.space()
	if strings.HasPrefix(l.s[l.i:], token) {
		l.i += len(token)
		return true
	}
	l.i = at
	return false
}

// word takes a name: letters, digits, "_", "-" and ".".
func (l *literal) word() string {
	l.space()
	from := l.i
	for l.i < len(l.s) {
		r, n := utf8.DecodeRuneInString(l.s[l.i:])
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.$", r) || r > utf8.RuneSelf && r != utf8.RuneError && n > 1) {
			break
		}
		l.i += n
	}
	return l.s[from:l.i]
}

// members takes key-value pairs up to end and returns them as a JSON object.
func (l *literal) members(end, between string) (string, error) {
	var o object
	for {
		if l.eat(end) {
			return o.String(), nil
		}
		var key string
		if l.space(); l.i < len(l.s) && (strings.IndexByte(`"'`, l.s[l.i]) >= 0 || strings.HasPrefix(l.s[l.i:], gemmaQuote)) {
			var err error
			if key, err = l.text(); err != nil {
				return "", err
			}
		} else if key = l.word(); key == "" {
			return "", fmt.Errorf("want a name, got %.20q", l.s[l.i:])
		}
		if !l.eat(between) {
			return "", fmt.Errorf("want %q behind %s", between, key)
		}
		value, err := l.value()
		if err != nil {
			return "", err
		}
		if err := o.add(key, value); err != nil {
			return "", err
		}
		if !l.eat(",") && !strings.HasPrefix(strings.TrimLeft(l.s[l.i:], " \t\r\n"), end) {
			return "", fmt.Errorf("want %q or a comma behind %s", end, key)
		}
	}
}

// value takes one literal and returns it as JSON.
func (l *literal) value() (string, error) {
	if l.depth++; l.depth > maxLiteral {
		return "", fmt.Errorf("values nest deeper than %d", maxLiteral)
	}
	defer func() { l.depth-- }()
	switch {
	case l.eat("{"):
		return l.members("}", ":")
	case l.eat("["):
		return l.list("]")
	case l.eat("("):
		return l.list(")")
	}
	l.space()
	if l.i == len(l.s) {
		return "", errors.New("a value is missing")
	}
	if strings.IndexByte(`"'`, l.s[l.i]) >= 0 || strings.HasPrefix(l.s[l.i:], gemmaQuote) {
		text, err := l.text()
		var b strings.Builder
		spell(&b, text)
		return b.String(), err
	}
	from := l.i
	for l.i < len(l.s) && strings.IndexByte(",}])=: \t\r\n", l.s[l.i]) < 0 {
		l.i++
	}
	switch w := l.s[from:l.i]; w {
	case "True", "False":
		return strings.ToLower(w), nil
	case "None":
		return "null", nil
	default:
		s, err := canonical(w)
		if err != nil || w == "" {
			return "", fmt.Errorf("%.20q is not a literal", l.s[from:])
		}
		return s, nil
	}
}

func (l *literal) list(end string) (string, error) {
	var all []string
	for !l.eat(end) {
		v, err := l.value()
		if err != nil {
			return "", err
		}
		all = append(all, v)
		if !l.eat(",") && !strings.HasPrefix(strings.TrimLeft(l.s[l.i:], " \t\r\n"), end) {
			return "", fmt.Errorf("want %q or a comma in a list", end)
		}
	}
	return "[" + strings.Join(all, ", ") + "]", nil
}

// text takes a quoted text: Gemma's, or Python's with its escapes.
func (l *literal) text() (string, error) {
	if rest, ok := strings.CutPrefix(l.s[l.i:], gemmaQuote); ok {
		text, _, ok := strings.Cut(rest, gemmaQuote)
		if !ok {
			return "", fmt.Errorf("a text has no %s at its end", gemmaQuote)
		}
		l.i += len(text) + 2*len(gemmaQuote)
		return text, nil
	}
	quote := l.s[l.i]
	var b strings.Builder
	for rest := l.s[l.i+1:]; rest != ""; {
		switch {
		case rest[0] == quote:
			l.i = len(l.s) - len(rest) + 1
			return b.String(), nil
		case strings.HasPrefix(rest, "\\\n"): // the line goes on
			rest = rest[2:]
		case rest[0] != '\\':
			b.WriteByte(rest[0])
			rest = rest[1:]
		default:
			r, _, tail, err := strconv.UnquoteChar(rest, quote)
			switch {
			case err == nil:
				b.WriteRune(r) // \xe9 is é in Python
			case len(rest) < 2:
				return "", errors.New("a text ends in a backslash")
			case rest[1] == '"' || rest[1] == '\'':
				b.WriteByte(rest[1])
				tail = rest[2:]
			default: // an escape that Python leaves alone
				b.WriteString(rest[:2])
				tail = rest[2:]
			}
			rest = tail
		}
	}
	return "", errors.New("a text has no quote at its end")
}
