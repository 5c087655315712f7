package template

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/text/tokenizer"
)

// trained returns a small byte-level tokenizer that has a template's markers.
func trained(t *testing.T, tmpl *Template) *tokenizer.Tokenizer {
	t.Helper()
	texts := func(yield func(string, error) bool) {
		yield(strings.Repeat("user assistant system tool\nim_start im_end <| |> bos end the quick brown fox\n\n", 20), nil)
	}
	tok, err := tokenizer.Train(context.Background(), texts, tokenizer.TrainOptions{VocabSize: 400, Pattern: "gpt2", Special: tmpl.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestRenderWithARealTokenizer(t *testing.T) {
	for _, name := range Names() {
		tmpl := named(t, name)
		tok := trained(t, tmpl)
		if err := tmpl.Check(tok); err != nil {
			t.Fatal(err)
		}
		if id, ok := tok.BOS(); ok != (tmpl.BOS() != "") || ok && tok.Decode([]int32{id}) != tmpl.BOS() {
			t.Errorf("%s: the tokenizer begins texts with %d (%v), the template with %q", name, id, ok, tmpl.BOS())
		}
		if id, _ := tok.EOS(); tok.Decode([]int32{id}) != tmpl.DocumentEnd() {
			t.Errorf("%s: the tokenizer ends texts with %q, the template with %q", name, tok.Decode([]int32{id}), tmpl.DocumentEnd())
		}
		rapid.Check(t, func(t *rapid.T) {
			msgs := drawMessages(t, tmpl)
			r, err := tmpl.Render(tok, msgs, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(r.IDs); got != r.Text {
				t.Fatalf("ids decode to %q, text %q", got, r.Text)
			}
			var learned string
			markers, want := 0, ""
			for i, id := range r.IDs {
				if tok.IsSpecial(id) {
					markers++
				}
				if r.Mask[i] {
					learned += tok.Decode([]int32{id})
				}
			}
			authored := 1 // opens the answer
			if tmpl.BOS() != "" {
				authored++
			}
			for _, m := range msgs {
				authored += 2
				if m.Role == chat.Assistant {
					authored += len(m.ToolCalls)
					want += m.Content + callsText(m) + tmpl.End()
				}
			}
			if markers != authored || learned != want {
				t.Fatalf("%d markers, want %d; learned %q, want %q", markers, authored, learned, want)
			}
		})
	}
}
