package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
)

// The kinds of vocabulary that Train makes.
const (
	BPE       = "bpe"       // byte-level byte-pair encoding (Sennrich et al. 2016, on bytes as in GPT-2)
	Unigram   = "unigram"   // the likeliest pieces of a unigram language model (Kudo 2018)
	WordPiece = "wordpiece" // greedy longest match with ## inside words (Schuster and Nakajima 2012)
)

// Kinds lists the kinds of vocabulary that Train makes.
func Kinds() []string { return []string{BPE, Unigram, WordPiece} }

// TrainOptions says how a vocabulary is made. The zero value is the default.
type TrainOptions struct {
	Kind      string   // BPE, Unigram or WordPiece; BPE
	VocabSize int      // all tokens, special and reserved ones included; 4096
	MinFreq   int      // merge only pairs, and consider only pieces, seen at least this often; 2
	Pattern   string   // pre-tokenizer of BPE and Unigram, see Patterns; "gpt2"
	Special   []string // special tokens, in the order of their ids; none
	Reserved  int      // special tokens <|reserved_0|>, … kept for later use; 0
	Workers   int      // goroutines; GOMAXPROCS

	// Ties says which of two pairs that are seen equally often BPE merges first:
	// "bytes", the one whose left token is greater as a string of bytes, then
	// whose right one is; or "ids", the one of the lesser left id, then right id,
	// with bytes in the order of their printable spelling, as Hugging Face's
	// trainer has it. "bytes".
	Ties string

	// Coverage is the share of the text's characters that Unigram and WordPiece
	// give a token of their own, the most frequent first. Unigram spells the
	// others as bytes; a word that holds one is [UNK] in WordPiece. 0.9995.
	Coverage float64
	Required string // characters that get a token of their own however rare; none
	NoBytes  bool   // Unigram without the 256 byte tokens: what it lacks becomes <unk>; false
	Seeds    int    // pieces that Unigram begins with; 1,000,000

	// MaxWords bounds the distinct words that are counted; 8 Mi, about 1 GB. A text
	// with more loses its rarest words, and Warn is told how many. When Warn is nil
	// that is an error.
	MaxWords int
	Warn     func(text string)

	// Progress is called now and then from Train's own goroutine with the work
	// done and in all: merges, or pieces pruned; nil.
	Progress func(done, total int)

	// Round hears of every round of Unigram's EM: the number of pieces, and the
	// likelihood of the training text in nats per character; nil.
	Round func(pieces int, nats float64)
}

const (
	defaultVocab    = 4096
	defaultWords    = 8 << 20
	defaultSeeds    = 1_000_000
	defaultCoverage = 0.9995
)

// Train learns a vocabulary from texts. The result depends on the texts and the
// options but for Workers; and not on the order of texts, unless MaxWords is
// exceeded. Special tokens spelled in the texts are left out, and no token is
// learned across them or across the words that the pre-tokenizer cuts.
//
// BPE has the ids: the 256 bytes by value, then merges in the order they were
// learned, then Special, then reserved tokens. The pair seen most often is merged
// next; Ties says which of equals. Unigram has <unk>, the 256 bytes, pieces by
// falling probability, then the special tokens; it spells a space as ▁, so that
// ▁ in a text comes back as a space. WordPiece has [UNK], characters, merges in
// the order they were learned, then the special tokens; decoding gives words with
// single spaces.
//
// When nothing is left that is frequent enough the vocabulary stays smaller than
// asked. BPE without room for merges, as with VocabSize 256 and no special
// tokens, does not read texts. Errors: options that cannot be, ErrNoText, an
// error of texts, the context's.
func Train(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	names, err := o.complete()
	if err != nil {
		return nil, err
	}
	pattern, err := patternNamed(o.Pattern)
	if err != nil {
		return nil, err
	}
	var s spec
	switch o.Kind {
	case BPE:
		s, err = trainBPE(ctx, texts, pattern, names, o)
	case Unigram:
		s, err = trainUnigram(ctx, texts, pattern, names, o)
	case WordPiece:
		s, err = trainWordPiece(ctx, texts, names, o)
	}
	if err != nil {
		return nil, err
	}
	return build(s.withSpecials(names))
}

