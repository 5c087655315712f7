package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A unigram vocabulary (Kudo 2018) gives every piece a probability; a text's is
// the sum, over all ways to cut it into pieces, of their products. Training
// begins with every frequent substring of a word, fits the probabilities by
// expectation maximisation, drops the pieces whose loss costs the least
// likelihood, and goes on until the wanted number is left.

const (
	maxPiece  = 16   // characters of a piece
	maxRun    = 32   // characters of a word that are looked at together; see minProb
	keepShare = 0.75 // of the pieces, after a pruning
	emSteps   = 2    // rounds of EM between two prunings
	lastSteps = 4    // after the last one

	// minProb is the least probability of a character, e^-20: a word of maxRun of
	// them has e^-640, which a float64 still holds.
	minProb = 2.1e-9
)

// scoredPiece is one entry of a unigram vocabulary.
type scoredPiece struct {
	text  string
	score float64 // natural logarithm of its probability
}

// trainUnigram learns pieces and writes them down as a spec.
func trainUnigram(ctx context.Context, texts iter.Seq2[string, error], p *pattern, names []string, o TrainOptions) (s spec, err error) {
	words, err := countWords(ctx, texts, chunks(p), names, o)
	if err != nil {
		return s, err
	}
	want := o.VocabSize - 1 - len(names)
	if !o.NoBytes {
		want -= 256
	}
	pieces, err := unigramPieces(ctx, words, want, o)
	if err != nil {
		return s, err
	}
	return unigramSpec(p, pieces, !o.NoBytes), nil
}

// unigramPieces returns at most want pieces, by falling probability.
func unigramPieces(ctx context.Context, words []word, want int, o TrainOptions) ([]scoredPiece, error) {
	for i := range words { // in ids both are ▁
		words[i].text = strings.ReplaceAll(words[i].text, spmSpace, " ")
	}
	chars := frequentChars(words, o)
	if len(chars) > want {
		return nil, fmt.Errorf("tokenizer: train: %d characters of the text need a token each, and there is room for %d: want a larger vocabulary or a lesser coverage than %g", len(chars), want, o.Coverage)
	}
	t := newUnigramTrainer(words, chars, o)
	first := len(t.pieces)
	for {
		steps := emSteps
		if len(t.pieces) <= want {
			steps = lastSteps
		}
		for range steps {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("tokenizer: train: stopped at %d pieces of %d: %w", len(t.pieces), want, err)
			}
			nats := t.expect()
			t.maximize()
			if o.Round != nil {
				o.Round(len(t.pieces), nats)
			}
		}
		if o.Progress != nil {
			o.Progress(first-max(len(t.pieces), want), max(first-want, 1))
		}
		if len(t.pieces) <= want {
			return t.result(), nil
		}
		t.prune(max(want, int(keepShare*float64(len(t.pieces)))))
	}
}

// frequentChars lists the characters that get a token: the required ones, and the
// most frequent until the coverage is reached. Equally frequent ones go by value.
func frequentChars(words []word, o TrainOptions) map[rune]bool {
	counts := map[rune]int64{}
	total := int64(0)
	for _, w := range words {
		for i, r := range w.text {
			if r == utf8.RuneError && !strings.HasPrefix(w.text[i:], "\ufffd") {
				continue // a byte that is no character
			}
			counts[r] += w.count
			total += w.count
		}
	}
	order := make([]rune, 0, len(counts))
	for r := range counts {
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b rune) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	chars, covered := map[rune]bool{}, int64(0)
	for _, r := range order {
		if float64(covered) >= o.Coverage*float64(total) {
			break
		}
		chars[r] = true
		covered += counts[r]
	}
	for _, r := range strings.ReplaceAll(o.Required, spmSpace, " ") {
		chars[r] = true
	}
	return chars
}

// unigramTrainer holds the words as one text, divided into runs of characters
// that have tokens. Every place of the text has a list of the pieces that begin
// there. Places with the same text up to the end of their run share one.
type unigramTrainer struct {
	workers int
	text    []byte
	runs    []trainRun
	chars   float64 // in all runs, by their counts
	lists   []int32 // place -> its list; -1 inside a character
	first   []int32 // list -> its beginning in edges; one more at the end
	edges   []int32 // pieces, shortest first
	pieces  []trained

	scale  float64   // expected counts are sums of integers: count * scale
	counts []float64 // expected, by piece
}

// trainRun is a part of a word whose characters all have tokens.
type trainRun struct {
	from, to int32 // in text
	count    int64
}

// trained is a piece in training. It is the text at from, which occurs somewhere.
type trained struct {
	from   int32
	len    int32 // bytes
	single bool  // one character: never dropped
	prob   float64
}

