package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// readWeft reads a call of the weft template.
func readWeft(text string, _ types) ([]chat.ToolCall, error) {
	if text == "" {
		return nil, errNoCall
	}
	c, err := ParseCall(text)
	return []chat.ToolCall{c}, err
}

// readJSON reads calls that are JSON objects, or arrays of them, one after the
// other with white space or ";" between.
func readJSON(text string, _ types) ([]chat.ToolCall, error) {
	var calls []chat.ToolCall
	for {
		text = strings.TrimLeft(text, " \t\r\n;")
		if text == "" {
			return calls, nil
		}
		d := json.NewDecoder(strings.NewReader(text))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		text = text[d.InputOffset():]
		list := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &list); err != nil {
				return nil, err
			}
		}
		for _, v := range list {
			c, err := jsonCall(v)
			if err != nil {
				return nil, err
			}
			calls = append(calls, c)
		}
	}
}

// jsonCall reads one object with a name and arguments, under the names that
// models give these two. Fields with ids are left out, others are errors: they
// would be lost.
func jsonCall(object json.RawMessage) (chat.ToolCall, error) {
	list, err := members(object)
	if err != nil {
		return chat.ToolCall{}, err
	}
	if i := slices.IndexFunc(list, func(m member) bool { return m.name == "function" && m.value[0] == '{' }); i >= 0 {
		return jsonCall(list[i].value)
	}
	var c chat.ToolCall
	var args string
	for _, m := range list {
		text := string(m.value)
		json.Unmarshal(m.value, &text) // stays as it is unless a text
		switch m.name {
		case "name", "tool_name", "function":
			if c.Name != "" {
				return chat.ToolCall{}, errors.New("it has two names")
			}
			if m.value[0] != '"' || text == "" {
				return chat.ToolCall{}, fmt.Errorf("its name is %s, want a text", m.value)
			}
			c.Name = text
		case "arguments", "parameters":
			if args != "" {
				return chat.ToolCall{}, errors.New("it has arguments twice")
			}
			args = text
		case "id", "tool_call_id", "call_id", "type":
		default:
			return chat.ToolCall{}, fmt.Errorf("unknown field %q, want a name and arguments", m.name)
		}
	}
	if c.Name == "" {
		return chat.ToolCall{}, errors.New("it has no name")
	}
	c.Arguments, err = arguments(args)
	if err != nil {
		return chat.ToolCall{}, fmt.Errorf("tool call %s: %w", c.Name, err)
	}
	return c, nil
}

// arguments spells arguments as Render does; none are {}.
func arguments(text string) (string, error) {
	if text = strings.TrimSpace(text); text == "" || text == "null" {
		return "{}", nil
	}
	if err := chat.CheckArguments(text); err != nil {
		return "", err
	}
	return canonical(text)
}

// readArguments reads the arguments of a call whose name is known.
func readArguments(name string) reader {
	return func(text string, _ types) ([]chat.ToolCall, error) {
		if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " \t\n{}[]\"") {
			return nil, fmt.Errorf("its name is %.80q", name)
		}
		args, err := arguments(text)
		if err != nil {
			return nil, fmt.Errorf("tool call %s: %w", name, err)
		}
		return []chat.ToolCall{{Name: name, Arguments: args}}, nil
	}
}

// readKimi reads functions.name:number, marker, arguments.
func readKimi(text string, t types) ([]chat.ToolCall, error) {
	name, args, ok := strings.Cut(text, kimiArguments)
	if !ok {
		return nil, fmt.Errorf("it has no %s", kimiArguments)
	}
	name = strings.TrimPrefix(strings.TrimSpace(name), "functions.")
	name, _, _ = strings.Cut(name, ":")
	return readArguments(name)(args, t)
}

// readMistral reads what follows [TOOL_CALLS]: an array of objects, or since
// 2025 name[ARGS]{...}, with [CALL_ID]id in front of [ARGS] in some versions.
func readMistral(text string, t types) ([]chat.ToolCall, error) {
	name, args, named := strings.Cut(text, mistralArguments)
	if !named || strings.HasPrefix(strings.TrimSpace(text), "[") {
		return readJSON(text, t)
	}
	name, _, _ = strings.Cut(name, mistralID)
	return readArguments(name)(args, t)
}

