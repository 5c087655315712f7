package corpus

import (
	"fmt"
	"iter"
)

// EvalOptions says how much of a data set is scored. The zero value is the
// default.
type EvalOptions struct {
	Rows      int   // sequences per batch: at most Rows*SeqLen rows; 8
	SeqLen    int   // longest context in tokens; 256
	MaxTokens int64 // predictions in all; everything
}

// Eval yields the data set in its own order, each document cut every SeqLen
// predictions. What is predicted from what depends on SeqLen and MaxTokens
// alone, never on Rows, so a score does not either.
//
// Batch.Bytes is the exact text that the targets stand for. Bits per byte is
// the sum of the losses in nats over all counted targets, ends of documents
// among them, divided by ln 2 and by the sum of Bytes.
func (d *Dataset) Eval(o EvalOptions) iter.Seq2[Batch, error] {
	if o.Rows <= 0 {
		o.Rows = 8
	}
	if o.SeqLen <= 0 {
		o.SeqLen = 256
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = d.Predictions()
	}
	return func(yield func(Batch, error) bool) {
		if d.Predictions() == 0 {
			yield(Batch{}, fmt.Errorf("corpus: eval: %w: nothing to predict in %d token(s)", ErrEmpty, d.Tokens()))
			return
		}
		var b Batch
		room, left := o.Rows*o.SeqLen, o.MaxTokens
		for s, doc := range d.all() {
			pairs := s.pairs(doc+1) - s.pairs(doc)
			for at := int64(0); at < pairs && left > 0; {
				n := min(int64(o.SeqLen), pairs-at, left)
				if len(b.IDs)+int(n) > room {
					if !yield(b, nil) {
						return
					}
					b = Batch{}
				}
				s.piece(&b, doc, at, n)
				at, left = at+n, left-n
			}
		}
		if len(b.IDs) > 0 {
			yield(b, nil)
		}
	}
}

// all yields every document in order.
func (d *Dataset) all() iter.Seq2[*shard, int] {
	return func(yield func(*shard, int) bool) {
		for _, s := range d.shards {
			for doc := range int(s.Docs) {
				if !yield(s, doc) {
					return
				}
			}
		}
	}
}
