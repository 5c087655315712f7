package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

// lossy is the oracle of invalid UTF-8: x/text replaces maximal subparts.
func lossy(text string) string {
	out, err := unicode.UTF8.NewDecoder().String(text)
	if err != nil {
		panic(err)
	}
	return out
}

// TestStreamSplits pushes texts in every division into tokens of one to four
// bytes, or ends them anywhere.
func TestStreamSplits(t *testing.T) {
	// Every string of up to three bytes of these kinds, as tokens of their own.
	var units []string
	for _, a := range []string{"a", "\x80", "\xc3", "\xe6", "\xe0", "\x97", "\xf0", "\x9f", "\xed", "\xa0", "\xff", "é", "日", "🙂"} {
		units = append(units, a)
	}
	s := spec{preTokenizer: preTokenizerOf(patterns()[0]), decoder: json.RawMessage(byteLevelDecoder)}
	for _, u := range units {
		s.tokens = append(s.tokens, token{text: u, kind: plain})
	}
	tok, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	n := int32(len(units))
	for code := range n * n * n * n {
		ids := []int32{code % n, code / n % n, code / n / n % n, code / n / n / n}
		st := tok.NewStream()
		var got strings.Builder
		for _, id := range ids {
			got.WriteString(st.Push(id))
		}
		got.WriteString(st.Flush())
		if want := lossy(tok.Decode(ids)); got.String() != want {
			t.Fatalf("%q: got %q, want %q", tok.Decode(ids), got.String(), want)
		}
	}
}

func TestStreamHoldsBack(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 257, Special: []string{"<|end|>"}})
	st := tok.NewStream()
	for i, c := range []struct {
		id   int32
		want string
	}{
		{'h', "h"}, {0xe6, ""}, {0x97, ""}, {0xa5, "日"}, {0xf0, ""}, {0x9f, ""}, {'x', "\ufffdx"}, {0xc3, ""}, {256, "\ufffd<|end|>"}, {0xf0, ""},
	} {
		if got := st.Push(c.id); got != c.want {
			t.Errorf("push %d: got %q, want %q", i, got, c.want)
		}
	}
	if got := st.Flush(); got != "\ufffd" {
		t.Errorf("flush: got %q, want U+FFFD", got)
	}
	if got := st.Flush() + st.Push('y'); got != "y" {
		t.Errorf("after the flush: got %q, want %q", got, "y")
	}
}

func TestStreamLeadingSpace(t *testing.T) {
	tok := fixtures(t)["spm"]
	bos, _ := tok.BOS()
	words := tok.Encode("the rain")
	show := func(st *Stream, ids ...int32) string {
		var b strings.Builder
		for _, id := range ids {
			b.WriteString(st.Push(id))
		}
		return b.String() + st.Flush()
	}
	for _, c := range []struct {
		name string
		got  string
		want string
	}{
		{"start", show(tok.NewStream(), words...), "the rain"},
		{"behind BOS", show(tok.NewStream(bos), words...), "the rain"},
		{"behind a prompt", show(tok.NewStream(append([]int32{bos}, words...)...), words...), " the rain"},
		{"BOS pushed", show(tok.NewStream(), append([]int32{bos}, words...)...), "<s>the rain"},
		{"second sentence", show(tok.NewStream(), append(words, words...)...), "the rain the rain"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

// TestBytes: what a token stands for in the middle of a text, where decoders treat
// the first or the last token of a text in another way.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ model, decoder, name, want string }{
		{`"end_of_word_suffix":"</w>",`, `{"type":"BPEDecoder","suffix":"</w>"}`, "ab</w>", "ab "},
		{"", `null`, "a", " a"},
		{"", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}`, "▁", " "},
		{"", `{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"a","start":1,"stop":1}]}`, "a", "a"},
		{"", `{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Replace","pattern":{"String":"a"},"content":"o"}]}`, "a", "o"},
		{"", `{"type":"WordPiece","prefix":"##","cleanup":false}`, "a", " a"},
	} {
		tok, err := parse([]byte(`{"model":{"type":"BPE",` + c.model + `"vocab":{"a":0,"b":1,"b</w>":2,"ab</w>":3,"▁":4},"merges":["a b</w>"]},"decoder":` + c.decoder + `}`))
		if err != nil {
			t.Fatalf("%s: %v", c.decoder, err)
		}
		id, ok := tok.Find(c.name)
		if got := string(tok.Bytes(id)); !ok || got != c.want {
			t.Errorf("%s: %s in the middle of a text is %q, want %q", c.decoder, c.name, got, c.want)
		}
	}
}

func ExampleStream() {
	tok := mustBytes()
	st := tok.NewStream()
	for _, id := range tok.Encode("né") {
		fmt.Printf("%q ", st.Push(id))
	}
	fmt.Printf("%q\n", st.Flush())
	// Output: "n" "" "é" ""
}