// complete fills in defaults, checks, and returns the names of all special tokens.
func (o *TrainOptions) complete() ([]string, error) {
	o.Kind = cmp.Or(o.Kind, BPE)
	o.VocabSize = cmp.Or(o.VocabSize, defaultVocab)
	o.MinFreq = cmp.Or(o.MinFreq, 2)
	o.Ties = cmp.Or(o.Ties, "bytes")
	o.Coverage = cmp.Or(o.Coverage, defaultCoverage)
	o.Seeds = cmp.Or(o.Seeds, defaultSeeds)
	o.MaxWords = cmp.Or(o.MaxWords, defaultWords)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	switch {
	case !slices.Contains(Kinds(), o.Kind):
		return nil, fmt.Errorf("tokenizer: train: kind %q: want one of %q", o.Kind, Kinds())
	case o.Reserved < 0 || o.MinFreq < 0:
		return nil, fmt.Errorf("tokenizer: train: got %d reserved tokens and minimum frequency %d, want neither below 0", o.Reserved, o.MinFreq)
	case o.Ties != "bytes" && o.Ties != "ids":
		return nil, fmt.Errorf("tokenizer: train: ties %q: want bytes or ids", o.Ties)
	case !(o.Coverage > 0 && o.Coverage <= 1):
		return nil, fmt.Errorf("tokenizer: train: coverage %g: want more than 0 and at most 1", o.Coverage)
	case o.Seeds < 0 || o.MaxWords < 16:
		return nil, fmt.Errorf("tokenizer: train: got %d seeds and room for %d words, want 1 and 16 or more", o.Seeds, o.MaxWords)
	case o.Kind == WordPiece && o.Pattern != "":
		return nil, fmt.Errorf("tokenizer: train: pattern %q: WordPiece cuts words at white space and punctuation, as BERT does; leave the pattern out", o.Pattern)
	}
	return o.names()
}

// names lists all special tokens and checks that there is room for them.
func (o *TrainOptions) names() ([]string, error) {
	names := slices.Clone(o.Special)
	for i := range o.Reserved {
		names = append(names, "<|reserved_"+strconv.Itoa(i)+"|>")
	}
	unknown := map[string]string{Unigram: unkName, WordPiece: unkWord}[o.Kind]
	names = slices.DeleteFunc(names, func(n string) bool { return n != "" && n == unknown }) // there anyway
	seen := map[string]bool{}
	for _, n := range names {
		if len(n) < 2 || seen[n] {
			return nil, fmt.Errorf("tokenizer: train: special token %q: want names of two bytes or more, each once", n)
		}
		seen[n] = true
	}
	least, first := 256+len(names), "256 bytes"
	switch {
	case o.Kind == Unigram && !o.NoBytes:
		least, first = least+1, "<unk>, 256 bytes"
	case o.Kind != BPE:
		least, first = 1+len(names), "the unknown token"
	}
	if o.VocabSize < least || o.VocabSize > maxVocab {
		return nil, fmt.Errorf("tokenizer: train: vocabulary size %d: want %d (%s and %d special tokens) to %d", o.VocabSize, least, first, len(names), maxVocab)
	}
	return names, nil
}

// trainBPE learns merges and writes them down as byte-level BPE.
func trainBPE(ctx context.Context, texts iter.Seq2[string, error], p *pattern, names []string, o TrainOptions) (s spec, err error) {
	var words []word
	n := o.VocabSize - 256 - len(names)
	if n > 0 {
		if words, err = countWords(ctx, texts, chunks(p), names, o); err != nil {
			return s, err
		}
	}
	c := newPairCounts(words, o.Ties == "ids")
	merges, err := c.learn(ctx, n, int64(o.MinFreq), o.Progress)
	if err != nil {
		return s, err
	}
	return bpeSpec(p, c.texts, merges), nil
}

// learn returns merges until there are n, or no pair is as frequent as least.
// The counts of pairs are kept up to date as words change; a pair's count only
// falls once the merge that made it is through, so stale entries of the queue are
// merely too high and are put back when they come up.
func (c *pairCounts) learn(ctx context.Context, n int, least int64, progress func(done, total int)) ([]pair, error) {
	var merges []pair
	for done := range n {
		if done%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("tokenizer: train: stopped after %d of %d merges: %w", done, n, err)
			}
			if progress != nil {
				progress(done, n)
			}
		}
		best, ok := c.pop(least)
		if !ok {
			break
		}
		merges = append(merges, best)
		c.merge(best, c.token(best))
	}
	if progress != nil && n > 0 {
		progress(n, n)
	}
	return merges, nil
}
