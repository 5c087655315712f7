package tokenizer

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keep says which part of a text stays when it is cut.
type Keep int

// What Truncate keeps.
const (
	KeepHead Keep = iota // the front
	KeepTail             // the end
	KeepEnds             // front and end, half each; the middle goes
)

// TruncateOptions says how texts are cut. The zero value is the default.
type TruncateOptions struct {
	Keep Keep
	// Mark stands where text was cut away, for instance "…"; its tokens count; none.
	Mark string
	// Trusted counts special tokens spelled in the text as one token each, as
	// EncodeSpecial does, and never cuts through one; false.
	Trusted bool
}

// Truncate returns text cut to at most n tokens. A cut never falls into a
// character with its accents, a flag or a joined emoji, nor with Trusted into a
// special token. A text that fits comes back as it is. The result is as long as
// fits, but for a token or so: how many tokens a text has may fall when a
// character is added. Errors: n below 0, or too small for the mark alone.
func (t *Tokenizer) Truncate(text string, n int, o TruncateOptions) (string, error) {
	count := t.Count
	if o.Trusted {
		count = func(s string) int { return len(t.EncodeSpecial(s)) }
	}
	switch {
	case n < 0:
		return "", fmt.Errorf("tokenizer: truncate to %d tokens: want 0 or more", n)
	case len(text) <= n || count(text) <= n: // a token has a byte at least
		return text, nil
	case o.Mark != "" && count(o.Mark) > n:
		return "", fmt.Errorf("tokenizer: truncate to %d tokens: the mark %q has %d", n, o.Mark, count(o.Mark))
	}
	cuts := t.cuts(text, o.Trusted)
	fit := func(keep func(i int) string) string { // the longest of keep(0), keep(1), … that has n tokens
		most := sort.Search(len(cuts), func(i int) bool { return count(keep(i)) > n })
		for most--; most > 0 && count(keep(most)) > n; most-- {
		}
		return keep(max(0, most))
	}
	last := len(cuts) - 1
	switch o.Keep {
	case KeepTail:
		return fit(func(i int) string { return o.Mark + text[cuts[last-i]:] }), nil
	case KeepEnds:
		return fit(func(i int) string {
			i = min(i, last)
			return text[:cuts[(i+1)/2]] + o.Mark + text[cuts[last-i/2]:]
		}), nil
	}
	return fit(func(i int) string { return text[:cuts[i]] + o.Mark }), nil
}

// TruncateAll cuts the texts of several messages to n tokens together. Short
// ones stay whole; the long ones get the same number each, and what one leaves
// over goes to the next. What a template puts around messages does not count.
func (t *Tokenizer) TruncateAll(texts []string, n int, o TruncateOptions) ([]string, error) {
	counts, order := make([]int, len(texts)), make([]int, len(texts))
	for i, text := range texts {
		order[i] = i
		if counts[i] = t.Count(text); o.Trusted {
			counts[i] = len(t.EncodeSpecial(text))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[a] - counts[b] })
	out := make([]string, len(texts))
	for done, i := range order { // shortest first: each may have its part of what is left
		room := max(0, n) / (len(order) - done)
		cut, err := t.Truncate(texts[i], room, o)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		out[i] = cut
		n -= min(counts[i], room)
	}
	return out, nil
}

// cuts lists where text may be cut, front and end included.
func (t *Tokenizer) cuts(text string, trusted bool) []int {
	var out []int
	var names []string
	if trusted {
		for name := range t.specials {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // the longest is found first
	}
	var before rune
	flags := 0 // regional indicators in a row
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if at == 0 || !joined(before, r, flags) {
			out = append(out, at)
		}
		for _, name := range names {
			if strings.HasPrefix(text[at:], name) {
				size, r = len(name), 0
				break
			}
		}
		if flags++; !regional(r) {
			flags = 0
		}
		before = r
		at += size
	}
	return append(out, len(text))
}

// joined says whether no cut may fall between two characters: the main rules of
// Unicode's grapheme clusters (UAX 29), GB3, GB9, GB9a, GB11 and GB12, and for
// Hangul GB6 to GB8.
func joined(a, b rune, flags int) bool {
	const joiner = 0x200d
	jamo := func(r, from, to rune) bool { return from <= r && r <= to }
	syllable := jamo(a, 0xac00, 0xd7a3)
	switch {
	case a == '\r' && b == '\n', b == joiner, a == joiner && b > unicode.MaxASCII,
		unicode.In(b, unicode.Mn, unicode.Me, unicode.Mc), jamo(b, 0x1f3fb, 0x1f3ff), jamo(b, 0xe0020, 0xe007f):
		return true
	case regional(a) && regional(b):
		return flags%2 == 1
	case jamo(a, 0x1100, 0x115f):
		return jamo(b, 0x1100, 0x11a7) || jamo(b, 0xac00, 0xd7a3)
	case jamo(a, 0x1160, 0x11a7) || syllable && (a-0xac00)%28 == 0:
		return jamo(b, 0x1160, 0x11ff)
	case jamo(a, 0x11a8, 0x11ff) || syllable:
		return jamo(b, 0x11a8, 0x11ff)
	}
	return false
}

// regional says whether a character is half a flag.
func regional(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }
