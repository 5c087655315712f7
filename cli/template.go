package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"weft/chat"
	"weft/model/weights/gguf"
	"weft/text/template"
	"weft/text/tokenizer"
)

// templateCmd holds the commands that show and examine chat templates.
func (e *env) templateCmd() *cobra.Command {
	return group("template", "Look at the chat template of a model: render it, check it", e.templateRenderCmd(), e.templateCheckCmd())
}

// templateFlags are what both commands take: where the parts are.
type templateFlags struct {
	tokenizer, family string
}

// templateArg says what may be looked at, in the help of both commands.
const templateArg = `MODEL is a model folder, a .gguf file, a .jinja file (with --tokenizer) or a model
inside this program.`

// register adds the flags, and completes models.
func (o *templateFlags) register(c *cobra.Command) {
	c.ValidArgsFunction = modelArg
	c.Flags().StringVar(&o.tokenizer, "tokenizer", "", "`file` or model with the tokenizer (default: the model's own)")
	c.Flags().StringVar(&o.family, "family", "", "read answers as those of another family: "+strings.Join(template.Families(), ", "))
}

// load finds the template and the tokenizer that an argument names.
func (o *templateFlags) load(arg string) (t *template.Template, tok *tokenizer.Tokenizer, err error) {
	// --tokenizer may name another model's, to see what a template makes of it.
	path := o.tokenizer
	if path == "" {
		path = arg
	}
	switch {
	case strings.HasSuffix(arg, ".jinja"):
		if o.tokenizer == "" {
			return nil, nil, &usageError{fmt.Errorf("template: %s holds no tokenizer: name one with --tokenizer", arg)}
		}
		if tok, err = loadTokenizer(path); err == nil {
			t, err = jinjaFile(arg, tok)
		}
	// A GGUF file is read for its metadata alone: no weights.
	case gguf.Is(arg):
		if tok, err = loadTokenizer(path); err == nil {
			t, err = ggufTemplate(arg)
		}
	default:
		var l *loaded
		if l, err = findModel(arg); err != nil {
			return nil, nil, err
		}
		if t, err = template.LoadFS(l.files); err != nil {
			return nil, nil, err
		}
		// Embedded models have no path that loadTokenizer could take.
		if o.tokenizer != "" || !l.embedded {
			tok, err = loadTokenizer(path)
		} else {
			tok, err = tokenizer.LoadFS(l.files)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if t == nil {
		return nil, nil, fmt.Errorf("%s: there is no chat template: a base model continues text", arg)
	}
	if o.family != "" {
		t, err = t.WithFamily(o.family)
	}
	return t, tok, err
}

// jinjaFile reads a template that stands alone; the tokenizer says what its
// bos_token and eos_token are.
func jinjaFile(path string, tok *tokenizer.Tokenizer) (*template.Template, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	s := template.Source{Jinja: string(data), Tokens: map[string]string{}, Where: path}
	if id, ok := tok.BOS(); ok {
		s.Tokens["bos_token"] = string(tok.Bytes(id))
	}
	if id, ok := tok.EOS(); ok {
		s.Tokens["eos_token"] = string(tok.Bytes(id))
	}
	return template.FromJinja(s)
}

// ggufTemplate is the template inside a GGUF file; nil where it has none.
func ggufTemplate(path string) (*template.Template, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := template.FromGGUF(f.Value)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, errors.Join(err, f.Close())
}

// templateRenderCmd shows text, ids and mask side by side.
func (e *env) templateRenderCmd() *cobra.Command {
	var o templateFlags
	var messages, tools string
	var prompt bool
	var set []string
	c := &cobra.Command{
		Use:   "render MODEL",
		Short: "Show what a model sees of a conversation: text, ids and what is learned, side by side",
		Long: templateArg + `

The conversation is a JSON array of messages as OpenAI writes them, or an object
with "messages" and "tools". Without --messages it is a short one of our own.`,
		Example: "  weft template render tiny\n  weft template render DIR --messages chat.json --prompt --set enable_thinking=false",
		Args:    exactArgs("MODEL"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, tok, err := o.load(args[0])
			if err != nil {
				return err
			}
			msgs, ro, err := e.conversation(messages, tools)
			if err != nil {
				return err
			}
			ro.GenerationPrompt = prompt
			if ro.Extra, err = variables(set); err != nil {
				return err
			}
			return e.printRendered(t, tok, msgs, ro)
		},
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&messages, "messages", "", "JSON `file` of the conversation; - is standard input")
	f.StringVar(&tools, "tools", "", "JSON `file` of tools, as OpenAI writes them")
	f.BoolVar(&prompt, "prompt", false, "open the turn of the assistant at the end, as for an answer")
	f.StringArrayVar(&set, "set", nil, "`name=JSON` of a variable of the template, such as enable_thinking=false; may be given several times")
	return c
}

// conversation reads what to render.
// Without a file it is a question and its answer, so that there is something to learn.
func (e *env) conversation(messages, tools string) ([]chat.Message, template.Options, error) {
	var o template.Options
	msgs := []chat.Message{{Role: chat.User, Content: "What is two and two?"}, {Role: chat.Assistant, Content: "Four."}}
	if messages != "" {
		data, err := e.readFile(messages)
		if err != nil {
			return nil, o, err
		}
		msgs = nil
		if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("{")) {
			var both struct {
				Messages []chat.Message
				Tools    []chat.Tool
			}
			err = json.Unmarshal(data, &both)
			msgs, o.Tools = both.Messages, both.Tools
		} else {
			err = json.Unmarshal(data, &msgs)
		}
		if err != nil {
			return nil, o, fmt.Errorf("conversation %s: %w", messages, err)
		}
	}
	if tools != "" {
		data, err := e.readFile(tools)
		if err == nil {
			err = json.Unmarshal(data, &o.Tools)
		}
		if err != nil {
			return nil, o, fmt.Errorf("tools %s: %w", tools, err)
		}
	}
	return msgs, o, nil
}

// readFile reads a file, or standard input for "-".
func (e *env) readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(e.in)
	}
	return os.ReadFile(path)
}

