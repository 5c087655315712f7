package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// options are TrainOptions as Train completes them.
func options(t *testing.T, o TrainOptions) TrainOptions {
	t.Helper()
	if _, err := o.complete(); err != nil {
		t.Fatal(err)
	}
	return o
}

// randomList makes words of a small alphabet, so that much repeats.
func randomList(r *rand.Rand, letters []rune, n int) []word {
	seen := map[string]bool{}
	var list []word
	for range n {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		if !seen[b.String()] {
			seen[b.String()] = true
			list = append(list, word{b.String(), 1 + r.Int64N(9)})
		}
	}
	slices.SortFunc(list, func(a, b word) int { return strings.Compare(a.text, b.text) })
	return list
}

// TestUnigramSeeds: the substrings found are those that a plain count finds, with
// the same counts, but for those that are always followed by one character.
func TestUnigramSeeds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 20 {
		words := randomList(r, []rune("abé猫"), 40)
		o := options(t, TrainOptions{Kind: Unigram, MinFreq: 1, Coverage: 1})
		u := newUnigramTrainer(words, frequentChars(words, o), o)
		count := map[string]int64{}
		next := map[string]map[string]bool{}
		for _, w := range words {
			runes := []rune(w.text)
			for i := range runes {
				for j := i + 1; j <= len(runes); j++ {
					s := string(runes[i:j])
					count[s] += w.count
					if next[s] == nil {
						next[s] = map[string]bool{}
					}
					if j < len(runes) {
						next[s][string(runes[j])] = true
					} else {
						next[s][fmt.Sprint("end of ", w.text, i)] = true
						next[s]["end"] = true
					}
				}
			}
		}
		got := map[string]int64{}
		u.repeats(u.suffixes(), func(from, n int32, weight int64) { got[string(u.text[from:from+n])] = weight })
		for s, n := range got {
			if count[s] != n {
				t.Fatalf("round %d: %q: got %d occurrences, want %d", round, s, n, count[s])
			}
		}
		for s, n := range count {
			if _, ok := got[s]; !ok && len(next[s]) != 1 {
				t.Fatalf("round %d: %q with %d occurrences and %d ways on is missing", round, s, n, len(next[s]))
			}
		}
	}
}

// TestUnigramExpect compares expected counts and likelihood with the sum over
// every segmentation of every word.
func TestUnigramExpect(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	words := randomList(r, []rune("abé"), 30)
	o := options(t, TrainOptions{Kind: Unigram, Coverage: 1, Workers: 2})
	u := newUnigramTrainer(words, frequentChars(words, o), o)
	prob := map[string]float64{}
	for _, p := range u.pieces {
		prob[u.string(p)] = p.prob
	}
	want, logs, chars := map[string]float64{}, 0.0, 0
	for _, w := range words {
		all, counts := 0.0, map[string]float64{}
		var walk func(rest string, p float64, path []string)
		walk = func(rest string, p float64, path []string) {
			if rest == "" {
				all += p
				for _, s := range path {
					counts[s] += p
				}
				return
			}
			for n := 1; n <= len(rest); n++ {
				if q, ok := prob[rest[:n]]; ok {
					walk(rest[n:], p*q, append(path[:len(path):len(path)], rest[:n]))
				}
			}
		}
		walk(w.text, 1, nil)
		for s, n := range counts {
			want[s] += n / all * float64(w.count)
		}
		logs += float64(w.count) * math.Log(all)
		chars += int(w.count) * len([]rune(w.text))
	}
	if nats := u.expect(); math.Abs(nats-logs/float64(chars)) > 1e-12 {
		t.Errorf("likelihood: got %v nats per character, want %v", nats, logs/float64(chars))
	}
	for i, p := range u.pieces {
		if got := u.counts[i]; math.Abs(got-want[u.string(p)]) > 1e-6 {
			t.Errorf("%q: expected %v times, want %v", u.string(p), got, want[u.string(p)])
		}
	}
}

