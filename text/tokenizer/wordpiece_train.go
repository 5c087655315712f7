package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
)

const (
	unkWord      = "[UNK]"
	inside       = "##" // in front of a piece that goes on from another
	maxWordChars = 100  // of a word that WordPiece spells at all
)

// trainWordPiece learns merges by likelihood and writes the pieces down as BERT's.
func trainWordPiece(ctx context.Context, texts iter.Seq2[string, error], names []string, o TrainOptions) (s spec, err error) {
	words, err := countWords(ctx, texts, bertWords, names, o)
	if err != nil {
		return s, err
	}
	want := o.VocabSize - 1 - len(names)
	t := newWordPieceTrainer(words, frequentChars(words, o), o)
	if len(t.texts) > want {
		return s, fmt.Errorf("tokenizer: train: %d characters at the front of words and inside them need a token each, and there is room for %d: want a larger vocabulary or a lesser coverage than %g",
			len(t.texts), want, o.Coverage)
	}
	if err := t.learn(ctx, want, o); err != nil {
		return s, err
	}
	return wordPieceSpec(t.texts), nil
}

// bertWords cuts text as BERT's BasicTokenizer does, and changes neither case nor
// accents: white space divides words, punctuation and Chinese characters are
// words of their own, control characters are nothing.
func bertWords(text string, emit func(string)) {
	from := -1 // of the word that has begun
	var clean []byte
	end := func(to int) {
		if from >= 0 {
			clean = clean[:0]
			for _, r := range text[from:to] {
				if !dropped(r) {
					clean = append(clean, string(r)...)
				}
			}
			if len(clean) > 0 {
				emit(string(clean))
			}
		}
		from = -1
	}
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			end(i)
		case punctuation(r), chinese(r):
			end(i)
			emit(string(r))
		case from < 0:
			from = i
		}
	}
	end(len(text))
}

// dropped says whether BERT takes a character out of text.
func dropped(r rune) bool {
	return r == 0 || r == unicode.ReplacementChar || unicode.Is(unicode.C, r)
}

// punctuation is BERT's: all of ASCII that is neither letter nor digit, and what
// Unicode calls so.
func punctuation(r rune) bool {
	return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~' || unicode.IsPunct(r)
}

// chinese says whether a character lies in the blocks of CJK ideographs.
func chinese(r rune) bool {
	return 0x4e00 <= r && r <= 0x9fff || 0x3400 <= r && r <= 0x4dbf || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2ebe0 && r != 0x2b820 || 0xf900 <= r && r <= 0xfaff || 0x2f800 <= r && r <= 0x2fa1f
}

// wordPieceTrainer merges the pair that gains most likelihood: the one whose
// count is greatest beside the product of its tokens' counts.
type wordPieceTrainer struct {
	pairCounts
	least  int64        // occurrences of a pair that is merged
	counts []int64      // of each token
	of     [][]pair     // by token: pairs that hold it; some may be gone
	heap   []scoredPair // greatest score first; entries whose score has changed since are void
}

// scoredPair is a pair with the score that it had when it was put in the queue.
type scoredPair struct {
	pair
	score float64
	count int64
}

// newWordPieceTrainer spells words by characters. A word with a character that
// has no token is left out, as it will be [UNK].
func newWordPieceTrainer(words []word, chars map[rune]bool, o TrainOptions) *wordPieceTrainer {
	t := &wordPieceTrainer{pairCounts: pairCounts{pairs: map[pair]*tally{}}, least: int64(max(1, o.MinFreq))}
	ids, names := map[string]int32{}, map[string]bool{}
	ok := func(w word) bool {
		return strings.IndexFunc(w.text, func(r rune) bool { return !chars[r] }) < 0
	}
	for _, w := range words {
		if ok(w) {
			for i, r := range w.text {
				names[pieceName(r, i == 0)] = true
			}
		}
	}
	for _, r := range o.Required {
		names[string(r)] = true
	}
	for name := range names {
		t.texts = append(t.texts, name)
	}
	slices.Sort(t.texts)
	for id, name := range t.texts {
		ids[name] = int32(id)
	}
	t.counts = make([]int64, len(t.texts))
	for _, w := range words {
		if !ok(w) {
			continue
		}
		s := symbols{count: w.count}
		for i, r := range w.text {
			id := ids[pieceName(r, i == 0)]
			s.ids = append(s.ids, id)
			t.counts[id] += w.count
		}
		t.words = append(t.words, s)
	}
	t.of = make([][]pair, len(t.texts))
	for i, w := range t.words {
		for j := range len(w.ids) - 1 {
			t.add(pair{w.ids[j], w.ids[j+1]}, w.count, int32(i))
		}
	}
	t.index()
	t.rebuild()
	return t
}

