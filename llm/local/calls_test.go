package local

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/model"
	"weft/text/template"
)

// caller is a model of the weft template that says pieces; "<|call|>" and
// "<|end|>" in them are the markers.
func caller(t *testing.T, specials int, pieces ...string) (*Model, *fakeEngine) {
	t.Helper()
	weft, err := template.Named("weft")
	if err != nil {
		t.Fatal(err)
	}
	tok := &fakeTok{specials: weft.Specials()[:specials]}
	var script []int32
	for _, p := range pieces {
		if id, ok := tok.Special(p); ok {
			script = append(script, id)
		} else {
			script = append(script, tok.Encode(p)...)
		}
	}
	e := &fakeEngine{script: script}
	return New(tok, weft, e, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1}), e
}

var asked = chat.Request{Messages: []chat.Message{{Role: chat.User, Content: "?"}}, Tools: []chat.Tool{{Name: "price"}}, Logprobs: -1}

const (
	mark, end = "<|call|>", "<|end|>"
	bread     = `{"name": "price", "arguments": {"item": "bread"}}`
	milk      = `{"name":"price","arguments":{"item":"milk"}}`
)

func TestToolCalls(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		text   string
		calls  string // arguments, each followed by a blank
		finish chat.FinishReason
		change func(*chat.Request)
	}{
		"one":               {[]string{mark, bread, end}, "", `{"item": "bread"} `, chat.FinishToolCalls, nil},
		"two behind words":  {[]string{"I look.", mark, bread, mark, milk, end}, "I look.", `{"item": "bread"} {"item": "milk"} `, chat.FinishToolCalls, nil},
		"none":              {[]string{"3 coins", end}, "3 coins", "", chat.FinishStop, nil},
		"spelled in words":  {[]string{"<", "|call|>", bread, end}, "<|call|>" + bread, "", chat.FinishStop, nil},
		"not JSON":          {[]string{"a ", mark, "price of bread?", end}, "a price of bread?", "", chat.FinishStop, nil},
		"bad, then good":    {[]string{mark, "{}", mark, bread, end}, "{}", `{"item": "bread"} `, chat.FinishToolCalls, nil},
		"marks alone":       {[]string{mark, mark, end}, "", "", chat.FinishStop, nil},
		"cut off inside":    {[]string{mark, bread[:20]}, bread[:20], "", chat.FinishLength, nil},
		"cut off behind":    {[]string{mark, bread}, "", `{"item": "bread"} `, chat.FinishLength, nil},
		"another marker":    {[]string{mark, bread, "<|user|>", end}, "", `{"item": "bread"} `, chat.FinishToolCalls, nil},
		"stop inside":       {[]string{"a", mark, bread, end}, "a", `{"item": "bread"} `, chat.FinishToolCalls, func(r *chat.Request) { r.Stop = []string{"item"} }},
		"stop in the rest":  {[]string{mark, "an item", end}, "an ", "", chat.FinishStop, func(r *chat.Request) { r.Stop = []string{"item"} }},
		"no tools offered":  {[]string{"a", mark, bread, end}, "a" + bread, "", chat.FinishStop, func(r *chat.Request) { r.Tools = nil }},
		"half a stop first": {[]string{"it", mark, bread, end}, "it", `{"item": "bread"} `, chat.FinishToolCalls, func(r *chat.Request) { r.Stop = []string{"item"} }},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := caller(t, 8, c.pieces...)
			r := asked
			r.Logprobs = 0
			if c.change != nil {
				c.change(&r)
			}
			got := say(t, m, r)
			var args string
			for _, call := range got.calls {
				if call.Name != "price" || !strings.HasPrefix(call.ID, "call_") {
					t.Errorf("call %+v", call)
				}
				args += call.Arguments + " "
			}
			if got.text != c.text || args != c.calls || got.finish != c.finish {
				t.Errorf("got %q, calls %s, %s, want %q, %s, %s", got.text, args, got.finish, c.text, c.calls, c.finish)
			}
			if textOf(got.logprobs) != got.text && len(r.Stop) == 0 {
				t.Errorf("log-probabilities of %q, want them of the text", textOf(got.logprobs))
			}
			if again := say(t, m, r); !slices.Equal(again.calls, got.calls) {
				t.Errorf("the same request made %+v, then %+v", got.calls, again.calls)
			}
		})
	}
}

// TestNothingIsLost says any mixture of words, calls and half calls.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{mark, bread, milk, "words", "{", `"é`, "}", "世"}), 0, 8).Draw(r, "pieces")
		m, _ := caller(t, 8, append(pieces, end)...)
		got := say(t, m, asked)
		var text string
		var calls []string
		for i, part := range strings.Split(strings.Join(pieces, ""), mark) {
			if c, err := template.ParseCall(part); i > 0 && err == nil {
				calls = append(calls, c.Arguments)
			} else {
				text += part
			}
		}
		ids := map[string]bool{}
		for i, c := range got.calls {
			if ids[c.ID] || i >= len(calls) || c.Arguments != calls[i] {
				r.Fatalf("call %d is %+v, want %v with names of their own", i, c, calls)
			}
			ids[c.ID] = true
		}
		if got.text != text || len(got.calls) != len(calls) {
			r.Fatalf("got %q and %d calls, want %q and %d", got.text, len(got.calls), text, len(calls))
		}
	})
}

func TestToolsAreRendered(t *testing.T) {
	m, e := caller(t, 8, "y", end)
	say(t, m, asked)
	tok := m.tok.(*fakeTok)
	if want := "<|bos|><|tools|>price()<|end|><|user|>?<|end|><|assistant|>"; tok.Decode(e.seen.Prompt) != want {
		t.Errorf("prompt %q, want %q", tok.Decode(e.seen.Prompt), want)
	}
	plain := asked
	plain.Messages, plain.Prompt = nil, "p"
	odd := asked
	odd.Tools = []chat.Tool{{Name: "two words"}}
	history := asked
	history.Tools = nil
	history.Messages = append(history.Messages, chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "a", Arguments: "{}"}}})
	old, _ := caller(t, 6, "y", end) // a tokenizer from before there were tools
	for name, c := range map[string]struct {
		m    *Model
		r    chat.Request
		part string
	}{
		"plain prompt":     {m, plain, "for messages"},
		"odd name":         {m, odd, "two words"},
		"old tokenizer":    {old, asked, "<|tools|>"},
		"calls before now": {old, history, "cannot use tools"},
	} {
		for _, err := range c.m.Generate(t.Context(), c.r) {
			var input *chat.InputError
			if !errors.As(err, &input) || input.Param != "tools" || !strings.Contains(input.Msg, c.part) {
				t.Errorf("%s: got %v, want an input error of tools with %q", name, err, c.part)
			}
		}
	}
	if got := say(t, old, chat.Request{Messages: asked.Messages, Logprobs: -1}); got.text != "y" {
		t.Errorf("without tools: got %q", got.text)
	}
}
