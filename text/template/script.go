package template

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"weft/chat"
	"weft/text/jinja"
)

// OfModel is the name of a template that came with a model, as Jinja text.
const OfModel = "jinja"

// Source is a chat template as a model's files give it.
type Source struct {
	Jinja  string            // its text
	Tools  string            // another text, for conversations with tools; "": the same
	Tokens map[string]string // special tokens that it may write by name: bos_token, eos_token, ...
	EOS    []int32           // ids that end an answer, from generation_config.json; none
	Where  string            // the file, for errors; "": the template
}

// script is a template that runs as Jinja.
type script struct {
	Source
	plain, tools *jinja.Template
	found        func() found
}

// FromJinja makes a template of Jinja text. Texts of the built-in templates
// give those. The error of a text that is no template names the line; see
// jinja.Error.
func FromJinja(s Source) (*Template, error) {
	if s.Where == "" {
		s.Where = "chat template"
	}
	for _, t := range builtins() {
		if s.Tools == "" && t.renders(s.Jinja) {
			return t, nil
		}
	}
	return newScript(s)
}

// newScript makes a template that runs as Jinja, even of a built-in's text.
func newScript(s Source) (*Template, error) {
	x := &script{Source: s}
	var err error
	if x.plain, err = jinja.Parse(s.Jinja); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Where, err)
	}
	x.tools = x.plain
	if s.Tools != "" {
		if x.tools, err = jinja.Parse(s.Tools); err != nil {
			return nil, fmt.Errorf("%s, the one for tools: %w", s.Where, err)
		}
	}
	t := &Template{name: OfModel, jinja: s.Jinja, bos: s.Tokens["bos_token"], document: s.Tokens["eos_token"], script: x}
	t.family = findFamily(s.Jinja + s.Tools)
	x.found = sync.OnceValue(func() found { return explore(x, t.family) })
	return t, nil
}

