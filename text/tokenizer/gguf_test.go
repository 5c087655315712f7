package tokenizer_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/internal/testkit"
	"weft/model/weights/gguf"
	"weft/text/tokenizer"
)

// llamaCases reads the texts and ids that llama.cpp tests a vocabulary with.
func llamaCases(tb testing.TB, name string) (texts []string, ids [][]int32) {
	path := testkit.Data(tb, "gguf-vocabs/ggml-vocab-"+name+".gguf.inp")
	in, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := os.ReadFile(strings.TrimSuffix(path, "inp") + "out")
	if err != nil {
		tb.Fatal(err)
	}
	texts = strings.Split(string(in), "\n__ggml_vocab_test__\n")
	for line := range strings.Lines(string(out)) {
		list := []int32{}
		for _, f := range strings.Fields(line) {
			n, err := strconv.Atoi(f)
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, int32(n))
		}
		ids = append(ids, list)
	}
	// The texts end in a separator.
	if texts = texts[:len(texts)-1]; len(texts) != len(ids) || len(texts) < 40 {
		tb.Fatalf("%s: %d texts, %d lines of ids", name, len(texts), len(ids))
	}
	return texts, ids
}

// checkLlama compares both doors with llama.cpp's cases.
func checkLlama(t *testing.T, tok *tokenizer.Tokenizer, name string) {
	texts, want := llamaCases(t, name)
	for i, text := range texts {
		if got := tok.Encode(text); !slices.Equal(got, want[i]) {
			t.Errorf("%q: got %v, want %v", text, got, want[i])
		}
		if got := tok.EncodeSpecial(text); !slices.Equal(got, want[i]) {
			t.Errorf("%q as trusted text: got %v, want %v", text, got, want[i])
		}
	}
}

