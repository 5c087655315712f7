package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// member is one field of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members splits a JSON object into its fields in the order of the text, which
// a map would lose.
func members(object []byte) ([]member, error) {
	if !json.Valid(object) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object")
	}
	var list []member
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: key.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// canonical spells JSON as Python's json.dumps(v, ensure_ascii=False) does,
// which is what the Jinja filter tojson of Hugging Face gives: ", " and ": "
// between, no other white space, no needless escapes. The order of fields and
// the digits of numbers stay.
func canonical(text string) (string, error) {
	if !json.Valid([]byte(text)) {
		return "", errors.New("not JSON")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var b strings.Builder
	s := speller{b: &b}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		s.token(t)
	}
}

// speller writes JSON tokens with what stands between them.
type speller struct {
	b    *strings.Builder
	open []level
}

// level is an object or array that has not ended.
type level struct {
	object bool
	tokens int // written directly inside; in an object keys are the even ones
}

func (s *speller) token(t json.Token) {
	if t == json.Delim('}') || t == json.Delim(']') {
		s.b.WriteString(t.(json.Delim).String())
		s.open = s.open[:len(s.open)-1]
		return
	}
	if n := len(s.open); n > 0 {
		at := &s.open[n-1]
		switch {
		case at.object && at.tokens%2 == 1:
			s.b.WriteString(": ")
		case at.tokens > 0:
			s.b.WriteString(", ")
		}
		at.tokens++
	}
	switch t := t.(type) {
	case json.Delim:
		s.b.WriteString(t.String())
		s.open = append(s.open, level{object: t == '{'})
	case string:
		spell(s.b, t)
	case nil:
		s.b.WriteString("null")
	default: // json.Number, bool
		fmt.Fprint(s.b, t)
	}
}

// spell writes a JSON string, with escapes only where JSON demands them.
func spell(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ':
			b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteByte('\\')
			b.WriteByte("btn?fr"[r-'\b'])
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}
