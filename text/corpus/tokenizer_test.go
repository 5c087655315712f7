package corpus

import (
	"slices"
	"strings"
	"testing"

	"weft/internal/testkit"
	"weft/text/tokenizer"
)

var _ Encoder = (*tokenizer.Tokenizer)(nil)

func trained(t testing.TB, docs string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(t.Context(), Texts(ParseText(docs, "docs")), tokenizer.TrainOptions{
		VocabSize: 1024, Special: []string{"<|bos|>", "<|end|>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestRealTokenizerKeepsEveryByte(t *testing.T) {
	text := someText(100_000) + "caf\xe9 日本 🦀\r\n\x00 <|bos|> is only text"
	tok := trained(t, text)
	dir := t.TempDir()
	if _, err := WriteShards(t.Context(), dir, tok, ParseText(text, "text"), ShardOptions{MaxTokens: 10_000}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, tok.Hash())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var want []string
	for doc, err := range ParseText(text, "text") {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, doc.Text)
	}
	if got := texts(d, tok); !slices.Equal(got, want) {
		t.Fatalf("%d documents, want %d, or other text", len(got), len(want))
	}
	var scored int64
	for b, err := range d.Eval(EvalOptions{SeqLen: 32}) {
		if err != nil {
			t.Fatal(err)
		}
		scored += b.Bytes
	}
	if scored != int64(len(strings.Join(want, ""))) {
		t.Errorf("%d bytes scored, the text has %d", scored, len(strings.Join(want, "")))
	}
}

func TestShakespeareFromFileToBatch(t *testing.T) {
	path := testkit.Data(t, "text/tinyshakespeare.txt")
	tok := trained(t, someText(100_000))
	d, err := Prepare(t.Context(), tok, Documents(path), PrepareOptions{Dir: t.TempDir(), ShardOptions: ShardOptions{SeqLen: 256}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Train.Bytes() != 1003854 || d.Val.Bytes() != 111540 {
		t.Errorf("%d and %d bytes, want 1003854 and 111540", d.Train.Bytes(), d.Val.Bytes())
	}
	b, err := d.Train.Loader(LoaderOptions{Rows: 4}).Next()
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b, 256)
	bos, _ := tok.BOS()
	if len(b.IDs) != 1024 || len(b.Docs) != 4 || b.IDs[256] != bos {
		t.Errorf("%d rows in %d ranges, the second begins with %d", len(b.IDs), len(b.Docs), b.IDs[256])
	}
}

func BenchmarkWriteShards(b *testing.B) {
	text := someText(8 << 20)
	tok := trained(b, text[:1<<18])
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		mustWriteDocs(b, b.TempDir(), tok, text)
	}
}

func mustWriteDocs(t testing.TB, dir string, tok Encoder, text string) {
	t.Helper()
	if _, err := WriteShards(t.Context(), dir, tok, ParseText(text, "text"), ShardOptions{}); err != nil {
		t.Fatal(err)
	}
}
