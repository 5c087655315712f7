package template

import (
	"errors"
	"regexp"
	"strings"

	"weft/chat"
	"weft/text/jinja"
)

// found is what rendering a few conversations shows about a template. Its text
// is not looked at: templates say the same in a hundred ways.
type found struct {
	shape shape
	tools bool   // it tells the model of tools
	needs bool   // it renders nothing without tools
	calls bool   // it writes down calls
	one   bool   // of several calls in a turn it writes down one
	end   string // what it writes behind an assistant's content; "": nothing
	next  string // what then stands between an answer and the next question
	err   error  // why a question and its answer cannot be rendered; nil
}

// Bounds of a probe, which takes a real template some thousand steps and bytes.
const (
	probeSteps  = 1 << 20
	probeOutput = 1 << 18 // bytes
)

// Words that no template writes by itself. Calls have names that the tools do
// not have, to tell the two apart.
const (
	zText    = "zqtext"
	zThought = "zqthought"
	zTool    = "zqtool"
	zKey     = "zqkey"
	zCalled  = "zqcalled"
	zArg     = "zqarg"
	zValue   = "zqvalue"
	zNext    = "zqnext"
)

// zTools is what probes offer.
func zTools() []chat.Tool {
	return []chat.Tool{{Name: zTool, Description: zTool,
		Parameters: []byte(`{"type": "object", "properties": {"` + zKey + `": {"type": "string", "description": "x"}}, "required": []}`)}}
}

// zCall is the call that probes make.
func zCall() chat.Message {
	return chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "zqcallid1", Name: zCalled, Arguments: `{"` + zArg + `": "` + zValue + `"}`}}}
}

// probe renders a conversation and returns its text, "" if it cannot be.
func (x *script) probe(s shape, tools bool, msgs ...chat.Message) (string, error) {
	o := Options{steps: probeSteps}
	if tools {
		o.Tools = zTools()
	}
	if s.reasoning != "" { // what templates call the switch
		o.Extra = map[string]any{"enable_thinking": true, "thinking": true}
	}
	list, err := x.run(msgs, o, s)
	return jinja.Text(list), err
}

// explore finds out what a template can do and how it wants to be told.
func explore(x *script, f *family) found {
	r := found{shape: shape{content: "", ids: f.idLen}}
	user := chat.Message{Role: chat.User, Content: "x"}
	answer := chat.Message{Role: chat.Assistant, Content: zText}
	text, err := x.probe(r.shape, false, user, answer)
	if errors.Is(err, jinja.ErrLimit) {
		r.err = err // nothing else will come to an end either
		return r
	}
	if err != nil { // some templates are for tools alone
		text, _ = x.probe(r.shape, true, user, answer)
		r.needs = strings.Contains(text, zText)
	}
	if _, behind, ok := strings.Cut(text, zText); ok {
		r.end = behind
	} else {
		r.err = err
	}
	if r.end == "" { // some end an answer only where the conversation goes on
		text, _ = x.probe(r.shape, r.needs, user, answer, chat.Message{Role: chat.User, Content: zNext})
		_, behind, _ := strings.Cut(text, zText)
		r.next, _, _ = strings.Cut(behind, zNext)
	}
	r.tools = x.findTools(&r.shape, user)
	r.calls, r.one = x.findCalls(&r.shape, user)
	x.findReasoning(&r.shape, user, answer)
	return r
}

// findTools finds where tools are told: beside the conversation, or in its
// system message (Phi-4-mini).
func (x *script) findTools(s *shape, user chat.Message) bool {
	for _, in := range []bool{false, true} {
		try := *s
		try.toolsInside = in
		if text, _ := x.probe(try, true, user); strings.Contains(text, zTool) {
			*s = try
			return true
		}
	}
	return false
}

// findCalls finds the shape in which a call comes out: with its arguments, not
// spelled twice as JSON, and without a Python None where the content was; one
// says that a second call does not.
func (x *script) findCalls(s *shape, user chat.Message) (found, one bool) {
	call := zCall()
	result := chat.Message{Role: chat.ToolResult, Content: zText, ToolCallID: "zqcallid1"}
	said := call
	said.Content = zText
	normal, _ := x.probe(*s, true, user, said, result)
	for _, asText := range []bool{false, true} {
		for _, content := range []any{nil, "", absent{}} {
			try := *s
			try.content, try.text = content, asText
			text, err := x.probe(try, true, user, call, result)
			if err != nil {
				text, err = x.probe(try, true, user, call)
			}
			if err == nil && strings.Contains(text, zCalled) && strings.Contains(text, zValue) &&
				!strings.Contains(text, `\"`+zArg) && strings.Count(text, "None") <= strings.Count(normal, "None") {
				*s = try
				two := call
				two.ToolCalls = append(two.ToolCalls[:1:1], chat.ToolCall{ID: "zqcallid2", Name: zNext, Arguments: "{}"})
				text, err := x.probe(try, true, user, two)
				return true, err == nil && !strings.Contains(text, zNext)
			}
		}
	}
	return false, false
}

// said finds parts and blocks that are written down as they are given.
var said = regexp.MustCompile(`['"](thinking|thoughts)['"]`)

// findReasoning finds the key under which reasoning comes out.
func (x *script) findReasoning(s *shape, user, answer chat.Message) {
	answer.Reasoning = zThought
	call := zCall()
	call.Reasoning = zThought
	for _, key := range []string{"reasoning_content", "thinking", "reasoning", parts, blocks} {
		try := *s
		try.reasoning = key
		for _, m := range []chat.Message{answer, call} {
			if text, err := x.probe(try, len(m.ToolCalls) > 0, user, m); err == nil && strings.Contains(text, zThought) &&
				!said.MatchString(text) {
				s.reasoning = key
				return
			}
		}
	}
	// Some write it only far into a conversation; others will not miss it.
	if strings.Contains(x.Jinja+x.Tools, "reasoning_content") {
		s.reasoning = "reasoning_content"
	}
}
