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

const (
	batchBytes = 1 << 20 // text that a counting worker takes at a time
	roundBytes = 1 << 26 // text between two looks at the size of the table
)

// word is a distinct chunk of the training text.
type word struct {
	text  string
	count int64
}

// wordFinder calls emit for every word of text, in order. A word may be a copy that
// a normaliser has changed.
type wordFinder func(text string, emit func(word string))

// chunks is the word finder of a pattern: the words are all of the text.
func chunks(p *pattern) wordFinder {
	return func(text string, emit func(string)) {
		for i := 0; i < len(text); {
			end := p.next(text, i)
			emit(text[i:end])
			i = end
		}
	}
}

// counting counts words on several workers. Texts are handed out in batches;
// after a round of them the workers' tables are added to one, which is pruned if
// it is too large. Rounds end at places that depend on the texts alone, so that
// the counts are the same for any number of workers.
type counting struct {
	words wordFinder
	cut   finder // special tokens, which no word holds any of
	limit int    // words that the table may hold

	out     chan []string
	wg      sync.WaitGroup
	local   []map[string]*int64 // by worker
	batch   []string
	pending int   // bytes in batch
	round   int   // bytes handed out in this round
	size    int64 // bytes in all

	total map[string]*int64
	lost  loss
}

// loss is what pruning the table has cost.
type loss struct {
	words  int64 // entries dropped
	counts int64 // occurrences that they had
	most   int64 // of one entry
}

// countWords counts the distinct words of texts and returns them in the order of
// their bytes. Texts are first divided at the names of special tokens. warn hears
// of words that the limit made it forget; without warn that is an error.
func countWords(ctx context.Context, texts iter.Seq2[string, error], cut wordFinder, names []string, o TrainOptions) ([]word, error) {
	marks := make([]added, len(names))
	for i, n := range names {
		marks[i] = added{content: n}
	}
	c := counting{words: cut, cut: newFinder(marks), limit: o.MaxWords, local: make([]map[string]*int64, o.Workers)}
	for w := range c.local {
		c.local[w] = map[string]*int64{}
	}
	c.start()
	err := c.run(ctx, texts)
	c.settle()
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenizer: train: read text: %w", err)
	case c.size == 0:
		return nil, ErrNoText
	case c.lost.words > 0:
		text := fmt.Sprintf("more than %d distinct words: forgot the rarest, %d entries with %d occurrences, none with more than %d at that time",
			c.limit, c.lost.words, c.lost.counts, c.lost.most)
		if o.Warn == nil {
			return nil, fmt.Errorf("tokenizer: train: %s: raise MaxWords, train on less text, or set Warn to go on", text)
		}
		o.Warn(text)
	}
	return sorted(c.total), nil
}

// start lets the workers of a round begin.
func (c *counting) start() {
	out := make(chan []string, len(c.local))
	c.out = out
	for w := range c.local {
		c.wg.Go(func() {
			counts := c.local[w]
			emit := func(word string) { countInto(counts, word) }
			for batch := range out {
				for _, text := range batch {
					c.words(text, emit)
				}
			}
		})
	}
}

// run cuts special tokens out of the texts and hands out what is left; a batch
// that is not full comes last.
func (c *counting) run(ctx context.Context, texts iter.Seq2[string, error]) error {
	for text, err := range texts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		c.size += int64(len(text))
		c.cut.split(nil, text, func(_ []int32, piece string) []int32 {
			c.add(piece)
			return nil
		})
	}
	c.out <- c.batch
	return nil
}

// add takes in a piece of text without special tokens, in parts of about a batch.
func (c *counting) add(text string) {
	for text != "" {
		n := safeCut(text, batchBytes)
		c.batch = append(c.batch, text[:n])
		text = text[n:]
		if c.pending += n; c.pending < batchBytes {
			continue
		}
		c.out <- c.batch
		c.round += c.pending
		c.batch, c.pending = nil, 0
		if c.round >= roundBytes {
			c.settle()
			c.round = 0
			c.start()
		}
	}
}

// settle ends a round: it waits for the workers and takes over their counts.
func (c *counting) settle() {
	close(c.out)
	c.wg.Wait()
	for w, counts := range c.local {
		if c.total == nil {
			c.total, c.local[w] = counts, map[string]*int64{}
			continue
		}
		for text, n := range counts {
			if have := c.total[text]; have != nil {
				*have += *n
			} else {
				c.total[text] = n
			}
		}
		clear(counts)
	}
	c.prune()
}

// prune forgets the rarest words of a table over the limit, so that at most
// three quarters of the limit are left: all words of a count, or none.
func (c *counting) prune() {
	if len(c.total) <= c.limit {
		return
	}
	counts := make([]int64, 0, len(c.total))
	for _, n := range c.total {
		counts = append(counts, *n)
	}
	slices.Sort(counts)
	most := counts[len(counts)-1-c.limit*3/4]
	c.lost.most = max(c.lost.most, most)
	for text, n := range c.total {
		if *n <= most {
			delete(c.total, text)
			c.lost.words++
			c.lost.counts += *n
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

// countInto counts a word. Keys are copies: a piece of text as key would keep all
// of the text in memory.
func countInto(counts map[string]*int64, word string) {
	if n := counts[word]; n != nil {
		*n++
		return
	}
	one := int64(1)
	counts[strings.Clone(word)] = &one
}

// sorted lists a table in the order of the words' bytes.
func sorted(counts map[string]*int64) []word {
	words := make([]word, 0, len(counts))
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, word{text, *counts[text]})
	}
	return words
}
