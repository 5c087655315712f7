package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Patterns are exceptions for some matrices: names, ends of names or
// expressions, each with a value. The first that fits counts, so they stay in
// the order of the file. The zero value has none.
type Patterns struct{ list []pattern }

type pattern struct {
	key   string
	value float64
	expr  *regexp.Regexp // nil: the key is a plain name
}

// Bounds on what a stranger's expressions can cost: Go's take time linear in
// the text, and memory in their length while nothing in them counts.
const (
	maxExprs   = 64
	maxExprLen = 256
)

// Add appends an exception.
func (p *Patterns) Add(key string, value float64) error {
	one := pattern{key: key, value: value}
	if key == "" {
		return errors.New("an empty name")
	}
	if strings.Trim(key, nameChars) != "" {
		if len(key) > maxExprLen || strings.Contains(key, "{") {
			return fmt.Errorf("expression %.80q: want at most %d bytes and no {counts}", key, maxExprLen)
		}
		exprs := 0
		for _, o := range p.list {
			if o.expr != nil {
				exprs++
			}
		}
		if exprs == maxExprs {
			return fmt.Errorf("expression %.80q: is one more than the %d that are read", key, maxExprs)
		}
		var err error
		if one.expr, err = regexp.Compile(`^(?:.*\.)?(?:` + key + `)$`); err != nil {
			return fmt.Errorf("expression %.80q: %w", key, err)
		}
	}
	p.list = append(p.list, one)
	return nil
}

// nameChars are those of keys that are names: a dot of theirs is a dot.
const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."

// find is the value for a matrix.
func (p *Patterns) find(module string, otherwise float64) float64 {
	for _, o := range p.list {
		if o.expr != nil && o.expr.MatchString(module) || o.expr == nil && ends(module, o.key) {
			return o.value
		}
	}
	return otherwise
}

// UnmarshalJSON reads an object, key by key: a map would lose the order. null
// is no exception.
func (p *Patterns) UnmarshalJSON(text []byte) error {
	p.list = nil
	dec := json.NewDecoder(bytes.NewReader(text))
	switch t, err := dec.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != json.Delim('{'):
		return fmt.Errorf("a pattern is %.40s, want an object of names and numbers", text)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value float64
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("pattern of %v: %w", key, err)
		}
		if err := p.Add(key.(string), value); err != nil { // keys of an object are strings
			return err
		}
	}
	return nil
}

// MarshalJSON writes the object in order.
func (p Patterns) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, o := range p.list {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(o.key)
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, "%s:%v", key, o.value)
	}
	return append(out, '}'), nil
}
