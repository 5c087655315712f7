package chat

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseManifest(t *testing.T) {
	good := `{"version":1,"model":"m","identity":{"weights":"w","tokenizer":"t"},"answers":[{"prompt_ids":[1],"token_ids":[2]}]}`
	if m, err := ParseManifest([]byte(good)); err != nil || m.Model != "m" || m.Answers[0].Tokens[0] != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	for change, want := range map[string]string{
		`"version":1 -> "version":2`:             "version is 2, want 1",
		`"weights":"w", -> `:                     "no hash of weights",
		`"answers":[ -> "more":[`:                "no answers",
		`"prompt_ids":[1] -> "prompt_ids":[]`:    "answers[0].prompt_ids",
		`"token_ids":[2] -> "token_ids":["a"]`:   "cannot unmarshal",
		`"token_ids":[2] -> "token_ids":[2e20]`:  "cannot unmarshal",
		`"answers":[ -> "answers":[{}],"else":[`: "answers[0].prompt_ids",
	} {
		from, to, _ := strings.Cut(change, " -> ")
		if _, err := ParseManifest([]byte(strings.Replace(good, from, to, 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", change, err, want)
		}
	}
}

func TestIdentityDiff(t *testing.T) {
	was := Identity{Weights: "w", Tokenizer: "t", Template: "p", Engine: "1", Kernels: "avx2", Cache: "f32"}
	if d := was.Diff(was); len(d) > 0 {
		t.Errorf("of itself: %+v", d)
	}
	is := Identity{Weights: "x", Adapter: "a", Tokenizer: "t", Template: "", Engine: "2", Kernels: "generic", Cache: "q8"}
	var fields []string
	for _, d := range was.Diff(is) {
		if d.Harmless != (d.Field == "engine") {
			t.Errorf("%s: harmless is %t", d.Field, d.Harmless)
		}
		fields = append(fields, d.Field)
	}
	if got := strings.Join(fields, " "); got != "weights adapter template kernels kv_cache engine" {
		t.Errorf("got %s", got)
	}
}

// FuzzParseManifest reads any bytes: no crash, and what is taken is sound and
// goes through JSON unchanged.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"identity":{"weights":"w","tokenizer":"t"},"answers":[{"prompt_ids":[1],"sampling":{"logit_bias":{"3":-1}},"token_ids":[2]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	})
}
