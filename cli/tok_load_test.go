package cli

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// smallGGUF is a GGUF file of a vocabulary of five tokens.
func smallGGUF() []byte {
	const str, array, u32 = 8, 9, 4
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	list := func(b []byte, all ...string) []byte {
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, array), str), uint64(len(all)))
		for _, s := range all {
			b = text(b, s)
		}
		return b
	}
	b := append([]byte("GGUF"), 3, 0, 0, 0)
	b = le.AppendUint64(le.AppendUint64(b, 0), 5)
	b = text(le.AppendUint32(text(b, "tokenizer.ggml.model"), str), "gpt2")
	b = text(le.AppendUint32(text(b, "tokenizer.ggml.pre"), str), "llama-bpe")
	b = list(text(b, "tokenizer.ggml.tokens"), "a", "b", "ab", "Ġab", "<e>", "Ġ")
	b = list(text(b, "tokenizer.ggml.merges"), "a b", "Ġ ab")
	return le.AppendUint32(le.AppendUint32(text(b, "tokenizer.ggml.eos_token_id"), u32), 4)
}

// TestLoadGGUF reads the tokenizer inside a GGUF file, given by itself or by the
// folder that holds nothing else.
func TestLoadGGUF(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.gguf")
	if err := os.WriteFile(path, smallGGUF(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arg := range []string{path, dir} {
		tok, err := loadTokenizer(arg)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.EncodeSpecial("ab ab<e>"); !slices.Equal(got, []int32{2, 3, 4}) {
			t.Errorf("%s: ids are %v", arg, got)
		}
	}
	if err := os.WriteFile(path, smallGGUF()[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadTokenizer(dir); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("half a file: %v", err)
	}
}
