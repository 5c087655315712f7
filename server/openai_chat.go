package server

import (
	"encoding/json"
	"fmt"
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
		{"tools", []string{"[]"}}, {"tool_choice", []string{`"none"`, `"auto"`}}, {"parallel_tool_calls", []string{"*"}},
		{"functions", []string{"[]"}}, {"function_call", []string{`"none"`, `"auto"`}},
		{"response_format", []string{`{"type":"text"}`}}, {"modalities", []string{`["text"]`}}, {"audio", nil},
		{"prediction", nil}, {"reasoning_effort", []string{`"none"`}}, {"verbosity", []string{`"medium"`}}, {"web_search_options", nil},
		{"echo", []string{"false"}}, {"best_of", []string{"1"}}, {"suffix", nil},
		{"add_generation_prompt", []string{"true"}}, {"continue_final_message", []string{"false"}}, {"add_special_tokens", []string{"false"}},
		{"chat_template", nil}, {"chat_template_kwargs", []string{"{}"}}, {"documents", []string{"[]"}}, {"mm_processor_kwargs", []string{"{}"}},
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
	c.readMessages(o)
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

// readMessages reads the conversation. Whether its roles follow each other as
// the model wants is the template's to say.
func (c *chatCall) readMessages(o *object) {
	list := o.list("messages")
	if len(list) == 0 {
		o.fail("messages", "needs at least one message")
	}
	for i, raw := range list {
		path := fmt.Sprintf("messages[%d].", i)
		m, err := parseObject(raw, strings.TrimSuffix(path, "."), path)
		if err != nil {
			o.err = cmpErr(o.err, err)
			return
		}
		c.req.Messages = append(c.req.Messages, readMessage(m))
		c.ignored = append(c.ignored, m.leftover()...)
		o.err = cmpErr(o.err, m.err)
	}
}

// readMessage reads one turn. Fields that other servers add to their answers,
// and clients send back, are let through when they are empty.
func readMessage(o *object) chat.Message {
	m := chat.Message{Name: o.str("name")}
	switch role := o.str("role"); role {
	case "system", "developer": // developer is OpenAI's newer name for system
		m.Role = chat.System
	case "user", "assistant":
		m.Role = chat.Role(role)
	case "tool", "function":
		o.fail("role", "%q is not supported by this server: it has no tool calls", role)
		if o.err != nil {
			o.err.Code = "unsupported_parameter"
		}
	default:
		o.fail("role", "must be system, developer, user or assistant, got %q", role)
	}
	o.refuse([]refused{
		{"tool_calls", []string{"[]"}}, {"function_call", nil}, {"tool_call_id", nil}, {"audio", nil},
		{"refusal", []string{`""`}}, {"annotations", []string{"*"}},
	})
	m.Content = readContent(o)
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
	var parts []json.RawMessage
	if json.Unmarshal(v, &parts) != nil {
		o.fail("content", "must be a string or an array of parts, got %s", kind(v))
		return ""
	}
	var text strings.Builder
	for i, raw := range parts {
		path := fmt.Sprintf("%scontent[%d].", o.path, i)
		p, err := parseObject(raw, strings.TrimSuffix(path, "."), path)
		if err != nil {
			o.err = cmpErr(o.err, err)
			return ""
		}
		if t := p.str("type"); t != "text" {
			p.fail("type", "must be \"text\", got %q: this server takes text only", t)
			p.err.Code = "unsupported_parameter"
		}
		text.WriteString(p.str("text"))
		o.err = cmpErr(o.err, p.err)
	}
	return text.String()
}

// The response shapes. Pointers are fields that the protocol shows as null.
type (
	chatCompletion struct {
		ID      string       `json:"id"`
		Object  string       `json:"object"`
		Created int64        `json:"created"`
		Model   string       `json:"model"`
		Choices []chatChoice `json:"choices"`
		Usage   *usage       `json:"usage,omitempty"`
	}
	chatChoice struct {
		Index        int           `json:"index"`
		Message      chatMessage   `json:"message"`
		Logprobs     *chatLogprobs `json:"logprobs"`
		FinishReason string        `json:"finish_reason"`
	}
	chatMessage struct {
		Role    string  `json:"role"`
		Content string  `json:"content"`
		Refusal *string `json:"refusal"`
	}
	chatChunk struct {
		ID      string            `json:"id"`
		Object  string            `json:"object"`
		Created int64             `json:"created"`
		Model   string            `json:"model"`
		Choices []chatChunkChoice `json:"choices"`
		Usage   *maybeUsage       `json:"usage,omitempty"`
	}
	chatChunkChoice struct {
		Index        int           `json:"index"`
		Delta        chatDelta     `json:"delta"`
		Logprobs     *chatLogprobs `json:"logprobs"`
		FinishReason *string       `json:"finish_reason"`
	}
	chatDelta struct {
		Role    string  `json:"role,omitempty"`
		Content *string `json:"content,omitempty"`
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

// chatCodec writes chat completions.
type chatCodec struct {
	head
	logprobs bool
}

// whole is the body of an answer that is not streamed.
func (c chatCodec) whole(answers []answer, u usage) any {
	out := chatCompletion{ID: c.id, Object: "chat.completion", Created: c.created, Model: c.model, Usage: &u}
	for i, a := range answers {
		out.Choices = append(out.Choices, chatChoice{
			Index:        i,
			Message:      chatMessage{Role: "assistant", Content: a.text.String()},
			Logprobs:     c.encodeLogprobs(a.logprobs),
			FinishReason: string(a.finish),
		})
	}
	return out
}

// open is the first chunk of a choice: the role.
func (c chatCodec) open(index int) any {
	none := ""
	return c.chunk(chatChunkChoice{Index: index, Delta: chatDelta{Role: "assistant", Content: &none}})
}

// piece is one delta. The last one of a choice has an empty delta and the
// reason; null stands in all others.
func (c chatCodec) piece(index int, d chat.Delta) any {
	choice := chatChunkChoice{Index: index}
	if len(d.Logprobs) > 0 {
		choice.Logprobs = c.encodeLogprobs(d.Logprobs)
	}
	if d.Text != "" {
		choice.Delta.Content = &d.Text
	}
	if d.Finish != "" {
		f := string(d.Finish)
		choice.FinishReason = &f
	}
	return c.chunk(choice)
}

// usage is the chunk behind the last choice: no choices, only the counts.
func (c chatCodec) usage(u usage) any {
	out := c.chunk()
	out.Usage = &maybeUsage{&u}
	return out
}

// chunk wraps choices. With include_usage, every chunk but the last says
// "usage": null, as OpenAI's do.
func (c chatCodec) chunk(choices ...chatChunkChoice) chatChunk {
	if choices == nil {
		choices = []chatChunkChoice{}
	}
	out := chatChunk{ID: c.id, Object: "chat.completion.chunk", Created: c.created, Model: c.model, Choices: choices}
	if c.includeUsage {
		out.Usage = &maybeUsage{}
	}
	return out
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
