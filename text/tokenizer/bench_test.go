package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/testkit"
)

func BenchmarkEncode(b *testing.B) {
	english := readData(b, "text/wikitext2_valid.txt")
	stories := readData(b, "text/tinystories_10k.txt")
	chinese := strings.Repeat(goldenTexts(b)[14], 2000)
	for _, p := range patterns() {
		tok := mustTrain(b, TrainOptions{VocabSize: 8192, Pattern: p.name}, english)
		for _, c := range []struct{ name, text string }{{"wikitext", english}, {"stories", stories}, {"cjk", chinese}} {
			b.Run(p.name+"/"+c.name, func(b *testing.B) { benchEncode(b, tok, c.text) })
		}
	}
	for _, c := range tiktokens() {
		tok := c.load(b)
		b.Run(c.name+"/wikitext", func(b *testing.B) { benchEncode(b, tok, english) })
	}
	llama, err := FromLlama2C(strings.NewReader(readData(b, "tokenizers/llama2/tokenizer.bin")), 32000)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("llama2/wikitext", func(b *testing.B) { benchEncode(b, llama, english) })
	llama.model.(*bpe).parted = false
	b.Run("llama2/wikitext/whole", func(b *testing.B) { benchEncode(b, llama, english[:200_000]) })
}

func benchEncode(b *testing.B, tok *Tokenizer, text string) {
	b.SetBytes(int64(len(text)))
	ids := 0
	for b.Loop() {
		ids += len(tok.Encode(text))
	}
	b.ReportMetric(float64(ids)/b.Elapsed().Seconds(), "tok/s")
}

// BenchmarkEncodeUncached measures merging itself.
func BenchmarkEncodeUncached(b *testing.B) {
	text := readData(b, "text/wikitext2_valid.txt")
	tok := tiktokens()[2].load(b)
	m := tok.model.(*bpe)
	ids := make([]int32, 0, len(text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ids = ids[:0]
		for i := 0; i < len(text); {
			end := tok.pattern.next(text, i)
			from := len(ids)
			ids = m.symbols(ids, text[i:end])
			ids = ids[:from+len(m.table.apply(ids[from:]))]
			i = end
		}
	}
}

// BenchmarkEncodeRun is one letter a million times: a single chunk.
func BenchmarkEncodeRun(b *testing.B) {
	tok := tiktokens()[2].load(b)
	benchEncode(b, tok, strings.Repeat("a", 1_000_000))
}

func BenchmarkDecode(b *testing.B) {
	tok := tiktokens()[2].load(b)
	text := readData(b, "text/wikitext2_valid.txt")
	ids := tok.Encode(text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Decode(ids)
	}
}

func BenchmarkLoad(b *testing.B) {
	c := tiktokens()[3]
	ranks := testkit.Data(b, "tokenizers/tiktoken/"+c.name+".tiktoken")
	path := filepath.Join(b.TempDir(), "tokenizer.json")
	if err := c.load(b).Save(path); err != nil {
		b.Fatal(err)
	}
	b.Run("tiktoken", func(b *testing.B) {
		for b.Loop() {
			c.load(b)
		}
		size(b, ranks)
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			if _, err := Load(path); err != nil {
				b.Fatal(err)
			}
		}
		size(b, path)
	})
}

func size(b *testing.B, path string) {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
}
