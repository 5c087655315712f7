package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// Dict is an object whose fields keep their order, for vars. Of fields with
// one key the last counts, in the place of the first.
// A slice, not a map: templates write objects of tools in the order of the request.
type Dict []Item

// Item is a field of a [Dict].
type Item struct {
	Key   string
	Value any
}

// Get returns the value under a key.
// It looks from the end, where the one that counts is.
func (d Dict) Get(key string) (any, bool) {
	for i := len(d) - 1; i >= 0; i-- {
		if d[i].Key == key {
			return d[i].Value, true
		}
	}
	return nil, false
}

// Authored is a text in vars that counts as written by the template's author,
// such as bos_token: its bytes are not Data.
// Everything else in vars is a user's, however harmless it looks.
type Authored string

// maxJSONDepth bounds the nesting that ParseJSON reads.
const maxJSONDepth = 500

// ParseJSON reads one JSON value for use in vars: objects as [Dict] in their
// order, whole numbers as int64 or *big.Int, others as float64, as Python's
// json does.
// Errors name the byte. Limits: maxJSONDepth and the length of what is given.
func ParseJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	// float64 would lose the digits of large ints, which templates print.
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err != nil {
		return nil, fmt.Errorf("JSON at byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		// A second value is more likely a mistake than a wish.
		return nil, fmt.Errorf("JSON at byte %d: more behind the value", d.InputOffset())
	}
	return v, nil
}

// readJSON reads one value by tokens, which keep the order of fields.
func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d: %w", maxJSONDepth, ErrLimit)
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return parseNumber(string(t))
	case json.Delim:
		if t == '{' {
			return readObject(d, depth)
		}
		list := []any{}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// readObject reads the fields behind an open brace.
func readObject(d *json.Decoder, depth int) (any, error) {
	// Fields may repeat; convert settles it.
	object := Dict{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		object = append(object, Item{key.(string), v})
	}
	_, err := d.Token()
	return object, err
}

// parseNumber is a JSON number as Python reads it.
// Python refuses to read ints of more than 4300 digits, and so do we.
func parseNumber(s string) (any, error) {
	if strings.ContainsAny(s, ".eE") {
		f, ok := parseFloat(s)
		if !ok {
			return nil, fmt.Errorf("bad number %.40q", s)
		}
		return f, nil
	}
	z, ok := new(big.Int).SetString(s, 10)
	if !ok || len(s) > 4300 {
		return nil, fmt.Errorf("bad number %.40q", s)
	}
	return any(normal(z)), nil
}

// convert makes a value of a Go value; path is the variable that it is in. All strings
// come out of vars, but those that say otherwise.
// Go values are converted when a template first asks for their variable, and once.
func (m *machine) convert(x any, path string, depth int) value {
	m.step()
	if depth > maxJSONDepth {
		m.limit("vars: %s: nested deeper than %d", path, maxJSONDepth)
	}
	switch x := x.(type) {
	case nil:
		return none{}
	case bool:
		return x
	case string:
		return &str{s: x, origin: fromVars}
	case Authored:
		return author(string(x))
	case int:
		return int64(x)
	case int32:
		return int64(x)
	case int64:
		return x
	case uint32:
		return int64(x)
	case float32:
		return float64(x)
	case float64:
		return x
	case *big.Int:
		return normal(x)
	case json.Number:
		return m.convertNumber(string(x), path)
	case json.RawMessage:
		v, err := ParseJSON(x)
		if err != nil {
			m.fail("vars: %s: %s", path, err)
		}
		return m.convert(v, path, depth+1)
	case Dict:
		d := newDict(len(x))
		for _, item := range x {
			d.set(&str{s: item.Key, origin: fromVars}, hash{kind: 's', s: item.Key}, m.convert(item.Value, path, depth+1))
		}
		return d
	case map[string]any:
		d := newDict(len(x))
		// Go's order differs from run to run; a rendering must not.
		for _, k := range sortedKeys(x) {
			d.set(&str{s: k, origin: fromVars}, hash{kind: 's', s: k}, m.convert(x[k], path, depth+1))
		}
		return d
	}
	return m.convertList(x, path, depth)
}

// convertNumber names the variable that holds what is no number.
func (m *machine) convertNumber(s, path string) value {
	v, err := parseNumber(s)
	if err != nil {
		m.fail("vars: %s: %s", path, err)
	}
	return v
}

// convertList converts the slices that are of use, without reflection.
func (m *machine) convertList(x any, path string, depth int) value {
	var items []value
	switch x := x.(type) {
	case []any:
		items = convertAll(m, x, path, depth)
	case []string:
		items = convertAll(m, x, path, depth)
	case []Dict:
		items = convertAll(m, x, path, depth)
	case []map[string]any:
		items = convertAll(m, x, path, depth)
	default:
		m.fail("vars: %s: a template cannot use a %T", path, x)
	}
	return &list{items: items}
}

// convertAll converts one by one, so that each step is paid for.
func convertAll[T any](m *machine, list []T, path string, depth int) []value {
	items := make([]value, len(list))
	for i, x := range list {
		items[i] = m.convert(x, path, depth+1)
	}
	return items
}
