package tokenizer

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// batchBytes is how much text a counting worker takes at a time.
const batchBytes = 1 << 20

// countChunks cuts texts into chunks and counts each distinct one, in the order
// of their bytes. Texts are first divided at the names of special tokens.
func countChunks(ctx context.Context, texts iter.Seq2[string, error], next func(string, int) int, names []string, workers int) ([]word, error) {
	marks := make([]added, len(names))
	for i, n := range names {
		marks[i] = added{content: n}
	}
	p := producer{cut: newFinder(marks), out: make(chan []string, workers)}
	counts := make([]map[string]*int64, workers)
	var wg sync.WaitGroup
	for w := range counts {
		counts[w] = map[string]*int64{}
		wg.Go(func() {
			for batch := range p.out {
				for _, text := range batch {
					countInto(counts[w], text, next)
				}
			}
		})
	}
	err := p.run(ctx, texts)
	close(p.out)
	wg.Wait()
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenizer: train: read text: %w", err)
	case p.size == 0:
		return nil, ErrNoText
	}
	return collect(counts), nil
}

// producer hands out texts in batches to the counting workers.
type producer struct {
	cut     finder
	out     chan []string
	batch   []string
	pending int   // bytes in batch
	size    int64 // bytes in all
}

// run cuts special tokens out of the texts and hands out what is left; a batch
// that is not full comes last.
func (p *producer) run(ctx context.Context, texts iter.Seq2[string, error]) error {
	for text, err := range texts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		p.size += int64(len(text))
		p.cut.split(nil, text, func(_ []int32, piece string) []int32 {
			p.add(piece)
			return nil
		})
	}
	p.out <- p.batch
	return nil
}

// add takes in a piece of text without special tokens, in parts of about a batch.
func (p *producer) add(text string) {
	for text != "" {
		n := safeCut(text, batchBytes)
		p.batch = append(p.batch, text[:n])
		text = text[n:]
		if p.pending += n; p.pending >= batchBytes {
			p.out <- p.batch
			p.batch, p.pending = nil, 0
		}
	}
}

// safeCut returns a length of at least n at which text can be divided so that
// no pattern sees a difference: in front of a space between two ASCII letters.
// It is all of text when there is no such place.
func safeCut(text string, n int) int {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	for i := n; i+1 < len(text); i++ {
		if text[i] == ' ' && letter(text[i-1]) && letter(text[i+1]) {
			return i
		}
	}
	return len(text)
}

// countInto counts the chunks of text. Keys are copies: a piece of text as key
// would keep all of the text in memory.
func countInto(counts map[string]*int64, text string, next func(string, int) int) {
	for i := 0; i < len(text); {
		end := next(text, i)
		chunk := text[i:end]
		i = end
		if n := counts[chunk]; n != nil {
			*n++
		} else {
			one := int64(1)
			counts[strings.Clone(chunk)] = &one
		}
	}
}

// collect adds up the workers' counts. Chunks of one byte hold no pair.
func collect(counts []map[string]*int64) []word {
	sum := counts[0]
	for _, m := range counts[1:] {
		for chunk, n := range m {
			if have := sum[chunk]; have != nil {
				*have += *n
			} else {
				sum[chunk] = n
			}
		}
	}
	total := 0
	for chunk := range sum {
		total += len(chunk)
	}
	ids := make([]int32, 0, total) // all words lie in one block
	words := make([]word, 0, len(sum))
	for _, chunk := range slices.Sorted(maps.Keys(sum)) {
		if len(chunk) < 2 {
			continue
		}
		from := len(ids)
		for i := range len(chunk) {
			ids = append(ids, int32(chunk[i]))
		}
		words = append(words, word{ids: ids[from:len(ids):len(ids)], count: *sum[chunk]})
	}
	return words
}
