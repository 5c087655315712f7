package server

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/chat"
)

// fakeAdapters loads whatever is not named "bad".
type fakeAdapters struct{ all []chat.Adapter }

func (f *fakeAdapters) List() []chat.Adapter { return f.all }

func (f *fakeAdapters) Load(name, path string) error {
	if path == "bad" {
		return &chat.InputError{Param: "lora_path", Msg: "is no adapter"}
	}
	f.all = append(f.all, chat.Adapter{Name: name, Path: path, Created: time.Unix(1700000001, 0)})
	return nil
}

func (f *fakeAdapters) Unload(_ context.Context, name string) error {
	n := len(f.all)
	if f.all = slices.DeleteFunc(f.all, func(a chat.Adapter) bool { return a.Name == name }); len(f.all) == n {
		return chat.ErrNoAdapter
	}
	return nil
}

// TestAdapters: load, list, ask by name, unload, in vLLM's words.
func TestAdapters(t *testing.T) {
	f := &fakeModel{words: words("Hello world!")}
	s := testServer(t, f, func(o *Options) { o.Models[0].Adapters = &fakeAdapters{} })
	w := call(s, "POST", "/v1/load_lora_adapter", `{"lora_name":"sql","lora_path":"adapters/sql","load_inplace":false}`)
	if w.Code != 200 || w.Body.String() != "Success: LoRA adapter 'sql' added successfully." {
		t.Errorf("load: %d %s", w.Code, w.Body)
	}
	want := `{"id":"sql","object":"model","created":1700000001,"owned_by":"weft","max_model_len":64,"root":"adapters/sql","parent":"tiny"}`
	if w = call(s, "GET", "/v1/models", ""); !strings.Contains(w.Body.String(), `,`+want+`]`) {
		t.Errorf("models are %s, want one of them %s", w.Body, want)
	}
	if w = call(s, "GET", "/v1/models/sql", ""); strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("model is %s, want %s", w.Body, want)
	}
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"sql","messages":[{"role":"user","content":"hi"}]}`,
		"/v1/completions":      `{"model":"sql","prompt":"hi"}`,
	} {
		w := call(s, "POST", path, body)
		var r struct{ Model string }
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 || r.Model != "sql" {
			t.Errorf("%s: %d, model %q, %v", path, w.Code, r.Model, err)
		}
		if got := f.seen.Load().Adapter; got != "sql" {
			t.Errorf("%s: the model is asked for adapter %q", path, got)
		}
		call(s, "POST", path, strings.Replace(body, "sql", "tiny", 1))
		if got := f.seen.Load().Adapter; got != "" {
			t.Errorf("%s: the base is asked for adapter %q", path, got)
		}
	}
	for body, param := range map[string]string{
		`{"lora_path":"x"}`:                                     "lora_name",
		`{"lora_name":"x"}`:                                     "lora_path",
		`{"lora_name":"x","lora_path":"bad"}`:                   "lora_path",
		`{"lora_name":"sql","lora_path":"x"}`:                   "lora_name",
		`{"lora_name":"tiny","lora_path":"x"}`:                  "lora_name",
		`{"lora_name":"x","lora_path":"x","load_inplace":true}`: "load_inplace",
	} {
		wantError(t, call(s, "POST", "/v1/load_lora_adapter", body), 400, "invalid_value", param)
	}
	wantError(t, call(s, "POST", "/v1/unload_lora_adapter", `{"lora_name":"other"}`), 404, "model_not_found", "lora_name")
	w = call(s, "POST", "/v1/unload_lora_adapter", `{"lora_name":"sql"}`)
	if w.Code != 200 || w.Body.String() != "Success: LoRA adapter 'sql' removed successfully." {
		t.Errorf("unload: %d %s", w.Code, w.Body)
	}
	wantError(t, call(s, "POST", "/v1/completions", `{"model":"sql","prompt":"hi"}`), 404, "model_not_found", "model")
}

// TestAdaptersGuarded: like all that changes something, only with the key, not
// from other pages, and only where the operator has allowed it.
func TestAdaptersGuarded(t *testing.T) {
	const body = `{"lora_name":"a","lora_path":"a"}`
	closed := testServer(t, &fakeModel{}, nil)
	keyed := testServer(t, &fakeModel{}, func(o *Options) { o.Key, o.Models[0].Adapters = "secret", &fakeAdapters{} })
	for _, path := range []string{"/v1/load_lora_adapter", "/v1/unload_lora_adapter"} {
		message := wantError(t, call(closed, "POST", path, body), 403, "adapters_not_allowed", "")
		if !strings.Contains(message, "--lora-dir") {
			t.Errorf("message is %q", message)
		}
		wantError(t, call(keyed, "POST", path, body), 401, "invalid_api_key", "")
		wantError(t, call(closed, "POST", path, body, "Host", "evil.example"), 403, "forbidden_host", "")
		wantError(t, call(keyed, "POST", path, body, "Authorization", "Bearer secret", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), 403, "forbidden_origin", "")
		wantError(t, call(keyed, "GET", path, "", "Authorization", "Bearer secret"), 405, "method_not_allowed", "")
	}
}
