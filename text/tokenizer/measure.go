package tokenizer

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Measure is what a text comes to in tokens. Sums of Measures are Measures; see
// docs/TOKENIZERS.md for what the figures mean.
type Measure struct {
	Bytes    int64 `json:"bytes"`
	Chars    int64 `json:"chars"` // Unicode code points, white space included
	Words    int64 `json:"words"` // runs of what is no white space
	Spaced   int64 `json:"-"`     // letters of scripts that put spaces between words
	Unspaced int64 `json:"-"`     // letters of scripts that do not
	Tokens   int64 `json:"tokens"`
	Partial  int64 `json:"partial"` // tokens that hold only a part of a character, or are a byte's fallback
	Unknown  int64 `json:"unknown"` // tokens that stand for something the vocabulary lacks
}

// Measure counts the tokens that Encode gives for a text.
func (t *Tokenizer) Measure(text string) Measure {
	m := MeasureText(text)
	unk := t.unknown()
	for _, id := range t.Encode(text) {
		m.Tokens++
		switch {
		case id == unk:
			m.Unknown++
		case t.tokens[id].kind == fallback || !utf8.Valid(t.Bytes(id)):
			m.Partial++
		}
	}
	return m
}

// MeasureText is the part of a Measure that has nothing to do with a tokenizer.
func MeasureText(text string) Measure {
	m := Measure{Bytes: int64(len(text)), Words: int64(len(strings.Fields(text)))}
	for _, r := range text {
		m.Chars++
		switch {
		case r < unicode.MaxASCII && !unicode.IsLetter(r):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan):
			m.Unspaced++
		case unicode.IsLetter(r):
			m.Spaced++
		}
	}
	return m
}

// Add adds the counts of another text.
func (m *Measure) Add(o Measure) {
	m.Bytes += o.Bytes
	m.Chars += o.Chars
	m.Words += o.Words
	m.Spaced += o.Spaced
	m.Unspaced += o.Unspaced
	m.Tokens += o.Tokens
	m.Partial += o.Partial
	m.Unknown += o.Unknown
}

// BytesPerToken is how much text a token holds.
func (m Measure) BytesPerToken() float64 { return ratio(m.Bytes, m.Tokens) }

// TokensPerChar is how much a character costs.
func (m Measure) TokensPerChar() float64 { return ratio(m.Tokens, m.Chars) }

// longWord is the mean characters of a word from which spaces seem to divide
// something else than words.
const longWord = 20

// Fertility is the mean number of tokens of a word. There is none for text whose
// letters are mostly of scripts without spaces between words, or that has so few
// spaces that they cannot stand between words.
func (m Measure) Fertility() (float64, bool) {
	return ratio(m.Tokens, m.Words), m.Words > 0 && m.Spaced >= m.Unspaced && m.Chars < longWord*m.Words
}

// PartialShare is the share of tokens that hold only a part of a character.
func (m Measure) PartialShare() float64 { return ratio(m.Partial, m.Tokens) }

// UnknownShare is the share of tokens that lost what they stand for.
func (m Measure) UnknownShare() float64 { return ratio(m.Unknown, m.Tokens) }

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// unknown is the id of the token for what the vocabulary lacks, -1 without one.
func (t *Tokenizer) unknown() int32 {
	if t.unk == "" {
		return -1
	}
	if id, ok := t.specials[t.unk]; ok {
		return id
	}
	return int32(slices.IndexFunc(t.tokens, func(k token) bool { return k.kind != absent && k.text == t.unk }))
}

// Lost says what becomes of a text that is encoded and decoded: nothing when it
// comes back exactly, otherwise what has to be left out of both so that they are
// the same, such as "case" or "white space", or "text" when nothing helps. At is
// where they first differ.
type Lost struct {
	What []string `json:"what,omitempty"`
	At   int      `json:"at"`             // byte offset, -1 when exact
	Want string   `json:"want,omitempty"` // of the text, from there on, up to 24 characters
	Got  string   `json:"got,omitempty"`  // of what came back
}

// Exact says that nothing was lost.
func (l Lost) Exact() bool { return l.At < 0 }

// RoundTrip encodes and decodes a text and says what was lost.
func (t *Tokenizer) RoundTrip(text string) Lost {
	back := t.Decode(t.Encode(text))
	if back == text {
		return Lost{At: -1}
	}
	at := 0
	for at < len(text) && at < len(back) && text[at] == back[at] {
		at++
	}
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return Lost{What: whatIsLost(text, back), At: at, Want: start(text[at:]), Got: start(back[min(at, len(back)):])}
}

// whatIsLost finds the fewest things that two texts differ in.
func whatIsLost(a, b string) []string {
	steps := []struct {
		name string
		fold func(string) string
	}{
		{"composition", norm.NFC.String},
		{"white space", func(s string) string { return strings.Join(strings.Fields(s), "") }},
		{"case", strings.ToLower},
		{"control characters", func(s string) string { return without(s, unicode.Cc, unicode.Cf) }},
		{"compatibility forms", norm.NFKC.String},
		{"accents", func(s string) string { return without(norm.NFD.String(s), unicode.Mn) }},
	}
	all := 1<<len(steps) - 1
	left := func(set int) (names []string, same bool) {
		x, y := a, b
		for i, s := range steps {
			if set>>i&1 == 1 {
				x, y, names = s.fold(x), s.fold(y), append(names, s.name)
			}
		}
		return names, x == y
	}
	best, same := left(all)
	if !same {
		return []string{"text"}
	}
	for set := range all {
		if bits.OnesCount(uint(set)) < len(best) {
			if names, same := left(set); same {
				best = names
			}
		}
	}
	return best
}

// without leaves out the characters of some classes.
func without(s string, classes ...*unicode.RangeTable) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, classes...) {
			return -1
		}
		return r
	}, s)
}

// start is the front of a text, for people to read.
func start(s string) string {
	const most = 24 // characters
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}
