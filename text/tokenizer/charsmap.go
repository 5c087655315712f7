package tokenizer

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// charsmap is SentencePiece's table of replacements (precompiled_charsmap), such
// as NFKC with extras: which spellings of characters become which text. In a
// file it is
//
//	+--------------+-----------------------+----------------------------------+
//	| u32 LE bytes | trie: a double array  | replacements, UTF-8, each ended  |
//	| of the trie  | of u32 (darts-clone)  | by a zero; leaves say where      |
//	+--------------+-----------------------+----------------------------------+
//
// The zero charsmap replaces nothing.
type charsmap struct {
	units []uint32
	text  string
}

const (
	maxReplaced = 1 << 10 // bytes that a replacement may have
	maxReplace  = 1 << 8  // bytes that may be replaced at once
	leafUnit    = 1 << 31 // this unit holds a value: where the replacement starts
)

// newCharsmap checks a table; an empty one replaces nothing.
func newCharsmap(data []byte) (c charsmap, err error) {
	if len(data) == 0 {
		return c, nil
	}
	if len(data) < 4 {
		return c, fmt.Errorf("precompiled_charsmap: %w: %d bytes, want at least 4", ErrFormat, len(data))
	}
	n := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if uint64(n) > uint64(len(data)) || n%4 != 0 || n == 0 {
		return c, fmt.Errorf("precompiled_charsmap: %w: a trie of %d bytes, but %d follow; want a multiple of 4", ErrFormat, n, len(data))
	}
	c.text = string(data[n:])
	if !utf8.ValidString(c.text) {
		return c, fmt.Errorf("precompiled_charsmap: %w: the replacements are not UTF-8", ErrFormat)
	}
	for i, part := range strings.Split(c.text, "\x00") {
		if len(part) > maxReplaced {
			return c, fmt.Errorf("precompiled_charsmap: %w: replacement %d has %d bytes, want at most %d", ErrFormat, i, len(part), maxReplaced)
		}
	}
	c.units = make([]uint32, n/4)
	for i := range c.units {
		u := binary.LittleEndian.Uint32(data[4*i:])
		if at := u &^ leafUnit; u&leafUnit != 0 && at >= uint32(len(c.text)) {
			return c, fmt.Errorf("precompiled_charsmap: %w: a replacement at byte %d of %d", ErrFormat, at, len(c.text))
		}
		c.units[i] = u
	}
	return c, nil
}

// search walks the trie along s and calls found for each key that s begins with,
// the shortest first, until it returns false. In a unit, bits 0 to 7 are the
// byte that leads to it, bit 8 says that a key ends here, and bits 9 to 30 how
// far its children are, by exclusive or.
func (c charsmap) search(s string, found func(n int, to uint32) bool) {
	if len(c.units) == 0 {
		return
	}
	at := c.child(0)
	for i := 0; i < len(s) && i < maxReplace; i++ {
		at ^= uint32(s[i])
		if at >= uint32(len(c.units)) || c.units[at]&(leafUnit|0xff) != uint32(s[i]) {
			return
		}
		ends := c.units[at]&0x100 != 0
		at = c.child(at)
		if ends && at < uint32(len(c.units)) && c.units[at]&leafUnit != 0 && !found(i+1, c.units[at]&^leafUnit) {
			return
		}
	}
}

// child is where the children of a unit are counted from.
func (c charsmap) child(at uint32) uint32 {
	u := c.units[at]
	return at ^ u>>10<<(u&(1<<9)>>6)
}

// replacement is the text that a leaf points to.
func (c charsmap) replacement(at uint32) string {
	to := c.text[at:]
	if end := strings.IndexByte(to, 0); end >= 0 {
		to = to[:end]
	}
	return to
}

// longest finds the longest spelling in front of s that is replaced, and by
// what, as SentencePiece does; n is 0 when there is none.
func (c charsmap) longest(s string) (n int, to string) {
	var last uint32
	c.search(s, func(length int, at uint32) bool {
		n, last = length, at
		return true
	})
	if n > 0 {
		to = c.replacement(last)
	}
	return n, to
}

