package e2e

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"weft/chat"
)

// scriptContext is the context of the scripted model, in its tokens: four
// bytes each.
const scriptContext = 4_000

// script is a chat.Model that the test of the page can foresee: what it says
// goes by a word in the last message.
type script struct {
	base    bool         // take no messages
	asked   atomic.Int64 // requests, so that answers differ
	running atomic.Int64
}

// scriptMarkdown has one of everything that the page draws.
const scriptMarkdown = `# A day in town

The **bakery** opens at *seven*, see ` + "`price(item)`" + `.

1. Buy bread
2. Visit ~~the mill~~ the market
   - apples
   - [x] pears

> Quiet, said the miller.

| shop | price |
|---|--:|
| Fenwick's | 3 |

` + "```go\nfmt.Println(\"<b>\")\n```" + `

A [link](https://example.com/a), a [trick](javascript:alert(1)) and 2 * 3 * 4.
`

// scriptHTML would run scripts if any of it were parsed.
const scriptHTML = `<script>window.broken = 1</script><img src="/none.png" onerror="window.broken = 2">

<svg onload="window.broken = 3"></svg> [x](javascript:window.broken=4) ![y](/none.png)
`

// Generate implements chat.Model.
func (s *script) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		s.running.Add(1)
		defer s.running.Add(-1)
		if s.base && len(r.Messages) > 0 {
			yield(chat.Delta{}, chat.ErrNoTemplate)
			return
		}
		prompt := r.Prompt
		for _, m := range r.Messages {
			prompt += m.Content
		}
		if n := len(prompt) / 4; n > scriptContext {
			yield(chat.Delta{}, &chat.ContextError{Prompt: n, Max: r.MaxTokens, Context: scriptContext})
			return
		}
		s.speak(ctx, r, prompt, yield)
	}
}

// answer is what a request gets, and how long each word takes.
func (s *script) answer(r chat.Request) (text string, pace time.Duration) {
	if s.base {
		return " and so it went on.", 0
	}
	last := r.Messages[len(r.Messages)-1]
	has := func(word string) bool { return strings.Contains(last.Content, word) }
	switch {
	case r.Continue:
		return "and went on to the end.", 0
	case last.Role == chat.ToolResult:
		return "The tool says " + last.Content + ".", 0
	case has("markdown"):
		return scriptMarkdown, 0
	case has("html"):
		return scriptHTML, 0
	case has("long"):
		return strings.Repeat("A sentence of many. ", 600), 0
	case has("slow"):
		return strings.Repeat("word after word ", 2_000), 5 * time.Millisecond
	case has("hang up"):
		return strings.Repeat("half of it ", 100), time.Millisecond
	}
	return fmt.Sprintf("Answer %d to: %s", s.asked.Add(1), last.Content), time.Millisecond
}

func (s *script) speak(ctx context.Context, r chat.Request, prompt string, yield func(chat.Delta, error) bool) {
	usage := &chat.Usage{PromptTokens: len(prompt)/4 + 7, CachedTokens: len(prompt) / 8}
	if len(r.Tools) > 0 && strings.Contains(r.Messages[len(r.Messages)-1].Content, "tool") {
		call := chat.ToolCall{ID: "call_1", Name: r.Tools[0].Name, Arguments: `{"expression": "6 * (3 + 4)"}`}
		if yield(chat.Delta{ToolCalls: []chat.ToolCall{call}}, nil) {
			yield(chat.Delta{Finish: chat.FinishToolCalls, Usage: usage}, nil)
		}
		return
	}
	if n := len(r.Messages); n > 0 && strings.Contains(r.Messages[n-1].Content, "think") && !s.think(ctx, yield) {
		return
	}
	text, pace := s.answer(r)
	for i, word := range strings.SplitAfter(text, " ") {
		select {
		case <-ctx.Done():
			yield(chat.Delta{}, ctx.Err())
			return
		case <-time.After(pace):
		}
		if i == 3 && strings.Contains(prompt, "fail half-way") {
			yield(chat.Delta{}, errors.New("the script says so"))
			return
		}
		usage.CompletionTokens++
		d := chat.Delta{Text: word}
		if r.Logprobs >= 0 {
			d.Logprobs = []chat.TokenLogprob{scriptToken(word, i)}
		}
		if !yield(d, nil) {
			return
		}
	}
	yield(chat.Delta{Finish: chat.FinishStop, Usage: usage}, nil)
}

// scriptThought is what the model reasons when it is asked to.
const scriptThought = "First the **bread**, then the mill.\n\nOr <b>neither</b>."

// think says it, slowly; false: the reader is gone.
func (s *script) think(ctx context.Context, yield func(chat.Delta, error) bool) bool {
	for _, word := range strings.SplitAfter(scriptThought, " ") {
		select {
		case <-ctx.Done():
			yield(chat.Delta{}, ctx.Err())
			return false
		case <-time.After(300 * time.Millisecond): // for a browser on a busy machine to see it thinking
		}
		if !yield(chat.Delta{Reasoning: word}, nil) {
			return false
		}
	}
	return true
}

// scriptToken gives word i a probability and two alternatives.
func scriptToken(word string, i int) chat.TokenLogprob {
	p := []float64{.99, .9, .7, .4, .1, .02}[i%6]
	alt := func(text string, p float64) chat.TokenLogprob {
		return chat.TokenLogprob{Text: text, Bytes: []byte(text), Logprob: math.Log(p)}
	}
	t := alt(word, p)
	t.Top = []chat.TokenLogprob{alt(word, p), alt(" other", (1-p)/2), alt("\n", (1-p)/4)}
	slices.SortStableFunc(t.Top, func(a, b chat.TokenLogprob) int {
		if a.Logprob > b.Logprob {
			return -1
		}
		return 1
	})
	return t
}
