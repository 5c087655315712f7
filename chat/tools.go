package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Tool is a function that a model may call. Its JSON is OpenAI's,
// {"type": "function", "function": {"name", "description", "parameters"}}; the
// inner object alone is read as well, as some data sets write it.
type Tool struct {
	Name        string
	Description string          // what it does, for the model to read
	Parameters  json.RawMessage // JSON Schema of an object; none: no parameters
}

// ToolCall is a model's wish to have a tool called. Its JSON is OpenAI's,
// {"id", "type": "function", "function": {"name", "arguments"}}; arguments are
// a text that holds JSON, and are read as a plain object as well.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text of an object
}

// function is the inner object of both; a pointer tells absent from empty.
type function struct {
	Name        *string         `json:"name,omitempty"`
	Description *string         `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Arguments   json.RawMessage `json:"arguments,omitempty"`
}

// entry is the outer object of both.
type entry struct {
	ID       *string   `json:"id,omitempty"`
	Type     *string   `json:"type,omitempty"`
	Function *function `json:"function,omitempty"`
}

// Check returns an error unless the tool's name is one (letters, digits, _, -
// and ., at most 64) and its parameters are a JSON Schema of an object.
func (t Tool) Check() error {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r))
	}
	if t.Name == "" || len(t.Name) > 64 || strings.ContainsFunc(t.Name, odd) {
		return fmt.Errorf("a tool is named %.80q: want 1 to 64 letters, digits, _, - and .", t.Name)
	}
	if len(t.Parameters) == 0 {
		return nil
	}
	var schema struct {
		Type       *string
		Properties map[string]json.RawMessage
		Required   []string
	}
	if err := json.Unmarshal(t.Parameters, &schema); err != nil {
		return fmt.Errorf("tool %s: its parameters are not a JSON Schema of an object: %w", t.Name, err)
	}
	if schema.Type != nil && *schema.Type != "object" {
		return fmt.Errorf("tool %s: its parameters are of type %q, want \"object\"", t.Name, *schema.Type)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Tool) MarshalJSON() ([]byte, error) {
	f := &function{Name: &t.Name, Parameters: t.Parameters}
	if t.Description != "" {
		f.Description = &t.Description
	}
	return plain(entry{Type: ptr("function"), Function: f})
}

// UnmarshalJSON implements json.Unmarshaler. Fields it does not know are
// errors: they would be lost.
func (t *Tool) UnmarshalJSON(data []byte) error {
	var both struct {
		entry
		function
	}
	if err := strict(data, &both); err != nil {
		return fmt.Errorf("tool: %w", err)
	}
	f := both.Function
	if f == nil {
		f = &both.function
	} else if both.function.Name != nil || both.Description != nil || both.Parameters != nil {
		return errors.New("tool: it has both \"function\" and the fields of one beside it: put them inside")
	}
	switch {
	case both.ID != nil || f.Arguments != nil || both.Arguments != nil:
		return errors.New("tool: \"id\" and \"arguments\" belong to a call, not to a tool")
	case both.Type != nil && *both.Type != "function":
		return fmt.Errorf("tool: its type is %q, want \"function\"", *both.Type)
	case f.Name == nil || *f.Name == "":
		return errors.New("tool: it has no name")
	}
	*t = Tool{Name: *f.Name}
	if f.Description != nil {
		t.Description = *f.Description
	}
	if string(f.Parameters) != "null" {
		t.Parameters = f.Parameters
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (c ToolCall) MarshalJSON() ([]byte, error) {
	args, err := plain(c.Arguments)
	if err != nil {
		return nil, err
	}
	return plain(entry{ID: &c.ID, Type: ptr("function"), Function: &function{Name: &c.Name, Arguments: args}})
}

// UnmarshalJSON implements json.Unmarshaler. It checks that the arguments are
// the text of a JSON object; none at all are {}.
func (c *ToolCall) UnmarshalJSON(data []byte) error {
	var e entry
	if err := strict(data, &e); err != nil {
		return fmt.Errorf("tool call: %w", err)
	}
	f := e.Function
	switch {
	case f == nil:
		return errors.New("tool call: it has no \"function\"")
	case e.Type != nil && *e.Type != "function":
		return fmt.Errorf("tool call: its type is %q, want \"function\"", *e.Type)
	case f.Name == nil || *f.Name == "":
		return errors.New("tool call: it has no name")
	case f.Description != nil || f.Parameters != nil:
		return fmt.Errorf("tool call %s: \"description\" and \"parameters\" belong to a tool, not to a call", *f.Name)
	}
	args := string(f.Arguments)
	json.Unmarshal(f.Arguments, &args) // stays as it is unless a text
	if args == "" || args == "null" {
		args = "{}"
	}
	if err := CheckArguments(args); err != nil {
		return fmt.Errorf("tool call %s: %w", *f.Name, err)
	}
	*c = ToolCall{Name: *f.Name, Arguments: args}
	if e.ID != nil {
		c.ID = *e.ID
	}
	return nil
}

// CheckArguments returns an error unless s is the JSON text of an object.
func CheckArguments(s string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &object); err != nil {
		return fmt.Errorf("its arguments are not the JSON text of an object: %w", err)
	}
	if object == nil {
		return fmt.Errorf("its arguments are %s, want the JSON text of an object", s)
	}
	return nil
}

// plain encodes without \u003c for <, which is meant for HTML.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func ptr(s string) *string { return &s }

// strict decodes without losing fields.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