// hash identifies the texts that run.
func (x *script) hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s", OfModel, x.Jinja)
	if x.Tools != "" {
		fmt.Fprintf(h, "\n%s", x.Tools)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shape is how a template wants what a message may say in several ways.
type shape struct {
	content   any    // of an assistant that only calls: nil, "" or absent
	text      bool   // arguments are a JSON text, not an object
	reasoning string // key of the reasoning, parts, blocks, or "": it has none
	ids       int    // letters and digits that ids of calls must have; 0: any

	toolsInside bool // tools are told in the system message, as JSON text
}

type absent struct{}

// Reasoning as a part of the content: of its list of parts, or of its blocks
// (Apertus), which then hold all that any assistant says.
const (
	parts  = "content"
	blocks = "blocks"
)

// run renders a conversation as segments.
func (x *script) run(msgs []chat.Message, o Options, s shape) ([]jinja.Segment, error) {
	vars := map[string]any{}
	for k, v := range x.Tokens {
		vars[k] = jinja.Authored(v)
	}
	for k, v := range o.Extra {
		if k == "messages" || k == "tools" || k == "add_generation_prompt" {
			return nil, fmt.Errorf("%w: %s cannot be set beside the conversation", ErrVariables, k)
		}
		vars[k] = v
	}
	if s.reasoning == blocks && !slices.ContainsFunc(msgs, func(m chat.Message) bool { return m.Reasoning != "" }) {
		s.reasoning = ""
	}
	list := make([]any, len(msgs))
	for i, m := range msgs {
		list[i] = s.message(m)
	}
	if s.toolsInside && len(o.Tools) > 0 {
		var err error
		if list, err = withTools(list, o.Tools); err != nil {
			return nil, err
		}
	}
	vars["messages"], vars["tools"], vars["add_generation_prompt"] = list, nil, o.GenerationPrompt
	if _, ok := vars["documents"]; !ok {
		vars["documents"] = nil
	}
	t := x.plain
	if len(o.Tools) > 0 {
		vars["tools"], t = toolVars(o.Tools), x.tools
	}
	limits := jinja.Options{Now: o.Now, MaxSteps: o.steps}
	if o.steps > 0 {
		limits.MaxOutput = probeOutput
	}
	segments, err := t.Render(vars, limits)
	var raised *jinja.RaisedError
	if errors.As(err, &raised) {
		return nil, fmt.Errorf("it refuses this conversation: %w", err)
	}
	return segments, err
}

// message is a message as templates read it: the OpenAI form, with arguments
// and reasoning as this one wants them.
func (s shape) message(m chat.Message) jinja.Dict {
	d := jinja.Dict{{Key: "role", Value: jinja.Authored(m.Role)}}
	add := func(key string, v any) { d = append(d, jinja.Item{Key: key, Value: v}) }
	switch {
	case m.Role == chat.Assistant && s.reasoning == blocks:
		add("content", jinja.Dict{{Key: "blocks", Value: blocksOfMessage(m)}})
		return d
	case m.Reasoning != "" && s.reasoning == parts:
		list := []any{jinja.Dict{{Key: "type", Value: "thinking"}, {Key: "thinking", Value: m.Reasoning}}}
		if m.Content != "" {
			list = append(list, jinja.Dict{{Key: "type", Value: "text"}, {Key: "text", Value: m.Content}})
		}
		add("content", list)
	case len(m.ToolCalls) == 0 || m.Content != "":
		add("content", m.Content)
	case s.content != absent{}:
		add("content", s.content)
	}
	if m.Reasoning != "" && s.reasoning != "" && s.reasoning != parts {
		add(s.reasoning, m.Reasoning)
	}
	if m.Name != "" {
		add("name", m.Name)
	}
	if m.ToolCallID != "" {
		add("tool_call_id", s.id(m.ToolCallID))
	}
	if len(m.ToolCalls) == 0 {
		return d
	}
	calls := make([]any, len(m.ToolCalls))
	for i, c := range m.ToolCalls {
		var args any = json.RawMessage(c.Arguments)
		if s.text {
			args = c.Arguments
		}
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d", i)
		}
		calls[i] = jinja.Dict{{Key: "id", Value: s.id(c.ID)}, {Key: "type", Value: jinja.Authored("function")},
			{Key: "function", Value: jinja.Dict{{Key: "name", Value: c.Name}, {Key: "arguments", Value: args}}}}
	}
	add("tool_calls", calls)
	return d
}

// blocksOfMessage is an assistant's message as blocks.
func blocksOfMessage(m chat.Message) (list []any) {
	for _, b := range []struct{ kind, text string }{{"thoughts", m.Reasoning}, {"response", m.Content}} {
		if b.text != "" {
			list = append(list, jinja.Dict{{Key: "type", Value: jinja.Authored(b.kind)}, {Key: "text", Value: b.text}})
		}
	}
	var calls []any
	for _, c := range m.ToolCalls {
		args, err := canonical(c.Arguments)
		if err != nil {
			args = c.Arguments
		}
		calls = append(calls, jinja.Dict{{Key: "name", Value: c.Name}, {Key: "arguments", Value: args}})
	}
	if calls != nil {
		list = append(list, jinja.Dict{{Key: "type", Value: jinja.Authored("tool_calls")}, {Key: "calls", Value: calls}})
	}
	return list
}

// id makes an id of the length that a template demands, always the same.
func (s shape) id(id string) string {
	odd := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') }
	if s.ids == 0 || len(id) == s.ids && !strings.ContainsFunc(id, odd) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:s.ids]
}