// variables reads name=JSON; what is no JSON is a text.
func variables(set []string) (map[string]any, error) {
	if len(set) == 0 {
		return nil, nil
	}
	vars := map[string]any{}
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, &usageError{fmt.Errorf("template render: --set %s: want name=value", s)}
		}
		vars[name] = value
		if json.Valid([]byte(value)) {
			vars[name] = json.RawMessage(value)
		}
	}
	return vars, nil
}

// printRendered shows a conversation token by token. A mask that cannot be
// found is said, and the rest shown.
func (e *env) printRendered(t *template.Template, tok *tokenizer.Tokenizer, msgs []chat.Message, o template.Options) error {
	r, err := t.RenderWith(tok, msgs, o)
	masked := err
	if errors.Is(err, template.ErrMask) {
		o.NoMask = true
		r, err = t.RenderWith(tok, msgs, o)
	}
	if err != nil {
		return err
	}
	learned := 0
	for _, m := range r.Mask {
		if m {
			learned++
		}
	}
	if e.json {
		out := map[string]any{"template": t.Name(), "hash": t.Hash(), "family": t.Family(), "text": r.Text, "ids": r.IDs, "mask": r.Mask}
		if masked != nil {
			out["mask_error"] = masked.Error()
		}
		return e.plainJSON(out)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "id\tlearned\t  text")
	for i, id := range r.IDs {
		mark, text := "", strconv.Quote(string(tok.Bytes(id)))
		if tok.IsSpecial(id) {
			text = string(tok.Bytes(id))
		}
		if r.Mask != nil && r.Mask[i] {
			mark = "yes"
		}
		fmt.Fprintf(w, "%d\t%s\t  %s\n", id, mark, text)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%d tokens, %d learned; template %s, hash %.12s, answers read as %s\n", len(r.IDs), learned, t.Name(), t.Hash(), t.Family())
	if masked != nil {
		fmt.Fprintf(e.out, "what is learned is not known: %v\n", masked)
	}
	return nil
}

// plainJSON prints a value with < and > as they are.
func (e *env) plainJSON(v any) error {
	w := json.NewEncoder(e.out)
	w.SetEscapeHTML(false)
	return w.Encode(v)
}

// templateCheckCmd runs template.Examine; a fault is an exit code for scripts.
func (e *env) templateCheckCmd() *cobra.Command {
	var o templateFlags
	c := &cobra.Command{
		Use:   "check MODEL",
		Short: "Say what is wrong between a chat template and its tokenizer, and what is right",
		Long: templateArg + `

Looks for markers that are no special tokens, a beginning that is missing or
written twice, answers that nothing ends, prompts that are no beginning of the
conversation they ask for, a template that is not the one it says it is, and
calls and reasoning that are not read back as they are written. Fails if there
is a fault.`,
		Example: "  weft template check DIR\n  weft template check chat_template.jinja --tokenizer tokenizer.json",
		Args:    exactArgs("MODEL"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, tok, err := o.load(args[0])
			if err != nil {
				return err
			}
			return e.printFindings(filepath.Base(args[0]), t, tok)
		},
	}
	o.register(c)
	return c
}

// printFindings shows the findings, the worst first.
func (e *env) printFindings(name string, t *template.Template, tok *tokenizer.Tokenizer) error {
	list := t.Examine(tok)
	faults := 0
	var shown []template.Finding
	for _, level := range []string{template.Fault, template.Warning, template.Note} {
		for _, f := range list {
			if f.Level == level {
				shown = append(shown, f)
			}
			if f.Level == level && level == template.Fault {
				faults++
			}
		}
	}
	if e.json {
		if err := e.plainJSON(map[string]any{"template": t.Name(), "hash": t.Hash(), "family": t.Family(), "findings": shown}); err != nil {
			return err
		}
	} else {
		for _, f := range shown {
			fmt.Fprintf(e.out, "%-8s%-11s%s\n", f.Level, f.About, f.Text)
		}
	}
	if faults > 0 {
		return fmt.Errorf("%s: the chat template and the tokenizer have %d fault(s)", name, faults)
	}
	return nil
}
