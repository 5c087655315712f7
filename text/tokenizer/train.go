package tokenizer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
)

// TrainOptions says how a vocabulary is made. The zero value is the default.
type TrainOptions struct {
	VocabSize int      // all tokens: 256 bytes, merges, special and reserved ones; 4096
	MinFreq   int      // merge only pairs seen at least this often; 2
	Pattern   string   // pre-tokenizer: "gpt2", "gpt2-digits", "cl100k", "qwen2", "qwen3.5", "o200k" or "tekken"; "gpt2"
	Special   []string // special tokens, in the order of their ids; none
	Reserved  int      // special tokens <|reserved_0|>, … kept for later use; 0
	Workers   int      // goroutines that count chunks; GOMAXPROCS
	// Progress is called now and then from Train's own goroutine with the merges
	// made and asked for; nil.
	Progress func(done, total int)
}

const defaultVocab = 4096

// Train learns a byte-level BPE vocabulary (Sennrich et al. 2016, on bytes as
// in GPT-2) from texts. Ids: the 256 bytes by value, then merges in the order
// they were learned, then Special, then reserved tokens.
//
// The pair seen most often is merged next; of pairs seen equally often, the one
// whose left token is greater as a string of bytes, then whose right one is.
// The result depends on nothing else: not on the order of texts or on Workers.
// Special tokens spelled in the texts are left out and nothing is merged across.
//
// When no pair is left that is frequent enough the vocabulary stays smaller
// than asked. Without room for merges, as with VocabSize 256 and no special
// tokens, texts is not read. Errors: options that cannot be, ErrNoText, an error
// of texts, the context's.
func Train(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	names, err := o.complete()
	if err != nil {
		return nil, err
	}
	pat, err := patternNamed(o.Pattern)
	if err != nil {
		return nil, err
	}
	s := spec{preTokenizer: preTokenizerOf(pat), decoder: json.RawMessage(byteLevelDecoder)}
	for b := range 256 {
		s.tokens = append(s.tokens, token{text: string([]byte{byte(b)}), kind: plain})
	}
	if merges := o.VocabSize - 256 - len(names); merges > 0 {
		words, err := countChunks(ctx, texts, pat.next, names, o.Workers)
		if err != nil {
			return nil, err
		}
		if err := learn(ctx, &s, words, merges, int64(o.MinFreq), o.Progress); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		id := int32(len(s.tokens))
		s.tokens = append(s.tokens, token{text: name, kind: special})
		s.added = append(s.added, added{id: id, content: name, special: true})
	}
	return build(s)
}

// complete fills in defaults, checks, and returns the names of all special tokens.
func (o *TrainOptions) complete() ([]string, error) {
	if o.VocabSize == 0 {
		o.VocabSize = defaultVocab
	}
	if o.MinFreq == 0 {
		o.MinFreq = 2
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Reserved < 0 || o.MinFreq < 0 {
		return nil, fmt.Errorf("tokenizer: train: got %d reserved tokens and minimum frequency %d, want neither below 0", o.Reserved, o.MinFreq)
	}
	names := slices.Clone(o.Special)
	for i := range o.Reserved {
		names = append(names, "<|reserved_"+strconv.Itoa(i)+"|>")
	}
	seen := map[string]bool{}
	for _, n := range names {
		if len(n) < 2 || seen[n] {
			return nil, fmt.Errorf("tokenizer: train: special token %q: want names of two bytes or more, each once", n)
		}
		seen[n] = true
	}
	least := 256 + len(names)
	if o.VocabSize < least || o.VocabSize > maxVocab {
		return nil, fmt.Errorf("tokenizer: train: vocabulary size %d: want %d (256 bytes and %d special tokens) to %d", o.VocabSize, least, len(names), maxVocab)
	}
	return names, nil
}

// learn appends merges and their tokens to s until there are n more, or no pair
// is as frequent as least. The counts of pairs are kept up to date as words
// change; a pair's count only falls once the merge that made it is through, so
// stale entries of the queue are merely too high and are put back when they come up.
func learn(ctx context.Context, s *spec, words []word, n int, least int64, progress func(done, total int)) error {
	c := newPairCounts(s, words)
	for done := range n {
		if done%64 == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("tokenizer: train: stopped after %d of %d merges: %w", done, n, err)
			}
			if progress != nil {
				progress(done, n)
			}
		}
		best, ok := c.pop(least)
		if !ok {
			break
		}
		into := int32(len(s.tokens))
		s.tokens = append(s.tokens, token{text: s.tokens[best.left].text + s.tokens[best.right].text, kind: plain})
		s.merges = append(s.merges, merge{best.left, best.right, into})
		c.merge(best, into)
	}
	if progress != nil {
		progress(n, n)
	}
	return nil
}
