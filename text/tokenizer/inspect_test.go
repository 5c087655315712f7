package tokenizer

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 300, Pattern: "cl100k", Special: []string{"<|bos|>", "<|end|>"}}, strings.Repeat("the theory of others ", 20))
	d := tok.Describe()
	if d.Model != "BPE" || d.Vocab != tok.VocabSize() || d.Plain != 256+d.Merges || d.BOS != "<|bos|>" || len(d.PreTokenizer) != 2 || len(d.Decoder) != 1 || d.Missing != 0 {
		t.Errorf("got %+v", d)
	}
	if want := []AddedToken{{ID: int32(d.Vocab - 2), Text: "<|bos|>", Special: true}, {ID: int32(d.Vocab - 1), Text: "<|end|>", Special: true}}; cmp.Diff(want, d.Added) != "" {
		t.Errorf("added: got %+v", d.Added)
	}
	batch := tok.spec
	batch.dropout, batch.padding = 0.1, json.RawMessage(`{ "strategy": "BatchLongest" }`)
	if other, err := build(batch); err != nil || !slices.Equal(other.Describe().NotApplied, []string{"dropout 0.1, unless Options ask for it", `padding {"strategy":"BatchLongest"}`}) {
		t.Errorf("not applied: %v, %v", other.Describe().NotApplied, err)
	}
	id, ok := tok.Find(" the")
	got, _ := tok.Token(id)
	if !ok || got.Kind != "plain" || got.Name != "Ġthe" || string(got.Bytes) != " the" || !got.Reached || strings.Count(got.Tree, "(") != 3 || got.Rank < 0 {
		t.Errorf("token of %q: %v, %+v", " the", ok, got)
	}
	if by, ok := tok.Find("Ġthe"); !ok || by != id {
		t.Errorf("by name: got %d, %v, want %d", by, ok, id)
	}
	if _, ok := tok.Token(9999); ok {
		t.Error("a token outside the vocabulary")
	}
	if n := len(tok.Longest(3)); n != 3 || len(tok.Bytes(tok.Longest(1)[0])) < len(" theory") {
		t.Errorf("longest: got %d, first %q", n, tok.Bytes(tok.Longest(1)[0]))
	}
	// What a byte-level trainer learned last, every text of it, can be reached;
	// bytes that merging always takes up cannot be told apart from others alone.
	if dead := tok.Unreachable(); len(dead) != 0 {
		t.Errorf("unreachable: %d", dead)
	}
	russian := mustTrain(t, TrainOptions{VocabSize: 300, Pattern: "cl100k"}, strings.Repeat("добро добра доблесть оброк ", 20))
	if dead := russian.Unreachable(); len(dead) != 0 {
		t.Errorf("tokens that end inside a letter are unreachable: %q", russian.Bytes(dead[0]))
	}
	s := tok.spec
	s.tokens = append(slices.Clone(s.tokens), token{"zzz", plain})
	cut, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int32{int32(tok.VocabSize())}, cut.Unreachable()); d != "" {
		t.Errorf("a token without a merge (-want +got):\n%s", d)
	}
}

func TestMeasure(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 257, Special: []string{"<|end|>"}}, "a")
	m := tok.Measure("né 猫\n")
	if want := (Measure{Bytes: 8, Chars: 5, Words: 2, Spaced: 2, Unspaced: 1, Tokens: 8, Partial: 5}); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	if f, ok := m.Fertility(); !ok || f != 4 || m.TokensPerChar() != 1.6 || m.BytesPerToken() != 1 {
		t.Errorf("ratios: got %v, %v, %v, %v", f, ok, m.TokensPerChar(), m.BytesPerToken())
	}
	if _, ok := tok.Measure("猫が好き a").Fertility(); ok {
		t.Error("fertility of Japanese")
	}
	if l := tok.RoundTrip("né\xff"); !l.Exact() {
		t.Errorf("bytes: lost %+v", l)
	}
	for _, c := range []struct {
		a, b string
		want []string
	}{
		{"e\u0301", "é", []string{"composition"}},
		{"A b", "a b", []string{"case"}},
		{"A b", "ab", []string{"white space", "case"}},
		{"é", "e", []string{"accents"}},
		{"ﬁ", "fi", []string{"compatibility forms"}},
		{"ab", "a?", []string{"text"}},
	} {
		if d := cmp.Diff(c.want, whatIsLost(c.a, c.b)); d != "" {
			t.Errorf("%q and %q (-want +got):\n%s", c.a, c.b, d)
		}
	}
}

func TestClaimAndExtend(t *testing.T) {
	text := strings.Repeat("the theory of others, other theories ", 20)
	tok := mustTrain(t, TrainOptions{VocabSize: 280, Special: []string{"<|end|>"}, Reserved: 2}, text)
	if d := cmp.Diff([]string{"<|reserved_0|>", "<|reserved_1|>"}, tok.Reserved()); d != "" {
		t.Error(d)
	}
	old, _ := tok.Special("<|reserved_0|>")
	claimed, err := tok.Claim("", "<|tool|>")
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := claimed.Special("<|tool|>"); !ok || id != old || claimed.VocabSize() != tok.VocabSize() || len(claimed.Reserved()) != 1 || len(tok.Reserved()) != 2 {
		t.Errorf("claimed id %d, %v, want %d", id, ok, old)
	}
	if d := cmp.Diff([]int32{old}, claimed.EncodeSpecial("<|tool|>")); d != "" {
		t.Error(d)
	}
	for _, c := range [][2]string{{"<|end|>x", "<|a|>"}, {"", "<|end|>"}, {"", "the"}, {"", "x"}} {
		if _, err := tok.Claim(c[0], c[1]); err == nil {
			t.Errorf("claim %q: got no error", c)
		}
	}
	more, err := tok.Extend("photosynthesis", "zork")
	if err != nil {
		t.Fatal(err)
	}
	n := int32(tok.VocabSize())
	if d := cmp.Diff(append(tok.Encode("a "), n, n+1), more.Encode("a photosynthesiszork")); d != "" {
		t.Error(d)
	}
	if _, err := tok.Extend("the"); err == nil && len(tok.Encode("the")) == 1 {
		t.Error("a token that is there: got no error")
	}
	news := strings.Repeat("quantum quarks quibble ", 20)
	grown, err := tok.ExtendTrained(context.Background(), texts(news), 8, TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if grown.VocabSize() != tok.VocabSize()+8 || len(grown.Encode(news)) >= len(tok.Encode(news)) {
		t.Errorf("got %d tokens and %d for the text, before %d and %d", grown.VocabSize(), len(grown.Encode(news)), tok.VocabSize(), len(tok.Encode(news)))
	}
	if d := cmp.Diff(tok.Encode("others of"), grown.Encode("others of")); d != "" {
		t.Errorf("an old text has other ids:\n%s", d)
	}
	if got := grown.Decode(grown.Encode(news)); got != news {
		t.Error("the text changed")
	}
	path := t.TempDir() + "/t.json"
	if err := grown.Save(path); err != nil {
		t.Fatal(err)
	}
	if back, err := Load(path); err != nil || back.Hash() != grown.Hash() {
		t.Errorf("saving changed the tokenizer: %v", err)
	}
}
