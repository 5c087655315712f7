package zoo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"weft/compute/kernel"
	"weft/infer/plan"
	"weft/model/zoo"
)

// head writes the beginning of a GGUF: keys and their uint32 or string values.
func head(pairs ...any) []byte {
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	text := func(s string) { put(uint64(len(s))); b.WriteString(s) }
	b.WriteString("GGUF")
	put(uint32(3))
	put(uint64(0))
	put(uint64(len(pairs)/2 + 1)) // one more than there is: the rest is cut off
	for i := 0; i < len(pairs); i += 2 {
		text(pairs[i].(string))
		switch v := pairs[i+1].(type) {
		case string:
			put(uint32(8))
			text(v)
		case int:
			put(uint32(4))
			put(uint32(v))
		}
	}
	return b.Bytes()
}

// TestDescribe plans with what the first bytes of a file say, of families that
// are known and of others.
func TestDescribe(t *testing.T) {
	of := func(arch string) []byte {
		return head("general.architecture", arch, arch+".context_length", 2048, arch+".embedding_length", 2048, arch+".block_count", 22,
			arch+".feed_forward_length", 5632, arch+".attention.head_count", 32, arch+".attention.head_count_kv", 4)
	}
	for _, arch := range []string{"llama", "qwen2", "gpt9"} {
		text, err := zoo.Describe(of(arch))
		if err != nil {
			t.Fatal(err)
		}
		s, err := plan.ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.KVBytes(1, kernel.KVF32); s.Family != arch || s.Context != 2048 || n != 4*2*22*4*64 {
			t.Errorf("%s: %d bytes of a position, %+v", arch, n, s)
		}
		if err := zoo.CheckFamily(text); errors.Is(err, zoo.ErrFamily) != (arch == "gpt9") {
			t.Errorf("%s: %v", arch, err)
		}
	}
	text, err := zoo.Describe(of("llama")[:80])
	if err != nil || !strings.Contains(string(text), `"model_type": "llama"`) || strings.Contains(string(text), "block_count") {
		t.Errorf("a cut head: %s, %v, want the family alone", text, err)
	}
	if _, err := plan.ParseConfig(text); !errors.Is(err, plan.ErrConfig) {
		t.Errorf("a cut head can be planned for: %v", err)
	}
	if _, err := zoo.Describe([]byte("PK\x03\x04")); err == nil {
		t.Error("a zip is a GGUF")
	}
}

// FuzzDescribe: what comes of strangers' bytes is JSON that planning survives.
func FuzzDescribe(f *testing.F) {
	f.Add(head("general.architecture", "llama", "llama.embedding_length", 64, "llama.block_count", 2, "llama.attention.head_count", 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := zoo.Describe(data)
		if err != nil {
			return
		}
		if s, err := plan.ParseConfig(text); err == nil {
			if n := s.KVBytes(1<<20, kernel.KVF32); n < 0 {
				t.Errorf("%d bytes of %+v", n, s)
			}
		}
	})
}
