package cli

import (
	"slices"
	"testing"
)

func TestShortNames(t *testing.T) {
	got := shortNames([]string{"a/x/tokenizer.json", "b/x/tokenizer.json", "/deep/er/o200k.tiktoken", "tiny", "words to count", ""})
	want := []string{"a/x/tokenizer.json", "b/x/tokenizer.json", "o200k.tiktoken", "tiny", "words to count", ""}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := shortNames([]string{"a.json", "a.json"}); !slices.Equal(got, []string{"a.json", "a.json"}) {
		t.Errorf("the same file twice: got %q", got)
	}
}
