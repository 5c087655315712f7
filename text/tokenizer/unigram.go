package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// unigram is the language model of Kudo 2018 (arXiv:1804.10959): a token has a
// log probability, a segmentation their sum, and the best one is found by
// dynamic programming over the positions of a text.
type unigram struct {
	unigramOptions
	tokens  *trie
	scores  []float64 // by id
	missing float64   // score of a character that no token is made of
	bytes   [256]int32
}

// unigramOptions is what makes a Unigram model beside its vocabulary.
type unigramOptions struct {
	unk     int32 // stands for characters that no token is made of; -1: there must be bytes
	byteful bool  // such characters become their bytes instead
	single  bool  // sums are those of SentencePiece, in float32; Hugging Face's are in float64

	// symbols lists ids that are always taken where they can be, by the bonus
	// that SentencePiece gives to its user-defined symbols.
	symbols []int32
}

// unkPenalty is how much worse an unknown character is than the worst token.
const unkPenalty = 10

// newUnigram makes the model of a vocabulary. Tokens that are not plain take no
// part but for the bytes.
func newUnigram(vocab []scored, o unigramOptions) (*unigram, error) {
	u := &unigram{unigramOptions: o, scores: make([]float64, len(vocab))}
	for i := range u.bytes {
		u.bytes[i] = -1
	}
	lowest := math.MaxFloat32
	var keys []trieKey
	seen := make(map[string]int, len(vocab))
	symbol := make([]bool, len(vocab))
	for _, id := range o.symbols {
		symbol[id] = true
	}
	for id, v := range vocab {
		switch {
		case math.IsNaN(v.score) || math.IsInf(v.score, 0):
			return nil, fmt.Errorf("token %d %q: %w: its score is %v", id, v.text, ErrFormat, v.score)
		case v.kind == fallback && len(v.text) == 1:
			u.bytes[v.text[0]] = int32(id)
		}
		u.scores[id] = v.score
		if !o.single || v.kind == plain && !symbol[id] { // SentencePiece asks the normal pieces only
			lowest = min(lowest, v.score)
		}
		if v.kind != plain || v.text == "" {
			continue
		}
		if old, twice := seen[v.text]; twice {
			return nil, fmt.Errorf("tokens %d and %d are both %q: %w", old, id, v.text, ErrFormat)
		}
		seen[v.text] = id
		keys = append(keys, trieKey{v.text, int32(id)})
	}
	for _, id := range o.symbols {
		u.scores[id] = u.round(0.1 * float64(len(vocab[id].text)-1))
	}
	if u.unk >= int32(len(vocab)) || u.unk < 0 && (!u.byteful || slices.Contains(u.bytes[:], -1)) {
		return nil, fmt.Errorf("unk_id %d of %d tokens: %w: characters that the vocabulary lacks need an unknown token, or all 256 bytes", u.unk, len(vocab), ErrFormat)
	}
	u.tokens, u.missing = newTrie(keys), u.round(lowest-unkPenalty)
	return u, nil
}

// round gives a sum the precision of the model's arithmetic.
func (u *unigram) round(v float64) float64 {
	if u.single {
		return float64(float32(v))
	}
	return v
}

// step is the best way to reach a position of a text: the token that ends there
// and where it starts; at position 0 there is none.
type step struct {
	score float64
	from  int32
	id    int32 // noToken for a character that the vocabulary lacks
}

const noToken = -1

// encode appends the best segmentation of piece, or with drop a sampled one.
func (u *unigram) encode(dst []int32, piece string, drop *dropout) []int32 {
	if piece == "" {
		return dst
	}
	if drop != nil {
		return u.sample(dst, piece, drop)
	}
	// A reached step has its score; the others have from < 0.
	steps := make([]step, len(piece)+1)
	for i := 1; i < len(steps); i++ {
		steps[i].from = -1
	}
	reached := 0 // the last position that a token ends at
	for at := 0; at < len(piece); {
		_, char := utf8.DecodeRuneInString(piece[at:])
		if u.single {
			rebase(steps[at : max(at, reached)+1])
		}
		till, known := steps[at].score, false
		for end, node := at, int32(0); end < len(piece); {
			if node = u.tokens.next(node, piece[end]); node == 0 {
				break
			}
			end++
			id := u.tokens.nodes[node].value
			if id < 0 {
				continue
			}
			if sum := u.round(u.scores[id] + till); steps[end].from < 0 || sum > steps[end].score {
				steps[end] = step{sum, int32(at), id}
			}
			known, reached = known || end-at == char, max(reached, end)
		}
		if end := at + char; !known {
			if sum := u.round(u.missing + till); steps[end].from < 0 || sum > steps[end].score {
				steps[end] = step{sum, int32(at), noToken}
			}
			reached = max(reached, end)
		}
		at += char
	}
	return u.path(dst, piece, steps)
}

// rebase counts from the first step on when the sum has become so large that
// float32 is too coarse, at the place where SentencePiece does (0.2.2 and later).
func rebase(steps []step) {
	const most = 100000
	offset := steps[0].score
	if -most <= offset && offset <= most {
		return
	}
	for i := range steps {
		if i == 0 || steps[i].from >= 0 {
			steps[i].score = float64(float32(steps[i].score - offset))
		}
	}
}

// path appends the tokens that lead to the last step. They are collected in the
// front part of steps, which the way back has passed already.
func (u *unigram) path(dst []int32, piece string, steps []step) []int32 {
	var way []step // from is where the token ends, once it is here
	for end := int32(len(piece)); end > 0; {
		s := steps[end]
		way = append(way, step{from: end, id: s.id})
		end = s.from
	}
	at := int32(0)
	missing := false
	for _, s := range slices.Backward(way) {
		dst = u.put(dst, piece[at:s.from], s.id, missing)
		at, missing = s.from, s.id == noToken
	}
	return dst
}

// put appends one token, or what stands for a character that has none; again
// says that the character before had none either.
func (u *unigram) put(dst []int32, text string, id int32, again bool) []int32 {
	switch {
	case id != noToken:
		return append(dst, id)
	case u.byteful && u.hasBytes(text):
		for i := range len(text) {
			dst = append(dst, u.bytes[text[i]])
		}
		return dst
	case again:
		return dst
	}
	return append(dst, u.unk)
}

// hasBytes says whether each byte of text has a token.
func (u *unigram) hasBytes(text string) bool {
	for i := range len(text) {
		if u.bytes[text[i]] < 0 {
			return false
		}
	}
	return true
}
