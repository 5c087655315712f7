package corpus

import (
	"fmt"
)

// LoaderOptions says what a batch is and in which order text comes. The zero
// value is the default.
type LoaderOptions struct {
	Rows   int    // sequences per batch: a batch has Rows*SeqLen rows; 1
	SeqLen int    // longest context in tokens; 256
	Seed   uint64 // of the order; 0

	// Pack takes whole documents in a shuffled order, one behind the other; a
	// document longer than SeqLen comes in pieces. For many documents. Off:
	// windows of SeqLen tokens over the text in its own order, shuffled, with a
	// new phase every epoch. For a few long texts. Either way each prediction is
	// made once per epoch (windows: but for less than SeqLen at the two ends).
	Pack bool // false

	// Random draws windows anywhere with replacement, as nanoGPT does. Not with
	// Pack.
	Random bool // false
}

// Cursor is a place in the order of a Loader: small, and all that a checkpoint
// needs. What it counts depends on the mode.
type Cursor struct {
	Epoch  int64  `json:"epoch"`  // times the whole was gone through
	Item   int64  `json:"item"`   // document, window or example of the epoch's order
	Offset int64  `json:"offset"` // predictions of the document already made
	Order  string `json:"order"`  // fingerprint of data, seed and mode
}

// source is one way to fill batches.
type source interface {
	// fill appends the rows behind c to b and moves c.
	fill(b *Batch, c *Cursor)
	// done is the share of the epoch that lies before c, in [0, 1).
	done(c Cursor) float64
}

// Loader yields batches without end. It is not safe for concurrent use.
type Loader struct {
	src    source
	err    error
	cursor Cursor
}

// Loader starts at the beginning. A mistake in the options, or too little
// text, is the error of every Next.
func (d *Dataset) Loader(o LoaderOptions) *Loader {
	if o.Rows <= 0 {
		o.Rows = 1
	}
	if o.SeqLen <= 0 {
		o.SeqLen = 256
	}
	l := &Loader{}
	mode := "windows"
	switch {
	case o.Pack && o.Random:
		l.err = fmt.Errorf("corpus: loader: Pack and Random exclude each other: choose one")
	case d.Predictions() < int64(o.SeqLen):
		l.err = tooSmall(d.Predictions(), o.SeqLen)
	case o.Pack:
		mode, l.src = "pack", &packed{d, o}
	case o.Random:
		mode, l.src = "random", &random{d, o}
	default:
		l.src = &windows{d, o}
	}
	l.cursor.Order = fmt.Sprintf("%s-%d-%d-%s", mode, o.SeqLen, o.Seed, d.id)
	return l
}

// Next returns the next batch. Its slices are the caller's.
func (l *Loader) Next() (Batch, error) {
	if l.err != nil {
		return Batch{}, l.err
	}
	var b Batch
	l.src.fill(&b, &l.cursor)
	return b, nil
}

// Cursor is where the next batch begins.
func (l *Loader) Cursor() Cursor { return l.cursor }

// Epoch is how often the whole was gone through, with its fraction.
func (l *Loader) Epoch() float64 {
	if l.err != nil {
		return 0
	}
	return float64(l.cursor.Epoch) + l.src.done(l.cursor)
}

// Seek goes to a cursor of a loader with the same data, seed, mode and
// sequence length; Rows may differ. The batches that follow are those that
// followed it then.
func (l *Loader) Seek(c Cursor) error {
	if l.err != nil {
		return l.err
	}
	if c.Order != l.cursor.Order {
		return fmt.Errorf("corpus: seek: %w (%q, now %q): mode, sequence length, seed and data must be those it was saved with",
			ErrCursor, c.Order, l.cursor.Order)
	}
	if c.Epoch < 0 || c.Item < 0 || c.Offset < 0 || !(l.src.done(c) < 1) {
		return fmt.Errorf("corpus: seek: %w: epoch %d, item %d, offset %d is outside the data", ErrCursor, c.Epoch, c.Item, c.Offset)
	}
	l.cursor = c
	return nil
}

