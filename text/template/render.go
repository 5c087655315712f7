package template

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weft/chat"
	"weft/text/jinja"
)

// Options changes how Render ends. The zero value renders the messages alone.
type Options struct {
	GenerationPrompt bool        // open an assistant turn after the last message; false
	Continue         bool        // leave the last message, an assistant's, open; false
	Tools            []chat.Tool // what the assistant may call, told in front of everything; none

	// Of templates that came with a model.
	Extra  map[string]any   // more variables, of the kinds that jinja.Render takes: enable_thinking, ...; none
	Now    func() time.Time // clock of templates that write the date; time.Now
	NoMask bool             // leave the mask out, which not every template can give; false
	steps  int              // of the template, at most; 0: the default of jinja
}

// Rendered is a conversation as the model sees it.
type Rendered struct {
	IDs  []int32 // [tokens]
	Mask []bool  // [tokens] true: an assistant's content, its tool calls or the end of its turn
	Text string  // what the ids decode to
}

// part is a piece of a rendered conversation.
type part struct {
	text   string
	marker bool // a special token, not words
	learn  bool // the mask
}

// Render writes the conversation down; addGenerationPrompt opens the turn that
// the model is to fill. Message.Name is not part of any built-in template.
func (t *Template) Render(tok Encoder, msgs []chat.Message, addGenerationPrompt bool) (Rendered, error) {
	return t.RenderWith(tok, msgs, Options{GenerationPrompt: addGenerationPrompt})
}

// RenderWith is Render with all its options. An Err of the tokenizer is an error,
// also one from before: servers give each request a fork.
func (t *Template) RenderWith(tok Encoder, msgs []chat.Message, o Options) (Rendered, error) {
	r, err := t.renderWith(tok, msgs, o)
	if err == nil {
		err = tok.Err()
	}
	if err != nil {
		return Rendered{}, fmt.Errorf("template %s: %w", t.name, err)
	}
	return r, nil
}

func (t *Template) renderWith(tok Encoder, msgs []chat.Message, o Options) (Rendered, error) {
	if t.script != nil {
		if err := t.check(msgs, o); err != nil {
			return Rendered{}, err
		}
		return t.rendered(tok, msgs, o)
	}
	parts, err := t.parts(msgs, o)
	if err == nil && usesTools(msgs, o) {
		err = t.CheckTools(tok)
	}
	if err != nil {
		return Rendered{}, err
	}
	return t.encode(tok, parts)
}

// Text writes the conversation down without a tokenizer.
func (t *Template) Text(msgs []chat.Message, o Options) (string, error) {
	if t.script != nil {
		err := t.check(msgs, o)
		var list []jinja.Segment
		if err == nil {
			list, err = t.script.segments(msgs, o)
		}
		if err != nil {
			return "", fmt.Errorf("template %s: %w", t.name, err)
		}
		return jinja.Text(list), nil
	}
	parts, err := t.parts(msgs, o)
	if err != nil {
		return "", fmt.Errorf("template %s: %w", t.name, err)
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
	}
	return b.String(), nil
}

// parts lays the conversation out. Neighbouring words with the same mask are
// joined, so that they are tokenised together as other programs do; an
// assistant's words are tokenised by themselves, as they are when generated.
func (t *Template) parts(msgs []chat.Message, o Options) ([]part, error) {
	if err := t.check(msgs, o); err != nil {
		return nil, err
	}
	tools, err := toolLines(o.Tools)
	if err != nil {
		return nil, err
	}
	var parts []part
	add := func(p part) {
		last := len(parts) - 1
		switch {
		case p.text == "":
		case last >= 0 && !p.marker && !parts[last].marker && p.learn == parts[last].learn:
			parts[last].text += p.text
		default:
			parts = append(parts, p)
		}
	}
	open := func(role chat.Role) {
		for _, p := range t.turn(role) {
			add(p)
		}
	}
	add(part{text: t.bos, marker: true})
	if len(o.Tools) > 0 {
		add(part{text: t.tools, marker: true})
		add(part{text: tools})
		add(part{text: t.end, marker: true})
	}
	for i, m := range msgs {
		learn := m.Role == chat.Assistant
		open(m.Role)
		add(part{text: m.Content, learn: learn})
		for _, c := range m.ToolCalls {
			text, err := callText(c)
			if err != nil {
				return nil, fmt.Errorf("message %d: %w", i, err)
			}
			add(part{text: t.call, marker: true, learn: learn})
			add(part{text: text, learn: learn})
		}
		if o.Continue && i == len(msgs)-1 {
			return parts, nil
		}
		add(part{text: t.end, marker: true, learn: learn})
		add(part{text: t.after})
	}
	if o.GenerationPrompt {
		open(chat.Assistant)
	}
	return parts, nil
}

// usesTools reports whether the markers of tools will be needed.
func usesTools(msgs []chat.Message, o Options) bool {
	return len(o.Tools) > 0 || slices.ContainsFunc(msgs, func(m chat.Message) bool { return len(m.ToolCalls) > 0 })
}

// check refuses what cannot be rendered.
func (t *Template) check(msgs []chat.Message, o Options) error {
	if len(msgs) == 0 {
		return fmt.Errorf("%w: send at least one", ErrNoMessages)
	}
	for i, m := range msgs {
		switch m.Role {
		case chat.System, chat.User, chat.Assistant, chat.ToolResult:
		default:
			return fmt.Errorf("message %d: %w %q: want system, user, assistant or tool", i, ErrRole, m.Role)
		}
		if len(m.ToolCalls) > 0 && m.Role != chat.Assistant {
			return fmt.Errorf("message %d: the %s makes tool calls: want the assistant", i, m.Role)
		}
	}
	if t.script == nil && t.call == "" && usesTools(msgs, o) {
		return t.CheckTools(nil)
	}
	for name := range o.Extra {
		if t.script != nil {
			break
		}
		return fmt.Errorf("%w: template %q has none, got %s", ErrVariables, t.name, name)
	}
	if !o.Continue {
		return nil
	}
	if o.GenerationPrompt {
		return fmt.Errorf("cannot both continue the last message and open a new turn: choose one")
	}
	if last := msgs[len(msgs)-1].Role; last != chat.Assistant {
		return fmt.Errorf("cannot continue the last message: it is of the %s, want the assistant", last)
	}
	return nil
}

// encode turns parts into ids: markers by name, words as words.
func (t *Template) encode(tok Encoder, parts []part) (Rendered, error) {
	var r Rendered
	var text strings.Builder
	for _, p := range parts {
		n := len(r.IDs)
		if p.marker {
			id, ok := tok.Special(p.text)
			if !ok {
				return Rendered{}, t.missing(p.text)
			}
			r.IDs = append(r.IDs, id)
		} else {
			r.IDs = append(r.IDs, tok.Encode(p.text)...)
		}
		for range r.IDs[n:] {
			r.Mask = append(r.Mask, p.learn)
		}
		text.WriteString(p.text)
	}
	r.Text = text.String()
	return r, nil
}
