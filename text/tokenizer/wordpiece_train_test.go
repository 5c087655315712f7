package tokenizer

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestWordPieceMerges: the example of Hugging Face's course (chapter 6.6). Its
// first merge is ##gs with a score of 1/20; then several pairs have 1/36, of
// which the most frequent goes first here.
func TestWordPieceMerges(t *testing.T) {
	words := []word{{"bun", 4}, {"hug", 10}, {"hugs", 5}, {"pug", 5}, {"pun", 12}}
	o := options(t, TrainOptions{Kind: WordPiece, Coverage: 1})
	w := newWordPieceTrainer(words, frequentChars(words, o), o)
	base := len(w.texts)
	if err := w.learn(context.Background(), base+3, o); err != nil {
		t.Fatal(err)
	}
	if got := w.texts[base:]; !slices.Equal(got, []string{"##gs", "pu", "hu"}) {
		t.Errorf("merges: got %q", got)
	}
}

// TestWordPieceAgainstNaive scores all pairs anew for every merge.
func TestWordPieceAgainstNaive(t *testing.T) {
	o := options(t, TrainOptions{Kind: WordPiece, Coverage: 1})
	text := randomWords(600)
	words, err := countWords(context.Background(), texts(text), bertWords, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	w := newWordPieceTrainer(words, frequentChars(words, o), o)
	base := len(w.texts)
	if err := w.learn(context.Background(), base+80, o); err != nil {
		t.Fatal(err)
	}
	var seqs [][]string
	for _, x := range words {
		var parts []string
		for i, r := range x.text {
			parts = append(parts, pieceName(r, i == 0))
		}
		seqs = append(seqs, parts)
	}
	for step := range 80 {
		single, both := map[string]int64{}, map[[2]string]int64{}
		for i, s := range seqs {
			for j := range s {
				single[s[j]] += words[i].count
				if j+1 < len(s) {
					both[[2]string{s[j], s[j+1]}] += words[i].count
				}
			}
		}
		score := func(p [2]string) float64 { return float64(both[p]) / (float64(single[p[0]]) * float64(single[p[1]])) }
		var best [2]string
		for p, n := range both {
			if n < 2 || best[0] != "" && (score(p) < score(best) || score(p) == score(best) && (n < both[best] || n == both[best] && slices.Compare(p[:], best[:]) > 0)) {
				continue
			}
			best = p
		}
		joint := best[0] + strings.TrimPrefix(best[1], inside)
		if got := w.texts[base+step]; got != joint {
			t.Fatalf("merge %d: got %q, want %q", step, got, joint)
		}
		for i, s := range seqs {
			var out []string
			for j := 0; j < len(s); j++ {
				if j+1 < len(s) && s[j] == best[0] && s[j+1] == best[1] {
					out = append(out, joint)
					j++
				} else {
					out = append(out, s[j])
				}
			}
			seqs[i] = out
		}
	}
}

// TestWordPieceTokenizer: the size is exact, nothing of the training text is
// unknown, and workers do not matter.
func TestWordPieceTokenizer(t *testing.T) {
	text := readData(t, "text/tinyshakespeare.txt")[:200_000] + strings.Repeat("naïve 日本語, it's (1999)! ", 50)
	var hash string
	for _, workers := range []int{1, 3} {
		tok := mustTrain(t, TrainOptions{Kind: WordPiece, VocabSize: 1200, Coverage: 1, Workers: workers, Special: []string{"[CLS]", "[SEP]"}}, text)
		if tok.VocabSize() != 1200 {
			t.Errorf("got %d tokens, want 1200", tok.VocabSize())
		}
		unk, ok := tok.Special(unkWord)
		if ids := tok.Encode(text); !ok || slices.Contains(ids, unk) {
			t.Errorf("the training text has unknown words, or %v", ok)
		}
		const sample = "What say you 日本 naïve"
		if got := tok.Decode(tok.Encode(sample)); got != "What say you 日 本 naïve" {
			t.Errorf("decode: got %q", got)
		}
		if hash == "" {
			hash = tok.Hash()
		} else if hash != tok.Hash() {
			t.Error("the vocabulary depends on the number of workers")
		}
	}
}
