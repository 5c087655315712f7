package tokenizer

import "strings"

// pair is two neighbouring tokens in training.
type pair struct{ left, right int32 }

// symbols is a word as the tokens it is made of so far.
type symbols struct {
	ids   []int32
	count int64
}

// tally is what is known of a pair.
type tally struct {
	count int64
	words []int32 // words that held it at some time, each once in a row
}

// pairCounts keeps the count of every pair while words are being merged.
type pairCounts struct {
	texts []string        // by id
	order []int32         // by id, where ties go to the lesser; nil: see less
	known map[string]bool // texts that no new token may have; nil: none
	words []symbols
	pairs map[pair]*tally
	queue []candidate // max-heap; see less
	fresh []pair      // pairs that the merge under way has made
}

// candidate is a pair in the queue with the count it had when it was put there,
// which may have fallen since.
type candidate struct {
	pair
	count int64
}

// newPairCounts counts every pair of neighbours in words of bytes, whose ids are
// their values. Overlapping pairs, as in three equal letters, count each.
func newPairCounts(words []word, byID bool) *pairCounts {
	c := &pairCounts{pairs: map[pair]*tally{}}
	total := 0
	for _, w := range words {
		total += len(w.text)
	}
	ids := make([]int32, 0, total) // all words lie in one block
	for _, w := range words {
		if len(w.text) < 2 {
			continue // holds no pair
		}
		from := len(ids)
		for i := range len(w.text) {
			ids = append(ids, int32(w.text[i]))
		}
		c.words = append(c.words, symbols{ids[from:len(ids):len(ids)], w.count})
	}
	for b := range 256 {
		c.texts = append(c.texts, string([]byte{byte(b)}))
	}
	if byID {
		c.order = printableOrder()
	}
	c.count()
	return c
}

// count counts the pairs of all words.
func (c *pairCounts) count() {
	for i, w := range c.words {
		for j := range len(w.ids) - 1 {
			c.add(pair{w.ids[j], w.ids[j+1]}, w.count, int32(i))
		}
	}
	c.enqueue()
}

// printableOrder is the place of each byte when all are ordered by GPT-2's
// printable spelling, as Hugging Face's trainer numbers them.
func printableOrder() []int32 {
	var names []string
	for b := range 256 {
		names = append(names, nameOf(string([]byte{byte(b)})))
	}
	order := make([]int32, 256)
	for b, name := range names {
		for _, other := range names {
			if other < name {
				order[b]++
			}
		}
	}
	return order
}

// token enters the token that a pair becomes and returns its id.
func (c *pairCounts) token(p pair) int32 {
	c.texts = append(c.texts, c.texts[p.left]+c.texts[p.right])
	if c.order != nil {
		c.order = append(c.order, int32(len(c.order)))
	}
	return int32(len(c.texts) - 1)
}

// add counts a pair in a word.
func (c *pairCounts) add(p pair, n int64, w int32) {
	t := c.pairs[p]
	if t == nil {
		t = &tally{}
		c.pairs[p] = t
		c.fresh = append(c.fresh, p)
	}
	t.count += n
	if len(t.words) == 0 || t.words[len(t.words)-1] != w {
		t.words = append(t.words, w)
	}
}

// enqueue puts the fresh pairs into the queue.
func (c *pairCounts) enqueue() {
	for _, p := range c.fresh {
		if t := c.pairs[p]; t != nil { // it may be gone again
			c.push(candidate{p, t.count})
		}
	}
	c.fresh = c.fresh[:0]
}

// pop takes out the pair to merge next, or none when none is as frequent as least.
func (c *pairCounts) pop(least int64) (pair, bool) {
	for len(c.queue) > 0 {
		top := c.queue[0]
		now := int64(0)
		if t := c.pairs[top.pair]; t != nil {
			now = t.count
		}
		switch {
		case now < max(least, 1), c.known != nil && c.known[c.texts[top.left]+c.texts[top.right]]:
			c.shrink()
		case now < top.count:
			c.queue[0].count = now
			c.down(0)
		default:
			c.shrink()
			return top.pair, true
		}
	}
	return pair{}, false
}

// merge replaces a pair by one token in every word and corrects the counts
// around it.
func (c *pairCounts) merge(p pair, into int32) {
	t := c.pairs[p]
	delete(c.pairs, p)
	for _, w := range t.words {
		c.mergeWord(w, p, into)
	}
	c.enqueue()
}

// mergeWord replaces p in one word, from left to right and in place. Only the
// pairs on both sides of a merge change.
func (c *pairCounts) mergeWord(at int32, p pair, into int32) {
	w := &c.words[at]
	in, out := w.ids, w.ids[:0]
	for i := 0; i < len(in); i++ {
		if i+1 == len(in) || in[i] != p.left || in[i+1] != p.right {
			out = append(out, in[i])
			continue
		}
		if len(out) > 0 {
			last := out[len(out)-1]
			c.drop(pair{last, p.left}, w.count)
			c.add(pair{last, into}, w.count, at)
		}
		if i+2 < len(in) {
			c.drop(pair{p.right, in[i+2]}, w.count)
			c.add(pair{into, in[i+2]}, w.count, at)
		}
		out = append(out, into)
		i++
	}
	w.ids = out
}

// drop takes back n of a pair; the pair being merged is gone already.
func (c *pairCounts) drop(p pair, n int64) {
	if t := c.pairs[p]; t != nil {
		if t.count -= n; t.count == 0 {
			delete(c.pairs, p)
		}
	}
}

// less says that a is merged after b; see TrainOptions.Ties for the rule.
func (c *pairCounts) less(a, b candidate) bool {
	if a.count != b.count {
		return a.count < b.count
	}
	if c.order != nil {
		if a.left != b.left {
			return c.order[a.left] > c.order[b.left]
		}
		return c.order[a.right] > c.order[b.right]
	}
	if o := strings.Compare(c.texts[a.left], c.texts[b.left]); o != 0 {
		return o < 0
	}
	return c.texts[a.right] < c.texts[b.right]
}

// push adds a candidate at the bottom and lets it rise.
func (c *pairCounts) push(v candidate) {
	c.queue = append(c.queue, v)
	for i := len(c.queue) - 1; i > 0; {
		up := (i - 1) / 2
		if !c.less(c.queue[up], c.queue[i]) {
			return
		}
		c.queue[up], c.queue[i] = c.queue[i], c.queue[up]
		i = up
	}
}

// down lets a candidate sink to its place.
func (c *pairCounts) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(c.queue) {
			return
		}
		if k+1 < len(c.queue) && c.less(c.queue[k], c.queue[k+1]) {
			k++
		}
		if !c.less(c.queue[i], c.queue[k]) {
			return
		}
		c.queue[i], c.queue[k] = c.queue[k], c.queue[i]
		i = k
	}
}

// shrink removes the top of the queue.
func (c *pairCounts) shrink() {
	last := len(c.queue) - 1
	c.queue[0] = c.queue[last]
	c.queue = c.queue[:last]
	c.down(0)
}