func openGGUF(tb testing.TB, name string) *gguf.File {
	f, err := gguf.Open(testkit.Data(tb, "gguf-vocabs/ggml-vocab-"+name+".gguf"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

// TestLlamaCpp holds every GGUF vocabulary against llama.cpp's own cases, as it
// is read and after it was saved as a tokenizer.json.
func TestLlamaCpp(t *testing.T) {
	for _, c := range []struct {
		name     string
		bos, eos string
		exact    bool // ids come back to the text
	}{
		{"bert-bge", "[CLS]", "[SEP]", false},
		{"deepseek-coder", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", true},
		{"falcon", "<|endoftext|>", "<|endoftext|>", true},
		{"gpt-2", "<|endoftext|>", "<|endoftext|>", true},
		{"llama-spm", "<s>", "</s>", true},
		{"phi-3", "<s>", "<|endoftext|>", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := tokenizer.FromGGUF(openGGUF(t, c.name))
			if err != nil {
				t.Fatal(err)
			}
			checkLlama(t, tok, c.name)
			for what, name := range map[string]string{"bos": c.bos, "eos": c.eos} {
				id, ok := tok.BOS()
				if what == "eos" {
					id, ok = tok.EOS()
				}
				if want, _ := tok.Special(name); !ok || id != want || !tok.IsSpecial(id) {
					t.Errorf("%s is %d (%q), want %q", what, id, tok.Bytes(id), name)
				}
			}
			texts, _ := llamaCases(t, c.name)
			for _, text := range texts {
				if got := tok.Decode(tok.Encode(text)); c.exact && got != text {
					t.Errorf("%q comes back as %q", text, got)
				}
			}
			back := saved(t, tok)
			checkLlama(t, back, c.name)
			if back.Hash() != tok.Hash() {
				t.Error("saving changes the hash")
			}
		})
	}
}

// TestLlamaCppRanks holds the vocabularies of which only the cases are there
// against them, read from their authors' files.
func TestLlamaCppRanks(t *testing.T) {
	for name, file := range map[string]string{"llama-bpe": "llama3/tokenizer.model", "qwen2": "qwen1/qwen.tiktoken"} {
		t.Run(name, func(t *testing.T) {
			checkLlama(t, ranks(t, file), name)
		})
	}
}

// ranks reads a file of ranks.
func ranks(tb testing.TB, file string) *tokenizer.Tokenizer {
	tok, err := tokenizer.Open(testkit.Data(tb, "tokenizers/"+file))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// metadata is a GGUF's in memory.
type metadata map[string]any

func (m metadata) Value(key string) (any, bool) {
	v, ok := m[key]
	return v, ok
}

// small is a GGUF vocabulary of the two letters a and b.
func small(more metadata) metadata {
	m := metadata{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
		"tokenizer.ggml.tokens": []string{"a", "b", "ab", "<e>"}, "tokenizer.ggml.merges": []string{"a b"},
		"tokenizer.ggml.eos_token_id": uint32(3)}
	for k, v := range more {
		m["tokenizer.ggml."+k] = v
	}
	return m
}

func TestGGUFSmall(t *testing.T) {
	tok, err := tokenizer.FromGGUF(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.EncodeSpecial("abba<e>"); !slices.Equal(got, []int32{2, 1, 0, 3}) {
		t.Errorf("ids are %v", got)
	}
	// The file forgot to say that <e> is a control token.
	if id, ok := tok.EOS(); !ok || id != 3 || !tok.IsSpecial(3) {
		t.Errorf("EOS is %d, special %v", id, tok.IsSpecial(id))
	}
	for want, m := range map[string]metadata{
		`tokenizer.ggml.pre "my-own"`:         small(metadata{"pre": "my-own"}),
		`tokenizer.ggml.model "plamo2"`:       small(metadata{"model": "plamo2"}),
		"no token for byte 0x00":              small(metadata{"model": "rwkv"}),
		"tokenizer.ggml.model: ":              {},
		"tokenizer.ggml.merges: ":             {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": []string{"a"}},
		"tokenizer.ggml.tokens is a []int32":  small(metadata{"tokens": []int32{1}}),
		"tokenizer.ggml.tokens: 0 of them":    small(metadata{"tokens": []string{}}),
		"4 of them with 4 scores and 1 types": small(metadata{"token_type": []int32{1}}),
		"0 and 1 are both":                    small(metadata{"tokens": []string{"a", "a", "ab", "<e>"}}),
		"merge 0 is \"ab\"":                   small(metadata{"merges": []string{"ab"}}),
		"merges[0]":                           small(metadata{"merges": []string{"a c"}}),
		"tokenizer.ggml.eos_token_id is":      small(metadata{"eos_token_id": "3"}),
		"unknown_token_id":                    small(metadata{"model": "bert"}),
		"precompiled_charsmap":                small(metadata{"model": "t5", "unknown_token_id": uint32(3), "precompiled_charsmap": []uint8{1, 2}}),
	} {
		_, err := tokenizer.FromGGUF(m)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, tokenizer.ErrFormat) && !errors.Is(err, tokenizer.ErrUnsupported) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
}

// TestGGUFOfRWKV holds a vocabulary of bytes with escapes against the rule that
// the longest token comes first, byte by byte, and saves it.
func TestGGUFOfRWKV(t *testing.T) {
	names, kinds, texts := []string{"<s>"}, []int32{3}, []string{"<s>"}
	add := func(name, text string) {
		names, kinds, texts = append(names, name), append(kinds, 1), append(texts, text)
	}
	for b := range 256 {
		name := fmt.Sprintf(`\x%02x`, b)
		switch {
		case b == '\\':
			name = `\\`
		case ' ' <= b && b <= '~':
			name = string(rune(b))
		}
		add(name, string([]byte{byte(b)}))
	}
	add(`\n\n`, "\n\n")
	add(`\r\t`, "\r\t")
	add(`\'s`, "'s")
	add(` \xe4\xb8`, " 世"[:3])
	add(` \xe4\xb8\x96\xe7`, " 世界"[:5])
	add(" the", " the")
	add("there", "there")
	add(" t", " t")
	add("[PAD1]", "[PAD1]")
	kinds[len(kinds)-1] = 5
	m := metadata{"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": names, "tokenizer.ggml.token_type": kinds, "tokenizer.ggml.bos_token_id": uint32(0)}
	tok, err := tokenizer.FromGGUF(m)
	if err != nil {
		t.Fatal(err)
	}
	greedy := func(text string) (ids []int32) {
		for text != "" {
			best := 0
			for id, name := range texts[1:] {
				if strings.HasPrefix(text, name) && len(name) > len(texts[best]) || best == 0 && strings.HasPrefix(text, name) {
					best = id + 1
				}
			}
			ids, text = append(ids, int32(best)), text[len(texts[best]):]
		}
		return ids
	}
	back := saved(t, tok)
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom(append(texts[200:], "<s>", " the there", "世界 世", "\xff", "[PAD1]", "é")))
		text := strings.Join(pieces.Draw(t, "pieces"), "")
		for _, tok := range []*tokenizer.Tokenizer{tok, back} {
			if got, want := tok.Encode(text), greedy(text); !slices.Equal(got, want) || tok.Decode(got) != text {
				t.Fatalf("%q: got %v (%q), want %v", text, got, tok.Decode(got), want)
			}
		}
	})
	if got := tok.EncodeSpecial("<s>\n\n"); !slices.Equal(got, []int32{0, 257}) {
		t.Errorf("trusted text: got %v, want 0 257", got)
	}
	if back.Hash() != tok.Hash() {
		t.Error("saving changes the hash")
	}
}

// TestPrePatterns reads a vocabulary by every name that is known: the error for
// one that is not lists them.
func TestPrePatterns(t *testing.T) {
	_, err := tokenizer.FromGGUF(small(metadata{"pre": "?"}))
	_, list, ok := strings.Cut(fmt.Sprint(err), "known are ")
	names := strings.Split(list, ", ")
	if !ok || len(names) < 80 {
		t.Fatalf("%d names in %v", len(names), err)
	}
	for _, name := range names {
		tok, err := tokenizer.FromGGUF(small(metadata{"pre": name}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := tok.Encode("abba"); !slices.Equal(got, []int32{2, 1, 0}) {
			t.Errorf("%s: abba is %v", name, got)
		}
	}
}
