package server

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"weft/chat"
)

// textCall is a decoded POST /v1/completions: one request per prompt.
type textCall struct {
	common
	reqs []chat.Request
	top  int // alternatives per token; -1: no logprobs
}

// textRefused is what the older endpoint has beyond ours.
func textRefused() []refused {
	return []refused{
		{"suffix", []string{`""`}}, {"response_format", []string{`{"type":"text"}`}},
		{"add_special_tokens", []string{"true"}}, {"prompt_embeds", nil},
		{"tools", []string{"[]"}}, {"messages", nil},
	}
}

// decodeText reads the body of a plain completion.
func decodeText(body []byte) (*textCall, *apiError) {
	o, err := parseObject(body, "the body", "")
	if err != nil {
		return nil, err
	}
	c := &textCall{top: -1}
	r := chat.Request{Logprobs: -1, MaxTokens: 16} // 16 is the protocol's default
	c.common = readCommon(o, &r)
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if n := o.integer(name, 0, 1<<31-1); n != nil {
			r.MaxTokens = int(*n)
		}
	}
	if r.MaxTokens == 0 {
		r.MaxTokens = -1 // chat.Request says "none" so
	}
	if top := o.integer("logprobs", 0, maxTopLogprob); top != nil {
		c.top = int(*top)
		r.Logprobs = c.top
	}
	r.Echo = o.boolean("echo")
	if v := o.integer("best_of", int64(c.n), maxChoices); v != nil && int(*v) > c.n {
		if c.bestOf, r.Logprobs = int(*v), max(0, r.Logprobs); c.stream {
			o.fail("best_of", "larger than n is known only at the end: leave it out or set stream to false")
		}
	}
	c.readPrompts(o, r)
	if len(c.reqs)*c.bestOf > maxChoices {
		o.fail("n", "%d prompts times n or best_of = %d is more than %d choices in one request", len(c.reqs), c.bestOf, maxChoices)
	}
	o.refuse(textRefused())
	o.refuse(neither())
	c.ignored = append(c.ignored, o.leftover()...)
	return c, o.err
}

// readPrompts takes a string, an array of strings, an array of token ids, or
// an array of such arrays.
func (c *textCall) readPrompts(o *object, r chat.Request) {
	v, ok := o.take("prompt")
	if !ok {
		o.fail("prompt", "is missing")
		return
	}
	if v[0] == '"' {
		v = append(append([]byte{'['}, v...), ']')
	}
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil || len(list) == 0 {
		o.fail("prompt", "must be a string, an array of strings, or token ids, got %s", show(v))
		return
	}
	if ids, ok := flatIDs(o, "prompt", list); ok {
		r.PromptIDs = ids
		c.reqs = []chat.Request{r}
		return
	}
	for i, item := range list {
		name := fmt.Sprintf("prompt[%d]", i)
		one := r
		var nested []json.RawMessage
		switch {
		case item[0] == '"' && json.Unmarshal(item, &one.Prompt) == nil:
		case item[0] == '[' && json.Unmarshal(item, &nested) == nil:
			if one.PromptIDs, ok = flatIDs(o, name, nested); !ok || len(nested) == 0 {
				o.fail(name, "must hold token ids")
				return
			}
		default:
			o.fail(name, "must be a string or an array of token ids, got %s", kind(item))
			return
		}
		c.reqs = append(c.reqs, one)
	}
}

// flatIDs reads an array of numbers; ok is false if its first element is not one.
func flatIDs(o *object, name string, list []json.RawMessage) (ids []int32, ok bool) {
	if len(list) == 0 || kind(list[0]) != "a number" {
		return nil, false
	}
	ids = make([]int32, len(list))
	for i, v := range list {
		ids[i] = tokenID(o, fmt.Sprintf("%s[%d]", name, i), v)
	}
	return ids, true
}

