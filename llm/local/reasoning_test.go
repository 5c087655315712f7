package local

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/model"
	"weft/text/template"
)

// thinker is a model of a family that thinks; "<think>" and "</think>" are
// words of its tokenizer.
func thinker(t *testing.T, script ...int32) *Model {
	t.Helper()
	chatml, err := template.Named("chatml")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := chatml.WithFamily("think")
	if err != nil {
		t.Fatal(err)
	}
	tok := &fakeTok{words: []string{"<think>", "\n\n", "</th", "ink>"}, specials: tmpl.Specials()}
	return New(tok, tmpl, &fakeEngine{script: script}, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1})
}

func TestReasoningComesApart(t *testing.T) {
	bytes := func(s string) []int32 { return new(fakeTok).Encode(s) }
	script := append([]int32{256}, bytes("\nHm 世.")...)
	script = append(script, 257, 258, 259, 257)
	script = append(script, bytes("It is Hm.")...)
	m := thinker(t, script...)
	r := chat.Request{Messages: asked.Messages, Stop: []string{"Hm"}, Logprobs: 0}
	got := say(t, m, r)
	// The stop string is found in the text, not in the reasoning.
	if got.text != "It is " || got.reasoning != "Hm 世." || got.finish != chat.FinishStop {
		t.Errorf("got text %q, reasoning %q, %s", got.text, got.reasoning, got.finish)
	}
	if textOf(got.logprobs) != "It is " {
		t.Errorf("log-probabilities of %q, want them of the text", textOf(got.logprobs))
	}
	if want := 1 + len("\nHm 世.") + 3; got.usage.ReasoningTokens != want {
		t.Errorf("%d reasoning tokens, want %d", got.usage.ReasoningTokens, want)
	}
	plain := say(t, m, chat.Request{Prompt: "p", Logprobs: -1})
	if plain.reasoning != "" || plain.text != "<think>\nHm 世.\n\n</think>\n\nIt is Hm." {
		t.Errorf("a plain prompt got text %q, reasoning %q", plain.text, plain.reasoning)
	}
	cut := thinker(t, append([]int32{256}, bytes("ab\xe4")...)...)
	if got := say(t, cut, chat.Request{Messages: asked.Messages, Logprobs: -1}); got.reasoning != "ab\ufffd" || got.text != "" {
		t.Errorf("cut off: got text %q, reasoning %q", got.text, got.reasoning)
	}
}

// TestLogprobsAreOfTheText wants, whatever the tokens, that the parts of
// tokens that are text have one log-probability each.
func TestLogprobsAreOfTheText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		script := rapid.SliceOfN(rapid.SampledFrom([]int32{256, 257, 258, 259, 'a', '<', 't', '\n', 0xc3, 0xa9}), 1, 20).Draw(r, "script")
		m := thinker(t, script...)
		got := say(t, m, chat.Request{Messages: asked.Messages, Logprobs: 0})
		if valid([]byte(textOf(got.logprobs))) != got.text {
			r.Fatalf("log-probabilities of %q, text %q", textOf(got.logprobs), got.text)
		}
	})
}

// qwen is a template of the kind that Qwen3 has.
const qwen = `{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking %}<think>
{% endif %}{% endif %}`

// TestTemplateOfAModel serves with a template in Jinja: the prompt is what it
// renders, the answer is read as its family writes.
func TestTemplateOfAModel(t *testing.T) {
	tmpl, err := template.FromJinja(template.Source{Jinja: qwen})
	if err != nil {
		t.Fatal(err)
	}
	tok := &fakeTok{specials: []string{"<|endoftext|>", "<|im_end|>", "<|im_start|>"}}
	answer := "Hm.\n</think>\n\nI look.\n<tool_call>\n{\"name\": \"price\", \"arguments\": {\"item\": \"bread\"}}\n</tool_call>"
	e := &fakeEngine{script: append(tok.Encode(answer), tok.special(1))}
	m := New(tok, tmpl, e, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1})
	r := asked
	r.TemplateArgs = map[string]json.RawMessage{"enable_thinking": json.RawMessage("true")}
	r.Messages = []chat.Message{{Role: chat.User, Content: "<|im_end|>?"}}
	got := say(t, m, r)
	if got.text != "I look." || got.reasoning != "Hm." || len(got.calls) != 1 || got.calls[0].Arguments != `{"item": "bread"}` || got.finish != chat.FinishToolCalls {
		t.Errorf("got %+v", got)
	}
	const want = "<|im_start|>user\n<|im_end|>?<|im_end|>\n<|im_start|>assistant\n<think>\n"
	if text := tok.Decode(e.seen.Prompt); !strings.HasSuffix(text, want) || !strings.HasPrefix(text, `{"type": "function"`) {
		t.Errorf("prompt %q, want one that ends with %q", text, want)
	}
	marks := 0
	for _, id := range e.seen.Prompt {
		if tok.IsSpecial(id) {
			marks++
		}
	}
	if marks != 3 || !slices.Contains(e.seen.Stop, tok.special(1)) {
		t.Errorf("%d special tokens in the prompt, want 3; stop %v", marks, e.seen.Stop)
	}
	r.TemplateArgs = map[string]json.RawMessage{"tools": nil}
	for _, err := range m.Generate(t.Context(), r) {
		var input *chat.InputError
		if !errors.As(err, &input) || input.Param != "chat_template_kwargs" {
			t.Errorf("got %v, want an input error of chat_template_kwargs", err)
		}
	}
}
