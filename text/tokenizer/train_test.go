package tokenizer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/internal/testkit"
)

// texts is a corpus in memory.
func texts(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, t := range list {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func mustTrain(tb testing.TB, o TrainOptions, list ...string) *Tokenizer {
	tb.Helper()
	t, err := Train(context.Background(), texts(list...), o)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func readData(tb testing.TB, rel string) string {
	tb.Helper()
	data, err := os.ReadFile(testkit.Data(tb, rel))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// TestTrainReference compares with the merges of the reference trainer of
// stanford-cs336 assignment 1, in order, and with its vocabulary as a set.
func TestTrainReference(t *testing.T) {
	const dir = "tokenizers/bpe-training-fixtures/fixtures/"
	corpus := readData(t, dir+"corpus.en")
	var want []string
	lines := bufio.NewScanner(strings.NewReader(readData(t, dir+"train-bpe-reference-merges.txt")))
	for lines.Scan() {
		want = append(want, lines.Text())
	}
	var vocab map[string]int
	if err := json.Unmarshal([]byte(readData(t, dir+"train-bpe-reference-vocab.json")), &vocab); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 3} {
		tok := mustTrain(t, TrainOptions{VocabSize: 500, Special: []string{"<|endoftext|>"}, Workers: workers}, corpus)
		if d := cmp.Diff(want, tok.mergeLines()); d != "" {
			t.Fatalf("%d workers: merges differ (-want +got):\n%s", workers, d)
		}
		have := map[string]bool{}
		for _, k := range tok.tokens {
			have[tok.name(k)] = true
		}
		if d := cmp.Diff(slices.Sorted(maps.Keys(vocab)), slices.Sorted(maps.Keys(have))); d != "" {
			t.Fatalf("%d workers: vocabulary differs (-want +got):\n%s", workers, d)
		}
	}
}

// naiveTrain is the oracle: count all pairs anew for every merge.
func naiveTrain(list []string, next func(string, int) int, n int, least int64) []string {
	chunks := map[string]int64{}
	for _, text := range list {
		for i := 0; i < len(text); {
			end := next(text, i)
			chunks[text[i:end]]++
			i = end
		}
	}
	type seq struct {
		parts []string
		n     int64
	}
	var words []seq
	for c, k := range chunks {
		words = append(words, seq{strings.Split(c, ""), k})
	}
	var out []string
	for range n {
		counts := map[[2]string]int64{}
		for _, w := range words {
			for i := range len(w.parts) - 1 {
				counts[[2]string{w.parts[i], w.parts[i+1]}] += w.n
			}
		}
		var best [2]string
		for p, c := range counts {
			b := counts[best]
			if c > b || c == b && (p[0] > best[0] || p[0] == best[0] && p[1] > best[1]) {
				best = p
			}
		}
		if counts[best] < least {
			break
		}
		out = append(out, best[0]+"+"+best[1])
		for i := range words {
			var parts []string
			for j := 0; j < len(words[i].parts); j++ {
				p := words[i].parts
				if j+1 < len(p) && p[j] == best[0] && p[j+1] == best[1] {
					parts = append(parts, p[j]+p[j+1])
					j++
				} else {
					parts = append(parts, p[j])
				}
			}
			words[i].parts = parts
		}
	}
	return out
}

func TestTrainAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		var list []string
		for range 1 + r.IntN(20) {
			var b strings.Builder
			for range r.IntN(60) {
				b.WriteByte("aabbc d1"[r.IntN(8)])
			}
			list = append(list, b.String()+"ab")
		}
		least := 1 + r.IntN(3)
		tok := mustTrain(t, TrainOptions{VocabSize: 256 + 60, MinFreq: least, Workers: 1 + r.IntN(4)}, list...)
		var got []string
		for _, g := range tok.merges {
			got = append(got, tok.tokens[g.left].text+"+"+tok.tokens[g.right].text)
		}
		if d := cmp.Diff(naiveTrain(list, nextGPT2, 60, int64(least)), got); d != "" {
			t.Fatalf("round %d: merges differ (-want +got):\n%s", round, d)
		}
	}
}

func TestTrainIsIndependentOfWorkersAndOrder(t *testing.T) {
	text := readData(t, "text/tinyshakespeare.txt")
	parts := strings.SplitAfter(text, "\n\n")
	a := mustTrain(t, TrainOptions{VocabSize: 1000, Workers: 1}, parts...)
	slices.Reverse(parts)
	b := mustTrain(t, TrainOptions{VocabSize: 1000, Workers: 4}, parts...)
	if a.Hash() != b.Hash() {
		t.Errorf("hashes differ: %s and %s", a.Hash(), b.Hash())
	}
	// One text of 3 MB is divided between workers; the same text in one piece is not.
	long := strings.Repeat(text, 3)
	for _, o := range []TrainOptions{{Workers: 3, MaxWords: 1 << 20}, {Workers: 1, MaxWords: 1 << 20}} {
		p, err := patternNamed("o200k")
		if err != nil {
			t.Fatal(err)
		}
		got, err := countWords(context.Background(), texts(long), chunks(p), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		whole := map[string]*int64{}
		chunks(p)(long, func(word string) { countInto(whole, word) })
		if !slices.Equal(sorted(whole), got) {
			t.Errorf("%d workers: chunks differ when a long text is divided between workers", o.Workers)
		}
	}
}

// TestNoMergeAcrossChunks: no token that was learned spans two chunks, and none
// holds a piece of a special token's spelling.
func TestNoMergeAcrossChunks(t *testing.T) {
	text := strings.Repeat("it's 12345 of  the\n\n  same <|x|> here, it's!\n", 50)
	for _, p := range patterns() {
		tok := mustTrain(t, TrainOptions{VocabSize: 600, Pattern: p.name, Special: []string{"<|x|>"}}, text)
		if len(tok.merges) < 10 {
			t.Fatalf("%s: only %d merges", p.name, len(tok.merges))
		}
		var chunks []string
		for i := 0; i < len(text); {
			end := p.next(text, i)
			chunks = append(chunks, text[i:end])
			i = end
		}
		for _, g := range tok.merges {
			s := tok.tokens[g.into].text
			inside := func(chunk string) bool { return strings.Contains(chunk, s) }
			if strings.Contains(s, "|") || !slices.ContainsFunc(chunks, inside) {
				t.Errorf("%s: token %q holds a piece of <|x|> or spans chunks", p.name, s)
			}
		}
	}
}

func TestTrainSizes(t *testing.T) {
	never := func(yield func(string, error) bool) { t.Error("the text was read though nothing is to be learned") }
	tok, err := Train(context.Background(), never, TrainOptions{VocabSize: 256})
	if err != nil || tok.VocabSize() != 256 {
		t.Fatalf("256 bytes: got %v, %v", tok, err)
	}
	if d := cmp.Diff([]int32{'A', 0xc3, 0xa9}, tok.Encode("Aé")); d != "" {
		t.Errorf("bytes are not their own ids (-want +got):\n%s", d)
	}
	tok = mustTrain(t, TrainOptions{VocabSize: 300, Special: []string{"<|a|>", "<|b|>"}, Reserved: 3}, strings.Repeat("hello world ", 9))
	for _, name := range []string{"<|a|>", "<|b|>", "<|reserved_0|>", "<|reserved_2|>"} {
		if id, ok := tok.Special(name); !ok || !tok.IsSpecial(id) {
			t.Errorf("%s: got id %d, %v, want a special token", name, id, ok)
		}
	}
	if n := tok.VocabSize(); n >= 300 || n != 256+len(tok.merges)+5 {
		t.Errorf("a small text: got %d tokens and %d merges, want fewer than 300 and no gap", n, len(tok.merges))
	}
	var last [2]int
	mustTrain(t, TrainOptions{VocabSize: 300, Progress: func(done, total int) { last = [2]int{done, total} }}, "hello hello")
	if last != [2]int{44, 44} {
		t.Errorf("progress ended at %v, want 44 of 44", last)
	}
	for _, g := range tok.merges {
		if text := tok.tokens[g.into].text; len(text) > 6 {
			t.Errorf("%q is longer than any chunk of the text", text)
		}
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		texts iter.Seq2[string, error]
		o     TrainOptions
		want  string
	}{
		{"too small", nil, texts("a"), TrainOptions{VocabSize: 256, Special: []string{"<|end|>"}}, "vocabulary size 256: want 257 (256 bytes and 1 special tokens)"},
		{"too large", nil, texts("a"), TrainOptions{VocabSize: 1 << 30}, "want 256 (256 bytes"},
		{"twice", nil, texts("a"), TrainOptions{Special: []string{"<|a|>", "<|a|>"}}, `"<|a|>": want names`},
		{"reserved twice", nil, texts("a"), TrainOptions{Special: []string{"<|reserved_0|>"}, Reserved: 1}, "each once"},
		{"short name", nil, texts("a"), TrainOptions{Special: []string{"x"}}, "two bytes or more"},
		{"negative", nil, texts("a"), TrainOptions{Reserved: -1}, "-1 reserved"},
		{"pattern", nil, texts("a"), TrainOptions{Pattern: "gpt5"}, `pattern "gpt5"`},
		{"no text", nil, texts(), TrainOptions{}, "no text to train on"},
		{"empty text", nil, texts("", ""), TrainOptions{}, "no text to train on"},
		{"bad text", nil, func(yield func(string, error) bool) { yield("", broken) }, TrainOptions{}, "disk on fire"},
		{"cancelled", cancelled, texts("a b"), TrainOptions{}, "context canceled"},
	} {
		ctx := c.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		tok, err := Train(ctx, c.texts, c.o)
		if err == nil || tok != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var seen []int
	o := TrainOptions{VocabSize: 1000, Progress: func(done, total int) {
		if total != 744 {
			t.Errorf("progress: got total %d, want 744", total)
		}
		if seen = append(seen, done); done >= 128 {
			cancel()
		}
	}}
	_, err := Train(ctx, texts(randomWords(4000)), o)
	if !errors.Is(err, context.Canceled) || !slices.Equal(seen, []int{0, 64, 128}) {
		t.Errorf("cancelled while learning: got %v after progress %v", err, seen)
	}
}

func randomWords(n int) string {
	r := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for range n {
		for range 1 + r.IntN(7) {
			b.WriteByte(byte('a' + r.IntN(1+r.IntN(26))))
		}
		b.WriteByte(' ')
	}
	return b.String()
}

func BenchmarkTrain(b *testing.B) {
	text := readData(b, "text/wikitext2_valid.txt") + readData(b, "text/tinystories_10k.txt") + readData(b, "text/tinyshakespeare.txt")
	for _, vocab := range []int{4096, 32768} {
		b.Run(fmt.Sprint(vocab), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				mustTrain(b, TrainOptions{VocabSize: vocab}, text)
			}
		})
	}
}

func ExampleTrain() {
	tok, err := Train(context.Background(), texts("a low lower lowest", "a new newer newest"), TrainOptions{
		VocabSize: 280, Special: []string{"<|end|>"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range tok.Encode("a lower new <|end|>") {
		fmt.Printf("%q ", tok.Bytes(id))
	}
	fmt.Println()
	// Output: "a" " lo" "wer" " ne" "w" " " "<" "|" "e" "n" "d" "|" ">"
}

func TestSaveAndLoadTrained(t *testing.T) {
	text := readData(t, "text/tinyshakespeare.txt")
	dir := t.TempDir()
	for _, p := range patterns() {
		tok := mustTrain(t, TrainOptions{VocabSize: 700, Pattern: p.name, Special: []string{"<|bos|>", "<|end|>"}, Reserved: 2}, text[:200_000])
		path := filepath.Join(dir, p.name+".json")
		if err := tok.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if back.Hash() != tok.Hash() {
			t.Errorf("%s: the hash changed from %s to %s", p.name, tok.Hash(), back.Hash())
		}
		sample := text[200_000:250_000] + "été <|end|>\n\n  \t12345 日本"
		if d := cmp.Diff(tok.EncodeSpecial(sample), back.EncodeSpecial(sample)); d != "" {
			t.Errorf("%s: ids changed (-saved +loaded):\n%s", p.name, d)
		}
		if got := back.Decode(back.Encode(sample)); got != sample {
			t.Errorf("%s: text changed", p.name)
		}
	}
}

// TestTrainTiesByID compares with Hugging Face's trainer, whose order of ties is
// another one (testdata/make_ties.py).
func TestTrainTiesByID(t *testing.T) {
	data, err := os.ReadFile("testdata/ties.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Text   string
		Merges []string
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	o := TrainOptions{VocabSize: 256 + len(want.Merges), MinFreq: 1, Ties: "ids"}
	got := mustTrain(t, o, want.Text).mergeLines()
	if d := cmp.Diff(want.Merges, got); d != "" {
		t.Errorf("merges by ids (-want +got):\n%s", d)
	}
	o.Ties = "bytes"
	if slices.Equal(mustTrain(t, o, want.Text).mergeLines(), got) {
		t.Error("the text has no ties that the two rules see differently")
	}
}
