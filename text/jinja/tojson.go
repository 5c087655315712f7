package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// toJSON is the filter tojson of transformers: json.dumps, not Jinja's own.
// Jinja's own escapes < and & for HTML, which would change what a model sees of a tool.
func toJSON(m *machine, v value, a []value) value {
	w := &jsonWriter{m: m, item: ", ", key: ": "}
	// ensure_ascii is off by default, unlike in json.dumps: transformers sets it so.
	if a[0] != nil {
		w.ascii = truth(a[0])
	}
	if !is[*str](v) { // json.dumps does not look at it for a text
		w.indentBy(a[1])
	}
	// Separators given by hand win over those that indent sets.
	if a[2] != nil && a[2] != (none{}) {
		sep := m.items(a[2])
		if len(sep) != 2 {
			m.fail("tojson: separators must be two texts, got %d", len(sep))
		}
		w.item, w.key = m.str(sep[0]).s, m.str(sep[1]).s
	}
	w.sorted = a[3] != nil && truth(a[3])
	w.value(v, 0)
	return &str{s: string(w.b), origin: w.origin}
}

// jsonWriter writes values as json.dumps does; a text that holds bytes out of
// vars is out of vars altogether.
// It follows json/encoder.py of Python.
type jsonWriter struct {
	m         *machine
	b         []byte
	origin    origin
	ascii     bool
	pretty    bool
	sorted    bool
	indent    string
	item, key string // separators
}

// indentBy takes a number of blanks or a text; lines then end behind the commas.
func (w *jsonWriter) indentBy(v value) {
	switch v := v.(type) {
	case nil, none:
		return
	case *str:
		w.indent = v.s
	default:
		n := max(w.m.int("tojson: indent", v, 0), 0)
		w.m.room(n)
		w.indent = strings.Repeat(" ", n)
	}
	// Python's default in pretty mode: no blank behind a comma that ends a line.
	w.pretty = true
	w.item = ","
}

// value writes v as json.dumps does; what JSON lacks is an error.
// level is the depth, for indentation. Views, ranges and generators are errors, as there.
func (w *jsonWriter) value(v value, level int) {
	w.m.step()
	// Asked while it grows, for a small value may refer to a large one many times.
	if len(w.b) > w.m.opt.MaxOutput {
		w.m.room(len(w.b))
	}
	switch v := v.(type) {
	case *str:
		w.str(v)
	case none:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int64, *big.Int:
		w.b = append(w.b, formatInt(v)...)
	case float64:
		w.b = append(w.b, jsonFloat(v)...)
	case *list:
		w.group('[', ']', len(v.items), level, func(i int) { w.value(v.items[i], level+1) })
	case *dict:
		w.dict(v, level)
	default:
		w.m.fail("tojson: a %s cannot be written as JSON", typeName(v))
	}
}

// jsonFloat spells a float; NaN and Infinity are as Python writes them.
func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

// group writes n things between brackets.
// An empty one is written without a line break.
func (w *jsonWriter) group(open, end byte, n, level int, item func(i int)) {
	w.m.enter()
	defer w.m.leave()
	w.b = append(w.b, open)
	for i := range n {
		if i > 0 {
			w.b = append(w.b, w.item...)
		}
		w.newline(level + 1)
		item(i)
	}
	if n > 0 {
		w.newline(level)
	}
	w.b = append(w.b, end)
}

// newline begins a line of a level, if lines are asked for.
func (w *jsonWriter) newline(level int) {
	if w.pretty {
		w.m.room(len(w.b) + level*len(w.indent))
		w.b = append(w.b, '\n')
		w.b = append(w.b, strings.Repeat(w.indent, level)...)
	}
}

// dict writes an object, by its order or sorted by key.
func (w *jsonWriter) dict(d *dict, level int) {
	// The dict itself keeps its order.
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	// Keys of different types cannot be sorted, in Python neither.
	if w.sorted {
		slices.SortStableFunc(order, func(i, j int) int {
			if w.m.compare("<", d.keys[i], d.keys[j]) {
				return -1
			}
			if w.m.compare("<", d.keys[j], d.keys[i]) {
				return 1
			}
			return 0
		})
	}
	w.group('{', '}', len(order), level, func(i int) {
		w.str(w.keyText(d.keys[order[i]]))
		w.b = append(w.b, w.key...)
		w.value(d.vals[order[i]], level+1)
	})
}

// keyText is a key as JSON has it: always a string.
// What a dict keeps apart, such as 1 and "1", may meet here: both are written.
func (w *jsonWriter) keyText(k value) *str {
	switch k := k.(type) {
	case *str:
		return k
	case none:
		return author("null")
	case bool:
		return author(strconv.FormatBool(k))
	case int64, *big.Int:
		return author(formatInt(k))
	case float64:
		return author(jsonFloat(k))
	}
	w.m.fail("tojson: a %s cannot be a key in JSON", typeName(k))
	return nil
}

// str writes a text; characters beyond ASCII stay, or become surrogate pairs.
// It is the only place where origins are looked at: numbers have none.
func (w *jsonWriter) str(t *str) {
	w.origin |= t.origin
	w.m.spend(len(t.s))
	w.b = append(w.b, '"')
	for i := 0; i < len(t.s); {
		c := t.s[i]
		if c < utf8.RuneSelf {
			w.b = appendJSONByte(w.b, c, w.ascii)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(t.s[i:])
		switch {
		case !w.ascii:
			w.b = append(w.b, t.s[i:i+n]...)
		// JSON escapes are UTF-16.
		case r > 0xffff:
			w.b = fmt.Appendf(w.b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			w.b = fmt.Appendf(w.b, `\u%04x`, r)
		}
		i += n
	}
	w.b = append(w.b, '"')
}

// appendJSONByte writes an ASCII character; json escapes DEL only in ASCII mode.
func appendJSONByte(b []byte, c byte, ascii bool) []byte {
	const from, to = "\"\\\n\r\t\b\f", `"\nrtbf`
	if i := strings.IndexByte(from, c); i >= 0 {
		return append(b, '\\', to[i])
	}
	if c < ' ' || c == 0x7f && ascii {
		return fmt.Appendf(b, `\u%04x`, c)
	}
	return append(b, c)
}
