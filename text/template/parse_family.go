package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

var errNoCall = errors.New("there is none in it")

// family is how the models of one kind write their turns.
type family struct {
	name    string
	writes  []string // a template whose text has one of them is of the family
	think   fence    // around reasoning
	forms   []form   // of calls
	within  bool     // calls may stand inside the reasoning, and end it
	noise   []string // markers around content, or around calls, that say nothing
	words   []string // special tokens that stand inside words and markers
	inner   []string // special tokens that stand inside calls and headers
	glue    string   // white space that is put around sections and calls
	stop    []string // special tokens beside the turn's end that end an answer: a result must come
	whole   bool     // a turn that is a JSON object is a call
	to      string   // in front of whom a section is for, on a line: "all", or a tool, whose call it is; "": not so
	harmony bool     // messages with headers; think, forms and whole are not used
	idLen   int      // letters and digits that the id of a call must have; 0: any
}

// fence is what stands around a section.
type fence struct{ open, close, lead string }

// form is one way to write calls. A call without close ends where the next one
// opens, or with the turn.
type form struct {
	open, close string
	guard       bool // its arguments are JSON: what is in their strings is no marker
	sections    bool // it may have cdata sections: what is in them is no marker
	read        reader
}

// reader makes calls of what stands between the markers.
type reader func(text string, t types) ([]chat.ToolCall, error)

// Markers inside messages and calls, which their readers look for.
const (
	harmonyMessage   = "<|message|>"
	deepSeekSep      = "<｜tool▁sep｜>"
	kimiArguments    = "<|tool_call_argument_begin|>"
	mistralArguments = "[ARGS]"
	mistralID        = "[CALL_ID]"
	gemmaQuote       = `<|"|>` // around texts in calls, without escapes
	solarName        = "<|tool_call:name|>"
	solarArguments   = "<|tool_call:args|>"
	minimaxMark      = "]<]minimax[>[" // in front of the tags of MiniMax-M3
	cdata, cdataEnd  = "<![CDATA[", "]]>"
)