// The response shapes; a chunk has the shape of the whole.
type (
	textChoice struct {
		Index        int           `json:"index"`
		Text         string        `json:"text"`
		Logprobs     *textLogprobs `json:"logprobs"`
		FinishReason *string       `json:"finish_reason"`
	}
	textLogprobs struct {
		Tokens        []string             `json:"tokens"`
		TokenLogprobs []*float64           `json:"token_logprobs"`
		TopLogprobs   []map[string]float64 `json:"top_logprobs"`
		TextOffset    []int                `json:"text_offset"`
	}
)

// textCodec writes plain completions. offset is how many characters of each
// choice have gone by, for text_offset.
type textCodec struct {
	head
	top    int
	offset []int
}

// whole is the body of an answer that is not streamed.
func (c *textCodec) whole(answers []answer, u usage, m *chat.Manifest) any {
	var choices []textChoice
	for i, a := range answers {
		choices = append(choices, c.choice(i, a.text.String(), a.logprobs, a.finish))
	}
	return c.chunk(choices...).with(u, m)
}

// open has nothing to say: plain completions start with their first text.
func (c *textCodec) open(int) any { return nil }

// pieces is one delta; the last one of a choice has the reason.
func (c *textCodec) pieces(index int, d chat.Delta) []any {
	if d.Text == "" && d.Finish == "" && len(d.Logprobs) == 0 {
		return nil
	}
	choice := c.choice(index, d.Text, d.Logprobs, d.Finish)
	if len(d.Logprobs) == 0 {
		choice.Logprobs = nil
	}
	return []any{c.chunk(choice)}
}

// end is the chunk behind the last choice: no choices, only the counts and the
// manifest, each where it was asked for.
func (c *textCodec) end(u usage, m *chat.Manifest) any { return c.chunk().endWith(u, m) }

func (c *textCodec) chunk(choices ...textChoice) response[textChoice] {
	return respond(c.head, "text_completion", choices...)
}

// choice is one choice, whole or in part.
func (c *textCodec) choice(index int, text string, tokens []chat.TokenLogprob, finish chat.FinishReason) textChoice {
	out := textChoice{Index: index, Text: text, Logprobs: c.encodeLogprobs(index, tokens)}
	if finish != "" {
		f := string(finish)
		out.FinishReason = &f
	}
	return out
}

// encodeLogprobs writes parallel arrays. The first token of an echo has no
// probability: null in both. top_logprobs holds the chosen token too when it
// is not among the best, so that a reader can tell whether it was the best.
func (c *textCodec) encodeLogprobs(index int, tokens []chat.TokenLogprob) *textLogprobs {
	if c.top < 0 {
		return nil
	}
	out := &textLogprobs{Tokens: []string{}, TokenLogprobs: []*float64{}, TopLogprobs: []map[string]float64{}, TextOffset: []int{}}
	for _, t := range tokens {
		name := tokenName(t)
		out.Tokens = append(out.Tokens, name)
		out.TextOffset = append(out.TextOffset, c.offset[index])
		c.offset[index] += starts(t.Bytes)
		if math.IsNaN(t.Logprob) {
			out.TokenLogprobs = append(out.TokenLogprobs, nil)
			out.TopLogprobs = append(out.TopLogprobs, nil)
			continue
		}
		lp := finite(t.Logprob)
		top := map[string]float64{name: lp}
		for _, alt := range t.Top {
			top[tokenName(alt)] = finite(alt.Logprob)
		}
		out.TokenLogprobs = append(out.TokenLogprobs, &lp)
		out.TopLogprobs = append(out.TopLogprobs, top)
	}
	return out
}

// tokenName is a token's text, or "bytes:\xe2\x80" if that is no whole text:
// OpenAI's notation, which keeps different tokens different.
func tokenName(t chat.TokenLogprob) string {
	if utf8.Valid(t.Bytes) {
		return string(t.Bytes)
	}
	var b strings.Builder
	b.WriteString("bytes:")
	for _, c := range t.Bytes {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

// starts counts the characters that begin in b, so that the parts of one
// character add up to one.
func starts(b []byte) int {
	n := 0
	for _, c := range b {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}
