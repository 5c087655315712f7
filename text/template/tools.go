package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// CheckTools returns an error that wraps ErrTools unless tools and calls can
// be written down with this template and tokenizer.
func (t *Template) CheckTools(tok Encoder) error {
	if t.script != nil {
		if !t.script.found().tools {
			return fmt.Errorf("%w: its chat template tells the model nothing of them", ErrTools)
		}
		return nil
	}
	if t.call == "" {
		return fmt.Errorf("%w: template %q has no form for them: it takes a model of template %q", ErrTools, t.name, Default)
	}
	for _, name := range []string{t.tools, t.call} {
		if _, ok := tok.Special(name); !ok {
			return fmt.Errorf("%w: the tokenizer was made before there were tools and lacks %s: train one with --template %s", ErrTools, name, t.name)
		}
	}
	return nil
}

// ParseCall reads what an assistant writes behind the call marker. It takes
// only what a rendered call looks like, white space and the order of the two
// fields aside, so that nothing a model wrote is lost. The arguments come back
// in the spelling of Render; the call has no ID yet.
func ParseCall(text string) (chat.ToolCall, error) {
	list, err := members([]byte(text))
	if err != nil {
		return chat.ToolCall{}, fmt.Errorf("tool call: %w", err)
	}
	if len(list) == 2 && list[0].name == "arguments" {
		slices.Reverse(list)
	}
	if len(list) != 2 || list[0].name != "name" || list[1].name != "arguments" {
		return chat.ToolCall{}, errors.New(`tool call: want the fields "name" and "arguments", and no others`)
	}
	var c chat.ToolCall
	if err := json.Unmarshal(list[0].value, &c.Name); err != nil || c.Name == "" {
		return chat.ToolCall{}, fmt.Errorf("tool call: its name is %s, want a text", list[0].value)
	}
	if err := chat.CheckArguments(string(list[1].value)); err != nil {
		return chat.ToolCall{}, fmt.Errorf("tool call %s: %w", c.Name, err)
	}
	c.Arguments, err = canonical(string(list[1].value))
	return c, err
}

// callText is the call as a model is to write it: what ParseCall reads.
func callText(c chat.ToolCall) (string, error) {
	if c.Name == "" {
		return "", errors.New("a tool call has no name")
	}
	if err := chat.CheckArguments(c.Arguments); err != nil {
		return "", fmt.Errorf("tool call %s: %w", c.Name, err)
	}
	args, err := canonical(c.Arguments)
	if err != nil {
		return "", fmt.Errorf("tool call %s: %w", c.Name, err)
	}
	var b strings.Builder
	b.WriteString(`{"name": `)
	spell(&b, c.Name)
	b.WriteString(`, "arguments": ` + args + "}")
	return b.String(), nil
}

// toolLines tells a model of its tools, one line for each.
func toolLines(tools []chat.Tool) (string, error) {
	lines := make([]string, len(tools))
	for i, t := range tools {
		if err := t.Check(); err != nil {
			return "", err
		}
		line, err := signature(t)
		if err != nil {
			return "", fmt.Errorf("tool %s: %w", t.Name, err)
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n"), nil
}

// signature writes a tool as functions are written down, which takes a tenth
// of the tokens of its JSON Schema: name(a: string, b?: "x"|"y"): what it does.
// Of a scalar parameter the type or the enum is all that is shown; any other
// parameter is shown as its schema.
func signature(t chat.Tool) (string, error) {
	var schema struct {
		Properties json.RawMessage
		Required   []string
	}
	if len(t.Parameters) > 0 {
		if err := json.Unmarshal(t.Parameters, &schema); err != nil {
			return "", err
		}
	}
	var params []member
	if len(schema.Properties) > 0 && string(schema.Properties) != "null" {
		var err error
		if params, err = members(schema.Properties); err != nil {
			return "", fmt.Errorf("properties: %w", err)
		}
	}
	for i, p := range params {
		kind, err := typeText(p.value)
		if err != nil {
			return "", fmt.Errorf("parameter %s: %w", p.name, err)
		}
		mark := "?: "
		if slices.Contains(schema.Required, p.name) {
			mark = ": "
		}
		params[i].name += mark + kind
	}
	var b strings.Builder
	b.WriteString(t.Name + "(")
	for i, p := range params {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name)
	}
	b.WriteByte(')')
	if t.Description != "" {
		b.WriteString(": " + strings.ReplaceAll(t.Description, "\n", " "))
	}
	return b.String(), nil
}

// typeText is a parameter's schema in the shortest form that says its type.
func typeText(schema json.RawMessage) (string, error) {
	var flat struct {
		Type string
		Enum []json.RawMessage
	}
	if json.Unmarshal(schema, &flat) != nil { // several types, or true
		return canonical(string(schema))
	}
	switch flat.Type {
	case "string", "number", "integer", "boolean", "null":
		if len(flat.Enum) == 0 {
			return flat.Type, nil
		}
	default:
		if len(flat.Enum) == 0 {
			return canonical(string(schema))
		}
	}
	values := make([]string, len(flat.Enum))
	for i, v := range flat.Enum {
		var err error
		if values[i], err = canonical(string(v)); err != nil {
			return "", err
		}
	}
	return strings.Join(values, "|"), nil
}
