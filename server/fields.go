package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// object reads a JSON object field by field. The first error sticks and names
// its field, so a decoder asks for everything and looks at err once. null
// counts as absent. What was never asked for is left over (see leftover).
type object struct {
	path  string // prefix of field names in errors, such as "messages[2]."
	raw   map[string]json.RawMessage
	asked map[string]bool
	inner []string // what nobody asked for in the objects inside
	err   *apiError
}

// parseObject reads one JSON object. name is what errors call it.
func parseObject(data []byte, name, path string) (*object, *apiError) {
	o := &object{path: path, asked: map[string]bool{}}
	if err := json.Unmarshal(data, &o.raw); err != nil || o.raw == nil {
		what := kind(data)
		if syntax, ok := err.(*json.SyntaxError); ok {
			what = fmt.Sprintf("%v at byte %d", syntax, syntax.Offset)
		}
		return nil, &apiError{Status: 400, Type: invalidRequest, Param: strings.TrimSuffix(path, "."), Code: "invalid_json",
			Message: fmt.Sprintf("%s must be a JSON object, got %s", name, what)}
	}
	return o, nil
}

// fail keeps the first error.
func (o *object) fail(name, format string, args ...any) {
	if o.err == nil {
		o.err = badParam(o.path+name, format, args...)
	}
}

// take returns a field that is there and not null.
func (o *object) take(name string) (json.RawMessage, bool) {
	o.asked[name] = true
	v, ok := o.raw[name]
	return v, ok && !bytes.Equal(v, []byte("null"))
}

// str reads a string, "" when absent.
func (o *object) str(name string) string {
	v, ok := o.take(name)
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		o.fail(name, "must be a string, got %s", kind(v))
	}
	return s
}

// boolean reads true or false, false when absent. Strings and numbers that
// mean the same in some languages are refused: a guess may be wrong.
func (o *object) boolean(name string) bool {
	v, ok := o.take(name)
	if !ok {
		return false
	}
	var b bool
	if json.Unmarshal(v, &b) != nil {
		o.fail(name, "must be true or false, got %s", kind(v))
	}
	return b
}

// number returns nil when absent.
func (o *object) number(name string, lo, hi float64) *float64 {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < lo || f > hi {
		o.fail(name, "must be a number from %g to %g, got %s", lo, hi, show(v))
		return nil
	}
	return &f
}

// integer returns nil when absent. It takes 16.0 for 16, as some languages
// write every number with a fraction.
func (o *object) integer(name string, lo, hi int64) *int64 {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	i, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		var f float64
		if f, err = strconv.ParseFloat(string(v), 64); err == nil && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
			err = strconv.ErrRange
		}
		i = int64(f)
	}
	if err != nil || i < lo || i > hi {
		o.fail(name, "must be a whole number %s, got %s", between(lo, hi), show(v))
		return nil
	}
	return &i
}

// between words a range for people; the limits of the types count as none.
func between(lo, hi int64) string {
	switch {
	case hi == math.MaxInt64 && lo == math.MinInt64:
		return "of 64 bits"
	case hi == math.MaxInt64 || hi == math.MaxInt32:
		return fmt.Sprintf("of at least %d", lo)
	}
	return fmt.Sprintf("from %d to %d", lo, hi)
}

// list splits an array field; nil when absent.
func (o *object) list(name string) []json.RawMessage {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	var l []json.RawMessage
	if json.Unmarshal(v, &l) != nil {
		o.fail(name, "must be an array, got %s", kind(v))
	}
	return l
}

// inside reads an object that stands in a field of this one; what is wrong in
// it or left over counts as the outer object's.
func (o *object) inside(name string, data []byte, read func(*object)) {
	in, err := parseObject(data, o.path+name, o.path+name+".")
	if err == nil {
		read(in)
		o.inner = append(o.inner, in.leftover()...)
		err = in.err
	}
	if o.err == nil {
		o.err = err
	}
}

// each reads an array of objects; none when absent.
func (o *object) each(name string, read func(*object)) {
	for i, data := range o.list(name) {
		o.inside(fmt.Sprintf("%s[%d]", name, i), data, read)
	}
}

// leftover lists, in order, the fields nobody asked for. One that is almost a
// known name is an error: it is a typing mistake that would change the answer.
func (o *object) leftover() []string {
	var names []string
	for name := range o.raw {
		if !o.asked[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		if meant := nearest(name, o.asked); meant != "" && o.err == nil {
			o.fail(name, "unknown field; did you mean %s?", meant)
			o.err.Code = "unknown_parameter"
		}
		names[i] = o.path + name
	}
	return append(o.inner, names...)
}

// nearest finds the known name within one edit, or two for names of eight
// letters and more; the smallest such name if there are several. Names of less
// than four letters are like too many others to tell.
func nearest(name string, known map[string]bool) string {
	best, limit := "", 1
	switch {
	case len(name) < 4:
		return ""
	case len(name) >= 8:
		limit = 2
	}
	for k := range known {
		d := edits(name, k)
		if d < limit || d == limit && (best == "" || k < best) {
			best, limit = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance, with a swap of neighbours as one edit.
func edits(a, b string) int {
	const far = 1 << 20
	if d := len(a) - len(b); d > 2 || d < -2 {
		return far
	}
	var last []int // the row before prev, for swaps
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], last[j-1]+1)
			}
		}
		last, prev = prev, row
	}
	return prev[len(b)]
}

// kind names the JSON type of v for an error message.
func kind(v []byte) string {
	v = bytes.TrimSpace(v)
	if len(v) == 0 {
		return "nothing"
	}
	switch c := v[0]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	}
	return "a number"
}

// show quotes a short value and names the type of a long one.
func show(v []byte) string {
	if len(v) <= 40 {
		return string(v)
	}
	return kind(v)
}