// pieceName is how a character is spelled at the front of a word and inside it.
func pieceName(r rune, front bool) string {
	if front {
		return string(r)
	}
	return inside + string(r)
}

// learn merges until there are want tokens, or no pair is frequent enough.
func (t *wordPieceTrainer) learn(ctx context.Context, want int, o TrainOptions) error {
	first := len(t.texts)
	for len(t.texts) < want {
		done, all := len(t.texts)-first, want-first
		if done%64 == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("tokenizer: train: stopped after %d of %d merges: %w", done, all, err)
			}
			if o.Progress != nil {
				o.Progress(done, all)
			}
		}
		best, ok := t.best()
		if !ok {
			break
		}
		t.join(best)
	}
	if o.Progress != nil {
		o.Progress(max(1, want-first), max(1, want-first))
	}
	return nil
}

// join merges a pair everywhere. The scores of all pairs with either token or
// with the new one change, and of no others.
func (t *wordPieceTrainer) join(p pair) {
	into := int32(len(t.texts))
	t.texts = append(t.texts, t.texts[p.left]+strings.TrimPrefix(t.texts[p.right], inside))
	t.of = append(t.of, nil)
	found := t.pairs[p]
	delete(t.pairs, p)
	merged := int64(0)
	for _, at := range found.words {
		before := len(t.words[at].ids)
		t.mergeWord(at, p, into)
		merged += int64(before-len(t.words[at].ids)) * t.words[at].count
	}
	t.counts[p.left] -= merged
	t.counts[p.right] -= merged
	t.counts = append(t.counts, merged)
	t.index()
	for _, id := range []int32{p.left, p.right, into} {
		t.of[id] = slices.DeleteFunc(t.of[id], func(q pair) bool { return t.pairs[q] == nil })
		for _, q := range t.of[id] {
			t.enter(q)
		}
	}
	if len(t.heap) > 4*len(t.pairs)+1024 {
		t.rebuild()
	}
}

// index enters the fresh pairs under their tokens.
func (t *wordPieceTrainer) index() {
	for _, p := range t.fresh {
		t.of[p.left] = append(t.of[p.left], p)
		if p.right != p.left {
			t.of[p.right] = append(t.of[p.right], p)
		}
	}
	t.fresh = t.fresh[:0]
}

// score is what the likelihood of the text gains, per occurrence and but for a
// logarithm, when a pair that is still there becomes one token.
func (t *wordPieceTrainer) score(p pair) float64 {
	return float64(t.pairs[p].count) / (float64(t.counts[p.left]) * float64(t.counts[p.right]))
}

// rebuild drops the void entries.
func (t *wordPieceTrainer) rebuild() {
	t.heap = t.heap[:0]
	for p := range t.pairs {
		t.enter(p)
	}
}

// enter puts a pair in the queue with its present score.
func (t *wordPieceTrainer) enter(p pair) {
	if t.pairs[p].count < t.least {
		return
	}
	t.heap = append(t.heap, scoredPair{p, t.score(p), t.pairs[p].count})
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if t.order(t.heap[up], t.heap[i]) <= 0 {
			return
		}
		t.heap[up], t.heap[i] = t.heap[i], t.heap[up]
		i = up
	}
}

// best takes out the pair of the greatest score.
func (t *wordPieceTrainer) best() (pair, bool) {
	for len(t.heap) > 0 {
		top := t.heap[0]
		last := len(t.heap) - 1
		t.heap[0] = t.heap[last]
		t.heap = t.heap[:last]
		for i := 0; ; {
			k := 2*i + 1
			if k >= last {
				break
			}
			if k+1 < last && t.order(t.heap[k+1], t.heap[k]) < 0 {
				k++
			}
			if t.order(t.heap[i], t.heap[k]) <= 0 {
				break
			}
			t.heap[i], t.heap[k] = t.heap[k], t.heap[i]
			i = k
		}
		if now := t.pairs[top.pair]; now != nil && now.count == top.count && t.score(top.pair) == top.score {
			return top.pair, true
		}
	}
	return pair{}, false
}

// order says which of two pairs is merged first: the greater score, the greater
// count, then the lesser tokens as strings.
func (t *wordPieceTrainer) order(a, b scoredPair) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.count, a.count),
		strings.Compare(t.texts[a.left], t.texts[b.left]), strings.Compare(t.texts[a.right], t.texts[b.right]))
}
