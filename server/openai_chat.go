package server

import (
	"encoding/json"
	"strconv"
	"strings"

	"weft/chat"
)

// chatCall is a decoded POST /v1/chat/completions.
type chatCall struct {
	common
	req      chat.Request
	logprobs bool
}

// chatRefused is what OpenAI's chat endpoint has beyond ours.
func chatRefused() []refused {
	return []refused{
		{"functions", []string{"[]"}}, {"function_call", []string{`"none"`, `"auto"`}},
		{"response_format", []string{`{"type":"text"}`}}, {"modalities", []string{`["text"]`}}, {"audio", nil},
		{"prediction", nil}, {"reasoning_effort", []string{`"none"`}}, {"verbosity", []string{`"medium"`}}, {"web_search_options", nil},
		{"echo", []string{"false"}}, {"best_of", []string{"1"}}, {"suffix", nil},
		{"add_special_tokens", []string{"false"}},
		{"chat_template", nil}, {"documents", []string{"[]"}}, {"mm_processor_kwargs", []string{"{}"}},
	}
}

// decodeChat reads the body of a chat completion.
func decodeChat(body []byte) (*chatCall, *apiError) {
	o, err := parseObject(body, "the body", "")
	if err != nil {
		return nil, err
	}
	c := &chatCall{}
	c.common = readCommon(o, &c.req)
	c.req.MaxTokens = readMaxTokens(o)
	c.logprobs = o.boolean("logprobs")
	c.req.Logprobs = -1
	if c.logprobs {
		c.req.Logprobs = 0
	}
	if top := o.integer("top_logprobs", 0, maxTopLogprob); top != nil {
		if !c.logprobs && *top > 0 {
			o.fail("top_logprobs", "only allowed when logprobs is true")
		}
		c.req.Logprobs = max(c.req.Logprobs, int(*top))
	}
	c.req.Messages = readMessages(o)
	c.req.Tools = readTools(o)
	c.req.Continue = readContinue(o)
	c.req.TemplateArgs = readTemplateArgs(o)
	o.refuse(chatRefused())
	o.refuse(neither())
	c.ignored = append(c.ignored, o.leftover()...)
	return c, o.err
}

// readMaxTokens takes max_completion_tokens or its older name.
func readMaxTokens(o *object) int {
	now, old := o.integer("max_completion_tokens", 1, 1<<31-1), o.integer("max_tokens", 1, 1<<31-1)
	switch {
	case now != nil && old != nil && *now != *old:
		o.fail("max_tokens", "is the older name of max_completion_tokens and differs from it (%d and %d): send one", *old, *now)
	case now != nil:
		return int(*now)
	case old != nil:
		return int(*old)
	}
	return 0
}

// readContinue reads vLLM's pair of fields: whether the last message is to be
// gone on with, instead of a turn opened after it.
func readContinue(o *object) bool {
	on := o.boolean("continue_final_message")
	o.refuse([]refused{{"add_generation_prompt", []string{strconv.FormatBool(!on)}}})
	return on
}

// readTemplateArgs reads vLLM's field of variables for the chat template, such
// as {"enable_thinking": false}. Whether it takes them is the template's to say.
func readTemplateArgs(o *object) map[string]json.RawMessage {
	v, ok := o.take("chat_template_kwargs")
	if !ok {
		return nil
	}
	var args map[string]json.RawMessage
	if json.Unmarshal(v, &args) != nil {
		o.fail("chat_template_kwargs", "must be an object, got %s", kind(v))
	}
	if len(args) == 0 {
		return nil
	}
	return args
}

// readMessages reads the conversation. Whether its roles follow each other as
// the model wants is the template's to say.
func readMessages(o *object) []chat.Message {
	var messages []chat.Message
	o.each("messages", func(m *object) { messages = append(messages, readMessage(m)) })
	if len(messages) == 0 {
		o.fail("messages", "needs at least one message")
	}
	matchResults(o, messages)
	return messages
}

// readMessage reads one turn. Fields that other servers add to their answers,
// and clients send back, are let through when they are empty.
func readMessage(o *object) chat.Message {
	m := chat.Message{Name: o.str("name")}
	switch role := o.str("role"); role {
	case "system", "developer": // developer is OpenAI's newer name for system
		m.Role = chat.System
	case "user", "assistant", "tool":
		m.Role = chat.Role(role)
	case "function":
		o.fail("role", "%q is not supported by this server: send results of tools with the role \"tool\"", role)
		if o.err != nil {
			o.err.Code = "unsupported_parameter"
		}
	default:
		o.fail("role", "must be system, developer, user, assistant or tool, got %q", role)
	}
	m.ToolCalls, m.ToolCallID = readToolCalls(o), o.str("tool_call_id")
	if m.Reasoning = o.str("reasoning_content"); m.Reasoning == "" {
		m.Reasoning = o.str("reasoning") // the newer name
	}
	switch {
	case m.Reasoning != "" && m.Role != chat.Assistant:
		o.fail("reasoning_content", "only the assistant reasons, not the %s", m.Role)
	case len(m.ToolCalls) > 0 && m.Role != chat.Assistant:
		o.fail("tool_calls", "only the assistant makes tool calls, not the %s", m.Role)
	case m.ToolCallID != "" && m.Role != chat.ToolResult:
		o.fail("tool_call_id", "only a message of role tool is the result of a call, not one of the %s", m.Role)
	case m.ToolCallID == "" && m.Role == chat.ToolResult:
		o.fail("tool_call_id", "is missing: it says which call this is the result of")
	}
	o.refuse([]refused{
		{"function_call", nil}, {"audio", nil}, {"refusal", []string{`""`}}, {"annotations", []string{"*"}},
	})
	if _, ok := o.take("content"); ok || len(m.ToolCalls) == 0 {
		m.Content = readContent(o)
	}
	return m
}