// withTools tells tools in the system message, which is made if there is none.
func withTools(list []any, tools []chat.Tool) ([]any, error) {
	texts := make([]string, len(tools))
	for i, t := range tools {
		data, err := json.Marshal(struct {
			Name        string          `json:"name"`
			Description string          `json:"description,omitempty"`
			Parameters  json.RawMessage `json:"parameters,omitempty"`
		}{t.Name, t.Description, t.Parameters})
		if err == nil {
			texts[i], err = canonical(string(data))
		}
		if err != nil {
			return nil, fmt.Errorf("tool %s: %w", t.Name, err)
		}
	}
	d := jinja.Dict{{Key: "role", Value: jinja.Authored(chat.System)}, {Key: "content", Value: ""}}
	if first, ok := list[0].(jinja.Dict); ok && first[0].Value == jinja.Authored(chat.System) {
		d, list = first, list[1:]
	}
	return append([]any{append(d, jinja.Item{Key: "tools", Value: "[" + strings.Join(texts, ", ") + "]"})}, list...), nil
}

// toolVars is tools as templates read them.
func toolVars(tools []chat.Tool) []any {
	list := make([]any, len(tools))
	for i, t := range tools {
		f := jinja.Dict{{Key: "name", Value: t.Name}}
		if t.Description != "" {
			f = append(f, jinja.Item{Key: "description", Value: t.Description})
		}
		params := t.Parameters
		if len(params) == 0 {
			params = json.RawMessage(`{"type": "object", "properties": {}}`)
		}
		f = append(f, jinja.Item{Key: "parameters", Value: params})
		list[i] = jinja.Dict{{Key: "type", Value: jinja.Authored("function")}, {Key: "function", Value: f}}
	}
	return list
}

// check refuses what would be left out without a word.
func (x *script) check(msgs []chat.Message, o Options) error {
	f := x.found()
	if len(o.Tools) > 0 && !f.tools {
		return fmt.Errorf("%w: its chat template tells the model nothing of them", ErrTools)
	}
	for i, m := range msgs {
		switch {
		case len(m.ToolCalls) > 0 && !f.calls:
			return fmt.Errorf("%w: its chat template has no form for calls that were made", ErrTools)
		case len(m.ToolCalls) > 1 && f.one:
			return fmt.Errorf("%w in turns of several: message %d has %d calls, and its chat template writes down one", ErrTools, i, len(m.ToolCalls))
		}
	}
	return nil
}

// segments renders for the world: checked, in the template's shape, and cut
// where a message is to be continued.
func (x *script) segments(msgs []chat.Message, o Options) ([]jinja.Segment, error) {
	if err := x.check(msgs, o); err != nil {
		return nil, err
	}
	s := x.found().shape
	if !o.Continue {
		return x.run(msgs, o, s)
	}
	last := msgs[len(msgs)-1]
	content := strings.TrimSpace(last.Content)
	if content == "" && len(last.ToolCalls) == 0 {
		o.Continue, o.GenerationPrompt = false, true
		return x.run(msgs[:len(msgs)-1], o, s)
	}
	list, err := x.run(msgs, o, s)
	if err != nil {
		return nil, err
	}
	at := strings.LastIndex(jinja.Text(list), content)
	if at < 0 || len(last.ToolCalls) > 0 {
		return nil, errors.New("cannot continue the last message: it does not stand in the rendered text as it is")
	}
	end := at + len(content)
	for i := range list {
		if n := len(list[i].Text); n >= end {
			list[i].Text = list[i].Text[:end]
			return list[:i+1], nil
		}
		end -= len(list[i].Text)
	}
	return list, nil
}

// save writes what Load needs to find the same template again.
func (x *script) save(config map[string]any) {
	config["chat_template"] = x.Jinja
	if x.Tools != "" {
		config["chat_template"] = []map[string]string{{"name": "default", "template": x.Jinja}, {"name": "tool_use", "template": x.Tools}}
	}
	for k, v := range x.Tokens {
		config[k] = v
	}
	delete(config, nameKey)
}

// specials lists the special tokens that the source names, in order of names.
func (x *script) specials() []string {
	var list []string
	for _, v := range x.Tokens {
		if v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}
