package template

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"weft/chat"
)

func TestToolsNeedTheirMarkers(t *testing.T) {
	weft, chatml := named(t, "weft"), named(t, "chatml")
	if s := weft.Specials(); !slices.Equal(s[6:], []string{"<|tools|>", "<|call|>"}) {
		t.Errorf("specials %v, want those of tools behind the others", s)
	}
	old := byteTok{weft.Specials()[:6]}
	if err := weft.Check(old); err != nil || For(old) == nil {
		t.Errorf("a tokenizer from before there were tools: %v", err)
	}
	ask := []chat.Message{{Role: chat.User, Content: "u"}}
	if _, err := weft.Render(old, ask, true); err != nil {
		t.Error(err)
	}
	called := append(ask, chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "a", Arguments: "{}"}}})
	for _, c := range []struct {
		tmpl *Template
		tok  Encoder
		msgs []chat.Message
		o    Options
		part string
	}{
		{weft, old, ask, Options{Tools: toolsFor(weft)}, "<|tools|>"},
		{weft, old, called, Options{}, "--template weft"},
		{chatml, tokFor(chatml), ask, Options{Tools: toolsFor(weft)}, "template \"weft\""},
		{chatml, tokFor(chatml), called, Options{}, "template \"weft\""},
	} {
		_, err := c.tmpl.RenderWith(c.tok, c.msgs, c.o)
		if !errors.Is(err, ErrTools) {
			t.Errorf("got %v, want ErrTools", err)
		}
		wantError(t, err, c.part)
	}
}

func TestToolErrors(t *testing.T) {
	weft := named(t, "weft")
	ask := chat.Message{Role: chat.User}
	for name, c := range map[string]struct {
		msg   chat.Message
		tool  chat.Tool
		parts []string
	}{
		"name":       {ask, chat.Tool{Name: "a b"}, []string{`"a b"`, "letters"}},
		"no name":    {ask, chat.Tool{}, []string{`""`}},
		"type":       {ask, chat.Tool{Name: "f", Parameters: json.RawMessage(`{"type":"array"}`)}, []string{"tool f", "array"}},
		"parameters": {ask, chat.Tool{Name: "f", Parameters: json.RawMessage(`[1]`)}, []string{"tool f", "object"}},
		"properties": {ask, chat.Tool{Name: "f", Parameters: json.RawMessage(`{"properties":[1]}`)}, []string{"tool f"}},
		"arguments":  {chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "f", Arguments: "{"}}}, chat.Tool{Name: "f"}, []string{"message 0", "call f", "arguments"}},
		"no call":    {chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Arguments: "{}"}}}, chat.Tool{Name: "f"}, []string{"message 0", "no name"}},
		"role":       {chat.Message{Role: chat.ToolResult, ToolCalls: []chat.ToolCall{{Name: "f", Arguments: "{}"}}}, chat.Tool{Name: "f"}, []string{"message 0", "assistant"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := weft.RenderWith(tokFor(weft), []chat.Message{c.msg}, Options{Tools: []chat.Tool{c.tool}})
			wantError(t, err, c.parts...)
		})
	}
}

func TestParseCall(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "price", "arguments": {"item": "bread"}}`:            `{"item": "bread"}`,
		" {\"arguments\":{\"b\":1.50,\"a\":[ ]},\"name\":\"price\"}\n": `{"b": 1.50, "a": []}`,
		`{"name":"price","arguments":{"\u0061":"\/\u00e9"}}`:           `{"a": "/é"}`,
	} {
		if got, err := ParseCall(text); err != nil || got != (chat.ToolCall{Name: "price", Arguments: want}) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		``, `{`, `null`, `[]`, `"x"`, `{}`, `{"name":"a"}`, `{"name":"a","arguments":"{}"}`, `{"name":"a","arguments":null}`, `{"name":"","arguments":{}}`,
		`{"name":7,"arguments":{}}`, `{"Name":"a","arguments":{}}`, `{"name":"a","arguments":{}} and`, `{"name":"a","arguments":{},"id":"b"}`,
		`{"name":"a","name":"b","arguments":{}}`, `{"arguments":{},"arguments":{}}`, `{"name":"a","arguments":{}`,
	} {
		if got, err := ParseCall(text); err == nil {
			t.Errorf("%s passed as %+v", text, got)
		}
	}
}

// FuzzParseCall wants that a call which was read is written as one that reads
// the same, and that spelling JSON keeps its value.
func FuzzParseCall(f *testing.F) {
	f.Add(`{"name": "price", "arguments": {"item": "bread", "n": [1, 2.0e3, {"a": null}]}}`)
	f.Add(`{"arguments":{"\ud800":"\u2028\u0001\t"},"name":"\"<|call|>"}`)
	f.Add(`{"name":"a","arguments":` + strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat(`}`, 51))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCall(text)
		if err != nil {
			return
		}
		back, err := callText(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCall(back)
		if err != nil || again != c {
			t.Fatalf("%q became %+v, then %+v, %v", text, c, again, err)
		}
		var before struct{ Arguments any }
		var after any
		if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal([]byte(c.Arguments), &after) != nil {
			t.Fatalf("%q and %q: not both JSON", text, c.Arguments)
		}
		a, _ := json.Marshal(before.Arguments)
		b, _ := json.Marshal(after)
		if string(a) != string(b) {
			t.Fatalf("arguments %s became %s", a, b)
		}
	})
}
