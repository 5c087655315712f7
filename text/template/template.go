package template

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// Encoder is what a template needs of a tokenizer. Encode never yields special
// ids and adds none; Special finds a special token by its text; Err says that a
// text was too much for the tokenizer's pattern.
type Encoder interface {
	Encode(text string) []int32
	Special(name string) (int32, bool)
	Err() error
}

// Template is one way to write conversations down. It is immutable and safe
// for concurrent use.
type Template struct {
	name     string
	bos      string   // marker in front of everything; "" none
	end      string   // marker that ends a turn
	document string   // marker that ends a document in pretraining
	tools    string   // marker in front of the tools; "" this template has none
	call     string   // marker in front of each call; "" this template has none
	specials []string // what every conversation needs
	known    []string // Jinja texts beside our own that render the same, tools aside
	jinja    string
	turn     func(role chat.Role) []part // what stands in front of a message
	family   *family                     // how answers are read; nil: as the text says
	script   *script                     // a template that runs as Jinja; nil: a built-in one
	after    string                      // text behind the end marker
}

//go:embed chatml.jinja
var chatmlJinja string

//go:embed weft.jinja
var weftJinja string

// builtins returns the templates of this program, in the order shown to users.
func builtins() []*Template {
	return []*Template{
		{
			// One marker per role, no white space of its own: nothing to get
			// wrong, and the fewest tokens.
			name: "weft", bos: "<|bos|>", end: "<|end|>", document: "<|end|>",
			tools: "<|tools|>", call: "<|call|>",
			specials: []string{"<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"},
			known:    []string{plainWeft},
			jinja:    strings.TrimSuffix(weftJinja, "\n"),
			turn: func(role chat.Role) []part {
				return []part{{text: "<|" + string(role) + "|>", marker: true}}
			},
		},
		{
			name: "chatml", end: "<|im_end|>", document: "<|endoftext|>", after: "\n",
			specials: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
			known:    plainChatML[:],
			jinja:    strings.TrimSuffix(chatmlJinja, "\n"),
			turn: func(role chat.Role) []part {
				return []part{{text: "<|im_start|>", marker: true}, {text: string(role) + "\n"}}
			},
		},
	}
}

// Default is the template of models made here.
const Default = "weft"

// Names lists the built-in templates.
func Names() []string {
	var names []string
	for _, t := range builtins() {
		names = append(names, t.name)
	}
	return names
}

// Named returns a built-in template.
func Named(name string) (*Template, error) {
	for _, t := range builtins() {
		if t.name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w %q: want one of %s", ErrUnknown, name, strings.Join(Names(), ", "))
}

// Name is the name that Named takes.
func (t *Template) Name() string { return t.name }

// Jinja is the same template as the chat_template text of a Hugging Face
// folder, for programs other than this one.
func (t *Template) Jinja() string { return t.jinja }

// Hash identifies the template: SHA-256, hexadecimal, of its name and Jinja
// text. Data sets and checkpoints carry it beside the tokenizer's hash.
func (t *Template) Hash() string {
	if t.script != nil {
		return t.script.hash()
	}
	sum := sha256.Sum256([]byte(t.name + "\n" + t.jinja))
	return hex.EncodeToString(sum[:])
}

// Specials lists the special tokens of the template, those of tools included,
// in the order in which a trainer should number them.
func (t *Template) Specials() []string {
	if t.script != nil {
		return t.script.specials()
	}
	if t.call == "" {
		return slices.Clone(t.specials)
	}
	return append(slices.Clone(t.specials), t.tools, t.call)
}

// BOS is the marker that opens every conversation and document, or "".
func (t *Template) BOS() string { return t.bos }

// End is the marker that ends a turn. Of a template that came with a model it
// is what was found by rendering an answer; "": none was.
func (t *Template) End() string {
	if t.script == nil {
		return t.end
	}
	if words := strings.Fields(t.script.found().end); len(words) > 0 {
		return words[0]
	}
	return ""
}

// DocumentEnd is the marker that ends a document in pretraining.
func (t *Template) DocumentEnd() string { return t.document }

// Stop returns the ids that end an answer: the end of the turn, and the end of
// a document, which a model with little fine-tuning may say instead, or what
// generation_config.json says.
func (t *Template) Stop(tok Encoder) []int32 {
	var ids []int32
	names := []string{t.end, t.document}
	if t.script != nil {
		ids = slices.Clone(t.script.EOS)
		names = append(append(t.ends(tok), t.document), t.family.stop...)
	}
	for _, name := range names {
		if id, ok := tok.Special(name); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// For returns the built-in template whose special tokens a tokenizer has, the
// first if it has those of several; nil if it has those of none.
func For(tok Encoder) *Template {
	for _, t := range builtins() {
		if t.Check(tok) == nil {
			return t
		}
	}
	return nil
}

// Check returns an error that names the first special token of the template
// that the tokenizer lacks. For those of tools, see CheckTools. A template that
// came with a model has markers that need not be special tokens; see Examine.
func (t *Template) Check(tok Encoder) error {
	if t.script != nil {
		return t.script.found().err
	}
	for _, name := range t.specials {
		if _, ok := tok.Special(name); !ok {
			return t.missing(name)
		}
	}
	return nil
}

// ends is the special token that ends a turn, of a template in Jinja, or the
// one that begins the next where a turn has no end; nil: there is none, or more
// of the turn may follow all that there are.
func (t *Template) ends(tok Encoder) []string {
	st, ok := tok.(SpecialEncoder)
	if !ok {
		return []string{t.End()}
	}
	f := t.script.found()
	for _, id := range st.EncodeSpecial(cmp.Or(f.end, f.next)) {
		if name, ok := markName(st, id); ok && !t.family.inside(name) {
			return []string{name}
		}
	}
	return nil
}

func (t *Template) missing(name string) error {
	return fmt.Errorf("%w: template %q needs %s (train the tokenizer with --template %s, or choose the template the tokenizer was made for)",
		ErrMarker, t.name, name, t.name)
}