// families lists what this program can read, the most telling markers first:
// the first family whose markers a template writes is the template's.
func families() []*family {
	think := fence{open: "<think>", close: "</think>"}
	return []*family{
		{name: "harmony", writes: []string{"<|channel|>"}, harmony: true, stop: []string{"<|call|>"}, inner: []string{"<|channel|>", "<|constrain|>", "<|start|>"}, noise: []string{"<|end|>", "<|return|>", "<|call|>", "<|start|>"}},
		{name: "dsml", writes: []string{"｜DSML｜"}, think: think, glue: "\n", words: []string{"｜DSML｜"}, forms: []form{
			{open: "<｜DSML｜function_calls>", close: "</｜DSML｜function_calls>", read: dsmlTags().read},
			{open: "<｜DSML｜tool_calls>", close: "</｜DSML｜tool_calls>", read: dsmlTags().read},
		}},
		{name: "deepseek", writes: []string{"<｜tool▁call▁begin｜>", "<｜Assistant｜>"}, think: think, glue: "\n",
			noise: []string{"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"}, inner: []string{deepSeekSep},
			forms: []form{{open: "<｜tool▁call▁begin｜>", close: "<｜tool▁call▁end｜>", guard: true, read: readDeepSeek}}},
		{name: "gemma4", writes: []string{"<|tool_call>"}, think: fence{open: "<|channel>", close: "<channel|>", lead: "thought\n"}, glue: "\n", inner: []string{gemmaQuote}, stop: []string{"<|tool_response>"},
			forms: []form{{open: "<|tool_call>", close: "<tool_call|>", read: readGemma}}},
		{name: "cohere2", writes: []string{"<|START_ACTION|>"}, think: fence{open: "<|START_THINKING|>", close: "<|END_THINKING|>"}, glue: "\n",
			noise: []string{"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"},
			forms: []form{{open: "<|START_ACTION|>", close: "<|END_ACTION|>", guard: true, read: readJSON}}},
		{name: "cohere", writes: []string{"<|CHATBOT_TOKEN|>"}, glue: "\n", forms: []form{
			{open: "Action:\n```json", close: "```", guard: true, read: readJSON},
			{open: "Action: ```json", close: "```", guard: true, read: readJSON},
		}},
		{name: "kimi", writes: []string{"<|tool_call_argument_begin|>"}, think: think, glue: "\n",
			noise: []string{"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"}, inner: []string{kimiArguments},
			forms: []form{{open: "<|tool_call_begin|>", close: "<|tool_call_end|>", guard: true, read: readKimi}}},
		{name: "minimax", writes: []string{"<minimax:tool_call>"}, think: think, glue: "\n",
			forms: []form{{open: "<minimax:tool_call>", close: "</minimax:tool_call>", read: invokeTags().read}}},
		{name: "minimax3", writes: []string{"<mm:think>"}, think: fence{open: "<mm:think>", close: "</mm:think>"}, glue: "\n",
			words: []string{minimaxMark, "<tool_call>", "</tool_call>"},
			forms: []form{{open: minimaxMark + "<tool_call>", close: minimaxMark + "</tool_call>", read: readMiniMax3}}},
		{name: "seed", writes: []string{"<seed:tool_call>"}, think: fence{open: "<seed:think>", close: "</seed:think>"}, glue: "\n",
			forms: []form{{open: "<seed:tool_call>", close: "</seed:tool_call>", read: functionTags().read}}},
		{name: "lfm2", writes: []string{"<|tool_call_start|>", "<|tool_list_start|>"}, think: think, glue: "\n",
			forms: []form{{open: "<|tool_call_start|>", close: "<|tool_call_end|>", read: readPython}}},
		{name: "nemotron", writes: []string{"<TOOLCALL>"}, think: think, glue: "\n",
			forms: []form{{open: "<TOOLCALL>", close: "</TOOLCALL>", guard: true, read: readJSON}}},
		{name: "phi", writes: []string{"<|tool_call|>", "<|/tool|>", "functools["}, think: think, glue: "\n", forms: []form{
			{open: "<|tool_call|>", close: "<|/tool_call|>", guard: true, read: readJSON},
			{open: "functools[", guard: true, read: readFunctools},
		}},
		{name: "apriel", writes: []string{"<tool_calls>["}, think: fence{open: "<thinking>", close: "</thinking>"}, glue: "\n",
			forms: []form{{open: "<tool_calls>", close: "</tool_calls>", guard: true, read: readJSON}}},
		{name: "apertus", writes: []string{"<|tools_prefix|>"}, think: fence{open: "<|inner_prefix|>", close: "<|inner_suffix|>"}, within: true, stop: []string{"<|assistant_end|>", "<|tools_suffix|>"},
			forms: []form{{open: "<|tools_prefix|>", close: "<|tools_suffix|>", guard: true, read: readPairs}}},
		{name: "gigachat", writes: []string{"<|role_sep|>"}, glue: "\n", noise: []string{"<|message_sep|>"}, words: []string{"<|role_sep|>"}, forms: []form{
			{open: "<|function_call|>", guard: true, read: readJSON},
			{open: "function call<|role_sep|>\n", guard: true, read: readJSON},
		}},
		{name: "hunyuan", writes: []string{"<｜hy_"}, think: fence{open: "<think:opensource>", close: "</think:opensource>"}, glue: "\n",
			noise: []string{"<tool_calls:opensource>", "</tool_calls:opensource>"}, inner: hunyuanPairs().marks(),
			forms: []form{{open: "<tool_call:opensource>", close: "</tool_call:opensource>", read: hunyuanPairs().read}}},
		{name: "solar", writes: []string{solarArguments}, think: fence{open: "<|think|>", close: "<|end|>"}, stop: []string{"<|calls|>", "<|flush|>"},
			noise: []string{"<|begin|>assistant", "<|content|>", "<|tool_calls|>", "<|end|>"}, words: []string{"<|begin|>"}, inner: []string{solarName, solarArguments},
			forms: []form{{open: "<|tool_call:begin|>", close: "<|tool_call:end|>", guard: true, read: readSolar}}},
		{name: "minicpm", writes: []string{`<param name="`}, think: think, glue: "\n", words: []string{"<function", "</function>", "<param", "</param>", cdata, cdataEnd},
			forms: []form{{open: `<function name="`, close: "</function>", sections: true, read: readMiniCPM}}},
		{name: "functionary", writes: []string{">>>all"}, to: ">>>"},
		{name: "hermes", writes: []string{"<tool_call>"}, think: think, glue: "\n",
			forms: []form{{open: "<tool_call>", close: "</tool_call>", read: readTagged}}},
		{name: "mistral", writes: []string{"[TOOL_CALLS]", "[THINK]", "[INST]"}, think: fence{open: "[THINK]", close: "[/THINK]"}, idLen: 9, inner: []string{mistralArguments, mistralID},
			forms: []form{{open: "[TOOL_CALLS]", guard: true, read: readMistral}}},
		{name: "llama3", writes: []string{"<|python_tag|>", "<|start_header_id|>"}, whole: true, stop: []string{"<|eom_id|>"},
			forms: []form{
				{open: "<|python_tag|>", guard: true, read: readLlama},
				{open: "<function=", close: "</function>", guard: true, read: readFunction},
			}},
		{name: "gemma", writes: []string{"<start_of_turn>"}, glue: "\n",
			forms: []form{{open: "```tool_code", close: "```", read: readPython}}},
		{name: "weft", writes: []string{"<|call|>"}, forms: []form{{open: "<|call|>", guard: true, read: readWeft}}},
		{name: "think", writes: []string{"<think>"}, think: think, glue: "\n"},
		{name: "plain"},
	}
}

// Families names the kinds of turns that a Parser can read.
func Families() []string {
	var names []string
	for _, f := range families() {
		names = append(names, f.name)
	}
	return names
}

