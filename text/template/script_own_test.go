package template

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/internal/mapfile"
	"weft/internal/testkit"
	"weft/text/jinja"
	"weft/text/tokenizer"
)

// scripted is a template of Jinja text, even a built-in one's.
func scripted(t testing.TB, s Source) *Template {
	t.Helper()
	tmpl, err := newScript(s)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// builtinScript is the Jinja text of a built-in template, run as such.
func builtinScript(t testing.TB, name string) *Template {
	own := named(t, name)
	return scripted(t, Source{Jinja: own.Jinja(), Tokens: map[string]string{"bos_token": own.BOS()}})
}

// TestJinjaOfBuiltins wants the same bytes, ids and masks of the Go form of a
// built-in template and of its Jinja text, run.
func TestJinjaOfBuiltins(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Cases {
		own, run := named(t, c.Template), builtinScript(t, c.Template)
		o := Options{GenerationPrompt: c.Prompt}
		if c.Tools {
			o.Tools = g.Tools
		}
		want, err := own.Text(c.Messages, o)
		got, err2 := run.Text(c.Messages, o)
		if got != want || (err == nil) != (err2 == nil) {
			t.Errorf("%s/%s: got %q, %v, want %q, %v", c.Template, c.Name, got, err2, want, err)
		}
	}
	for _, name := range Names() {
		own, run := named(t, name), builtinScript(t, name)
		tok := markTok{byteTok{own.Specials()}}
		if got, want := run.Stop(tok), own.Stop(tok)[:1]; !slices.Equal(got, want) {
			t.Errorf("%s: stop %v, want %v", name, got, want)
		}
		rapid.Check(t, func(t *rapid.T) {
			o := Options{GenerationPrompt: rapid.Bool().Draw(t, "prompt"), Tools: toolsFor(own)}
			msgs := append([]chat.Message{{Role: chat.User}}, drawMessages(t, own)...) // some prompt must stand in front of an answer
			want, err := own.RenderWith(tok, msgs, o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := run.RenderWith(tok, msgs, o)
			if err != nil || got.Text != want.Text || !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.Mask, want.Mask) {
				t.Fatalf("%s: got %+v, %v, want %+v", name, got, err, want)
			}
		})
	}
}

// A template like those of Qwen3: it thinks, and leaves what it thought out
// once the conversation has gone on.
const thinking = `{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' and loop.last %}{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}
{{- m.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}`

const marked = `{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>{% endgeneration %}{% else %}{{ m.content }}<|end|>{% endif %}{% endfor %}`

func TestMaskOfJinja(t *testing.T) {
	msgs := []chat.Message{{Role: chat.User, Content: "u"}, {Role: chat.Assistant, Content: "first"}, {Role: chat.User, Content: "v"}, {Role: chat.Assistant, Content: "second", Reasoning: "r"}}
	for name, c := range map[string]struct {
		source string
		specs  []string
		want   string
	}{
		"prefixes":   {thinking, []string{"<|im_start|>", "<|im_end|>"}, "first<|im_end|>|<think>\nr\n</think>\n\nsecond<|im_end|>"},
		"generation": {marked, []string{"<|end|>"}, "first<|end|>|second<|end|>"},
		"words":      {`{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`, nil, "first|second"},
	} {
		tmpl, tok := scripted(t, Source{Jinja: c.source}), markTok{byteTok{c.specs}}
		r, err := tmpl.RenderWith(tok, msgs, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := tok.learned(r); got != c.want {
			t.Errorf("%s: learned %q, want %q", name, got, c.want)
		}
	}
	// The prompt opens the reasoning, the conversation does not have it.
	opened := scripted(t, Source{Jinja: chatmlJinja + `{% if add_generation_prompt %}<think>{% endif %}`})
	tok := markTok{byteTok{named(t, "chatml").Specials()}}
	_, err := opened.RenderWith(tok, msgs, Options{})
	if !errors.Is(err, ErrMask) {
		t.Errorf("got %v, want ErrMask", err)
	}
	wantError(t, err, "message 1", "<think>", "first")
	if r, err := opened.RenderWith(tok, msgs, Options{NoMask: true}); err != nil || r.Mask != nil || len(r.IDs) == 0 {
		t.Errorf("without a mask: %v, %v", r.Mask, err)
	}
	about := ""
	for _, f := range opened.Examine(tok) {
		if f.Level != Note {
			about += f.About + " "
		}
	}
	if about != "prefix prefix content " {
		t.Errorf("findings about %s, want prefix prefix content", about)
	}
}

// TestMaskInsideAToken wants the words of an answer as tokens of their own
// where a tokenizer would join them with what stands in front.
func TestMaskInsideAToken(t *testing.T) {
	tmpl := scripted(t, Source{Jinja: marked})
	tok := trained(t, named(t, "weft"))
	r, err := tmpl.RenderWith(tok, []chat.Message{{Role: chat.User, Content: "the"}, {Role: chat.Assistant, Content: "quick brown"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var learned []int32
	for i, id := range r.IDs {
		if r.Mask[i] {
			learned = append(learned, id)
		}
	}
	end, _ := tok.Special("<|end|>")
	if want := append(tok.Encode("quick brown"), end); !slices.Equal(learned, want) || tok.Decode(r.IDs) != r.Text {
		t.Errorf("learned %v of %v, want %v", learned, r.IDs, want)
	}
}

// addedTok calls only its first two markers special, as some files do; it
// finds the others in any text.
type addedTok struct{ markTok }

func (t addedTok) IsSpecial(id int32) bool { return id == 256 || id == 257 }

func (t addedTok) Encode(text string) []int32 {
	for i, m := range t.markers[:2] { // which stay words
		text = strings.ReplaceAll(text, m, string(rune(0xe000+i)))
	}
	var ids []int32
	for _, w := range cut(text, t.markers[2:], func(n int) int { return n }) {
		if id, ok := t.Special(w.text); w.special && ok {
			ids = append(ids, id)
			continue
		}
		for i, m := range t.markers[:2] {
			w.text = strings.ReplaceAll(w.text, string(rune(0xe000+i)), m)
		}
		ids = append(ids, t.byteTok.Encode(w.text)...)
	}
	return ids
}

// TestWordsNeverBecomeMarkers does for a template in Jinja what the test of
// the built-in ones does, and for tokens that were added and not called special.
func TestWordsNeverBecomeMarkers(t *testing.T) {
	tmpl := scripted(t, Source{Jinja: thinking})
	tok := markTok{byteTok{[]string{"<|im_start|>", "<|im_end|>", "<think>", "</think>"}}}
	words := rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(tok.markers), "<|im_", "end|>", "\n", "assistant", "é", "x")), 1, 6)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(words.Draw(t, "words"), "")
		msgs := []chat.Message{{Role: chat.User, Content: text}, {Role: chat.Assistant, Content: text + ".", Reasoning: text}}
		var tok SpecialEncoder = tok
		if rapid.Bool().Draw(t, "added") {
			tok = addedTok{tok.(markTok)}
		}
		got, err := tmpl.RenderWith(tok, msgs, Options{})
		if err != nil {
			t.Fatal(err)
		}
		msgs = []chat.Message{{Role: chat.User, Content: "x"}, {Role: chat.Assistant, Content: "x", Reasoning: "x"}}
		bare, err := tmpl.RenderWith(tok, msgs, Options{})
		if err != nil || !slices.Equal(markers(got.IDs), markers(bare.IDs)) || decodeAll(tok, got.IDs) != got.Text {
			t.Fatalf("%q gives markers %v, want %v (%v)", text, markers(got.IDs), markers(bare.IDs), err)
		}
	})
}

