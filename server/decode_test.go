package server

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/chat"
)

func ptr[T any](v T) *T { return &v }

func TestDecodeChat(t *testing.T) {
	user := []chat.Message{{Role: chat.User, Content: "hi"}}
	const messages = `"messages":[{"role":"user","content":"hi"}]`
	tests := []struct {
		name, body string
		want       chat.Request
		check      func(*chatCall) bool // more to hold; nil: nothing
	}{
		{"least", `{` + messages + `}`, chat.Request{Messages: user, Logprobs: -1}, func(c *chatCall) bool { return c.n == 1 && !c.stream && !c.logprobs }},
		{"nulls", `{` + messages + `,"n":null,"stop":null,"seed":null,"tools":null,"response_format":null,"logit_bias":null,"stream_options":null}`,
			chat.Request{Messages: user, Logprobs: -1}, nil},
		{"sampling", `{` + messages + `,"temperature":0,"top_p":0.9,"top_k":40,"min_p":0.05,"repetition_penalty":1.1,"presence_penalty":-1,"frequency_penalty":2,"seed":-1,"logit_bias":{"5":-100}}`,
			chat.Request{Messages: user, Logprobs: -1, Sampling: chat.Sampling{
				Temperature: ptr(0.), TopP: ptr(.9), TopK: 40, MinP: .05, RepetitionPenalty: 1.1, PresencePenalty: -1, FrequencyPenalty: 2,
				Seed: ptr(^uint64(0)), LogitBias: map[int32]float64{5: -100}}}, nil},
		{"top_k off", `{` + messages + `,"top_k":-1}`, chat.Request{Messages: user, Logprobs: -1}, nil},
		{"stop string", `{` + messages + `,"stop":"\n"}`, chat.Request{Messages: user, Logprobs: -1, Stop: []string{"\n"}}, nil},
		{"stop array", `{` + messages + `,"stop":["a","b"],"stop_token_ids":[3],"ignore_eos":true,"cache_salt":"t"}`,
			chat.Request{Messages: user, Logprobs: -1, Stop: []string{"a", "b"}, StopIDs: []int32{3}, IgnoreEOS: true, CacheSalt: "t"}, nil},
		{"speculation", `{` + messages + `,"speculative.n_max":5}`, chat.Request{Messages: user, Logprobs: -1, DraftMax: 5}, nil},
		{"no speculation", `{` + messages + `,"speculative.n_max":0}`, chat.Request{Messages: user, Logprobs: -1, DraftMax: -1}, nil},
		{"search", `{` + messages + `,"use_beam_search":true,"n":2,"best_of":4,"length_penalty":0.5,"early_stopping":true}`,
			chat.Request{Messages: user, Logprobs: -1, Beam: &chat.Beam{Width: 4, Best: 2, LengthPenalty: 0.5, EarlyStopping: true}}, nil},
		{"limits", `{` + messages + `,"max_completion_tokens":7,"max_tokens":7}`, chat.Request{Messages: user, Logprobs: -1, MaxTokens: 7}, nil},
		{"old limit", `{` + messages + `,"max_tokens":7.0}`, chat.Request{Messages: user, Logprobs: -1, MaxTokens: 7}, nil},
		{"logprobs", `{` + messages + `,"logprobs":true,"top_logprobs":5}`, chat.Request{Messages: user, Logprobs: 5}, func(c *chatCall) bool { return c.logprobs }},
		{"stream", `{` + messages + `,"stream":true,"stream_options":{"include_usage":true},"n":3,"model":"m"}`, chat.Request{Messages: user, Logprobs: -1},
			func(c *chatCall) bool { return c.stream && c.includeUsage && c.n == 3 && c.model == "m" }},
		{"roles and parts", `{"messages":[{"role":"developer","content":"d"},{"role":"user","name":"ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"","tool_calls":[]}]}`,
			chat.Request{Logprobs: -1, Messages: []chat.Message{{Role: chat.System, Content: "d"}, {Role: chat.User, Name: "ann", Content: "ab"}, {Role: chat.Assistant}}}, nil},
		{"neutral values", `{` + messages + `,"tools":[],"tool_choice":"auto","response_format":{"type": "text"},"store":false,"user":"u","metadata":{"a":"b"},"parallel_tool_calls":true,"service_tier":"auto","length_penalty":1.0}`,
			chat.Request{Messages: user, Logprobs: -1, User: "u"}, func(c *chatCall) bool { return len(c.ignored) == 0 }},
		{"tools", `{` + messages + `,"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true,"x":1}}],"parallel_tool_calls":false}`,
			chat.Request{Messages: user, Logprobs: -1, Tools: []chat.Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(`{"type":"object"}`)}}},
			func(c *chatCall) bool {
				return strings.Join(c.ignored, " ") == "tools[0].function.strict tools[0].function.x parallel_tool_calls"
			}},
		{"tools not to be used", `{` + messages + `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none","parallel_tool_calls":true}`,
			chat.Request{Messages: user, Logprobs: -1}, func(c *chatCall) bool { return len(c.ignored) == 0 }},
		{"calls and results", `{"messages":[{"role":"assistant","content":null,"tool_calls":[
			{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"b","content":"2"},{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"1"}]},{"role":"assistant","content":"done"}]}`,
			chat.Request{Logprobs: -1, Messages: []chat.Message{
				{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "a", Name: "f", Arguments: `{"x": 1}`}, {ID: "b", Name: "g", Arguments: "{}"}}},
				{Role: chat.ToolResult, Content: "1", ToolCallID: "a"}, {Role: chat.ToolResult, Content: "2", ToolCallID: "b"}, {Role: chat.Assistant, Content: "done"}}},
			func(c *chatCall) bool { return len(c.ignored) == 0 }},
		{"go on with an answer", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"he"}],"continue_final_message":true,"add_generation_prompt":false}`,
			chat.Request{Continue: true, Logprobs: -1, Messages: []chat.Message{{Role: chat.User, Content: "hi"}, {Role: chat.Assistant, Content: "he"}}}, nil},
		{"reasoning", `{"messages":[{"role":"assistant","content":"a","reasoning_content":"r"},{"role":"assistant","content":"b","reasoning":"s","reasoning_content":null}],"chat_template_kwargs":{"enable_thinking":false}}`,
			chat.Request{Logprobs: -1, TemplateArgs: map[string]json.RawMessage{"enable_thinking": json.RawMessage("false")}, Messages: []chat.Message{
				{Role: chat.Assistant, Content: "a", Reasoning: "r"}, {Role: chat.Assistant, Content: "b", Reasoning: "s"}}},
			func(c *chatCall) bool { return len(c.ignored) == 0 }},
		{"vendor extras", `{"messages":[{"role":"user","content":"hi","zest":1}],"provider":{"order":[]},"transforms":[]}`, chat.Request{Messages: user, Logprobs: -1},
			func(c *chatCall) bool { return strings.Join(c.ignored, " ") == "messages[0].zest provider transforms" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := decodeChat([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.req); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if test.check != nil && !test.check(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestDecodeText(t *testing.T) {
	base := chat.Request{Logprobs: -1, MaxTokens: 16}
	with := func(change func(*chat.Request)) chat.Request {
		r := base
		change(&r)
		return r
	}
	tests := []struct {
		name, body string
		want       []chat.Request
	}{
		{"string", `{"prompt":"a"}`, []chat.Request{with(func(r *chat.Request) { r.Prompt = "a" })}},
		{"empty string", `{"prompt":""}`, []chat.Request{base}},
		{"strings", `{"prompt":["a","b"]}`, []chat.Request{with(func(r *chat.Request) { r.Prompt = "a" }), with(func(r *chat.Request) { r.Prompt = "b" })}},
		{"ids", `{"prompt":[1, 2]}`, []chat.Request{with(func(r *chat.Request) { r.PromptIDs = []int32{1, 2} })}},
		{"lists of ids", `{"prompt":[[1],[2,3]]}`, []chat.Request{with(func(r *chat.Request) { r.PromptIDs = []int32{1} }), with(func(r *chat.Request) { r.PromptIDs = []int32{2, 3} })}},
		{"score", `{"prompt":"a","echo":true,"logprobs":1,"max_tokens":0,"best_of":1,"suffix":null}`,
			[]chat.Request{with(func(r *chat.Request) { r.Prompt, r.Echo, r.Logprobs, r.MaxTokens = "a", true, 1, -1 })}},
		{"limit", `{"prompt":"a","max_completion_tokens":3}`, []chat.Request{with(func(r *chat.Request) { r.Prompt, r.MaxTokens = "a", 3 })}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := decodeText([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c.reqs, test.want) {
				t.Errorf("got %+v, want %+v", c.reqs, test.want)
			}
		})
	}
}

// TestDecodeErrors checks that every refusal names its field.
func TestDecodeErrors(t *testing.T) {
	const (
		chatPath, textPath = "/v1/chat/completions", "/v1/completions"
		bad, unsupported   = "invalid_value", "unsupported_parameter"
	)
	inChat := func(field string) string { return `{"messages":[{"role":"user","content":"hi"}],` + field + `}` }
	const callX = `{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}`
	inText := func(field string) string { return `{"prompt":"a",` + field + `}` }
	tests := []struct{ path, body, code, param string }{
		{chatPath, `{"messages":`, "invalid_json", ""},
		{chatPath, ``, "invalid_json", ""},
		{chatPath, `[]`, "invalid_json", ""},
		{chatPath, `null`, "invalid_json", ""},
		{chatPath, `{}`, bad, "messages"},
		{chatPath, `{"messages":[]}`, bad, "messages"},
		{chatPath, `{"messages":"hi"}`, bad, "messages"},
		{chatPath, `{"messages":["hi"]}`, "invalid_json", "messages[0]"},
		{chatPath, `{"messages":[{"role":"user","content":"a"},{"role":"king","content":"b"}]}`, bad, "messages[1].role"},
		{chatPath, `{"messages":[{"content":"a"}]}`, bad, "messages[0].role"},
		{chatPath, `{"messages":[{"role":"user"}]}`, bad, "messages[0].content"},
		{chatPath, `{"messages":[{"role":"user","content":7}]}`, bad, "messages[0].content"},
		{chatPath, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}`, unsupported, "messages[0].content[0].type"},
		{chatPath, `{"messages":[{"role":"function","content":"a"}]}`, unsupported, "messages[0].role"},
		{chatPath, `{"messages":[{"role":"tool","content":"a"}]}`, bad, "messages[0].tool_call_id"},
		{chatPath, `{"messages":[{"role":"tool","content":"a","tool_call_id":"x"}]}`, bad, "messages[0].tool_call_id"},
		{chatPath, `{"messages":[{"role":"user","content":"a","tool_call_id":"x"}]}`, bad, "messages[0].tool_call_id"},
		{chatPath, `{"messages":[{"role":"user","content":"a","tool_calls":[` + callX + `]}]}`, bad, "messages[0].tool_calls"},
		{chatPath, `{"messages":[{"role":"assistant","tool_calls":[` + callX + `]}]}`, bad, "messages[0].tool_calls[0]"},
		{chatPath, `{"messages":[{"role":"assistant","tool_calls":[` + callX + `]},{"role":"tool","content":"a","tool_call_id":"y"}]}`, bad, "messages[1].tool_call_id"},
		{chatPath, `{"messages":[{"role":"assistant","tool_calls":[` + callX + `]},{"role":"tool","content":"a","tool_call_id":"x"},{"role":"tool","content":"b","tool_call_id":"x"}]}`, bad, "messages[2].tool_call_id"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"type":"function"}]}]}`, bad, "messages[0].tool_calls[0].id"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"x"}]}]}`, bad, "messages[0].tool_calls[0].type"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"x","type":"function"}]}]}`, bad, "messages[0].tool_calls[0].function"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"x","type":"function","function":{"arguments":"{}"}}]}]}`, bad, "messages[0].tool_calls[0].function.name"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{"}}]}]}`, bad, "messages[0].tool_calls[0].function.arguments"},
		{chatPath, `{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":{}}}]}]}`, bad, "messages[0].tool_calls[0].function.arguments"},
		{chatPath, `{"messages":[{"role":"user","content":"a","reasoning_content":"r"}]}`, bad, "messages[0].reasoning_content"},
		{chatPath, inChat(`"chat_template_kwargs":[]`), bad, "chat_template_kwargs"},
		{chatPath, inChat(`"temperature":2.1`), bad, "temperature"},
		{chatPath, inChat(`"temperature":"hot"`), bad, "temperature"},
		{chatPath, inChat(`"top_p":-0.1`), bad, "top_p"},
		{chatPath, inChat(`"top_k":1.5`), bad, "top_k"},
		{chatPath, inChat(`"min_p":2`), bad, "min_p"},
		{chatPath, inChat(`"presence_penalty":-3`), bad, "presence_penalty"},
		{chatPath, inChat(`"n":0`), bad, "n"},
		{chatPath, inChat(`"n":1000`), bad, "n"},
		{chatPath, inChat(`"max_tokens":0`), bad, "max_tokens"},
		{chatPath, inChat(`"max_tokens":5,"max_completion_tokens":6`), bad, "max_tokens"},
		{chatPath, inChat(`"stop":7`), bad, "stop"},
		{chatPath, inChat(`"stop":[""]`), bad, "stop"},
		{chatPath, inChat(`"stop":[` + strings.Repeat(`"a",`, 16) + `"b"]`), bad, "stop"},
		{chatPath, inChat(`"stop_token_ids":["a"]`), bad, "stop_token_ids[0]"},
		{chatPath, inChat(`"logit_bias":{"a":1}`), bad, "logit_bias"},
		{chatPath, inChat(`"logit_bias":{"1":101}`), bad, "logit_bias"},
		{chatPath, inChat(`"seed":1.5`), bad, "seed"},
		{chatPath, inChat(`"stream":"yes"`), bad, "stream"},
		{chatPath, inChat(`"stream_options":{}`), bad, "stream_options"},
		{chatPath, inChat(`"stream":true,"stream_options":{"continuous_usage_stats":true}`), unsupported, "stream_options.continuous_usage_stats"},
		{chatPath, inChat(`"top_logprobs":3`), bad, "top_logprobs"},
		{chatPath, inChat(`"logprobs":true,"top_logprobs":21`), bad, "top_logprobs"},
		{chatPath, inChat(`"model":7`), bad, "model"},
		{chatPath, inChat(`"model":"gpt-9"`), "model_not_found", "model"},
		{chatPath, inChat(`"tools":[{"type":"function"}]`), bad, "tools[0].function"},
		{chatPath, inChat(`"tools":[{"type":"web_search"}]`), unsupported, "tools[0].type"},
		{chatPath, inChat(`"tools":[{"type":"function","function":{}}]`), bad, "tools[0].function.name"},
		{chatPath, inChat(`"tools":[{"type":"function","function":{"name":"a b"}}]`), bad, "tools[0].function.name"},
		{chatPath, inChat(`"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]`), bad, "tools[0].function.parameters"},
		{chatPath, inChat(`"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]`), bad, "tools[1].function.name"},
		{chatPath, inChat(`"tools":[{"type":"function","function":{"name":"f","desciption":"a"}}]`), "unknown_parameter", "tools[0].function.desciption"},
		{chatPath, inChat(`"tools":[` + strings.Repeat(`{},`, 128) + `{}]`), bad, "tools"},
		{chatPath, `{"messages":[{"role":"assistant","tool_calls":[` + strings.Repeat(`{},`, 128) + `{}]}]}`, bad, "messages[0].tool_calls"},
		{chatPath, inChat(`"tool_choice":"required"`), unsupported, "tool_choice"},
		{chatPath, inChat(`"tool_choice":{"type":"function","function":{"name":"f"}}`), unsupported, "tool_choice"},
		{chatPath, inChat(`"response_format":{"type":"json_object"}`), unsupported, "response_format"},
		{chatPath, inChat(`"reasoning_effort":"high"`), unsupported, "reasoning_effort"},
		{chatPath, inChat(`"guided_json":{}`), unsupported, "guided_json"},
		{chatPath, inChat(`"truncate_prompt_tokens":5`), unsupported, "truncate_prompt_tokens"},
		{chatPath, inChat(`"temprature":1`), "unknown_parameter", "temprature"},
		{chatPath, inChat(`"max_token":1`), "unknown_parameter", "max_token"},
		{textPath, `{}`, bad, "prompt"},
		{textPath, `{"prompt":[]}`, bad, "prompt"},
		{textPath, `{"prompt":7}`, bad, "prompt"},
		{textPath, `{"prompt":["a",7]}`, bad, "prompt[1]"},
		{textPath, `{"prompt":[1,"a"]}`, bad, "prompt[1]"},
		{textPath, `{"prompt":[[1],[]]}`, bad, "prompt[1]"},
		{textPath, `{"prompt":[1,-1]}`, bad, "prompt[1]"},
		{textPath, `{"prompt":["a","b"],"n":100}`, bad, "n"},
		{textPath, inText(`"logprobs":true`), bad, "logprobs"},
		{textPath, inText(`"max_tokens":-1`), bad, "max_tokens"},
		{textPath, inText(`"best_of":1,"n":2`), bad, "best_of"},
		{textPath, inText(`"best_of":2,"stream":true`), bad, "best_of"},
		{textPath, inText(`"use_beam_search":1`), bad, "use_beam_search"},
		{textPath, inText(`"length_penalty":2`), unsupported, "length_penalty"},
		{textPath, inText(`"suffix":"x"`), unsupported, "suffix"},
		{textPath, inText(`"echo":1`), bad, "echo"},
	}
	s := testServer(t, &fakeModel{words: words("a b")}, nil)
	for _, test := range tests {
		t.Run(test.param+" "+test.body, func(t *testing.T) {
			status := 400
			if test.code == "model_not_found" {
				status = 404
			}
			wantError(t, call(s, "POST", test.path, test.body), status, test.code, test.param)
		})
	}
}

