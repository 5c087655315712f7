package corpus

import (
	"fmt"
	"iter"
	"slices"
)

// Example is one rendered conversation: ids and, for each, whether it is to be
// learned (template.Rendered has both).
type Example struct {
	Name string // for errors: file:line, or ""
	IDs  []int32
	Mask []bool
}

// ExampleOptions says how examples are packed. The zero value is the default.
type ExampleOptions struct {
	Rows     int    // sequences per batch: a batch has at most Rows*SeqLen rows; 1
	SeqLen   int    // longest example, in predictions; 256
	Seed     uint64 // of the order; 0
	Truncate bool   // cut longer examples instead of refusing them; false
}

// Examples is a checked set of conversations for fine-tuning, in memory.
type Examples struct {
	o         ExampleOptions
	list      []Example
	id        string
	Truncated int // examples that were cut
	Dropped   int // examples in which the cut left nothing to learn
}

// NewExamples checks examples and, if asked to, cuts those over SeqLen.
func NewExamples(list []Example, o ExampleOptions) (*Examples, error) {
	if o.Rows <= 0 {
		o.Rows = 1
	}
	if o.SeqLen <= 0 {
		o.SeqLen = 256
	}
	e := &Examples{o: o}
	sum := newTextSum()
	for i, x := range list {
		name := x.Name
		if name == "" {
			name = fmt.Sprintf("example %d", i)
		}
		if len(x.IDs) != len(x.Mask) {
			return nil, fmt.Errorf("corpus: %s: %d ids but a mask of %d", name, len(x.IDs), len(x.Mask))
		}
		// The first id is never predicted.
		if len(x.IDs) == 0 || !slices.Contains(x.Mask[1:], true) {
			return nil, fmt.Errorf("corpus: %s: nothing in it is to be learned: want at least one assistant message", name)
		}
		if n := len(x.IDs) - 1; n > o.SeqLen {
			if !o.Truncate {
				return nil, fmt.Errorf("corpus: %s: %w: %d tokens to predict, the sequence takes %d: use a longer one, shorten the example, or ask to cut it",
					name, ErrTooLong, n, o.SeqLen)
			}
			x.IDs, x.Mask = x.IDs[:o.SeqLen+1], x.Mask[:o.SeqLen+1]
			e.Truncated++
			if !slices.Contains(x.Mask[1:], true) {
				e.Dropped++
				continue
			}
		}
		sum.add(fmt.Sprint(x.IDs, x.Mask))
		e.list = append(e.list, x)
	}
	if len(e.list) == 0 {
		return nil, fmt.Errorf("corpus: %w: no example to learn from in %d", ErrEmpty, len(list))
	}
	e.id = fmt.Sprintf("%.16x", sum.sum())
	return e, nil
}

// Len is the number of examples.
func (e *Examples) Len() int { return len(e.list) }

// Loader starts at the beginning of the first epoch. A batch is as many whole
// examples, in shuffled order, as fit.
func (e *Examples) Loader() *Loader {
	order := fmt.Sprintf("examples-%d-%d-%d-%s", e.o.Rows, e.o.SeqLen, e.o.Seed, e.id)
	return &Loader{src: e, cursor: Cursor{Order: order}}
}

// Eval yields every example once, in order.
func (e *Examples) Eval() iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for i := 0; i < len(e.list); {
			var b Batch
			for i < len(e.list) && e.add(&b, e.list[i]) {
				i++
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// add appends an example if it fits; into an empty batch it always does.
func (e *Examples) add(b *Batch, x Example) bool {
	n := len(x.IDs) - 1
	if len(b.IDs)+n > e.o.Rows*e.o.SeqLen {
		return false
	}
	b.Docs = append(b.Docs, Range{Row: len(b.IDs), Len: n})
	b.IDs = append(b.IDs, x.IDs[:n]...)
	for i, id := range x.IDs[1:] {
		if !x.Mask[i+1] {
			id = -1
		} else {
			b.Counted++
		}
		b.Targets = append(b.Targets, id)
	}
	return true
}

// fill takes whole examples in shuffled order while they fit.
func (e *Examples) fill(b *Batch, c *Cursor) {
	order := newPerm(int64(len(e.list)), e.o.Seed, uint64(c.Epoch))
	for e.add(b, e.list[order.at(c.Item)]) {
		if c.Item++; c.Item == int64(len(e.list)) {
			c.Item = 0
			c.Epoch++
			return // a batch never holds an example twice
		}
	}
}

func (e *Examples) done(c Cursor) float64 { return float64(c.Item) / float64(len(e.list)) }
