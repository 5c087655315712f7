package tokenizer

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options says how EncodeWith and EncodeBatch make ids of text. The zero value is
// Encode.
type Options struct {
	// Dropout is the probability that BPE passes a merge over, at each of its
	// steps (Provilkov et al. 2020, arXiv:1910.13267); 0: the best segmentation.
	Dropout float64
	// Sample makes a Unigram vocabulary draw a segmentation by its probability
	// to the power of Alpha (Kudo 2018), among the NBest best, or among all if
	// that is 0.
	Sample bool
	NBest  int
	Alpha  float64 // 0 means 1
	Seed   uint64  // the same seed gives the same ids
	// Trusted finds special tokens in the text, as EncodeSpecial does. Never set
	// it for text of users.
	Trusted bool
	// Marked puts the tokens around the text that the file's post_processor asks
	// for, such as BOS, or [CLS] and [SEP]. With Trusted it is what other programs
	// give by default.
	Marked bool
}

// EncodeWith is Encode with choices, such as a segmentation by chance for training
// that should not depend on one. Vocabularies that cannot do what Dropout or Sample
// ask for ignore it.
func (t *Tokenizer) EncodeWith(text string, o Options) []int32 {
	r := encoding{t: t, user: !o.Trusted}
	if o.Marked {
		r.ids = append(make([]int32, 0, len(text)/3+4), t.frame.before...)
	}
	if o.Dropout > 0 || o.Sample {
		if o.Alpha == 0 {
			o.Alpha = 1
		}
		drop := &dropout{rate: o.Dropout, nbest: o.NBest, alpha: o.Alpha, rng: rand.New(rand.NewPCG(o.Seed, 0))}
		if bpe := t.kind == bpeModel || t.kind == ""; bpe == (o.Dropout > 0) {
			r.drop = drop
		}
	}
	r.text(text)
	if o.Marked {
		r.ids = append(r.ids, t.frame.after...)
	}
	return r.ids
}

// EncodeOffsets is Encode that also says which bytes of text each id stands for.
// A token of part of a character has all of it. What a normaliser put there has
// the place of what it belongs to, and where the file trims offsets, spaces at
// the ends of a token are left out.
func (t *Tokenizer) EncodeOffsets(text string) ([]int32, []Span) {
	r := encoding{t: t, user: true, spans: make([]Span, 0, len(text)/3+2)}
	if len(t.frame.trims) > 0 {
		r.names = []string{}
	}
	r.text(text)
	r.trim(text)
	return r.ids, r.spans
}

// encoding is the work on one text.
type encoding struct {
	t     *Tokenizer
	user  bool // special tokens are plain text
	drop  *dropout
	ids   []int32
	spans []Span   // of ids; nil when nobody asks
	names []string // of tokens, added ones as they stand in the text, if spaces are to be trimmed
}

// text cuts out first the added tokens that are matched in the text as it is,
// then, after normalising what stands between them, the others.
func (r *encoding) text(text string) {
	s := strand{text: text}
	if r.spans != nil || r.t.traced {
		s = tracked(text)
	}
	s.late = r.t.late
	if r.ids == nil {
		r.ids = make([]int32, 0, len(text)/3+2)
	}
	r.between(&r.t.raw, s, func(s strand) {
		if len(r.t.normalizers) > 0 {
			s = r.t.normalize(s)
		}
		r.between(&r.t.normal, s, r.words)
	})
}

// between appends the added tokens in s, and has rest see to what is between them.
func (r *encoding) between(f *finder, s strand, rest func(strand)) {
	if f.empty(r.user) {
		rest(s)
		return
	}
	f.cut(s.text, r.user, func(start, end int, a *added) {
		if a == nil {
			rest(s.sub(start, end))
			return
		}
		r.ids = append(r.ids, a.id)
		if r.spans != nil {
			r.spans = append(r.spans, s.span(start, end))
		}
		if r.names != nil {
			r.names = append(r.names, s.text[start:end])
		}
	})
}

// words appends the ids of text without added tokens.
func (r *encoding) words(s strand) {
	if s.text == "" {
		return
	}
	if r.t.pattern == nil || r.spans != nil {
		for _, piece := range r.t.cut(s) {
			r.piece(piece)
		}
		return
	}
	text := s.text
	if r.t.leading && text[0] != ' ' {
		text = " " + text
	}
	for i := 0; i < len(text); {
		end := r.t.pattern.next(text, i)
		r.ids = r.t.model.encode(r.ids, text[i:end], r.drop)
		i = end
	}
}

// piece appends the ids of one pre-token.
func (r *encoding) piece(s strand) {
	if s.text == "" {
		return
	}
	from := len(r.ids)
	r.ids = r.t.model.encode(r.ids, s.text, r.drop)
	if r.spans != nil {
		r.place(s, r.ids[from:])
	}
}

// EncodeBatch is EncodeWith for many texts at once, on all cores. Text i draws with
// the seed o.Seed+i, so that what one text becomes does not depend on the others.
func (t *Tokenizer) EncodeBatch(texts []string, o Options) [][]int32 {
	out := make([][]int32, len(texts))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(texts), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(texts); i = int(next.Add(1)) - 1 {
				own := o
				own.Seed += uint64(i)
				out[i] = t.EncodeWith(texts[i], own)
			}
		})
	}
	wg.Wait()
	return out
}
