package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"weft/chat"
)

// types is the JSON types of the parameters of each tool, by tool and
// parameter: tags carry no types, so that 7 may be a number or a text.
type types map[string]map[string][]string

func typesOf(tools []chat.Tool) types {
	all := types{}
	for _, t := range tools {
		var schema struct {
			Properties map[string]struct{ Type any }
		}
		json.Unmarshal(t.Parameters, &schema) // what is no schema has no types
		params := map[string][]string{}
		for name, p := range schema.Properties {
			switch of := p.Type.(type) {
			case string:
				params[name] = []string{of}
			case []any:
				for _, v := range of {
					params[name] = append(params[name], fmt.Sprint(v))
				}
			}
		}
		all[t.Name] = params
	}
	return all
}

// value writes the text of a parameter as JSON: as a text if that is its type,
// otherwise as the JSON that it is, if it is. Python's True, False and None
// are JSON's: some templates write them.
func (t types) value(tool, param, text string) string {
	var plain strings.Builder
	spell(&plain, text)
	of := t[tool][param]
	if len(of) == 1 && of[0] == "string" {
		return plain.String()
	}
	v := strings.TrimSpace(text)
	switch v {
	case "True", "False":
		return strings.ToLower(v)
	case "None":
		return "null"
	}
	if strings.HasPrefix(v, `"`) && len(of) == 0 {
		return plain.String()
	}
	if s, err := canonical(v); err == nil && v != "" {
		return s
	}
	return plain.String()
}

// object builds the arguments of a call.
type object struct {
	b    strings.Builder
	seen map[string]bool
}

// add appends a member whose value is JSON already.
func (o *object) add(name, value string) error {
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	if o.seen[name] {
		return fmt.Errorf("it has parameter %q twice", name)
	}
	o.seen[name] = true
	if o.b.Len() > 0 {
		o.b.WriteString(", ")
	}
	spell(&o.b, name)
	o.b.WriteString(": " + value)
	return nil
}

func (o *object) String() string { return "{" + o.b.String() + "}" }

// tags is a notation of calls like XML, without its escapes. What stands
// behind a name up to ">" are attributes.
type tags struct {
	call, callEnd   string // in front of the name of a tool, and behind its parameters
	param, paramEnd string // in front of the name of a parameter, and behind its value
	lines           bool   // a value stands on lines of its own
}

// functionTags is <function=f><parameter=p>value</parameter></function>.
func functionTags() tags {
	return tags{"<function=", "</function>", "<parameter=", "</parameter>", true}
}

// invokeTags is <invoke name="f"><parameter name="p">value</parameter></invoke>.
func invokeTags() tags {
	return tags{`<invoke name="`, "</invoke>", `<parameter name="`, "</parameter>", false}
}

// dsmlTags is the same with another bracket, and with string="true" or "false"
// behind the names of parameters (DeepSeek V3.2 and V4).
func dsmlTags() tags {
	return tags{`<｜DSML｜invoke name="`, "</｜DSML｜invoke>", `<｜DSML｜parameter name="`, "</｜DSML｜parameter>", false}
}

// name cuts the opening tag that begins with prefix off s.
func (g tags) name(s, prefix string) (name, attributes, rest string, err error) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", "", "", fmt.Errorf("want %s, got %.20q", prefix, s)
	}
	if tag, after, ok := strings.Cut(s, ">"); ok {
		if strings.HasSuffix(prefix, `"`) {
			tag, attributes, ok = strings.Cut(tag, `"`)
		}
		if ok && tag != "" && !strings.ContainsAny(tag, " \t\r\n<") {
			return tag, attributes, after, nil
		}
	}
	return "", "", "", fmt.Errorf("the tag %s has no end", prefix)
}

// read implements reader.
func (g tags) read(text string, t types) ([]chat.ToolCall, error) {
	var calls []chat.ToolCall
	for {
		if text = strings.TrimSpace(text); text == "" {
			return calls, nil
		}
		name, _, rest, err := g.name(text, g.call)
		if err != nil {
			return nil, err
		}
		var args object
		for {
			rest = strings.TrimSpace(rest)
			if after, ok := strings.CutPrefix(rest, g.callEnd); ok {
				text = after
				break
			}
			if rest, err = g.parameter(rest, name, t, &args); err != nil {
				return nil, fmt.Errorf("tool call %s: %w", name, err)
			}
		}
		calls = append(calls, chat.ToolCall{Name: name, Arguments: args.String()})
	}
}

// parameter reads one parameter off s into args.
func (g tags) parameter(s, tool string, t types, args *object) (rest string, err error) {
	name, attributes, rest, err := g.name(s, g.param)
	if err != nil {
		return "", err
	}
	value, rest, ok := strings.Cut(rest, g.paramEnd)
	if !ok {
		return "", fmt.Errorf("parameter %s has no %s", name, g.paramEnd)
	}
	if g.lines {
		value = strings.TrimSuffix(strings.TrimPrefix(value, "\n"), "\n")
	}
	var spelled string
	switch strings.TrimSpace(attributes) {
	case `string="true"`:
		var b strings.Builder
		spell(&b, value)
		spelled = b.String()
	case `string="false"`:
		if spelled, err = canonical(value); err != nil || strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("parameter %s is not JSON", name)
		}
	default:
		spelled = t.value(tool, name, value)
	}
	return rest, args.add(name, spelled)
}

// readGLM reads a name and <arg_key>k</arg_key><arg_value>v</arg_value> pairs.
func readGLM(text string, t types) ([]chat.ToolCall, error) {
	const key, keyEnd, val, valEnd = "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"
	i := strings.Index(text, key)
	if i < 0 {
		i = len(text)
	}
	name, rest := strings.TrimSpace(text[:i]), text[i:]
	if name == "" || strings.ContainsAny(name, " \n\t<>{}\"") {
		return nil, errors.New("neither JSON nor tags of a call")
	}
	var args object
	for {
		if rest = strings.TrimSpace(rest); rest == "" {
			return []chat.ToolCall{{Name: name, Arguments: args.String()}}, nil
		}
		var param, value string
		var ok bool
		if rest, ok = strings.CutPrefix(rest, key); ok {
			param, rest, ok = strings.Cut(rest, keyEnd)
		}
		if ok {
			rest, ok = strings.CutPrefix(strings.TrimSpace(rest), val)
		}
		if ok {
			value, rest, ok = strings.Cut(rest, valEnd)
		}
		if !ok {
			return nil, fmt.Errorf("tool call %s: want %s name %s %s value %s", name, key, keyEnd, val, valEnd)
		}
		if err := args.add(param, t.value(name, param, value)); err != nil {
			return nil, fmt.Errorf("tool call %s: %w", name, err)
		}
	}
}
