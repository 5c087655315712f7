package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestBaseNames: the same model under the names that it goes by.
func TestBaseNames(t *testing.T) {
	for _, c := range []struct {
		base, name string
		same       bool
	}{
		{"Qwen/Qwen2.5-0.5B", "qwen2.5-0.5b", true},
		{"Qwen/Qwen2.5-0.5B", "hf:Qwen/Qwen2.5-0.5B", true},
		{"Qwen/Qwen2.5-0.5B", "hf:bartowski/Qwen2.5-0.5B-GGUF:Qwen2.5-0.5B-Q4_K_M.gguf", true},
		{"Qwen/Qwen2.5-0.5B", "Qwen2.5-0.5B-Q4_K_M.gguf", true},
		{"Qwen/Qwen2.5-0.5B", "qwen2.5-0.5b.iq4_xs", true},
		{"Qwen/Qwen2.5-0.5B", "qwen2.5-0.5b-f16.gguf", true},
		{"Qwen/Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct", false},
		{"Qwen/Qwen2.5-0.5B-Instruct", "Qwen2.5-0.5B", false},
		{"/home/x/.cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B/snapshots/0123abcd", "Qwen2.5-0.5B", true},
		{`C:\models\chat\`, "chat", true},
		{"./out/chat", "out/chat", true},
		{"out/chat", "chat2", false},
		{"", "anything", true},
	} {
		err := Base{Names: []string{"another", c.name}}.check(c.base)
		if (err == nil) != c.same || err != nil && !errors.Is(err, ErrBase) {
			t.Errorf("an adapter for %q over %q: %v", c.base, c.name, err)
		}
	}
	if err := (Base{}).check("any"); err != nil {
		t.Errorf("a base without a name: %v", err)
	}
}

// TestPatterns: keys are tried in the order of the file, as names, ends of
// names, or expressions.
func TestPatterns(t *testing.T) {
	var p Patterns
	text := `{"model.layers.1.mlp.up_proj":1,"up_proj":2,"layers\\.[01]\\..*_proj":3,"^model.layers.2.mlp.down_proj":4,"k":5}`
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]float64{
		"model.layers.1.mlp.up_proj": 1, "model.layers.0.mlp.up_proj": 2, "model.layers.0.mlp.gate_proj": 3,
		"model.layers.2.mlp.down_proj": 4, "model.layers.2.mlp.gate_proj": 9, "k": 5, "a.k": 5, "a.kk": 9, "gate_up_proj": 9,
	} {
		if got := p.find(module, 9); got != want {
			t.Errorf("%s: got %g, want %g", module, got, want)
		}
	}
	if out, err := json.Marshal(p); err != nil || string(out) != text {
		t.Errorf("written as %s (%v), want %s", out, err, text)
	}
	for _, bad := range []string{`[]`, `{"":1}`, `{"a":"b"}`, `{"[":1}`, `{"` + strings.Repeat("a*", 200) + `":1}`} {
		if err := new(Patterns).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%.30s: no error", bad)
		}
	}
	var many Patterns
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = many.Add(fmt.Sprintf("a%d.*", i), 1)
	}
	if err == nil || len(many.list) != maxExprs {
		t.Errorf("%d expressions are taken (%v), want %d", len(many.list), err, maxExprs)
	}
}
