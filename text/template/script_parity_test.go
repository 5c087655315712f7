package template

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"weft/chat"
	"weft/text/jinja"
)

// TestMessagesSayWhatTheJSONSays renders the conversations that are held
// against Python (testdata/templates) from their JSON and as messages: the bytes
// must be equal, but where messages know better.
func TestMessagesSayWhatTheJSONSays(t *testing.T) {
	better := map[string]bool{
		"arguments as text": true, // which many templates would spell twice
		"reasoning":         true, // given under the name that the template knows
	}
	data, err := os.ReadFile("../../testdata/templates/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2024, 7, 6, 14, 5, 9, 0, time.UTC) }
	same := 0
	for name, source := range published(t) {
		plain, err := jinja.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := scripted(t, Source{Jinja: source, Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}})
		for title, vars := range all {
			var msgs []chat.Message
			o := Options{Extra: map[string]any{}, Now: now}
			values := map[string]any{}
			var odd error
			for k, v := range vars {
				values[k] = v
				switch k {
				case "messages":
					odd = errors.Join(odd, json.Unmarshal(v, &msgs))
				case "tools":
					odd = errors.Join(odd, json.Unmarshal(v, &o.Tools))
				case "add_generation_prompt":
					o.GenerationPrompt = string(v) == "true"
				default:
					o.Extra[k] = v
				}
			}
			segments, failed := plain.Render(values, jinja.Options{Now: now})
			if odd != nil || failed != nil {
				continue // content in parts, odd tools, or the template refuses it
			}
			got, err := tmpl.Text(msgs, o)
			switch want := jinja.Text(segments); {
			case errors.Is(err, ErrTools) || errors.Is(err, ErrRole) || errors.Is(err, ErrNoMessages):
			case err != nil:
				t.Errorf("%s, %s: %v", name, title, err)
			case got == want:
				same++
			case !better[title]:
				at := common([]byte(got), []byte(want))
				t.Errorf("%s, %s: got %q, want %q at byte %d", name, title, short(got[at:]), short(want[at:]), at)
			}
		}
	}
	if same < 1000 {
		t.Errorf("only %d renderings were compared", same)
	}
}