// shortest is the replacement of the shortest spelling in front of s.
func (c charsmap) shortest(s string) (to string, ok bool) {
	c.search(s, func(_ int, at uint32) bool {
		to, ok = c.replacement(at), true
		return false
	})
	return to, ok
}

// each cuts text as Hugging Face's Precompiled normalizer does (the Rust crate
// spm_precompiled) and calls put with each part and what takes its place. A
// character with its marks is replaced whole if it has fewer than 6 bytes and
// any front of it is in the table; otherwise each of its characters by itself.
// The shortest spelling counts, where SentencePiece takes the longest.
func (c charsmap) each(text string, put func(part, to string)) {
	one := func(part string) bool {
		to, ok := c.shortest(part)
		if ok {
			put(part, to)
		}
		return ok
	}
	for text != "" {
		n := clusterLen(text)
		cluster := text[:n]
		text = text[n:]
		if n < 6 && one(cluster) {
			continue
		}
		for cluster != "" {
			_, size := utf8.DecodeRuneInString(cluster)
			if !one(cluster[:size]) {
				put(cluster[:size], cluster[:size])
			}
			cluster = cluster[size:]
		}
	}
}

// clusterLen is the length of the first extended grapheme cluster of text
// (Unicode UAX 29), as far as each can tell the difference: rules for joined
// emoji and pairs of flags are left out, since those clusters take 6 bytes and
// more, and none of their characters alone takes fewer than the rule asks.
func clusterLen(text string) int {
	r, n := utf8.DecodeRuneInString(text)
	if r == '\r' && strings.HasPrefix(text[n:], "\n") {
		return n + 1
	}
	for n < len(text) {
		next, size := utf8.DecodeRuneInString(text[n:])
		if control(r) || control(next) || !joins(r, next) {
			break
		}
		r, n = next, n+size
	}
	return n
}

// control is a character that always stands alone.
func control(r rune) bool {
	switch {
	case r == 0x200d || unicode.In(r, unicode.Other_Grapheme_Extend, unicode.Prepended_Concatenation_Mark):
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// joins says whether no cluster ends between two neighbours.
func joins(a, b rune) bool {
	switch {
	case unicode.In(b, unicode.Mn, unicode.Me, unicode.Other_Grapheme_Extend), b == 0x200d, 0x1f3fb <= b && b <= 0x1f3ff:
		return true
	case b == 0x0e33 || b == 0x0eb3: // AM of Thai and Lao, called spacing marks
		return true
	case unicode.Is(unicode.Mc, b):
		return !aloneMark(b)
	case unicode.Is(unicode.Prepended_Concatenation_Mark, a):
		return true
	}
	return hangulJoins(a, b)
}

// aloneMark lists the marks with a place of their own that are none to UAX 29.
func aloneMark(r rune) bool {
	switch {
	case r == 0x102b, r == 0x102c, r == 0x1038, 0x1062 <= r && r <= 0x1064, 0x1067 <= r && r <= 0x106d,
		r == 0x1083, 0x1087 <= r && r <= 0x108c, r == 0x108f, 0x109a <= r && r <= 0x109c, r == 0x1a61,
		r == 0x1a63, r == 0x1a64, r == 0xaa7b, r == 0xaa7d, r == 0x11720, r == 0x11721:
		return true
	}
	return false
}

// hangulJoins keeps the letters of a Korean syllable together.
func hangulJoins(a, b rune) bool {
	lead := func(r rune) bool { return 0x1100 <= r && r <= 0x115f || 0xa960 <= r && r <= 0xa97c }
	vowel := func(r rune) bool { return 0x1160 <= r && r <= 0x11a7 || 0xd7b0 <= r && r <= 0xd7c6 }
	trail := func(r rune) bool { return 0x11a8 <= r && r <= 0x11ff || 0xd7cb <= r && r <= 0xd7fb }
	whole := func(r rune) bool { return 0xac00 <= r && r <= 0xd7a3 }
	open := func(r rune) bool { return whole(r) && (r-0xac00)%28 == 0 } // no trailing letter yet
	switch {
	case lead(a):
		return lead(b) || vowel(b) || whole(b)
	case vowel(a) || open(a):
		return vowel(b) || trail(b)
	}
	return trail(b) && (trail(a) || whole(a))
}
