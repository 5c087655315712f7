package template

import (
	"path"
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/internal/testkit"
)

// markTok encodes words byte by byte and special tokens as one id each.
type markTok struct{ byteTok }

func (t markTok) EncodeSpecial(text string) []int32 {
	var ids []int32
	for _, w := range cut(text, t.markers, func(n int) int { return n }) {
		if id, ok := t.Special(w.text); w.special && ok {
			ids = append(ids, id)
		} else {
			ids = append(ids, t.Encode(w.text)...)
		}
	}
	return ids
}

func (t markTok) IsSpecial(id int32) bool  { return id >= 256 }
func (t markTok) Bytes(id int32) []byte    { return []byte(t.decode([]int32{id})) }
func (t markTok) BOS() (id int32, ok bool) { return 256, len(t.markers) > 0 }

// tokOf has as special tokens all that looks like one in a template's text.
func tokOf(source string, more ...string) markTok {
	list := more
	for _, m := range markerLike.FindAllString(source, -1) {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	for _, f := range families() {
		for _, m := range slices.Concat(f.markers(), f.inner, f.words, f.stop) {
			if strings.Contains(source, m) && strings.ContainsAny(m, "|｜[") && !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
	}
	slices.SortStableFunc(list[len(more):], func(a, b string) int { return len(b) - len(a) })
	return markTok{byteTok{list}}
}

// published reads the chat templates of models in the test data.
func published(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for file, text := range testkit.Archive(t, "chat_templates/llama.cpp.tar.gz") {
		if name, ok := strings.CutSuffix(path.Base(file), ".jinja"); ok {
			all[name] = text
		}
	}
	return all
}

// readable is what of each published template is read back as it is written;
// extra switches reasoning on where the template has one.
var readable = map[string]struct {
	family string
	what   string // of content, reasoning, call, calls
	extra  string // variable set to true, or name=value
}{
	"Apertus-8B-Instruct":                           {"apertus", "content reasoning call calls thought-call", ""},
	"GigaChat3-10B-A1.8B":                           {"gigachat", "content call", ""},
	"GigaChat3.1-10B-A1.8B":                         {"gigachat", "content call", ""},
	"MiniMax-M3":                                    {"minimax3", "content reasoning call calls thought-call", ""},
	"meetkai-functionary-medium-v3.1":               {"llama3", "content call calls", ""},
	"meetkai-functionary-medium-v3.2":               {"functionary", "content call calls", ""},
	"openbmb-MiniCPM5-1B":                           {"minicpm", "content reasoning call calls thought-call", ""},
	"tencent-Hy3":                                   {"hunyuan", "content reasoning call calls thought-call", "reasoning_effort=high"},
	"upstage-Solar-Open-100B":                       {"solar", "content reasoning call calls thought-call", ""},
	"Apriel-1.6-15b-Thinker-fixed":                  {"apriel", "", ""}, // opens its reasoning in the prompt and drops it later
	"Bielik-11B-v3.0-Instruct":                      {"hermes", "content reasoning call calls", ""},
	"ByteDance-Seed-OSS":                            {"seed", "content reasoning call calls", ""},
	"Cohere2MoE":                                    {"cohere2", "reasoning", "reasoning"},
	"CohereForAI-c4ai-command-r-plus-tool_use":      {"cohere", "", ""}, // writes instructions behind every answer
	"CohereForAI-c4ai-command-r7b-12-2024-tool_use": {"cohere2", "call calls", "enable_thinking"},
	"GLM-4.6":                             {"hermes", "reasoning call", ""},
	"LFM2.5-8B-A1B":                       {"lfm2", "content reasoning call calls", ""},
	"MiMo-VL":                             {"hermes", "content call calls", ""},
	"MiniMax-M2":                          {"minimax", "reasoning thought-call", ""},
	"Mistral-Small-3.2-24B-Instruct-2506": {"mistral", "content call calls", ""},
	"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": {"hermes", "reasoning", ""},
	"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": {"hermes", "call calls", ""},
	"NousResearch-Hermes-3-Llama-3.1-8B-tool_use":   {"hermes", "call calls", ""},
	"Qwen-Qwen2.5-7B-Instruct":                      {"hermes", "content call calls", ""},
	"Qwen-Qwen3-0.6B":                               {"hermes", "content reasoning call calls", ""},
	"Qwen3-Coder":                                   {"hermes", "content call calls", ""},
	"Qwen3.5-4B":                                    {"hermes", "content reasoning call calls", ""},
	"StepFun3.5-Flash":                              {"hermes", "content reasoning call calls", ""},
	"deepseek-ai-DeepSeek-R1-Distill-Llama-8B":      {"deepseek", "", ""},
	"deepseek-ai-DeepSeek-V3.1":                     {"deepseek", "content call calls", ""},
	"deepseek-ai-DeepSeek-V3.2":                     {"dsml", "reasoning call calls", "thinking"},
	"deepseek-ai-DeepSeek-V4":                       {"dsml", "content reasoning call calls", "thinking"},
	"google-gemma-2-2b-it":                          {"gemma", "content", ""},
	"google-gemma-4-31B-it":                         {"gemma4", "content call calls", "enable_thinking"},
	"ibm-granite-granite-3.3-2B-Instruct":           {"phi", "content", ""},
	"ibm-granite-granite-4.0":                       {"hermes", "content call calls", ""},
	"meta-llama-Llama-3.1-8B-Instruct":              {"llama3", "content call", ""},
	"meta-llama-Llama-3.2-3B-Instruct":              {"llama3", "content call", ""},
	"microsoft-Phi-3.5-mini-instruct":               {"plain", "content", ""},
	"mistralai-Ministral-3-14B-Reasoning-2512":      {"mistral", "content reasoning call calls", ""},
	"mistralai-Mistral-Nemo-Instruct-2407":          {"mistral", "content call calls", ""},
	"moonshotai-Kimi-K2":                            {"kimi", "content call calls", ""},
	"openai-gpt-oss-120b":                           {"harmony", "content reasoning call", ""},
	"unsloth-mistral-Devstral-Small-2507":           {"mistral", "content call calls", ""},
}

// TestPublishedTurns renders turns with published templates and wants them
// back, cut at every byte.
func TestPublishedTurns(t *testing.T) {
	all := published(t)
	for name, c := range readable {
		t.Run(name, func(t *testing.T) {
			tmpl, err := FromJinja(Source{Jinja: all[name], Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}})
			if err != nil {
				t.Fatal(err)
			}
			if tmpl.Family() != c.family {
				t.Fatalf("family %s, want %s", tmpl.Family(), c.family)
			}
			tok := tokOf(all[name], "<s>", "</s>", "<seed:eos>", "[e~[", "<｜hy_eos:opensource｜>", "<｜hy_User:opensource｜>")
			o := Options{Tools: append(zTools(), chat.Tool{Name: "weather", Description: "d"})}
			if !tmpl.script.found().tools {
				o.Tools = nil
			}
			if c.extra != "" {
				o.Extra = map[string]any{c.extra: true}
			}
			if name, value, ok := strings.Cut(c.extra, "="); ok {
				o.Extra = map[string]any{name: value}
			}
			for _, what := range strings.Fields(c.what) {
				publishedTurn(t, tmpl, tok, o, what)
			}
		})
	}
}

// publishedTurn renders one assistant's turn and reads it back.
func publishedTurn(t *testing.T, tmpl *Template, tok markTok, o Options, what string) {
	t.Helper()
	const args = `{"city": "Paris </é> \"x\"", "days": 3}`
	m := chat.Message{Role: chat.Assistant, Content: "It is <b>4</b> é."}
	switch what {
	case "reasoning":
		m.Reasoning = "Is it 4?\n\nYes."
	case "call", "calls", "thought-call":
		m = chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "weather", Arguments: args}}}
		if what == "thought-call" {
			m.Reasoning = "I look."
		}
	}
	want := turn{content: m.Content, reasoning: m.Reasoning}
	if what == "calls" {
		m.ToolCalls = append(m.ToolCalls, chat.ToolCall{Name: "now", Arguments: "{}"})
	}
	for _, c := range m.ToolCalls {
		want.calls += c.Name + " " + c.Arguments + "\n"
	}
	msgs := []chat.Message{{Role: chat.User, Content: "x"}, m}
	r, err := tmpl.RenderWith(tok, msgs, o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	o.GenerationPrompt = true
	prompt, err := tmpl.Text(msgs[:1], o)
	if err != nil {
		t.Fatal(err)
	}
	text, stop := "", tmpl.Stop(tok)
	for i, id := range r.IDs {
		if slices.Contains(stop, id) && text != "" {
			break
		}
		if r.Mask[i] {
			text += string(tok.Bytes(id))
		}
	}
	tools := ParseOptions{Tools: weather, Prompt: prompt}
	for at := 0; at <= len(text); at++ {
		got := read(t, tmpl.Parser(nil, tools), []piece{{text: text[:at]}, {text: text[at:]}})
		if got != want {
			t.Fatalf("%s: %q cut at %d gives %+v, want %+v", what, text, at, got, want)
		}
	}
	if got := read(t, tmpl.Parser(tok, tools), cut(text, tok.markers, func(int) int { return 1 })); got != want {
		t.Fatalf("%s: %q with special tokens gives %+v, want %+v", what, text, got, want)
	}
}
