package tokenizer

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/internal/testkit"
)

func mustBytes() *Tokenizer {
	tok, err := Train(context.Background(), texts(), TrainOptions{VocabSize: 256})
	if err != nil {
		panic(err)
	}
	return tok
}

// runC is encode and decode of llama2.c's run.c, step by step: the oracle.
type runC struct {
	text  []string
	score []float32
	ids   map[string]int
}

func newRunC(t *testing.T, data string, vocab int) *runC {
	t.Helper()
	c := &runC{ids: map[string]int{}}
	data = data[4:]
	for id := range vocab {
		n := int(binary.LittleEndian.Uint32([]byte(data[4:])))
		c.score = append(c.score, math.Float32frombits(binary.LittleEndian.Uint32([]byte(data))))
		c.text = append(c.text, data[8:8+n])
		c.ids[data[8:8+n]] = id
		data = data[8+n:]
	}
	return c
}

func (c *runC) encode(text string) []int32 {
	var ids []int32
	if text != "" {
		ids = append(ids, int32(c.ids[" "]))
	}
	for i := 0; i < len(text); {
		n := 1
		for i+n < len(text) && text[i+n]&0xc0 == 0x80 && n < 4 {
			n++
		}
		if id, ok := c.ids[text[i:i+n]]; ok {
			ids = append(ids, int32(id))
		} else {
			for _, b := range []byte(text[i : i+n]) {
				ids = append(ids, int32(b)+3)
			}
		}
		i += n
	}
	for {
		best, into, at := float32(-1e10), 0, -1
		for i := range len(ids) - 1 {
			if id, ok := c.ids[c.text[ids[i]]+c.text[ids[i+1]]]; ok && c.score[id] > best {
				best, into, at = c.score[id], id, i
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = int32(into)
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func (c *runC) decode(ids []int32) string {
	var b strings.Builder
	prev := int32(1)
	for _, id := range ids {
		piece := c.text[id]
		if prev == 1 {
			piece = strings.TrimPrefix(piece, " ")
		}
		if raw, ok := fallbackByte(piece); ok {
			piece = string([]byte{raw})
		}
		b.WriteString(piece)
		prev = id
	}
	return b.String()
}

func TestLlama2C(t *testing.T) {
	for _, f := range []struct {
		file  string
		vocab int
	}{{"models/stories260k/tok512.bin", 512}, {"tokenizers/llama2/tokenizer.bin", 32000}} {
		t.Run(f.file, func(t *testing.T) {
			data := readData(t, f.file)
			tok, err := FromLlama2C(strings.NewReader(data), f.vocab)
			if err != nil {
				t.Fatal(err)
			}
			if bos, ok := tok.BOS(); bos != 1 || !ok || tok.VocabSize() != f.vocab {
				t.Fatalf("got BOS %d, %v and %d tokens, want 1 and %d", bos, ok, tok.VocabSize(), f.vocab)
			}
			if eos, ok := tok.EOS(); eos != 2 || !ok {
				t.Errorf("got EOS %d, %v, want 2", eos, ok)
			}
			path := filepath.Join(t.TempDir(), "tokenizer.json")
			if err := tok.Save(path); err != nil {
				t.Fatal(err)
			}
			back, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if back.Hash() != tok.Hash() {
				t.Error("saving and loading changes the hash")
			}
			c := newRunC(t, data, f.vocab)
			list := append(goldenTexts(t), strings.Repeat(" ", 50), "a\n    b\n        c", randomWords(60))
			for n := range 40 {
				list = append(list, strings.Repeat(" ", n)+"x"+strings.Repeat("=", n))
			}
			for _, text := range list {
				want := c.encode(text)
				if d := cmp.Diff(want, tok.Encode(text)); d != "" && len(want) > 0 {
					t.Errorf("%q (-run.c +got):\n%s", text, d)
				}
				if !slices.Equal(tok.Encode(text), back.Encode(text)) {
					t.Errorf("%q: other ids after saving and loading", text)
				}
				if got, want := tok.Decode(want), c.decode(want); got != want || got != text {
					t.Errorf("%q: decoded to %q, run.c to %q", text, got, want)
				}
			}
		})
	}
}

// TestLlama2CScores: the best score wins, not the order in the file; equal
// scores are refused where a list of merges cannot stand for them.
func TestLlama2CScores(t *testing.T) {
	make := func(pieces []string, scores []float32) (*Tokenizer, *runC, error) {
		data, n := llama2CFile(pieces)
		b := []byte(data)
		at := 4
		for id := range n {
			if id >= firstPiece {
				binary.LittleEndian.PutUint32(b[at:], math.Float32bits(scores[id-firstPiece]))
			}
			at += 8 + int(binary.LittleEndian.Uint32(b[at+4:]))
		}
		tok, err := FromLlama2C(strings.NewReader(string(b)), n)
		return tok, newRunC(t, string(b), n), err
	}
	// "bc" beats "ab"; "abc" comes only of "a"+"bc", and "cab" of nothing.
	tok, c, err := make([]string{"a", "b", "c", " ", "ab", "bc", "abc", "cab", "aa", "aaa"}, []float32{-1, -2, -3, -4, -9, -5, -7, -1e10, -6, -5.5})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"abc", "ab", "cab", "abcabc", "aabbcc", "aaa", "aaaaaaa", "baaab"} {
		if d := cmp.Diff(c.encode(text), tok.Encode(text)); d != "" {
			t.Errorf("%q (-run.c +got):\n%s", text, d)
		}
	}
	// With a space inside a token, text cannot be divided at spaces.
	tok, c, err = make([]string{"a", " ", "a ", " a", "a a"}, []float32{-1, -2, -4, -5, -3})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "a a", "a a a  a", " a a "} {
		if d := cmp.Diff(c.encode(text), tok.Encode(text)); d != "" {
			t.Errorf("%q (-run.c +got):\n%s", text, d)
		}
	}
	_, _, err = make([]string{"a", "b", "c", " ", "ab", "bc"}, []float32{-1, -2, -3, -4, -5, -5})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"ab" and "bc" have the same score`) {
		t.Errorf("equal scores: got %v", err)
	}
}

func TestLlama2CErrors(t *testing.T) {
	data, n := llama2CFile([]string{"a", " ", " a"})
	for _, c := range []struct {
		name, data string
		vocab      int
		want       string
	}{
		{"empty", "", n, "header: malformed"},
		{"truncated", data[:len(data)-1], n, "token 261 of 262: malformed"},
		{"too few", data, n + 1, "is the vocabulary size right?"},
		{"small vocabulary", data, 100, "got 100, want 259"},
		{"huge vocabulary", data, 1 << 30, "want 259"},
		{"huge header", "\xff\xff\xff\x7f" + data[4:], n, "longest token: got 2147483647 bytes, want 1 to 512"},
		{"huge token", data[:8] + "\xff\xff\xff\x7f" + data[12:], n, "token 0 of 262"},
		{"negative length", data[:8] + "\xff\xff\xff\xff" + data[12:], n, "got -1 bytes, want 1 to 64"},
		{"not a number", data[:4] + "\x00\x00\xc0\x7f" + data[8:], n, "not a number"},
		{"other markers", strings.Replace(data, "<unk>", "<pad>", 1), n, `token 0: got "<pad>", want <unk>`},
		{"other bytes", strings.Replace(data, "<0x41>", "<0x99>", 1), n, `got "<0x99>", want <0x41>`},
		{"not UTF-8", data[:len(data)-1] + "\xff", n, "want UTF-8"},
	} {
		tok, err := FromLlama2C(strings.NewReader(c.data), c.vocab)
		if err == nil || tok != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	twice, n := llama2CFile([]string{"a", "a"})
	if _, err := FromLlama2C(strings.NewReader(twice), n); err == nil || !strings.Contains(err.Error(), `tokens 259 and 260 are both "a"`) {
		t.Errorf("a token twice: got %v", err)
	}
}

func FuzzLlama2C(f *testing.F) {
	data, n := llama2CFile([]string{"a", "b", " ", "ab", " ab"})
	f.Add([]byte(data), n)
	f.Add([]byte(data[:100]), n)
	f.Fuzz(func(t *testing.T, data []byte, vocab int) {
		tok, err := FromLlama2C(strings.NewReader(string(data)), vocab)
		if err != nil {
			return
		}
		for _, text := range []string{"ab abc", "\x00\xff b", " a  b"} {
			if got := tok.Decode(tok.Encode(text)); got != text {
				t.Fatalf("%q decoded to %q", text, got)
			}
		}
		checkReload(t, tok)
	})
}

// checkReload: what can be written is read as the same.
func checkReload(t *testing.T, tok *Tokenizer) {
	t.Helper()
	data, err := tok.marshal()
	if err != nil {
		return
	}
	back, err := parse(data)
	if err != nil {
		t.Fatalf("what was written is not read: %v\n%s", err, data)
	}
	if back.Hash() != tok.Hash() {
		t.Fatalf("writing and reading changes the hash\n%s", data)
	}
}

func TestLoadMissing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("an empty folder: got %v", err)
	}
	// A binary file where JSON is expected.
	if _, err := Load(testkit.Data(t, "models/stories260k/tok512.bin")); !errors.Is(err, ErrFormat) {
		t.Errorf("a binary file: got %v", err)
	}
}
