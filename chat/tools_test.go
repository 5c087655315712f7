package chat

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestMessageJSON(t *testing.T) {
	for text, want := range map[string]Message{
		`{"role":"user","content":"hi"}`: {Role: User, Content: "hi"},
		`{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"price","arguments":"{\"item\": \"<b>\"}"}}]}`: {
			Role: Assistant, ToolCalls: []ToolCall{{"call_1", "price", `{"item": "<b>"}`}}},
		`{"role":"tool","content":"3 coins","tool_call_id":"call_1"}`: {Role: ToolResult, Content: "3 coins", ToolCallID: "call_1"},
	} {
		var got Message
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		back, err := plain(want)
		if err != nil || string(back) != text {
			t.Errorf("got %s, %v, want %s", back, err, text)
		}
	}
}

func TestToolJSON(t *testing.T) {
	full := Tool{"price", "Looks up <a> price.", json.RawMessage(`{"type":"object"}`)}
	for text, want := range map[string]Tool{
		`{"type":"function","function":{"name":"price","description":"Looks up <a> price.","parameters":{"type":"object"}}}`: full,
		`{"name":"price","description":"Looks up <a> price.","parameters":{"type":"object"}}`:                                full,
		`{"type":"function","function":{"name":"now","parameters":null}}`:                                                    {Name: "now"},
	} {
		var got Tool
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		back, err := json.Marshal(want)
		var again Tool
		if err != nil || json.Unmarshal(back, &again) != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s came back as %+v", back, again)
		}
	}
}

func TestToolErrors(t *testing.T) {
	for text, part := range map[string]string{
		`{}`: "no name",
		`{"type":"function","function":{"name":""}}`:                        "no name",
		`{"type":"search","function":{"name":"a"}}`:                         "search",
		`{"type":"function","function":{"name":"a","strict":true}}`:         "strict",
		`{"type":"function","name":"b","function":{"name":"a"}}`:            "both",
		`{"name":"b","arguments":"{}"}`:                                     "belong to a call",
		`{"id":"x","type":"function","function":{"name":"b"}}`:              "belong to a call",
		`{"type":"function","function":{"name":"b","parameters":{}},"a":1}`: "\"a\"",
	} {
		var tool Tool
		if err := json.Unmarshal([]byte(text), &tool); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("tool %s: got %v, want an error with %q", text, err, part)
		}
	}
	for text, part := range map[string]string{
		`{"name":"a","arguments":"{}"}`:                              "\"name\"",
		`{"id":"x"}`:                                                 "no \"function\"",
		`{"function":{"arguments":"{}"}}`:                            "no name",
		`{"type":"custom","function":{"name":"a"}}`:                  "custom",
		`{"function":{"name":"a","arguments":"{"}}`:                  "call a",
		`{"function":{"name":"a","arguments":[1]}}`:                  "object",
		`{"function":{"name":"a","arguments":"null "}}`:              "object",
		`{"function":{"name":"a","parameters":{},"arguments":"{}"}}`: "belong to a tool",
	} {
		var call ToolCall
		if err := json.Unmarshal([]byte(text), &call); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("call %s: got %v, want an error with %q", text, err, part)
		}
	}
}

// FuzzMessage wants that whatever is read can be written and read again.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"a":[1,"x"]}}}]}`))
	f.Add([]byte(`{"role":"tool","tool_calls":[{"function":{"name":"f","arguments":" {}"}}],"tool_call_id":"c"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again Message
		if json.Unmarshal(data, &m) != nil {
			return
		}
		for _, c := range m.ToolCalls {
			if err := CheckArguments(c.Arguments); err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(m)
		if err != nil || json.Unmarshal(text, &again) != nil {
			t.Fatalf("%+v is written as %s, %v", m, text, err)
		}
		if once, _ := json.Marshal(again); !bytes.Equal(once, text) {
			t.Fatalf("%s became %s", text, once)
		}
	})
}