// TestUnigramTrains: the likelihood never falls from one round of EM to the next,
// sizes are exact, and neither workers nor the order of texts matter.
func TestUnigramTrains(t *testing.T) {
	text := readData(t, "text/tinyshakespeare.txt")[:300_000]
	var first []scoredPiece
	for _, workers := range []int{1, 3} {
		rounds := 0
		o := options(t, TrainOptions{Kind: Unigram, VocabSize: 2000, Workers: workers})
		last, size := math.Inf(-1), 0
		o.Round = func(pieces int, nats float64) {
			if pieces == size && nats < last-1e-9 {
				t.Errorf("%d pieces: the likelihood fell from %v to %v", pieces, last, nats)
			}
			last, size = nats, pieces
			rounds++
		}
		p, _ := patternNamed("gpt2")
		words, err := countWords(context.Background(), texts(text), chunks(p), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unigramPieces(context.Background(), words, 1500, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1500 || rounds < 8 {
			t.Errorf("got %d pieces in %d rounds, want 1500 in 8 or more", len(got), rounds)
		}
		sum := 0.0
		for i, q := range got {
			if sum += math.Exp(q.score); i > 0 && q.score > got[i-1].score {
				t.Fatalf("%q stands behind a less likely piece", q.text)
			}
		}
		if math.Abs(sum-1) > 1e-3 {
			t.Errorf("probabilities add up to %v", sum)
		}
		if first == nil {
			first = got
		} else if !slices.Equal(first, got) {
			t.Error("the pieces depend on the number of workers")
		}
	}
	t.Log(first[:20])
}

// TestUnigramTokenizer: what is trained saves, loads, and gives texts back.
func TestUnigramTokenizer(t *testing.T) {
	text := readData(t, "text/tinyshakespeare.txt")[:150_000]
	for _, pattern := range []string{"gpt2-digits", "o200k"} {
		o := TrainOptions{Kind: Unigram, VocabSize: 1500, Pattern: pattern, Special: []string{"<|end|>"}, Reserved: 2, Required: "☃"}
		tok, err := Train(context.Background(), texts(text[:100_000], text[100_000:]), o)
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != 1500 {
			t.Errorf("%s: got %d tokens, want 1500", pattern, tok.VocabSize())
		}
		if _, ok := tok.Special("<|reserved_1|>"); !ok {
			t.Errorf("%s: no reserved token", pattern)
		}
		if n := len(tok.Encode("☃")); n != 1 {
			t.Errorf("%s: the required character has %d tokens, want 1", pattern, n)
		}
		sample := text[:5000] + " été <|end|>\n\n  \t12345 日本 \U0001f600 <0x41>☃"
		ids := tok.Encode(sample)
		if got := tok.Decode(ids); got != sample {
			t.Errorf("%s: text changed (-want +got):\n%s", pattern, cmp.Diff(sample, got))
		}
		path := t.TempDir() + "/t.json"
		if err := tok.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if back.Hash() != tok.Hash() || !slices.Equal(back.Encode(sample), ids) {
			t.Errorf("%s: saving changed the tokenizer", pattern)
		}
	}
}

func TestUnigramErrors(t *testing.T) {
	for _, c := range []struct {
		o    TrainOptions
		want string
	}{
		{TrainOptions{Kind: Unigram, VocabSize: 256}, "want 257 (<unk>, 256 bytes"},
		{TrainOptions{Kind: Unigram, VocabSize: 260, Coverage: 1}, "6 characters of the text need a token each, and there is room for 3"},
		{TrainOptions{Kind: "bigram"}, `kind "bigram"`},
		{TrainOptions{Kind: Unigram, Coverage: 2}, "coverage 2"},
		{TrainOptions{Kind: WordPiece, Pattern: "gpt2"}, "leave the pattern out"},
		{TrainOptions{Ties: "coin"}, `ties "coin"`},
		{TrainOptions{MaxWords: 16}, "set Warn to go on"},
	} {
		list := "abc de "
		if c.o.MaxWords > 0 {
			list = randomWords(100)
		}
		_, err := Train(context.Background(), texts(list), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want an error with %q", c.o, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Train(ctx, texts(randomWords(2000)), TrainOptions{Kind: Unigram, VocabSize: 300, Round: func(int, float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// TestMaxWords: a table that is too small loses the rarest words, says so, and
// the same ones for any number of workers.
func TestMaxWords(t *testing.T) {
	text := randomWords(30_000)
	var hash string
	for _, workers := range []int{1, 4} {
		warned := ""
		tok := mustTrain(t, TrainOptions{VocabSize: 600, Workers: workers, MaxWords: 2000, Warn: func(s string) { warned = s }}, text)
		if !strings.Contains(warned, "more than 2000 distinct words") {
			t.Errorf("%d workers: warned %q", workers, warned)
		}
		if hash == "" {
			hash = tok.Hash()
		} else if hash != tok.Hash() {
			t.Error("the vocabulary depends on the number of workers")
		}
	}
}