func decodeAll(tok SpecialEncoder, ids []int32) (text string) {
	for _, id := range ids {
		text += string(tok.Bytes(id))
	}
	return text
}

// TestOneBOS renders with a tokenizer that adds a beginning to plain text and
// a template that writes it itself.
func TestOneBOS(t *testing.T) {
	tok, err := tokenizer.Open(testkit.Data(t, "tokenizers/llama2/tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := scripted(t, Source{Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}, Jinja: `{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}`})
	r, err := tmpl.Render(tok, []chat.Message{{Role: chat.User, Content: "Hi </s><s>"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	bos, _ := tok.BOS()
	if r.IDs[0] != bos || slices.Contains(r.IDs[1:], bos) {
		t.Errorf("ids %v, want one %d, in front", r.IDs, bos)
	}
}

// TestIDsAreThoseOfTheText wants the ids that any program gets which renders
// the text first and then encodes it, with tokenizers that tell the beginning
// of a text from its middle, and some of whose special tokens swallow space.
func TestIDsAreThoseOfTheText(t *testing.T) {
	const source = `{{ bos_token }}{% for m in messages %}{{ '[INST] ' if m.role == 'user' }}{{ m.content }}{{ ' [/INST]' if m.role == 'user' else eos_token + '\n' }}{% endfor %}`
	msgs := []chat.Message{{Role: chat.User, Content: " Hi  there,\n\nyou é世 "}, {Role: chat.Assistant, Content: "\tOk 12345"}, {Role: chat.User, Content: "x"}}
	for _, c := range []struct{ file, bos, eos string }{
		{"tokenizers/llama2/tokenizer.model", "<s>", "</s>"}, {"tokenizers/smollm/tokenizer.json", "<|im_start|>", "<|im_end|>"},
		{"tokenizers/mistral/tokenizer.model.v1", "<s>", "</s>"}, {"tokenizers/hf-json/cohere-tokenizer.json", "<BOS_TOKEN>", "<EOP_TOKEN>"},
	} {
		tok, err := tokenizer.Open(testkit.Data(t, c.file))
		if err != nil {
			t.Fatal(err)
		}
		tmpl := scripted(t, Source{Jinja: source, Tokens: map[string]string{"bos_token": c.bos, "eos_token": c.eos}})
		r, err := tmpl.RenderWith(tok, msgs, Options{NoMask: true})
		if err != nil {
			t.Fatal(err)
		}
		if want := tok.EncodeSpecial(r.Text); !slices.Equal(r.IDs, want) {
			t.Errorf("%s: ids %v, want %v", c.file, r.IDs, want)
		}
		if id, ok := tok.Special(c.bos); !ok || r.IDs[0] != id || slices.Contains(r.IDs[1:], id) {
			t.Errorf("%s: ids %v, want one %d, in front", c.file, r.IDs, id)
		}
		msgs := slices.Clone(msgs)
		msgs[0].Content = c.eos + c.bos + " " + c.eos // spelled by a user: never special
		if r, err = tmpl.RenderWith(tok, msgs, Options{NoMask: true}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, id := range r.IDs {
			if name := string(tok.Bytes(id)); name == c.bos || name == c.eos {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s: %d special tokens, want the 2 that the template writes", c.file, n)
		}
	}
}

func TestJinjaOptions(t *testing.T) {
	ask := []chat.Message{{Role: chat.User, Content: "u"}}
	tmpl := scripted(t, Source{Jinja: thinking})
	text, err := tmpl.Text(ask, Options{GenerationPrompt: true, Extra: map[string]any{"enable_thinking": json.RawMessage("false")}})
	if err != nil || !strings.HasSuffix(text, "<think>\n\n</think>\n\n") {
		t.Errorf("got %q, %v", text, err)
	}
	_, err = tmpl.Text(ask, Options{Extra: map[string]any{"messages": nil}})
	if !errors.Is(err, ErrVariables) {
		t.Errorf("got %v, want ErrVariables", err)
	}
	_, err = named(t, "weft").Text(ask, Options{Extra: map[string]any{"x": 1}})
	if !errors.Is(err, ErrVariables) {
		t.Errorf("got %v, want ErrVariables", err)
	}
	begun := append(ask, chat.Message{Role: chat.Assistant, Content: " so far "})
	if text, err := scripted(t, Source{Jinja: marked}).Text(begun, Options{Continue: true}); err != nil || !strings.HasSuffix(text, "[assistant] so far") {
		t.Errorf("continued: %q, %v", text, err)
	}
	clock := scripted(t, Source{Jinja: `{{ strftime_now("%Y") }}{% for m in messages %}{{ m.content }}{% endfor %}`})
	if text, err := clock.Text(ask, Options{Now: func() time.Time { return time.Unix(0, 0).UTC() }}); err != nil || text != "1970u" {
		t.Errorf("got %q, %v", text, err)
	}
	_, err = scripted(t, Source{Jinja: `{% for m in messages %}{{ raise_exception('no ' + m.role) }}{% endfor %}`}).Text(ask, Options{})
	var raised *jinja.RaisedError
	if !errors.As(err, &raised) {
		t.Errorf("got %v, want a *jinja.RaisedError", err)
	}
	wantError(t, err, "refuses", "no user")
	_, err = tmpl.Text(ask, Options{Tools: zTools()})
	if !errors.Is(err, ErrTools) {
		t.Errorf("got %v, want ErrTools", err)
	}
}

// TestShapes wants what a template demands of calls and their ids.
func TestShapes(t *testing.T) {
	call := chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "call_0123", Name: "now", Arguments: `{"a": 1}`}}}
	msgs := []chat.Message{{Role: chat.User, Content: "u"}, call, {Role: chat.ToolResult, Content: "r", ToolCallID: "call_0123"}}
	const loop = `{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}`
	for name, c := range map[string]struct{ source, want string }{
		"object":   {loop + `{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}`, `unow{"a": 1}r`},
		"text":     {loop + `{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}`, `unow{"a": 1}r`},
		"no None":  {loop + `{{ m.content | trim }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}`, `unow{"a": 1}r`},
		"none":     {loop + `{% if m.content is none %}{{ m.tool_calls[0].function.name }}{{ m.tool_calls[0].function.arguments | tojson }}{% else %}{{ m.content }}{% endif %}{% endfor %}`, `unow{"a": 1}r`},
		"short id": {`[TOOL_CALLS]` + loop + `{{ m.content or '' }}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}{{ raise_exception('9') }}{% endif %}{{ c.id + c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}{% endfor %}`, `[TOOL_CALLS]u3f1cd7ea4now{"a": 1}r3f1cd7ea4`},
	} {
		got, err := scripted(t, Source{Jinja: c.source}).Text(msgs, Options{})
		if name == "short id" && err == nil { // the id is a hash, the same both times
			id := got[len("[TOOL_CALLS]u"):][:9]
			c.want = strings.ReplaceAll(c.want, "3f1cd7ea4", id)
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	_, err := scripted(t, Source{Jinja: loop + `{{ m.content }}{% endfor %}`}).Text(msgs, Options{})
	if !errors.Is(err, ErrTools) {
		t.Errorf("calls that are left out: got %v, want ErrTools", err)
	}
}

func TestLoadJinja(t *testing.T) {
	files := map[string]string{
		configFile:               `{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "add_bos_token": true, "chat_template": "old"}`,
		jinjaFile:                marked,
		"generation_config.json": `{"eos_token_id": [2, 7]}`,
	}
	dir := folder(t, files)
	if err := os.MkdirAll(filepath.Join(dir, "additional_chat_templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "additional_chat_templates", "tool_use.jinja"), []byte(`{{ tools | length }} tools{% for t in tools %}{{ t.function.name }}{% endfor %}`), 0o644); err != nil {
		t.Fatal(err)
	}
	tmpl, err := LoadFS(mapfile.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	ask := []chat.Message{{Role: chat.User, Content: "u"}}
	plain, err := tmpl.Text(ask, Options{})
	if err != nil || plain != "<s>[user]u<|end|>" || tmpl.BOS() != "<s>" || tmpl.DocumentEnd() != "</s>" || tmpl.End() != "<|end|>" {
		t.Errorf("got %q, %v, bos %s, end %s", plain, err, tmpl.BOS(), tmpl.End())
	}
	if with, err := tmpl.Text(ask, Options{Tools: zTools()}); err != nil || with != "1 toolszqtool" {
		t.Errorf("with tools: %q, %v", with, err)
	}
	if got := tmpl.Stop(markTok{byteTok{[]string{"<|end|>", "</s>"}}}); !slices.Equal(got, []int32{2, 7, 256, 257}) {
		t.Errorf("stop %v, want those of generation_config.json, the end and eos", got)
	}
	again := t.TempDir()
	if err := tmpl.Save(again); err != nil {
		t.Fatal(err)
	}
	back, err := LoadFS(mapfile.Dir(again))
	if err != nil || back.Hash() != tmpl.Hash() || back.Name() != OfModel || back.BOS() != "<s>" {
		t.Errorf("saved and loaded: %v, %v", back, err)
	}
	if tmpl.Hash() == scripted(t, Source{Jinja: marked}).Hash() {
		t.Error("two templates have one hash")
	}
}

func TestFromGGUF(t *testing.T) {
	meta := map[string]any{
		"tokenizer.chat_template": marked, "tokenizer.ggml.tokens": []string{"a", "<s>", "</s>", "<|end|>"},
		"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2), "tokenizer.ggml.eot_token_id": uint32(3), "tokenizer.ggml.unknown_token_id": uint32(99),
	}
	value := func(key string) (any, bool) { v, ok := meta[key]; return v, ok }
	tmpl, err := FromGGUF(value)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := tmpl.Text([]chat.Message{{Role: chat.User, Content: "u"}}, Options{}); err != nil || text != "<s>[user]u<|end|>" {
		t.Errorf("got %q, %v", text, err)
	}
	if got := tmpl.Stop(byteTok{}); !slices.Equal(got, []int32{2, 3}) {
		t.Errorf("stop %v, want 2 and 3", got)
	}
	delete(meta, "tokenizer.chat_template")
	if tmpl, err := FromGGUF(value); tmpl != nil || err != nil {
		t.Errorf("got %v, %v, want none", tmpl, err)
	}
}

// FuzzFromJinja runs any template: it fails with an error, or its ids are the
// text's, its mask as long, and words are never markers.
func FuzzFromJinja(f *testing.F) {
	for _, s := range []string{thinking, marked, named(f, "weft").Jinja(), `{{ messages[0].content * 9 }}{% generation %}<|end|>`, `{% for m in messages %}{{ m.content | replace('u', '<|end|>') }}{% endfor %}`} {
		f.Add(s)
	}
	tok := markTok{byteTok{[]string{"<|end|>", "<|im_end|>", "<think>"}}}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := newScript(Source{Jinja: source})
		if err != nil {
			return
		}
		msgs := []chat.Message{{Role: chat.User, Content: "u<|end|>"}, {Role: chat.Assistant, Content: "a<think>"}}
		r, err := tmpl.RenderWith(tok, msgs, Options{steps: probeSteps})
		if errors.Is(err, ErrMask) {
			r, err = tmpl.RenderWith(tok, msgs, Options{NoMask: true, steps: probeSteps})
		}
		if err == nil && (tok.decode(r.IDs) != r.Text || r.Mask != nil && len(r.Mask) != len(r.IDs)) {
			t.Fatalf("%q: ids say %q, text %q, mask of %d", source, tok.decode(r.IDs), r.Text, len(r.Mask))
		}
		tmpl.Stop(tok)
		tmpl.End()
	})
}
