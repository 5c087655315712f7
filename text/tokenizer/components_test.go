package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// component is one tokenizer of testdata/components and what the tokenizers
// library makes of the texts with it.
type component struct {
	Name              string
	File              json.RawMessage
	IDs, User, Marked [][]int32 // trusted text, text of users, with the post-processor
	Offsets           [][][2]int
	Text              []string // decoded
}

func components(tb testing.TB) (texts []string, cases []component) {
	tb.Helper()
	var f struct {
		Texts []string
		Cases []component
	}
	if err := json.Unmarshal(readTestdata(tb, "components/components.json"), &f); err != nil {
		tb.Fatal(err)
	}
	if len(f.Texts) == 0 || len(f.Cases) < 60 {
		tb.Fatalf("got %d texts and %d tokenizers, want more", len(f.Texts), len(f.Cases))
	}
	return f.Texts, f.Cases
}

// TestComponents holds every component of tokenizer.json to the library: ids,
// offsets, decoded text, streamed text; and the file to itself when it is saved.
func TestComponents(t *testing.T) {
	texts, cases := components(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := parse(c.File)
			if err != nil {
				t.Fatal(err)
			}
			checkReload(t, tok)
			if c.User == nil {
				c.User = c.IDs
			}
			if c.Marked == nil {
				c.Marked = c.IDs
			}
			for i, text := range texts {
				c.check(t, tok, i, text)
			}
		})
	}
}

func (c *component) check(t *testing.T, tok *Tokenizer, i int, text string) {
	t.Helper()
	same := func(what string, want, got []int32) {
		t.Helper()
		if !slices.Equal(want, got) {
			t.Errorf("%q: %s: got %v, want %v", text, what, got, want)
		}
	}
	same("trusted", c.IDs[i], tok.EncodeSpecial(text))
	same("with markers", c.Marked[i], tok.EncodeWith(text, Options{Trusted: true, Marked: true}))
	user := c.User[i]
	if c.Name == "Unigram" && (strings.Contains(text, "s>") || strings.Contains(text, "<unk>")) {
		user = tok.Encode(text) // the library lets users write </s>
		if slices.Contains(user, 1) || slices.Contains(user, 2) {
			t.Errorf("%q of a user led to a special token: %v", text, user)
		}
	} else {
		same("of a user", user, tok.Encode(text))
		ids, spans := tok.EncodeOffsets(text)
		same("with offsets", user, ids)
		for k, want := range c.Offsets[i] {
			if got := spans[k]; got != (Span{want[0], want[1]}) {
				t.Errorf("%q: offsets of token %d: got %v, want %v", text, k, got, want)
			}
		}
	}
	decoded := tok.Decode(user)
	// The library's newest version decodes an added token as its normalised form.
	changed := (c.Name == "Prepend" || c.Name == "Replace") && strings.Contains(text, "foo")
	if want := c.Text[i]; lossy(decoded) != want && !strings.Contains(want, "\ufffd") && slices.Equal(user, c.User[i]) && !changed {
		t.Errorf("%v: decoded to %q, want %q", user, decoded, want)
	}
	st := tok.NewStream()
	var b strings.Builder
	for _, id := range user {
		b.WriteString(st.Push(id))
	}
	if b.WriteString(st.Flush()); b.String() != lossy(decoded) {
		t.Errorf("%v: streamed as %q, want %q", user, b.String(), lossy(decoded))
	}
}
