package tokenizer_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"weft/internal/testkit"
	"weft/text/tokenizer"
)

// TestWriteGGUF writes tokenizers of all kinds as keys and reads them back by
// both roads: the whole tokenizer.json is the tokenizer that it was, and what
// llama.cpp reads has its tokens, its markers and, where there is nothing to say
// about it, its ids.
func TestWriteGGUF(t *testing.T) {
	texts := []string{"", "The cat sat on the mat.", "  two  spaces ", "I'm 1234567 years old, it's 3.14", "naïve café, Übermut\n\n\tx = [1, 2];",
		"日本語と中文，混ぜて", "😀 ok 🏳️‍🌈", "<|endoftext|> </s> <s>"}
	for _, c := range []struct {
		file, model, pre string
	}{
		{"../../model/tiny/tiny", "gpt2", "starcoder"},
		{"gpt2", "gpt2", "gpt-2"},
		{"llama2", "llama", ""},
		{"smollm", "gpt2", "gpt-2"},
	} {
		t.Run(c.file, func(t *testing.T) {
			tok := openAny(t, c.file)
			all, odd, err := tok.GGUF(tok.VocabSize() + 2)
			if err != nil {
				t.Fatal(err)
			}
			m := metadata{}
			for _, e := range all {
				m[e.Key] = e.Value
			}
			whole, _ := m["tokenizer.huggingface.json"].(string)
			path := t.TempDir() + "/tokenizer.json"
			if err := os.WriteFile(path, []byte(whole), 0o644); err != nil {
				t.Fatal(err)
			}
			if back, err := tokenizer.Open(path); err != nil || back.Hash() != tok.Hash() {
				t.Errorf("the whole tokenizer is another one (%v)", err)
			}
			if m["tokenizer.ggml.model"] != c.model || c.pre != "" && m["tokenizer.ggml.pre"] != c.pre {
				t.Errorf("model %v, pattern %v, want %s %s (%s)", m["tokenizer.ggml.model"], m["tokenizer.ggml.pre"], c.model, c.pre, odd)
			}
			back, err := tokenizer.FromGGUF(m)
			if err != nil {
				t.Fatal(err)
			}
			if back.VocabSize() != tok.VocabSize()+2 || string(back.Bytes(int32(tok.VocabSize()))) != fmt.Sprintf("[PAD%d]", tok.VocabSize()) {
				t.Errorf("%d tokens, the first that is new is %q", back.VocabSize(), back.Bytes(int32(tok.VocabSize())))
			}
			for what, f := range map[string]func(*tokenizer.Tokenizer) (int32, bool){"BOS": (*tokenizer.Tokenizer).BOS, "EOS": (*tokenizer.Tokenizer).EOS} {
				a, ok := f(tok)
				if b, has := f(back); ok && (a != b || !has) {
					t.Errorf("%s is %d %v, want %d", what, b, has, a)
				}
			}
			marked := tokenizer.Options{Trusted: true, Marked: true}
			for _, text := range texts {
				if got, want := back.EncodeWith(text, marked), tok.EncodeWith(text, marked); odd == "" && !slices.Equal(got, want) {
					t.Errorf("%q: got %v, want %v", text, got, want)
				}
			}
		})
	}
}

// openAny reads a tokenizer of this repository or of the public files.
func openAny(t *testing.T, file string) *tokenizer.Tokenizer {
	t.Helper()
	if !strings.HasPrefix(file, "..") {
		file = testkit.Data(t, "tokenizers/"+file)
	}
	tok, err := tokenizer.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestWriteGGUFPatterns writes the pattern of every name under a name that means
// the same.
func TestWriteGGUFPatterns(t *testing.T) {
	_, err := tokenizer.FromGGUF(small(metadata{"pre": "?"}))
	_, list, _ := strings.Cut(fmt.Sprint(err), "known are ")
	for _, name := range strings.Split(list, ", ") {
		tok, err := tokenizer.FromGGUF(small(metadata{"pre": name}))
		if err != nil {
			t.Fatal(err)
		}
		all, odd, err := tok.GGUF(tok.VocabSize())
		if err != nil {
			t.Fatal(err)
		}
		m := metadata{}
		for _, e := range all {
			m[e.Key] = e.Value
		}
		if m["tokenizer.ggml.model"] == "weft" { // merges of characters
			if odd == "" {
				t.Errorf("%s: nothing is said", name)
			}
			continue
		}
		back, err := tokenizer.FromGGUF(m)
		if err != nil || back.Hash() != tok.Hash() || odd != "" {
			t.Errorf("%s comes back as %v, another tokenizer (%v, %q)", name, m["tokenizer.ggml.pre"], err, odd)
		}
	}
}

// TestWriteGGUFOdd: what the keys cannot say is said, and refused by who reads
// only them.
func TestWriteGGUFOdd(t *testing.T) {
	for want, text := range map[string]string{
		`tokenizer.ggml.model "weft"`: `{"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"?":2},"unk_token":"?"}}`,
		`tokenizer.ggml.pre "weft"`: `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[xy]+"},"behavior":"Isolated","invert":false},` +
			`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`,
	} {
		path := t.TempDir() + "/tokenizer.json"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		all, odd, err := tok.GGUF(tok.VocabSize())
		if err != nil || odd == "" {
			t.Fatalf("odd is %q, error %v", odd, err)
		}
		m := metadata{}
		for _, e := range all {
			m[e.Key] = e.Value
		}
		if _, err := tokenizer.FromGGUF(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got error %v", want, err)
		}
		if _, _, err := tok.GGUF(2); err == nil || !strings.Contains(err.Error(), "a model of 2 tokens") {
			t.Errorf("too small a model: error %v", err)
		}
	}
}
