package template

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"weft/chat"
)

// inside tells of tools in the system message, as Phi-4-mini does.
const inside = `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% if m.role == 'system' and m.tools is defined %}{{ '<|tool|>' + m.tools + '<|/tool|>' }}{% endif %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`

func TestToolsInTheSystemMessage(t *testing.T) {
	tmpl := scripted(t, Source{Jinja: inside})
	if tmpl.Family() != "phi" {
		t.Errorf("family %s, want phi", tmpl.Family())
	}
	tools := []chat.Tool{{Name: "now"}, {Name: "price", Description: "d <é>", Parameters: json.RawMessage(`{"type":"object"}`)}}
	const told = `<|tool|>[{"name": "now"}, {"name": "price", "description": "d <é>", "parameters": {"type": "object"}}]<|/tool|><|end|><|user|>u<|end|>`
	user := chat.Message{Role: chat.User, Content: "u"}
	for want, msgs := range map[string][]chat.Message{
		"<|system|>" + told:  {user},
		"<|system|>s" + told: {{Role: chat.System, Content: "s"}, user},
	} {
		if got, err := tmpl.Text(msgs, Options{Tools: tools}); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if got, err := tmpl.Text([]chat.Message{user}, Options{}); err != nil || strings.Contains(got, "system") {
		t.Errorf("without tools: %q, %v", got, err)
	}
}

// TestOneCallAlone wants an error for calls that a template would leave out.
func TestOneCallAlone(t *testing.T) {
	tmpl := scripted(t, Source{Jinja: `{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}{{ m.content or '' }}{% if m.tool_calls %}{{ m.tool_calls[0].function.name }}{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}`})
	call := chat.ToolCall{Name: "now", Arguments: "{}"}
	msgs := []chat.Message{{Role: chat.User, Content: "u"}, {Role: chat.Assistant, ToolCalls: []chat.ToolCall{call}}}
	if _, err := tmpl.Text(msgs, Options{}); err != nil {
		t.Error(err)
	}
	msgs[1].ToolCalls = append(msgs[1].ToolCalls, call)
	_, err := tmpl.Text(msgs, Options{})
	wantError(t, err, "message 1", "2 calls")
	if !errors.Is(err, ErrTools) {
		t.Errorf("got %v, want ErrTools", err)
	}
}

// TestStopWhereTheNextTurnBegins wants an end of answers of templates that
// write none behind the last: what begins the next turn, or ends this one then.
func TestStopWhereTheNextTurnBegins(t *testing.T) {
	all := published(t)
	for name, want := range map[string][]string{
		"GLM-4.6":                 {"<|user|>", "</s>"},
		"tencent-Hy3":             {"<｜hy_eos:opensource｜>", "</s>"},
		"Apertus-8B-Instruct":     {"<|assistant_end|>", "</s>", "<|tools_suffix|>"},
		"upstage-Solar-Open-100B": {"</s>", "<|calls|>"}, // <|end|> ends the reasoning, too
		"GigaChat3-10B-A1.8B":     {"</s>"},              // a call may follow <|message_sep|>
	} {
		tmpl := scripted(t, Source{Jinja: all[name], Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}})
		tok := tokOf(all[name], "<s>", "</s>", "<｜hy_eos:opensource｜>", "<｜hy_User:opensource｜>")
		var got []string
		for _, id := range tmpl.Stop(tok) {
			got = append(got, string(tok.Bytes(id)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: stops at %q, want %q", name, got, want)
		}
		for _, f := range tmpl.Examine(tok) {
			if f.About == "stop" && f.Level != Note {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

// TestLineBreaksInsideTokens reads markers whose tokens have line breaks behind
// them, as GigaChat's do.
func TestLineBreaksInsideTokens(t *testing.T) {
	f, _ := familyNamed("gigachat")
	specials := []string{"<|message_sep|>\n\n", "<|role_sep|>\n", "<|function_call|>"}
	const text = "I look.<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"now\", \"arguments\": {}}<|message_sep|>\n\n"
	p := newParser(f, byteTok{specials}, ParseOptions{Tools: weather})
	if got, want := read(t, p, cut(text, specials, func(int) int { return 1 })), (turn{content: "I look.", calls: now}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !f.inside(specials[0]) || f.inside("<|end|>") {
		t.Error("a marker with line breaks is not known as one inside a turn")
	}
}
