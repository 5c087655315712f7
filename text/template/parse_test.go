package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/chat"
)

// turn is an answer put together. Calls are "name arguments" lines.
type turn struct {
	content, reasoning, calls string
	errors                    int
}

// tester is a testing.TB or a *rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// read parses an answer that comes in pieces; special ones are marked.
func read(t tester, p *Parser, pieces []piece) turn {
	t.Helper()
	var all turn
	var stream strings.Builder
	var spans []Span
	take := func(d Delta) {
		all.content += d.Content
		all.reasoning += d.Reasoning
		for _, c := range d.ToolCalls {
			if err := chat.CheckArguments(c.Arguments); err != nil || c.Name == "" {
				t.Errorf("call %+v: %v", c, err)
			}
			all.calls += c.Name + " " + c.Arguments + "\n"
		}
		for _, e := range d.Errors {
			var call *CallError
			if !errors.As(error(e), &call) || e.Text == "" || e.Unwrap() == nil {
				t.Errorf("error %+v, want one with the text and the reason", e)
			}
			all.errors++
		}
		spans = append(spans, d.Spans...)
	}
	for _, w := range pieces {
		stream.WriteString(w.text)
		take(p.Feed([]byte(w.text), w.special))
	}
	take(p.Finish())
	var said strings.Builder
	last := 0
	for _, s := range spans {
		if s.From < last || s.To <= s.From || s.To > stream.Len() {
			t.Fatalf("spans %v of %d bytes", spans, stream.Len())
		}
		last = s.To
		said.WriteString(stream.String()[s.From:s.To])
	}
	if said.String() != all.content {
		t.Errorf("spans say %q, content %q", said.String(), all.content)
	}
	return all
}

// cut makes pieces of an answer: special tokens whole, words in pieces of the
// lengths that next gives.
func cut(text string, specials []string, next func(rest int) int) []piece {
	var pieces []piece
	for text != "" {
		at, marker := len(text), ""
		for _, m := range specials {
			if i := strings.Index(text, m); i >= 0 && (i < at || i == at && len(m) > len(marker)) {
				at, marker = i, m
			}
		}
		for words := text[:at]; words != ""; {
			n := next(len(words))
			pieces = append(pieces, piece{text: words[:n]})
			words = words[n:]
		}
		if marker != "" {
			pieces = append(pieces, piece{text: marker, special: true})
		}
		text = text[at+len(marker):]
	}
	return pieces
}

// weather is the tools of the tests; types of parameters matter to some
// families.
var weather = []chat.Tool{{Name: "weather", Parameters: []byte(
	`{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"zip":{"type":"string"},"fine":{"type":"boolean"},"at":{"type":["array","null"]}}}`)}, {Name: "now"}, {Name: "python", Parameters: []byte(`{"properties":{"code":{"type":"string"}}}`)}}

const (
	paris = `weather {"city": "Paris </é>", "days": 3}` + "\n"
	now   = "now {}\n"
)