// packed is whole documents in shuffled order.
type packed struct {
	d *Dataset
	o LoaderOptions
}

// fill takes documents until Rows*SeqLen rows are full. A document that is cut
// by the end of the batch goes on in the next one; documents that fit are whole,
// since rows are flat and need no border at every SeqLen.
func (p *packed) fill(b *Batch, c *Cursor) {
	order := newPerm(p.d.Docs(), p.o.Seed, uint64(c.Epoch))
	for need := int64(p.o.Rows) * int64(p.o.SeqLen); need > 0; {
		s, doc := p.d.doc(order.at(c.Item))
		left := s.pairs(doc+1) - s.pairs(doc) - c.Offset
		if n := min(need, int64(p.o.SeqLen), left); n > 0 {
			s.piece(b, doc, c.Offset, n)
			c.Offset += n
			need -= n
			if n < left {
				continue
			}
		}
		c.Item, c.Offset = c.Item+1, 0
		if c.Item == p.d.Docs() {
			c.Item = 0
			c.Epoch++
			order = newPerm(p.d.Docs(), p.o.Seed, uint64(c.Epoch))
		}
	}
}

func (p *packed) done(c Cursor) float64 { return float64(c.Item) / float64(p.d.Docs()) }

// windows is the text in its own order, cut at every SeqLen from a phase on.
type windows struct {
	d *Dataset
	o LoaderOptions
}

// epoch returns the first prediction and the number of windows of an epoch.
func (w *windows) epoch(n int64) (phase, count int64) {
	spare := w.d.Predictions() - int64(w.o.SeqLen)
	phase = int64(mix(mix(w.o.Seed)^mix(uint64(n))) % uint64(min(int64(w.o.SeqLen), spare+1)))
	return phase, (w.d.Predictions() - phase) / int64(w.o.SeqLen)
}

// fill takes Rows windows of the shuffled epoch.
func (w *windows) fill(b *Batch, c *Cursor) {
	phase, count := w.epoch(c.Epoch)
	order := newPerm(count, w.o.Seed, uint64(c.Epoch))
	for range w.o.Rows {
		w.d.window(b, phase+order.at(c.Item)*int64(w.o.SeqLen), int64(w.o.SeqLen))
		if c.Item++; c.Item == count {
			c.Item = 0
			c.Epoch++
			phase, count = w.epoch(c.Epoch)
			order = newPerm(count, w.o.Seed, uint64(c.Epoch))
		}
	}
}

func (w *windows) done(c Cursor) float64 {
	_, count := w.epoch(c.Epoch)
	return float64(c.Item) / float64(count)
}

// window appends predictions [p, p+n), cut where documents end.
func (d *Dataset) window(b *Batch, p, n int64) {
	for n > 0 {
		s, doc, offset := d.at(p)
		take := min(n, s.pairs(doc+1)-s.pairs(doc)-offset)
		s.piece(b, doc, offset, take)
		p, n = p+take, n-take
	}
}

// random is windows drawn anywhere; Item counts those of the epoch.
type random struct {
	d *Dataset
	o LoaderOptions
}

func (r *random) perEpoch() int64 { return r.d.Predictions() / int64(r.o.SeqLen) }

// fill draws Rows windows: a hash of the seed and the number of the draw says
// where each begins, so any draw can be repeated without those before it.
func (r *random) fill(b *Batch, c *Cursor) {
	starts := uint64(r.d.Predictions()-int64(r.o.SeqLen)) + 1
	for range r.o.Rows {
		draw := uint64(c.Epoch*r.perEpoch() + c.Item)
		r.d.window(b, int64(mix(mix(r.o.Seed)^mix(draw))%starts), int64(r.o.SeqLen))
		if c.Item++; c.Item == r.perEpoch() {
			c.Item = 0
			c.Epoch++
		}
	}
}

func (r *random) done(c Cursor) float64 { return float64(c.Item) / float64(r.perEpoch()) }
