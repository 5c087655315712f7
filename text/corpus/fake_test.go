package corpus

import (
	"fmt"
	"iter"
	"strings"
	"testing"
)

// byteTok is a tokenizer of single bytes with markers 256 and 257; with pairs
// set, two equal letters make one token, so that tokens differ in length.
type byteTok struct {
	hash     string
	bare     bool // no markers
	pairs    bool
	vocab    int // 258 when zero
	onEncode func()
}

func (t byteTok) Encode(text string) []int32 {
	if t.onEncode != nil {
		t.onEncode()
	}
	var ids []int32
	for i := 0; i < len(text); i++ {
		if t.pairs && i+1 < len(text) && text[i] == text[i+1] {
			ids = append(ids, 258+int32(text[i]))
			i++
			continue
		}
		ids = append(ids, int32(text[i]))
	}
	return ids
}

func (t byteTok) Bytes(id int32) []byte {
	switch {
	case id < 256:
		return []byte{byte(id)}
	case id < 258:
		return []byte([]string{"<|bos|>", "<|end|>"}[id-256])
	}
	return []byte{byte(id - 258), byte(id - 258)}
}

func (t byteTok) Special(name string) (int32, bool) {
	id, ok := map[string]int32{"<|bos|>": 256, "<|end|>": 257}[name]
	return id, ok && !t.bare
}
func (t byteTok) IsSpecial(id int32) bool { return id == 256 || id == 257 }
func (t byteTok) BOS() (int32, bool)      { return t.Special("<|bos|>") }
func (t byteTok) EOS() (int32, bool)      { return t.Special("<|end|>") }
func (t byteTok) Err() error              { return nil }
func (t byteTok) Hash() string            { return "fake" + t.hash }

func (t byteTok) VocabSize() int {
	switch {
	case t.vocab > 0:
		return t.vocab
	case t.pairs:
		return 258 + 256
	}
	return 258
}

// slice yields documents at hand.
func slice(texts ...string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		for i, t := range texts {
			if !yield(Doc{Text: t, Source: fmt.Sprint(i)}, nil) {
				return
			}
		}
	}
}

// numbered returns n documents of different lengths up to about size bytes.
func numbered(n, size int) []string {
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("%d:", i)+strings.Repeat(string(rune('a'+i%26)), i*7%size))
	}
	return texts
}

func build(t testing.TB, tok Encoder, o ShardOptions, texts ...string) *Dataset {
	t.Helper()
	d, err := Build(t.Context(), tok, slice(texts...), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}

// someText is at least n bytes of words in documents, always the same.
func someText(n int) string {
	words := strings.Fields("the a mill river stands old by town bread sells baker walks to and her cat he sleeps in garden blue under clock is late again")
	var b strings.Builder
	for i := uint64(1); b.Len() < n; i++ {
		z := mix(i)
		b.WriteString(words[z%uint64(len(words))])
		switch {
		case z>>32%90 == 0:
			b.WriteString(".\n" + Separator + "\n")
		case z>>32%9 == 0:
			b.WriteString(". ")
		default:
			b.WriteString(" ")
		}
	}
	return b.String()
}
