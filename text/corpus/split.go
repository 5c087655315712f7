package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"unicode/utf8"
)

// manyDocs is from where on documents are held out whole: with fewer, a tenth
// of them by chance may be none.
const manyDocs = 100

// Ways to hold text out.
const (
	SplitHash = "hash" // whole documents, chosen by a hash of their text
	SplitTail = "tail" // the end of every document
	SplitNone = "none" // nothing
)

// Split says which text is held out for validation. Equal documents are always
// on the same side of SplitHash, and adding others does not move them.
type Split struct {
	Method   string  `json:"method"`
	Fraction float64 `json:"fraction"` // of the text, about
	Docs     int     `json:"docs"`     // seen before deciding; manyDocs means at least so many
}

// PlanSplit decides by reading at most 100 documents: with so many, whole
// documents are held out; with fewer, the last part of each, as nanoGPT does
// for its one text. fraction 0 means 0.1; a negative one holds nothing out.
func PlanSplit(docs iter.Seq2[Doc, error], fraction float64) (Split, error) {
	if fraction == 0 {
		fraction = 0.1
	}
	if fraction < 0 {
		return Split{Method: SplitNone}, nil
	}
	if !(fraction <= 0.5) {
		return Split{}, fmt.Errorf("corpus: hold out %g of the text: want at most 0.5", fraction)
	}
	s := Split{Method: SplitTail, Fraction: fraction}
	for _, err := range docs {
		if err != nil {
			return Split{}, err
		}
		if s.Docs++; s.Docs == manyDocs {
			s.Method = SplitHash
			break
		}
	}
	return s, nil
}

// String says in words what was decided.
func (s Split) String() string {
	switch s.Method {
	case SplitHash:
		return fmt.Sprintf("held out: about %g %% of the documents, chosen by a hash of their text", 100*s.Fraction)
	case SplitTail:
		return fmt.Sprintf("held out: the last %g %% of each of %d document(s), since there are fewer than %d", 100*s.Fraction, s.Docs, manyDocs)
	}
	return "held out: none"
}

// Train yields what is trained on.
func (s Split) Train(docs iter.Seq2[Doc, error]) iter.Seq2[Doc, error] { return s.part(docs, 0) }

// Val yields what is held out.
func (s Split) Val(docs iter.Seq2[Doc, error]) iter.Seq2[Doc, error] { return s.part(docs, 1) }

func (s Split) part(docs iter.Seq2[Doc, error], side int) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		for d, err := range docs {
			if err == nil {
				d.Text = s.cut(d.Text)[side]
				if d.Text == "" {
					continue
				}
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// cut divides one document's text into [train, val].
func (s Split) cut(text string) [2]string {
	switch s.Method {
	case SplitHash:
		sum := sha256.Sum256([]byte(text))
		if float64(binary.LittleEndian.Uint64(sum[:])) < s.Fraction*math.MaxUint64 {
			return [2]string{"", text}
		}
	case SplitTail:
		at := int(float64(len(text)) * (1 - s.Fraction))
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		return [2]string{text[:at], text[at:]}
	}
	return [2]string{text, ""}
}