// findFamily tells the family of a template by the markers in its text.
func findFamily(jinja string) *family {
	all := families()
	for _, f := range all {
		if slices.ContainsFunc(f.writes, func(m string) bool { return strings.Contains(jinja, m) }) {
			return f
		}
	}
	return all[len(all)-1]
}

func familyNamed(name string) (*family, error) {
	for _, f := range families() {
		if f.name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%w family %q: want one of %s", ErrUnknown, name, strings.Join(Families(), ", "))
}

// Family names how an answer to this template is read; see Families.
func (t *Template) Family() string { return t.familyOf().name }

// WithFamily returns the same template with answers read as those of another
// family: for a template whose text does not show how its model calls tools.
func (t *Template) WithFamily(name string) (*Template, error) {
	f, err := familyNamed(name)
	if err != nil {
		return nil, err
	}
	c := *t
	c.family = f
	return &c, nil
}

func (t *Template) familyOf() *family {
	if t.family != nil {
		return t.family
	}
	return findFamily(t.jinja)
}

// form returns the form of call that a marker opens; nil: none.
func (f *family) form(open string) *form {
	for i := range f.forms {
		if f.forms[i].open == open {
			return &f.forms[i]
		}
	}
	return nil
}

// markers lists everything that may be a special token.
func (f *family) markers() []string {
	list := append([]string{f.think.open, f.think.close}, f.noise...)
	for _, c := range f.forms {
		list = append(list, c.open, c.close)
	}
	if f.harmony {
		list = append(list, harmonyMessage)
	}
	return slices.DeleteFunc(list, func(m string) bool { return m == "" })
}

// inside reports whether a special token stands in a turn and does not end it.
func (f *family) inside(name string) bool {
	return !f.harmony && slices.Contains(slices.Concat(f.markers(), f.inner, f.words), bare(name))
}

// addressed returns a family whose sections begin with whom they are for, with
// a form for each tool.
func (f *family) addressed(tools []chat.Tool) *family {
	c := *f
	c.noise = []string{f.to + "all\n"}
	for _, t := range tools {
		c.forms = append(c.forms, form{open: f.to + t.Name + "\n", read: readAddressed(t.Name)})
	}
	return &c
}

// start decides whether a turn that is a JSON object so far is a call: by its
// first key, so that other JSON is not held back.
func (p *Parser) start() {
	if p.f.to != "" {
		p.startAddressed()
		return
	}
	text := strings.TrimLeft(join(p.held), " \t\r\n")
	rest, object := strings.CutPrefix(text, "{")
	rest = strings.TrimLeft(rest, " \t\r\n")
	key, quote := strings.CutPrefix(rest, `"`)
	name, _, whole := strings.Cut(key, `"`)
	switch {
	case text == "" || object && (rest == "" || quote && !whole && len(name) < 16):
		return // wait
	case object && quote && whole && slices.Contains([]string{"name", "type", "function", "parameters", "arguments"}, name):
		p.beginCall(&form{read: readJSON})
		p.begunCall, p.guarded = true, true
		p.quoted.advance(text)
	default:
		p.giveBack()
		p.mode = inContent
	}
}

// startAddressed reads a turn from behind the mark that the prompt ends with:
// whom it is for comes first.
func (p *Parser) startAddressed() {
	text := join(p.held)
	for _, m := range p.list() {
		to, marked := strings.CutPrefix(m, p.f.to)
		switch {
		case !marked || len(text) < len(to) && !strings.HasPrefix(to, text):
		case len(text) < len(to):
			return // wait
		case strings.HasPrefix(text, to):
			at := p.held[0].at
			p.buf, p.at = append([]byte(text[len(to):]), p.buf...), at+len(to)
			p.held = nil
			if f := p.f.form(m); f != nil {
				p.openCall(piece{at: at, text: to}, f)
			} else {
				p.after()
			}
			return
		}
	}
	p.giveBack()
	p.mode = inContent
}

// endHeader begins the message that a header of the harmony format tells of:
// "<|channel|>analysis", "<|channel|>commentary to=functions.price
// <|constrain|>json", with "<|start|>assistant" in front from the second on.
func (p *Parser) endHeader(m piece) {
	header := join(p.held)
	p.held, p.header, p.messages = p.held[:0], header+m.text, p.messages+1
	_, channel, _ := strings.Cut(header, "<|channel|>")
	_, to, called := strings.Cut(header, "to=")
	if to, _, _ = strings.Cut(to, "<|"); called && p.types != nil {
		if words := strings.Fields(to); len(words) > 0 {
			name := strings.TrimPrefix(words[0], "functions.")
			p.beginCall(&form{guard: true, read: readArguments(name)})
			return
		}
	}
	if strings.HasPrefix(strings.TrimSpace(channel), "analysis") {
		p.mode = inReasoning
		p.reasoning.border()
		return
	}
	p.mode = inContent
	p.content.border()
}
