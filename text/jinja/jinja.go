package jinja

import (
	"strings"
	"time"
)

// Template is a parsed chat template. It does not change and may be rendered
// by many goroutines at once.
// body is shared by all renderings: the tree is not changed after Parse.
type Template struct {
	body []stmt
	root *scope
	lib  *library
}

// Parse reads a template as transformers does: trim_blocks and lstrip_blocks
// are on, {% break %}, {% continue %} and {% generation %} are known. The error
// is an [*Error] with the line.
func Parse(source string) (*Template, error) {
	body, err := parse(source)
	if err != nil {
		return nil, err
	}
	lib := newLibrary()
	root, err := bind(body, lib)
	if err != nil {
		return nil, err
	}
	return &Template{body, root, lib}, nil
}

// Options bound a rendering. The zero value takes the defaults.
// The limits are for templates that loop forever or build texts without end; those
// that models come with stay far below them.
type Options struct {
	Now       func() time.Time // clock of strftime_now (default: time.Now)
	MaxSteps  int              // expressions, loop turns and 128 bytes of strings built (default: 10 million)
	MaxDepth  int              // macro calls inside each other, depth of values (default: 200)
	MaxOutput int              // bytes of any one string, the result among them (default: 16 MiB)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = 10_000_000
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = 200
	}
	if o.MaxOutput <= 0 {
		o.MaxOutput = 16 << 20
	}
	return o
}

// Segment is a stretch of rendered text of one origin.
// A tokenizer reads special tokens in those without Data, and a trainer counts the
// loss where Learn is set.
type Segment struct {
	Text  string
	Data  bool // came out of vars: never to be read as special tokens
	Learn bool // inside of {% generation %}: what an assistant is to learn
}

// Text joins segments.
func Text(segments []Segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Render runs the template over vars: string, bool, int, int32, int64, uint32,
// float32, float64, nil, *big.Int, json.Number, []any, []string, [Dict], map[string]any (in the
// order of its keys), json.RawMessage, and [Authored] for texts that the
// template may write as its own, such as bos_token. Segments that follow each
// other differ in Data or Learn. Errors are [*Error] or, of raise_exception,
// [*RaisedError].
func (t *Template) Render(vars map[string]any, o Options) (segments []Segment, err error) {
	o = o.withDefaults()
	m := &machine{lib: t.lib, opt: o, steps: o.MaxSteps, vars: vars, seen: map[string]value{}, out: &builder{}}
	defer catch(&err)
	f := &frame{slots: make([]value, t.root.fn.n)}
	t.root.enter(m, f)
	m.run(t.body, f)
	return m.out.text().segments(), nil
}