// turns are answers as the families' templates render them.
func turns() map[string]struct {
	family, prompt, text string
	want                 turn
} {
	type c = struct {
		family, prompt, text string
		want                 turn
	}
	const args = `{"city": "Paris </é>", "days": 3}`
	two := paris + now
	return map[string]c{
		"weft":                   {"weft", "", `Wait.<|call|>{"name": "weather", "arguments": ` + args + `}<|call|>{"name": "now", "arguments": {}}`, turn{content: "Wait.", calls: two}},
		"weft, bad":              {"weft", "", `a <|call|>{}<|call|>{"name": "now", "arguments": {}}`, turn{content: "a <|call|>{}", calls: now, errors: 1}},
		"words":                  {"plain", "", "a <tool_call>\n\n", turn{content: "a <tool_call>\n\n"}},
		"qwen3":                  {"hermes", "", "<think>\nHm, <b>.\n</think>\n\nI look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": " + args + "}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", turn{"I look.", "Hm, <b>.", two, 0}},
		"qwen3, no thought":      {"hermes", "<|im_start|>assistant\n<think>\n\n</think>\n\n", "Hello\n\n", turn{content: "Hello\n\n"}},
		"qwen3.5":                {"hermes", "<|im_start|>assistant\n<think>\n", "Hm.\n\n\n</think>\n\nHello <think>", turn{content: "Hello <think>", reasoning: "Hm."}},
		"hermes, end in a text":  {"hermes", "", `<tool_call>{"name":"weather","arguments":{"city":"</tool_call>"}}</tool_call>`, turn{calls: `weather {"city": "</tool_call>"}` + "\n"}},
		"hermes, bad":            {"hermes", "", "a\n<tool_call>\nweather in Paris\n</tool_call>\n<tool_call>\n{\"name\": \"now\"}\n</tool_call>\nb", turn{content: "a\n<tool_call>\nweather in Paris\n</tool_call>\n\nb", calls: now, errors: 1}},
		"hermes, a missing text": {"hermes", "", "<tool_call>\n{\"name\": \"weather}\n</tool_call><tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>", turn{content: "<tool_call>\n{\"name\": \"weather}\n</tool_call>", calls: now, errors: 1}},
		"hermes, cut off":        {"hermes", "", "<tool_call>\n{\"name\": \"wea", turn{content: "<tool_call>\n{\"name\": \"wea", errors: 1}},
		"hermes, no end":         {"hermes", "", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n", turn{calls: now}},
		"qwen3-coder":            {"hermes", "", "Ok\n\n<tool_call>\n<function=weather>\n<parameter=city>\nParis </é>\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>", turn{content: "Ok", calls: two}},
		"qwen3-coder, types":     {"hermes", "", "<tool_call>\n<function=weather>\n<parameter=zip>\n75001\n</parameter>\n<parameter=fine>\nTrue\n</parameter>\n<parameter=at>\n[1,\"x\"]\n</parameter>\n<parameter=odd>\n\na\n\n</parameter>\n</function>\n</tool_call>", turn{calls: `weather {"zip": "75001", "fine": true, "at": [1, "x"], "odd": "\na\n"}` + "\n"}},
		"glm":                    {"hermes", "", "\n<think>Hm.</think>\nOk\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris </é></arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>", turn{"Ok", "Hm.", two, 0}},
		"llama":                  {"llama3", "", `{"name": "weather", "parameters": ` + args + `}`, turn{calls: paris}},
		"llama, python tag":      {"llama3", "", `<|python_tag|>{"name": "weather", "parameters": ` + args + `}`, turn{calls: paris}},
		"llama, builtin":         {"llama3", "", `<|python_tag|>brave_search.call(query="a \"b\", c")`, turn{calls: `brave_search {"query": "a \"b\", c"}` + "\n"}},
		"llama, other JSON":      {"llama3", "", ` {"answer": 4}`, turn{content: ` {"answer": 4}`}},
		"llama, half a call":     {"llama3", "", `{"name": "Bob", "age": 4}`, turn{content: `{"name": "Bob", "age": 4}`, errors: 1}},
		"llama, two":             {"llama3", "", `{"name": "weather", "parameters": ` + args + `}; {"name": "now", "parameters": {}}`, turn{calls: two}},
		"llama, words":           {"llama3", "", "{x} is 4", turn{content: "{x} is 4"}},
		"mistral":                {"mistral", "", `[TOOL_CALLS][{"name": "weather", "arguments": ` + args + `, "id": "abcdef123"}, {"name": "now", "arguments": {}, "id": "abcdef124"}]`, turn{calls: two}},
		"mistral, named":         {"mistral", "", `[THINK]Hm[/THINK]Ok [TOOL_CALLS]weather[ARGS]` + args + `[TOOL_CALLS]now[CALL_ID]abcdef123[ARGS]{}`, turn{"Ok ", "Hm", two, 0}},
		"deepseek v3":            {"deepseek", "", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n" + args + "\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", turn{calls: two}},
		"deepseek r1":            {"deepseek", "<｜Assistant｜><think>\n", "Hm\n</think>\n\nOk", turn{content: "Ok", reasoning: "Hm"}},
		"deepseek v3.1":          {"deepseek", "<｜Assistant｜><think></think>", "Ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>" + args + "<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", turn{content: "Ok", calls: two}},
		"deepseek v3.2":          {"dsml", "<｜Assistant｜><think>", "Hm</think>Ok\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Paris </é></｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n\n</｜DSML｜invoke>\n</｜DSML｜function_calls>", turn{"Ok", "Hm", two, 0}},
		"gemma 4":                {"gemma4", "", "<|channel>thought\nHm\n<channel|><|tool_call>call:weather{city:<|\"|>Paris </é><|\"|>,days:3}<tool_call|><|tool_call>call:now{}<tool_call|>Ok", turn{"Ok", "Hm", two, 0}},
		"gemma 4, values":        {"gemma4", "<|turn>model\n<|channel>thought\n<channel|>", "<|tool_call>call:f{a:[1,true,{<|\"|>k<|\"|>:None}],b:{x:-1.5e3}}<tool_call|>", turn{calls: `f {"a": [1, true, {"k": null}], "b": {"x": -1.5e3}}` + "\n"}},
		"gemma":                  {"gemma", "", "Ok\n```tool_code\nweather(city=\"Paris </é>\", days=3)\n```\n", turn{content: "Ok", calls: paris}},
		"gemma, printed":         {"gemma", "", "```tool_code\nprint(now())\n```", turn{calls: now}},
		"gemma, other code":      {"gemma", "", "```tool_code\nfor x in y: pass\n```", turn{content: "```tool_code\nfor x in y: pass\n```", errors: 1}},
		"phi":                    {"phi", "", `<|tool_call|>[{"name": "weather", "arguments": ` + args + `}, {"name": "now"}]<|/tool_call|>`, turn{calls: two}},
		"granite 3":              {"phi", "", `<|tool_call|>[{"name": "weather", "arguments": ` + args + `}]`, turn{calls: paris}},
		"command-r7b":            {"cohere2", "", "<|START_THINKING|>Hm<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"weather\", \"parameters\": " + args + "},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": {}}\n]<|END_ACTION|>", turn{"", "Hm", two, 0}},
		"command-r7b, answer":    {"cohere2", "<|CHATBOT_TOKEN|><|START_THINKING|>", "Hm<|END_THINKING|><|START_RESPONSE|>Ok\n<|END_RESPONSE|>", turn{content: "Ok", reasoning: "Hm"}},
		"command-r":              {"cohere", "", "I look.\nAction:\n```json\n[\n    {\n        \"tool_name\": \"weather\",\n        \"parameters\": " + args + "\n    },\n    {\n        \"tool_name\": \"now\",\n        \"parameters\": {}\n    }\n]```\n", turn{content: "I look.", calls: two}},
		"harmony":                {"harmony", "<|start|>assistant", "<|channel|>analysis<|message|>Hm\n<|end|><|start|>assistant to=functions.weather<|channel|>commentary json<|message|>" + args + "<|call|>", turn{"", "Hm\n", paris, 0}},
		"harmony, as generated":  {"harmony", "<|start|>assistant", "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>" + args + "<|call|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}", turn{"I look.", "Hm", two, 0}},
		"harmony, final":         {"harmony", "<|start|>assistant", "<|channel|>final<|message|>Ok <b>\n<|return|>", turn{content: "Ok <b>\n"}},
		"harmony, bad":           {"harmony", "", "<|channel|>commentary to=functions.now<|message|>now!<|call|>", turn{content: "now!<|call|>", errors: 1}},
		"harmony, none":          {"harmony", "", "Hello", turn{content: "Hello"}},
		"kimi":                   {"kimi", "", "Ok<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>" + args + "<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", turn{content: "Ok", calls: two}},
		"minimax":                {"minimax", "]~b]ai\n<think>\n", "Hm\n</think>\n\nOk\n<minimax:tool_call>\n<invoke name=\"weather\"><parameter name=\"city\">Paris </é></parameter>\n<parameter name=\"days\">3</parameter>\n</invoke>\n<invoke name=\"now\"></invoke>\n</minimax:tool_call>", turn{"Ok", "Hm", two, 0}},
		"seed":                   {"seed", "", "\n<seed:think>Hm</seed:think>\nOk\n\n<seed:tool_call>\n<function=weather>\n<parameter=city>Paris </é></parameter>\n<parameter=days>3</parameter>\n</function>\n</seed:tool_call>", turn{"Ok", "Hm", paris, 0}},
		"lfm2":                   {"lfm2", "", "<|tool_call_start|>[weather(city='Paris </é>', days=3), now()]<|tool_call_end|>Ok", turn{content: "Ok", calls: two}},
		"nemotron":               {"nemotron", "", `<TOOLCALL>[{"name": "weather", "arguments": ` + args + `}, {"name": "now", "arguments": {}}]</TOOLCALL>`, turn{calls: two}},
		"llama, function":        {"llama3", "", "I look.<function=weather>" + args + "</function><function=now>{}</function>", turn{content: "I look.", calls: two}},
		"llama, no function":     {"llama3", "", "<function=weather " + args + "</function>", turn{content: "<function=weather " + args + "</function>", errors: 1}},
		"llama, code":            {"llama3", "", "<|python_tag|>print(\"a\")\nf(1)", turn{calls: `python {"code": "print(\"a\")\nf(1)"}` + "\n"}},
		"llama, code as JSON":    {"llama3", "", `<|python_tag|>{"code": "f(1)"}`, turn{calls: `python {"code": "f(1)"}` + "\n"}},
		"functionary":            {"functionary", "<|end_header_id|>\n\n>>>", "all\nI >>> look\n>>>weather\n" + args + ">>>now\n{}", turn{content: "I >>> look\n", calls: two}},
		"functionary, a call":    {"functionary", "<|end_header_id|>\n\n>>>", "weather\n{\"city\": \"Paris\\n>>>now\\n\"}>>>all\nOk", turn{content: "Ok", calls: `weather {"city": "Paris\n>>>now\n"}` + "\n"}},
		"functionary, code":      {"functionary", "<|end_header_id|>\n\n>>>", "python\nf('a')\n", turn{calls: `python {"code": "f('a')"}` + "\n"}},
		"functionary, not open":  {"functionary", "", ">>>now\n{}", turn{calls: now}},
		"functionary, words":     {"functionary", "<|end_header_id|>\n\n>>>", "nobody\n{}", turn{content: "nobody\n{}"}},
		"functionary, bad":       {"functionary", "<|end_header_id|>\n\n>>>", "weather\nParis!>>>now\n{}", turn{content: "weather\nParis!", calls: now, errors: 1}},
		"gigachat 3":             {"gigachat", "assistant<|role_sep|>\n", "I look.<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"weather\", \"arguments\": " + args + "}<|message_sep|>\n\n", turn{content: "I look.", calls: paris}},
		"gigachat 3.1":           {"gigachat", "", "I look.<|function_call|>{\"name\": \"weather\", \"arguments\": " + args + "}", turn{content: "I look.", calls: paris}},
		"gigachat, bad":          {"gigachat", "", "<|function_call|>{\"name\": 3}", turn{content: "<|function_call|>{\"name\": 3}", errors: 1}},
		"apertus":                {"apertus", "", "<|inner_prefix|>Hm\n<|inner_suffix|>Ok<|tools_prefix|>[{\"weather\": " + args + "}, {\"now\": {}}]<|tools_suffix|>", turn{"Ok", "Hm\n", two, 0}},
		"apertus, bad":           {"apertus", "", "<|tools_prefix|>[{\"now\": 3}]<|tools_suffix|>", turn{content: "<|tools_prefix|>[{\"now\": 3}]<|tools_suffix|>", errors: 1}},
		"hunyuan":                {"hunyuan", "<think:opensource>", "Hm</think:opensource>Ok<tool_calls:opensource>\n<tool_call:opensource>weather<tool_sep:opensource>\n<arg_key:opensource>city</arg_key:opensource>\n<arg_value:opensource>Paris </é></arg_value:opensource>\n<arg_key:opensource>days</arg_key:opensource>\n<arg_value:opensource>3</arg_value:opensource>\n</tool_call:opensource>\n<tool_call:opensource>now<tool_sep:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>", turn{"Ok", "Hm", two, 0}},
		"hunyuan, bad":           {"hunyuan", "", "<tool_call:opensource>now<tool_sep:opensource>!</tool_call:opensource>", turn{content: "<tool_call:opensource>now<tool_sep:opensource>!</tool_call:opensource>", errors: 1}},
		"solar":                  {"solar", "<|begin|>assistant", "<|think|>Hm<|end|><|begin|>assistant<|content|>Ok<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>a1<|tool_call:name|>weather<|tool_call:args|>" + args + "<|tool_call:end|><|tool_call:begin|>a2<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|>", turn{"Ok", "Hm", two, 0}},
		"solar, bad":             {"solar", "", "<|tool_call:begin|>now<|tool_call:args|>{}<|tool_call:end|>", turn{content: "<|tool_call:begin|>now<|tool_call:args|>{}<|tool_call:end|>", errors: 1}},
		"minicpm":                {"minicpm", "", "<think>\nHm\n</think>\n\nOk\n<function name=\"weather\"><param name=\"city\"><![CDATA[Paris </é>]]></param><param name=\"days\">3</param></function>\n<function name=\"now\"></function>", turn{"Ok", "Hm", two, 0}},
		"minicpm, quoted":        {"minicpm", "", "<function name=\"weather\"><param name=\"city\"><![CDATA[a]]</function></param>]]></param><param name=\"fine\">True</param><param name=\"at\">['x', {'y': None}]</param></function>", turn{calls: `weather {"city": "a]]</function></param>", "fine": true, "at": ["x", {"y": null}]}` + "\n"}},
		"minicpm, bad":           {"minicpm", "", "<function name=\"now\">soon</function>", turn{content: "<function name=\"now\">soon</function>", errors: 1}},
		"minimax 3":              {"minimax3", "", "<mm:think>Hm</mm:think>Ok" + mini("<tool_call>\n|<invoke name=\"weather\">|<city>Paris </é>|</city>|<days>3|</days>|</invoke>\n|<invoke name=\"now\">|</invoke>\n|</tool_call>"), turn{"Ok", "Hm", two, 0}},
		"minimax 3, no thought":  {"minimax3", "", "</mm:think>Ok ", turn{content: "Ok "}},
		"minimax 3, nested":      {"minimax3", "", mini("<tool_call>|<invoke name=\"weather\">|<at>|<item>|<x>1|</x>|<y>a\nb|</y>|</item>|<item>true|</item>|</at>|<zip>75001|</zip>|</invoke>|</tool_call>"), turn{calls: `weather {"at": [{"x": 1, "y": "a\nb"}, true], "zip": "75001"}` + "\n"}},
		"minimax 3, empty":       {"minimax3", "", mini("<tool_call>|<invoke name=\"weather\">|<at>|</at>|<city>|</city>|</invoke>|</tool_call>"), turn{calls: `weather {"at": [], "city": ""}` + "\n"}},
		"minimax 3, bad":         {"minimax3", "", mini("<tool_call>|<invoke name=\"now\">|<a>1|</b>|</invoke>|</tool_call>"), turn{content: mini("<tool_call>|<invoke name=\"now\">|<a>1|</b>|</invoke>|</tool_call>"), errors: 1}},
		"functools":              {"phi", "", `functools[{"name": "weather", "arguments": ` + args + `}, {"name": "now", "arguments": {}}]`, turn{calls: two}},
		"functools, bad":         {"phi", "", "functools[1:2] is it", turn{content: "functools[1:2] is it", errors: 1}},
		"end of no thought":      {"think", "", "</think>\n\nOk </think>", turn{content: "Ok </think>"}},
		"thought alone":          {"think", "", "<think>\nHm\n", turn{reasoning: "Hm\n"}},
		"thought twice":          {"think", "", "<think>\nHm\n</think>\n<think>Ah</think>Ok", turn{content: "Ok", reasoning: "Hm\nAh"}},
	}
}

// mini writes the mark in front of the tags of MiniMax-M3 for |, and one in
// front of it all.
func mini(text string) string {
	return minimaxMark + strings.ReplaceAll(text, "|", minimaxMark)
}

// TestParseAtEveryCut is the bar of the parser: a turn cut at any byte, or at
// every one, gives the same deltas, with markers as words and as special
// tokens.
func TestParseAtEveryCut(t *testing.T) {
	for name, c := range turns() {
		t.Run(name, func(t *testing.T) {
			f, err := familyNamed(c.family)
			if err != nil {
				t.Fatal(err)
			}
			o := ParseOptions{Tools: weather, Prompt: c.prompt}
			for at := 0; at <= len(c.text); at++ {
				if got := read(t, newParser(f, nil, o), []piece{{text: c.text[:at]}, {text: c.text[at:]}}); got != c.want {
					t.Fatalf("cut at %d: got %+v, want %+v", at, got, c.want)
				}
			}
			each := cut(c.text, nil, func(int) int { return 1 })
			if got := read(t, newParser(f, nil, o), each); got != c.want {
				t.Fatalf("byte by byte: got %+v, want %+v", got, c.want)
			}
			if c.want.errors > 0 {
				return // special tokens are not given back
			}
			specials := slices.Concat(f.markers(), f.inner, f.words)
			tok := byteTok{specials}
			for n := 1; n < 9; n++ {
				if f.name == "think" || f.name == "hermes" {
					break // their markers may be words, and stand in words above
				}
				pieces := cut(c.text, specials, func(rest int) int { return min(n, rest) })
				if got := read(t, newParser(f, tok, o), pieces); got != c.want {
					t.Fatalf("special tokens, %d bytes at a time: got %+v, want %+v", n, got, c.want)
				}
			}
		})
	}
}

// TestMarkersInWords wants that an answer can quote the markers of a tokenizer
// that has them as special tokens.
func TestMarkersInWords(t *testing.T) {
	for _, f := range families() {
		tok := byteTok{append(f.markers(), "x")}
		text := "Write " + strings.Join(f.markers(), " and ") + "."
		p := newParser(f, tok, ParseOptions{Tools: weather})
		pieces := []piece{{text: text}}
		if f.harmony {
			pieces = append([]piece{{text: "<|message|>", special: true}}, pieces...)
		}
		if got := read(t, p, pieces); got != (turn{content: text}) {
			t.Errorf("%s: got %+v, want %q as content", f.name, got, text)
		}
	}
}

// TestCallsNeedTools wants calls as text where no tools were offered, as
// special tokens are control there.
func TestCallsNeedTools(t *testing.T) {
	f, _ := familyNamed("hermes")
	const text = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"
	if got := read(t, newParser(f, nil, ParseOptions{}), []piece{{text: text}}); got != (turn{content: text}) {
		t.Errorf("got %+v, want the text", got)
	}
	tok := byteTok{f.markers()}
	if got := read(t, newParser(f, tok, ParseOptions{}), cut(text, f.markers(), func(n int) int { return n })); got.content != text[len("<tool_call>"):len(text)-len("</tool_call>")] {
		t.Errorf("got %+v, want the text between the markers", got)
	}
}

func TestLongCallsAreText(t *testing.T) {
	f, _ := familyNamed("hermes")
	p := newParser(f, nil, ParseOptions{Tools: weather})
	pieces := []piece{{text: "<tool_call>{"}}
	for range maxCall/1000 + 2 {
		pieces = append(pieces, piece{text: strings.Repeat(" ", 1000)})
	}
	got := read(t, p, append(pieces, piece{text: "end"}))
	if got.errors != 1 || !strings.HasPrefix(got.content, "<tool_call>{ ") || !strings.HasSuffix(got.content, " end") {
		t.Errorf("%d errors, %d bytes of content, want one and all bytes", got.errors, len(got.content))
	}
}

func TestFamilies(t *testing.T) {
	for _, f := range families() {
		for _, a := range f.markers() {
			for _, b := range f.markers() {
				if a != b && strings.HasPrefix(a, b) && b != "```" { // which ends calls, where no call begins
					t.Errorf("%s: marker %s begins as %s does", f.name, a, b)
				}
			}
		}
	}
	if got := named(t, "weft").Family() + " " + named(t, "chatml").Family(); got != "weft plain" {
		t.Errorf("families %s, want weft plain", got)
	}
	other, err := named(t, "chatml").WithFamily("hermes")
	if err != nil || other.Family() != "hermes" || named(t, "chatml").Family() != "plain" {
		t.Errorf("family %s, %v", other.Family(), err)
	}
	_, err = other.WithFamily("esperanto")
	wantError(t, err, "esperanto", "hermes")
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

// checkLost wants that each letter of what was said comes out somewhere:
// content is a part of the stream, and what is neither content nor reasoning
// belongs to calls.
func checkLost(t tester, f *family, text string, got turn) {
	t.Helper()
	if f.to != "" {
		f, text = f.addressed(weather), f.to+text // which the prompt ends with
	}
	if got.calls == "" && got.reasoning == "" && !f.harmony {
		rest := text
		for _, m := range f.markers() {
			if strings.HasSuffix(bare(m), ">") { // its line break may be glue
				m = bare(m)
			}
			rest, got.content = strings.ReplaceAll(rest, m, ""), strings.ReplaceAll(got.content, m, "")
		}
		squeeze := func(s string) string { return strings.NewReplacer("\n", "", ">>>", "").Replace(s) }
		if squeeze(rest) != squeeze(got.content) {
			t.Fatalf("%s: %q became %q", f.name, text, got.content)
		}
	}
}

// TestNothingOfATurnIsLost draws turns of markers, calls and pieces of both.
func TestNothingOfATurnIsLost(t *testing.T) {
	for _, f := range families() {
		rapid.Check(t, func(t *rapid.T) {
			words := append(f.markers(), "\n", "é", "{", "}", `"`, `{"name": "now", "arguments": {}}`, "now[ARGS]{}", "<|channel|>analysis", "to=functions.now", "now()", "<function=now></function>", "wörds")
			parts := rapid.SliceOfN(rapid.SampledFrom(words), 0, 12).Draw(t, "parts")
			text := strings.Join(parts, "")
			o := ParseOptions{Tools: weather, Prompt: f.to}
			whole := read(t, newParser(f, nil, o), []piece{{text: text}})
			pieces := cut(text, nil, func(rest int) int { return rapid.IntRange(1, rest).Draw(t, "n") })
			if got := read(t, newParser(f, nil, o), pieces); got != whole {
				t.Fatalf("%s: %q gives %+v, cut into %v %+v", f.name, text, whole, pieces, got)
			}
			checkLost(t, f, text, whole)
		})
	}
}

// FuzzParse wants of any stream what the tests above want of theirs.
func FuzzParse(f *testing.F) {
	all := families()
	for _, c := range turns() {
		i := slices.IndexFunc(all, func(f *family) bool { return f.name == c.family })
		f.Add(uint8(i), uint8(3), c.text)
	}
	f.Fuzz(func(t *testing.T, which, n uint8, text string) {
		fam := all[int(which)%len(all)]
		o := ParseOptions{Tools: weather, Prompt: fam.to}
		whole := read(t, newParser(fam, nil, o), []piece{{text: text}})
		size := 1 + int(n)%16
		got := read(t, newParser(fam, nil, o), cut(text, nil, func(rest int) int { return min(size, rest) }))
		if got != whole {
			t.Fatalf("%s: %q gives %+v, %d bytes at a time %+v", fam.name, text, whole, size, got)
		}
		checkLost(t, fam, text, whole)
	})
}

func ExampleTemplate_Parser() {
	t, _ := Named("weft")
	p := t.Parser(nil, ParseOptions{Tools: []chat.Tool{{Name: "price"}}})
	for _, piece := range []string{"I look.<|ca", `ll|>{"name":"price",`, `"arguments":{"item":"bread"}}`} {
		fmt.Printf("%q ", p.Feed([]byte(piece), false).Content)
	}
	d := p.Finish()
	fmt.Println(d.ToolCalls[0].Name, d.ToolCalls[0].Arguments)
	// Output: "I look." "" "" price {"item": "bread"}
}
