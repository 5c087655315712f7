package server

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/chat"
)

var update = flag.Bool("update", false, "write the golden files of testdata/golden anew")

// TestGolden compares whole responses with files, byte for byte: what goes
// over the wire is the contract with clients.
func TestGolden(t *testing.T) {
	tests := []struct{ name, path, body string }{
		{"chat", "/v1/chat/completions", `{"model":"tiny","messages":[{"role":"user","content":"hi"}]}`},
		{"chat_stream", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"stream":true}`},
		{"chat_stream_usage", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}`},
		{"chat_logprobs", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":2,"max_completion_tokens":2}`},
		{"chat_stream_logprobs", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"logprobs":true,"max_tokens":1,"stream":true}`},
		{"text", "/v1/completions", `{"model":"tiny","prompt":"Once"}`},
		{"text_stream_usage", "/v1/completions", `{"prompt":"Once","max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`},
		{"text_echo_logprobs", "/v1/completions", `{"prompt":"Once","echo":true,"logprobs":1,"max_tokens":1}`},
		{"text_echo_alone", "/v1/completions", `{"prompt":"Once","echo":true,"logprobs":0,"max_tokens":0}`},
		{"text_stream_logprobs", "/v1/completions", `{"prompt":[1,2,3],"logprobs":1,"max_tokens":2,"stream":true}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := testServer(t, &fakeModel{words: words("Hello <b>& \u00fcber 世界!")}, nil)
			compareGolden(t, test.name, call(s, "POST", test.path, test.body))
		})
	}
}

// TestGoldenTools does so for a model that makes two calls, behind words and
// without any.
func TestGoldenTools(t *testing.T) {
	const ask = `{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"price","parameters":{"type":"object","properties":{"item":{"type":"string"}}}}}]`
	calls := []chat.ToolCall{{ID: "call_1", Name: "price", Arguments: `{"item": "<b>"}`}, {ID: "call_2", Name: "price", Arguments: `{"item": "milk"}`}}
	for name, test := range map[string]struct {
		said []string
		more string
	}{
		"tools": {nil, ``}, "tools_words": {words("I look."), ``},
		"tools_stream": {nil, `,"stream":true`}, "tools_words_stream": {words("I look."), `,"stream":true,"stream_options":{"include_usage":true}`},
		"tools_none": {words("I guess."), `,"tool_choice":"none"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := testServer(t, &fakeModel{words: test.said, calls: calls}, nil)
			w := call(s, "POST", "/v1/chat/completions", ask+test.more+`}`)
			compareGolden(t, "chat_"+name, w)
		})
	}
}

// TestGoldenManifest does so for responses with a manifest, which is asked for in
// a header, of each endpoint and of a stream.
func TestGoldenManifest(t *testing.T) {
	for name, test := range map[string]struct{ path, body string }{
		"manifest_chat":         {"/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"n":2,"seed":5}`},
		"manifest_chat_stream":  {"/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"stream":true}`},
		"manifest_text":         {"/v1/completions", `{"prompt":"Once"}`},
		"manifest_stream_usage": {"/v1/completions", `{"prompt":"Once","stream":true,"stream_options":{"include_usage":true}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := testServer(t, &fakeModel{words: words("Hello.")}, nil)
			w := call(s, "POST", test.path, test.body, "X-Weft-Manifest", "1")
			compareGolden(t, name, w)
			plain := call(s, "POST", test.path, test.body, "X-Weft-Manifest", "0").Body.String()
			if strings.Contains(plain, "weft_manifest") {
				t.Errorf("not asked for, and there: %s", plain)
			}
		})
	}
}

// TestManifestErrors: a header that is no yes or no, and a model that cannot say
// what decided its answer.
func TestManifestErrors(t *testing.T) {
	s := testServer(t, &fakeModel{words: words("a"), blind: true}, nil)
	wantError(t, call(s, "POST", "/v1/chat/completions", hello, "X-Weft-Manifest", "please"), 400, "invalid_value", "X-Weft-Manifest")
	wantError(t, call(s, "POST", "/v1/chat/completions", hello, "X-Weft-Manifest", "1"), 500, "internal_error", "")
	if got := call(s, "POST", "/v1/chat/completions", helloStream, "X-Weft-Manifest", "1").Body.String(); !strings.Contains(got, "internal_error") || strings.Contains(got, "[DONE]") {
		t.Errorf("the stream ended so: %s", got)
	}
}

// TestGoldenReasoning does so for a model that thinks first.
func TestGoldenReasoning(t *testing.T) {
	for name, more := range map[string]string{"reasoning": ``, "reasoning_stream": `,"stream":true`} {
		t.Run(name, func(t *testing.T) {
			s := testServer(t, &fakeModel{thought: "Is it <4>?", words: words("It is 4.")}, nil)
			w := call(s, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]`+more+`}`)
			compareGolden(t, "chat_"+name, w)
		})
	}
}

// TestGoldenAPI does so for what the page asks beside.
func TestGoldenAPI(t *testing.T) {
	s := testServer(t, &fakeModel{}, func(o *Options) { apiServer(t, o) })
	for name, path := range map[string]string{
		"api_models": "/api/models", "api_runs": "/api/runs", "api_run": "/api/runs/deep/base", "api_run_from": "/api/runs/deep/base?from=2", "api_run_end": "/api/runs/deep/base?from=3",
	} {
		t.Run(name, func(t *testing.T) { compareGolden(t, name, call(s, "GET", path, "")) })
	}
}

// compareGolden compares a whole response with its file, byte for byte.
func compareGolden(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	got := w.Header().Get("Content-Type") + "\n\n" + w.Body.String()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("response changed (-want +got):\n%s", diff)
	}
	if w.Code != 200 {
		t.Errorf("got status %d, want 200", w.Code)
	}
}
