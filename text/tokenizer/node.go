package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a value of a JSON file and the way to it, such as
// pre_tokenizer.pretokenizers[1], which every error about it begins with.
type node struct {
	path string
	data json.RawMessage
}

// field is the way to a part of this value, for errors about it.
func (n node) field(name string) node { return node{path: n.path + name} }

// maxDepth is how many sequences of steps may stand inside each other.
const maxDepth = 8

// null says whether a section is absent.
func (n node) null() bool { return isNull(n.data) }

// isNull says whether a section is absent; both spellings are in use.
func isNull(data []byte) bool { return len(data) == 0 || string(bytes.TrimSpace(data)) == "null" }

// errorf is an error about this value.
func (n node) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", n.path, fmt.Errorf(format, args...))
}

// kind is the "type" of a step.
func (n node) kind() (string, error) {
	var t struct {
		Type *string `json:"type"`
	}
	switch err := json.Unmarshal(n.data, &t); {
	case err != nil:
		return "", n.errorf("%w: %w", ErrFormat, err)
	case t.Type == nil:
		return "", n.errorf("%w: no type", ErrFormat)
	}
	return *t.Type, nil
}

// unknown is the error for a type that this package does not have.
func (n node) unknown(kind string, want ...string) error {
	return n.field(".type").errorf("%q: %w; want one of %s", clip([]byte(kind)), ErrUnsupported, strings.Join(want, ", "))
}

// read decodes into v and refuses fields that v does not have.
func (n node) read(v any) error {
	d := json.NewDecoder(bytes.NewReader(n.data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return n.errorf("field %s: %w", name, ErrUnsupported)
		}
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
			return n.field("."+wrong.Field).errorf("%w: got a JSON %s, want %s", ErrFormat, wrong.Value, wrong.Type)
		}
		return n.errorf("%w: %w", ErrFormat, err)
	}
	if d.More() {
		return n.errorf("%w: something follows the JSON value", ErrFormat)
	}
	return nil
}

// steps lists the members of a Sequence, which the field of that name holds, and
// those of the sequences inside it. Any other step is a list of itself.
func (n node) steps(field string) ([]node, error) { return n.deepSteps(field, 0) }

func (n node) deepSteps(field string, depth int) ([]node, error) {
	kind, err := n.kind()
	if err != nil || kind != "Sequence" {
		return []node{n}, err
	}
	if depth == maxDepth {
		return nil, n.errorf("%w: more than %d sequences inside each other", ErrFormat, maxDepth)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(n.data, &object); err != nil {
		return nil, n.errorf("%w: %w", ErrFormat, err)
	}
	for name := range object {
		if name != "type" && name != field {
			return nil, n.errorf("field %q: %w", name, ErrUnsupported)
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(object[field], &list); err != nil {
		return nil, n.field("."+field).errorf("%w: %w", ErrFormat, err)
	}
	var out []node
	for i, data := range list {
		step := node{n.path + "." + field + "[" + strconv.Itoa(i) + "]", data}
		more, err := step.deepSteps(field, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// character is a JSON string of one character.
type character rune

// UnmarshalJSON refuses longer strings.
func (c *character) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || n != len(s) {
		return fmt.Errorf("got %q, want one character", s)
	}
	*c = character(r)
	return nil
}

// patternJSON is what Split and Replace look for: a text, or an expression.
type patternJSON struct {
	Regex  *string `json:"Regex,omitempty"`
	String *string `json:"String,omitempty"`
}

// matcher returns the pattern as a way to cut text: see pattern.each.
func (p patternJSON) matcher(at node) (cutter, error) {
	switch {
	case p.Regex != nil && p.String == nil:
		pat, err := patternOf(*p.Regex)
		if err != nil {
			return nil, at.errorf("%w", err)
		}
		return patternCutter(pat), nil
	case p.String == nil || p.Regex != nil:
		return nil, at.errorf("%w: want either String or Regex", ErrFormat)
	case *p.String == "":
		return nil, at.errorf("an empty String: %w", ErrUnsupported)
	}
	return textCutter(*p.String), nil
}

// mustJSON writes values that are known to be sound, with <, > and & as they are.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// clip shortens JSON for an error message.
func clip(data []byte) string {
	const most = 200
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}
