package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	for _, name := range tiktokens() {
		tok := openTiktoken(b, name)
		b.Run(name+"/wikitext", func(b *testing.B) { benchEncode(b, tok, english) })
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
	tok := openTiktoken(b, "cl100k_base")
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

// BenchmarkLong encodes one letter, and spaces, over and over: a single chunk,
// whose time should grow as its length does.
func BenchmarkLong(b *testing.B) {
	for _, v := range []struct {
		name string
		tok  *Tokenizer
	}{{"cl100k_base", openTiktoken(b, "cl100k_base")}, {"llama3", llama3(b)}} {
		for _, unit := range []struct{ name, text string }{{"letter", "a"}, {"spaces", " "}} {
			for _, kilobytes := range []int{256, 512, 1024, 2048} {
				text := strings.Repeat(unit.text, kilobytes<<10)
				b.Run(fmt.Sprintf("%s/%s/%dK", v.name, unit.name, kilobytes), func(b *testing.B) { benchEncode(b, v.tok, text) })
			}
		}
	}
}

func llama3(b *testing.B) *Tokenizer {
	tok, err := Open(testkit.Data(b, "tokenizers/llama3/tokenizer.model"))
	if err != nil {
		b.Fatal(err)
	}
	return tok
}

// BenchmarkScaling encodes a batch of texts with one worker and with two.
func BenchmarkScaling(b *testing.B) {
	english := readData(b, "text/wikitext2_valid.txt")
	var texts []string
	for english != "" {
		n := min(len(english), 1<<14)
		texts, english = append(texts, english[:n]), english[n:]
	}
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	for _, name := range tiktokens()[2:] {
		tok := openTiktoken(b, name)
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
				b.SetBytes(int64(size))
				for b.Loop() {
					tok.EncodeBatch(texts, Options{})
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	tok := openTiktoken(b, "cl100k_base")
	text := readData(b, "text/wikitext2_valid.txt")
	ids := tok.Encode(text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Decode(ids)
	}
}

func BenchmarkLoad(b *testing.B) {
	const name = "o200k_base"
	ranks := testkit.Data(b, "tokenizers/tiktoken/"+name+".tiktoken")
	path := filepath.Join(b.TempDir(), "tokenizer.json")
	if err := openTiktoken(b, name).Save(path); err != nil {
		b.Fatal(err)
	}
	b.Run("tiktoken", func(b *testing.B) {
		for b.Loop() {
			openTiktoken(b, name)
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
