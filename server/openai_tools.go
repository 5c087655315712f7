package server

import (
	"fmt"
	"slices"

	"weft/chat"
)

// maxTools bounds the tools of a request, as OpenAI does, and the calls of a
// message.
const maxTools = 128

// few reports whether an array is within maxTools.
func few(o *object, name string) bool {
	n := len(o.list(name))
	if n > maxTools {
		o.fail(name, "takes at most %d, got %d", maxTools, n)
	}
	return n <= maxTools
}

// readTools reads what the model may call and whether it may. "none" is as if
// no tools had been sent: then the model does not see them.
func readTools(o *object) []chat.Tool {
	var tools []chat.Tool
	if !few(o, "tools") {
		return nil
	}
	o.each("tools", func(t *object) {
		if of := t.str("type"); of != "function" {
			t.fail("type", "must be \"function\", got %q: this server knows no other tools", of)
			t.err.Code = "unsupported_parameter"
		}
		v, ok := t.take("function")
		if !ok {
			t.fail("function", "is missing")
			return
		}
		t.inside("function", v, func(f *object) { tools = append(tools, readTool(f)) })
		if last := len(tools) - 1; t.err == nil && slices.ContainsFunc(tools[:last], func(x chat.Tool) bool { return x.Name == tools[last].Name }) {
			t.fail("function.name", "%q is the name of another tool already", tools[last].Name)
		}
	})
	if _, ok := o.take("parallel_tool_calls"); ok && !o.boolean("parallel_tool_calls") {
		o.inner = append(o.inner, "parallel_tool_calls") // reported: the model decides
	}
	if !readToolChoice(o) {
		return nil
	}
	return tools
}

// readTool reads one function.
func readTool(f *object) chat.Tool {
	t := chat.Tool{Name: f.str("name"), Description: f.str("description")}
	t.Parameters, _ = f.take("parameters")
	if f.boolean("strict") { // reported, since a call is not held to its schema
		f.inner = append(f.inner, f.path+"strict")
	}
	if err := t.Check(); err != nil && f.err == nil {
		where := "name"
		if (chat.Tool{Name: t.Name}).Check() == nil {
			where = "parameters"
		}
		f.fail(where, "%v", err)
	}
	return t
}

// readToolChoice reports whether the model may see the tools.
func readToolChoice(o *object) bool {
	v, ok := o.take("tool_choice")
	if !ok {
		return true
	}
	switch string(v) {
	case `"auto"`:
		return true
	case `"none"`:
		return false
	}
	o.fail("tool_choice", "not supported by this server: a model cannot be made to call a tool here, it decides by itself (\"auto\") or is not offered any (\"none\"); got %s", show(v))
	o.err.Code = "unsupported_parameter"
	return true
}

// readToolCalls reads the calls that an assistant made.
func readToolCalls(o *object) []chat.ToolCall {
	var calls []chat.ToolCall
	if !few(o, "tool_calls") {
		return nil
	}
	o.each("tool_calls", func(c *object) {
		call := chat.ToolCall{ID: c.str("id")}
		if call.ID == "" {
			c.fail("id", "is missing: results name their call by it")
		}
		if of := c.str("type"); of != "function" {
			c.fail("type", "must be \"function\", got %q", of)
		}
		c.integer("index", 0, maxTools) // left in by clients that put a stream together
		v, ok := c.take("function")
		if !ok {
			c.fail("function", "is missing")
			return
		}
		c.inside("function", v, func(f *object) {
			if call.Name = f.str("name"); call.Name == "" {
				f.fail("name", "is missing")
			}
			call.Arguments = f.str("arguments")
			if err := chat.CheckArguments(call.Arguments); err != nil {
				f.fail("arguments", "%v", err)
			}
		})
		calls = append(calls, call)
	})
	return calls
}

// matchResults checks that every tool call is followed by its result and every
// result belongs to a call. It puts results into the order of their calls,
// since a model is not shown the ids and tells results apart by their order.
func matchResults(o *object, messages []chat.Message) {
	for i := 0; i < len(messages); {
		from := i // the results that follow message i, or begin with it if no call is in front
		if messages[i].Role != chat.ToolResult {
			from++
		}
		to := from
		for to < len(messages) && messages[to].Role == chat.ToolResult {
			to++
		}
		matchTurn(o, messages, i, from, to)
		i = to
	}
}

// matchTurn does so for the calls of message i and the results messages[from:to].
func matchTurn(o *object, messages []chat.Message, i, from, to int) {
	calls, results := messages[i].ToolCalls, slices.Clone(messages[from:to])
	for k, r := range results {
		if !slices.ContainsFunc(calls, func(c chat.ToolCall) bool { return c.ID == r.ToolCallID }) {
			o.fail(fmt.Sprintf("messages[%d].tool_call_id", from+k), "%q is no call of the assistant's message before it", r.ToolCallID)
			return
		}
	}
	for j, c := range calls {
		k := slices.IndexFunc(results, func(r chat.Message) bool { return r.ToolCallID == c.ID })
		if k < 0 {
			o.fail(fmt.Sprintf("messages[%d].tool_calls[%d]", i, j), "call %q has no result: a message of role tool with this tool_call_id must follow", c.ID)
			return
		}
		messages[from+j] = results[k]
		results = slices.Delete(results, k, k+1)
	}
	if len(results) > 0 {
		o.fail(fmt.Sprintf("messages[%d].tool_call_id", to-1), "call %q has more than one result", results[0].ToolCallID)
	}
}

// chatCallPart is a tool call in a stream. index tells the calls of a message
// apart.
type chatCallPart struct {
	index int
	chat.ToolCall
}

// MarshalJSON writes index in front of what a whole answer has.
func (p chatCallPart) MarshalJSON() ([]byte, error) {
	call, err := p.ToolCall.MarshalJSON()
	return append(fmt.Appendf(nil, `{"index":%d,`, p.index), call[1:]...), err
}