func TestNearest(t *testing.T) {
	known := map[string]bool{"n": true, "temperature": true, "top_p": true, "top_k": true, "stop": true, "max_tokens": true}
	for name, want := range map[string]string{
		"temprature": "temperature", "tempreature": "temperature", "top-p": "top_p", "stops": "stop", "maxtokens": "max_tokens",
		"top_a": "top_k", "provider": "", "transforms": "", "x": "", "n": "", "spot": "", "sotp": "stop",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzDecode feeds both decoders: they must refuse or accept, never panic, and
// an accepted request must be within the limits.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"hi"}],"n":2,"stop":["a"]}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"a","tool_call_id":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}`))
	f.Add([]byte(`{"prompt":[[1,2],[3]],"logprobs":1,"echo":true,"stream":true,"stream_options":{"include_usage":true}}`))
	f.Add([]byte(`{"prompt":null,"messages":[null],"logit_bias":{"-1":1e999},"seed":1e30}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, err := decodeChat(body); err == nil && (len(c.req.Messages) == 0 || c.n < 1 || c.req.MaxTokens < 0) {
			t.Errorf("accepted %s as %+v", body, c)
		}
		c, err := decodeText(body)
		if err != nil {
			return
		}
		if len(c.reqs) == 0 || len(c.reqs)*c.n > maxChoices {
			t.Errorf("accepted %s as %+v", body, c)
		}
		for _, r := range c.reqs {
			for _, id := range r.PromptIDs {
				if id < 0 {
					t.Errorf("accepted token %d", id)
				}
			}
		}
	})
}