// readDeepSeek reads function<sep>name, fenced JSON (V3, R1), or
// name<sep>{...} (V3.1).
func readDeepSeek(text string, t types) ([]chat.ToolCall, error) {
	name, rest, ok := strings.Cut(text, deepSeekSep)
	if !ok {
		return nil, fmt.Errorf("it has no %s", deepSeekSep)
	}
	if strings.HasPrefix(strings.TrimSpace(rest), "{") {
		return readArguments(name)(rest, t)
	}
	name, rest, _ = strings.Cut(strings.TrimSpace(rest), "\n")
	rest, open := strings.CutPrefix(strings.TrimSpace(rest), "```json")
	rest, shut := strings.CutSuffix(rest, "```")
	if open != shut {
		return nil, errors.New("the fence around its arguments is half there")
	}
	return readArguments(name)(rest, t)
}

// readLlama reads what follows <|python_tag|>: JSON, or name.call(key="value")
// for the tools that Llama 3.1 knows by itself, or code.
func readLlama(text string, t types) ([]chat.ToolCall, error) {
	read := readPython
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		read = readJSON
	}
	calls, err := read(text, t)
	for i := range calls {
		calls[i].Name = strings.TrimSuffix(calls[i].Name, ".call")
	}
	if c, ok := t.code(text); ok && err != nil {
		return []chat.ToolCall{c}, nil
	}
	return calls, err
}

// code is a call of the tool python, if it was offered: with arguments, or with
// code for its one parameter.
func (t types) code(text string) (chat.ToolCall, bool) {
	const python = "python"
	params, ok := t[python]
	if args, err := arguments(text); ok && err == nil {
		return chat.ToolCall{Name: python, Arguments: args}, true
	}
	for name := range params {
		var args object
		var b strings.Builder
		spell(&b, strings.TrimSpace(text))
		err := args.add(name, b.String())
		return chat.ToolCall{Name: python, Arguments: args.String()}, err == nil && len(params) == 1
	}
	return chat.ToolCall{}, false
}

// readFunction reads name>{...}, which Llama 3.1 and Functionary 3.1 write
// between <function= and </function>.
func readFunction(text string, t types) ([]chat.ToolCall, error) {
	name, args, ok := strings.Cut(text, ">")
	if !ok {
		return nil, errors.New("its name has no end")
	}
	return readArguments(name)(args, t)
}

// readAddressed reads what is said to a tool: arguments, or code to python.
func readAddressed(name string) reader {
	return func(text string, t types) ([]chat.ToolCall, error) {
		calls, err := readArguments(name)(text, t)
		if c, ok := t.code(text); ok && err != nil && name == c.Name {
			return []chat.ToolCall{c}, nil
		}
		return calls, err
	}
}

// readFunctools reads what follows functools[, up to the ] of the list.
func readFunctools(text string, t types) ([]chat.ToolCall, error) { return readJSON("["+text, t) }

// readPairs reads [{"name": {...}}, ...].
func readPairs(text string, _ types) ([]chat.ToolCall, error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("not a JSON array: %w", err)
	}
	var calls []chat.ToolCall
	for _, v := range list {
		pairs, err := members(v)
		if err != nil {
			return nil, err
		}
		for _, m := range pairs {
			args, err := arguments(string(m.value))
			if err != nil || m.name == "" {
				return nil, fmt.Errorf("tool call %q: want a name and its arguments: %w", m.name, err)
			}
			calls = append(calls, chat.ToolCall{Name: m.name, Arguments: args})
		}
	}
	return calls, nil
}

// readSolar reads id, marker, name, marker, arguments.
func readSolar(text string, t types) ([]chat.ToolCall, error) {
	_, call, ok := strings.Cut(text, solarName)
	name, args, named := strings.Cut(call, solarArguments)
	if !ok || !named {
		return nil, fmt.Errorf("it has no %s or no %s", solarName, solarArguments)
	}
	return readArguments(name)(args, t)
}

// readTagged reads what stands in <tool_call>: JSON (Hermes, Qwen), tags
// (Qwen3-Coder) or a name and tags (GLM).
func readTagged(text string, t types) ([]chat.ToolCall, error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "<function="):
		return functionTags().read(text, t)
	case strings.HasPrefix(text, "{") || strings.HasPrefix(text, "["):
		return readJSON(text, t)
	}
	return glmPairs().read(text, t)
}