// readContent takes a string or an array of text parts, joined as they come.
func readContent(o *object) string {
	v, ok := o.take("content")
	if !ok {
		o.fail("content", "is missing")
		return ""
	}
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	if kind(v) != "an array" {
		o.fail("content", "must be a string or an array of parts, got %s", kind(v))
		return ""
	}
	var text strings.Builder
	o.each("content", func(p *object) {
		if t := p.str("type"); t != "text" {
			p.fail("type", "must be \"text\", got %q: this server takes text only", t)
			p.err.Code = "unsupported_parameter"
		}
		text.WriteString(p.str("text"))
	})
	return text.String()
}

// The response shapes. Pointers are fields that the protocol shows as null.
type (
	chatChoice struct {
		Index        int           `json:"index"`
		Message      chatMessage   `json:"message"`
		Logprobs     *chatLogprobs `json:"logprobs"`
		FinishReason string        `json:"finish_reason"`
	}
	chatMessage struct {
		Role      string          `json:"role"`
		Content   *string         `json:"content"`
		Reasoning string          `json:"reasoning_content,omitempty"`
		Refusal   *string         `json:"refusal"`
		ToolCalls []chat.ToolCall `json:"tool_calls,omitempty"`
	}
	chatChunkChoice struct {
		Index        int           `json:"index"`
		Delta        chatDelta     `json:"delta"`
		Logprobs     *chatLogprobs `json:"logprobs"`
		FinishReason *string       `json:"finish_reason"`
	}
	chatDelta struct {
		Role      string         `json:"role,omitempty"`
		Content   *string        `json:"content,omitempty"`
		Reasoning string         `json:"reasoning_content,omitempty"`
		ToolCalls []chatCallPart `json:"tool_calls,omitempty"`
	}
	chatLogprobs struct {
		Content []chatLogprob `json:"content"`
		Refusal *string       `json:"refusal"`
	}
	chatLogprob struct {
		Token   string           `json:"token"`
		Logprob float64          `json:"logprob"`
		Bytes   byteInts         `json:"bytes"`
		Top     []chatTopLogprob `json:"top_logprobs"`
	}
	chatTopLogprob struct {
		Token   string   `json:"token"`
		Logprob float64  `json:"logprob"`
		Bytes   byteInts `json:"bytes"`
	}
)

// chatCodec writes chat completions. calls is how many tool calls of each
// choice have gone by.
type chatCodec struct {
	head
	logprobs bool
	calls    []int
}

// whole is the body of an answer that is not streamed. The content of one that
// only calls tools is null.
func (c chatCodec) whole(answers []answer, u usage, m *chat.Manifest) any {
	var choices []chatChoice
	for i, a := range answers {
		said := chatMessage{Role: "assistant", Reasoning: a.reasoning.String(), ToolCalls: a.calls}
		if text := a.text.String(); text != "" || len(a.calls) == 0 {
			said.Content = &text
		}
		choices = append(choices, chatChoice{Index: i, Message: said, Logprobs: c.encodeLogprobs(a.logprobs), FinishReason: string(a.finish)})
	}
	return respond(c.head, "chat.completion", choices...).with(u, m)
}

// open is the first chunk of a choice: the role.
func (c chatCodec) open(index int) any {
	none := ""
	return c.chunk(chatChunkChoice{Index: index, Delta: chatDelta{Role: "assistant", Content: &none}})
}

// pieces is one delta. The last chunk of a choice has an empty delta and the
// reason; null stands in all others.
func (c chatCodec) pieces(index int, d chat.Delta) []any {
	var out []any
	if d.Reasoning != "" {
		out = append(out, c.chunk(chatChunkChoice{Index: index, Delta: chatDelta{Reasoning: d.Reasoning}}))
	}
	if d.Text != "" || len(d.Logprobs) > 0 {
		choice := chatChunkChoice{Index: index}
		if len(d.Logprobs) > 0 {
			choice.Logprobs = c.encodeLogprobs(d.Logprobs)
		}
		if d.Text != "" {
			choice.Delta.Content = &d.Text
		}
		out = append(out, c.chunk(choice))
	}
	for _, call := range d.ToolCalls {
		part := chatCallPart{c.calls[index], call}
		c.calls[index]++
		out = append(out, c.chunk(chatChunkChoice{Index: index, Delta: chatDelta{ToolCalls: []chatCallPart{part}}}))
	}
	if d.Finish != "" {
		f := string(d.Finish)
		out = append(out, c.chunk(chatChunkChoice{Index: index, FinishReason: &f}))
	}
	return out
}

// end is the chunk behind the last choice: no choices, only the counts and the
// manifest, each where it was asked for.
func (c chatCodec) end(u usage, m *chat.Manifest) any { return c.chunk().endWith(u, m) }

func (c chatCodec) chunk(choices ...chatChunkChoice) response[chatChunkChoice] {
	return respond(c.head, "chat.completion.chunk", choices...)
}

// encodeLogprobs is null unless asked for, and never null when asked for in a
// whole answer, even of no tokens.
func (c chatCodec) encodeLogprobs(tokens []chat.TokenLogprob) *chatLogprobs {
	if !c.logprobs {
		return nil
	}
	out := &chatLogprobs{Content: []chatLogprob{}}
	for _, t := range tokens {
		top := []chatTopLogprob{}
		for _, alt := range t.Top {
			top = append(top, chatTopLogprob{alt.Text, finite(alt.Logprob), alt.Bytes})
		}
		out.Content = append(out.Content, chatLogprob{t.Text, finite(t.Logprob), t.Bytes, top})
	}
	return out
}