// newUnigramTrainer lays out the words, finds the seeds and where they occur.
func newUnigramTrainer(words []word, chars map[rune]bool, o TrainOptions) *unigramTrainer {
	t := &unigramTrainer{workers: o.Workers}
	seen := map[rune]bool{}
	for _, w := range words {
		t.addWord(w, chars, seen)
	}
	for r := range chars { // required ones that do not occur
		if !seen[r] {
			t.text = utf8.AppendRune(t.text, r)
		}
	}
	places := t.suffixes()
	t.seeds(places, chars, o)
	t.connect(places)
	t.counts = make([]float64, len(t.pieces))
	t.scale = math.Ldexp(1, min(32, 61-math.Ilogb(t.chars+1)))
	return t
}

// addWord appends the runs of a word.
func (t *unigramTrainer) addWord(w word, chars, seen map[rune]bool) {
	from, n := int32(len(t.text)), 0
	end := func() {
		if to := int32(len(t.text)); to > from {
			t.runs = append(t.runs, trainRun{from, to, w.count})
			t.chars += float64(n) * float64(w.count)
		}
		from, n = int32(len(t.text)), 0
	}
	for i := 0; i < len(w.text); {
		r, size := utf8.DecodeRuneInString(w.text[i:])
		if ok := chars[r] && !(r == utf8.RuneError && size == 1); !ok || n == maxRun {
			end()
			if !ok {
				i += size
				continue
			}
		}
		seen[r] = true
		t.text = append(t.text, w.text[i:i+size]...)
		n++
		i += size
	}
	end()
}

// seeds chooses the pieces to begin with: all characters, and the substrings
// that cover most of the text, their frequency times their length. A substring
// that is always followed by the same character counts only as the longer one.
func (t *unigramTrainer) seeds(places []suffix, chars map[rune]bool, o TrainOptions) {
	type seed struct {
		from, len int32
		score     float64
	}
	var list []seed
	singles := map[rune]trained{}
	sum := 0.0
	t.repeats(places, func(from, n int32, weight int64) {
		if k := utf8.RuneCount(t.text[from : from+n]); k >= 2 && weight >= int64(o.MinFreq) {
			list = append(list, seed{from, n, float64(weight) * float64(k)})
		}
	})
	for _, s := range places {
		r, n := utf8.DecodeRune(t.text[s.from:])
		p := singles[r]
		singles[r] = trained{s.from, int32(n), true, p.prob + float64(s.weight)}
	}
	at := int32(0)
	if len(t.runs) > 0 {
		at = t.runs[len(t.runs)-1].to
	}
	for int(at) < len(t.text) { // required characters that do not occur
		r, n := utf8.DecodeRune(t.text[at:])
		singles[r] = trained{at, int32(n), true, 0}
		at += int32(n)
	}
	text := func(s seed) string { return string(t.text[s.from : s.from+s.len]) }
	slices.SortFunc(list, func(a, b seed) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(text(a), text(b)))
	})
	for _, s := range list[:min(len(list), max(0, o.Seeds-len(singles)))] {
		t.pieces = append(t.pieces, trained{s.from, s.len, false, s.score})
	}
	for _, p := range singles {
		t.pieces = append(t.pieces, p)
	}
	slices.SortFunc(t.pieces, func(a, b trained) int { return strings.Compare(t.string(a), t.string(b)) })
	for _, p := range t.pieces {
		sum += p.prob
	}
	for i := range t.pieces {
		t.pieces[i].prob = t.atLeast(t.pieces[i].prob/sum, t.pieces[i].single)
	}
}

// atLeast keeps characters possible, however rare they are beside longer pieces.
func (t *unigramTrainer) atLeast(prob float64, single bool) float64 {
	if single {
		return max(prob, minProb)
	}
	return prob
}

// string is the text of a piece.
func (t *unigramTrainer) string(p trained) string { return string(t.text[p.from : p.from+p.len]) }

// maximize sets every probability to the piece's share of the expected counts,
// which no other choice gives a greater likelihood (Dempster et al. 1977).
func (t *unigramTrainer) maximize() {
	sum := 0.0
	for _, n := range t.counts {
		sum += n
	}
	for i := range t.pieces {
		p := &t.pieces[i]
		p.prob = t.atLeast(t.counts[i]/sum, p.single)
	}
}

// result lists the pieces by falling probability; the least that a score can be
// is that of a piece expected once in ten times the text.
func (t *unigramTrainer) result() []scoredPiece {
	out := make([]scoredPiece, len(t.pieces))
	for i, p := range t.pieces {
		out[i] = scoredPiece{t.string(p), math.Log(max(p.prob, minProb/10))}
	}
	slices.SortFunc(out, func(a, b scoredPiece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	return out
}
