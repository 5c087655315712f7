package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// types is the JSON types of the parameters of each tool, by tool and
// parameter: tags carry no types, so that 7 may be a number or a text.
type types map[string]map[string]param

// param is a parameter, or what is inside one.
type param struct {
	of      []string // its JSON types; none: not said
	members map[string]param
	items   *param
}

func typesOf(tools []chat.Tool) types {
	all := types{}
	for _, t := range tools {
		all[t.Name] = paramOf(t.Parameters, 0).members
	}
	return all
}

// paramOf reads a schema; what is none says nothing.
func paramOf(schema json.RawMessage, depth int) (p param) {
	var s struct {
		Type       any
		Properties map[string]json.RawMessage
		Items      json.RawMessage
	}
	if depth > maxLiteral || json.Unmarshal(schema, &s) != nil {
		return p
	}
	switch of := s.Type.(type) {
	case string:
		p.of = []string{of}
	case []any:
		for _, v := range of {
			p.of = append(p.of, fmt.Sprint(v))
		}
	}
	p.members = map[string]param{}
	for name, m := range s.Properties {
		p.members[name] = paramOf(m, depth+1)
	}
	if len(s.Items) > 0 {
		items := paramOf(s.Items, depth+1)
		p.items = &items
	}
	return p
}

// value writes the text of a parameter as JSON.
func (t types) value(tool, name, text string) string { return t[tool][name].value(text) }

// is reports whether a parameter is declared to be of a type.
func (p param) is(of ...string) bool {
	return slices.ContainsFunc(of, func(o string) bool { return slices.Contains(p.of, o) })
}

// value writes a text as JSON: as a text if that is the type, otherwise as the
// JSON that it is, if it is. Python's True, False and None are JSON's, and its
// lists and dicts are where one is due: some templates write them.
func (p param) value(text string) string {
	var plain strings.Builder
	spell(&plain, text)
	if len(p.of) == 1 && p.is("string") {
		return plain.String()
	}
	v := strings.TrimSpace(text)
	switch v {
	case "True", "False":
		return strings.ToLower(v)
	case "None":
		return "null"
	}
	if strings.HasPrefix(v, `"`) && len(p.of) == 0 {
		return plain.String()
	}
	if s, err := canonical(v); err == nil && v != "" {
		return s
	}
	if p.is("array", "object") {
		l := &literal{s: v}
		if s, err := l.value(); err == nil && l.i == len(v) {
			return s
		}
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
	sections        bool   // a text may stand in a cdata section
}

// functionTags is <function=f><parameter=p>value</parameter></function>.
func functionTags() tags {
	return tags{"<function=", "</function>", "<parameter=", "</parameter>", true, false}
}

// invokeTags is <invoke name="f"><parameter name="p">value</parameter></invoke>.
func invokeTags() tags {
	return tags{`<invoke name="`, "</invoke>", `<parameter name="`, "</parameter>", false, false}
}

// dsmlTags is the same with another bracket, and with string="true" or "false"
// behind the names of parameters (DeepSeek V3.2 and V4).
func dsmlTags() tags {
	return tags{`<｜DSML｜invoke name="`, "</｜DSML｜invoke>", `<｜DSML｜parameter name="`, "</｜DSML｜parameter>", false, false}
}

// readMiniCPM reads what follows <function name=" in calls that are
// <function name="f"><param name="p">value</param></function>.
func readMiniCPM(text string, t types) ([]chat.ToolCall, error) {
	g := tags{`<function name="`, "</function>", `<param name="`, "</param>", false, true}
	return g.read(g.call+text+g.callEnd, t)
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
	if quoted, ok := strings.CutPrefix(strings.TrimSpace(rest), cdata); ok && g.sections {
		return g.section(quoted, name, args)
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

// section reads a text that is quoted as a section; s is what follows its mark.
func (g tags) section(s, name string, args *object) (rest string, err error) {
	value, rest, ok := strings.Cut(s, cdataEnd)
	rest, shut := strings.CutPrefix(strings.TrimSpace(rest), g.paramEnd)
	if !ok || !shut {
		return "", fmt.Errorf("parameter %s has no %s%s", name, cdataEnd, g.paramEnd)
	}
	var b strings.Builder
	spell(&b, value)
	return rest, args.add(name, b.String())
}

// pairs is a notation of calls as a name and keys with values in turn.
type pairs struct {
	behind                       string // the name; "": the first key is
	key, keyEnd, value, valueEnd string
}

// glmPairs is name<arg_key>k</arg_key><arg_value>v</arg_value>.
func glmPairs() pairs {
	return pairs{"", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}
}

// hunyuanPairs is the same with a mark behind the name and longer marks (Hy3).
func hunyuanPairs() pairs {
	const tail = ":opensource>"
	return pairs{"<tool_sep" + tail, "<arg_key" + tail, "</arg_key" + tail, "<arg_value" + tail, "</arg_value" + tail}
}

func (g pairs) marks() []string { return []string{g.behind, g.key, g.keyEnd, g.value, g.valueEnd} }

// read implements reader.
func (g pairs) read(text string, t types) ([]chat.ToolCall, error) {
	i := strings.Index(text, g.key)
	if i < 0 {
		i = len(text)
	}
	name, rest := text[:i], text[i:]
	if g.behind != "" {
		name, rest, _ = strings.Cut(text, g.behind)
	}
	if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " \n\t<>{}\"") {
		return nil, errors.New("neither JSON nor tags of a call")
	}
	var args object
	for {
		if rest = strings.TrimSpace(rest); rest == "" {
			return []chat.ToolCall{{Name: name, Arguments: args.String()}}, nil
		}
		var param, value string
		var ok bool
		if rest, ok = strings.CutPrefix(rest, g.key); ok {
			param, rest, ok = strings.Cut(rest, g.keyEnd)
		}
		if ok {
			rest, ok = strings.CutPrefix(strings.TrimSpace(rest), g.value)
		}
		if ok {
			value, rest, ok = strings.Cut(rest, g.valueEnd)
		}
		if !ok {
			return nil, fmt.Errorf("tool call %s: want %s name %s %s value %s", name, g.key, g.keyEnd, g.value, g.valueEnd)
		}
		if err := args.add(param, t.value(name, param, value)); err != nil {
			return nil, fmt.Errorf("tool call %s: %w", name, err)
		}
	}
}
