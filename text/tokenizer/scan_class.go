package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class holds the Unicode properties that the patterns ask for, one bit each.
type class uint16

const (
	cSpace  class = 1 << iota // \s
	cLine                     // \r or \n, beside cSpace
	cNumber                   // \p{N}
	cUpper                    // \p{Lu} or \p{Lt}
	cLower                    // \p{Ll}
	cBoth                     // \p{Lm} or \p{Lo}: letters without case
	cMark                     // \p{M}
	cOther                    // the rest
	cHan                      // \p{Han}, beside any of the above but the spaces

	cLetter = cUpper | cLower | cBoth // \p{L}
	cHead   = cUpper | cBoth | cMark  // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
	cTail   = cLower | cBoth | cMark  // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
	cSymbol = cOther | cMark          // [^\s\p{L}\p{N}]
	cFront  = cSpace | cSymbol        // [^\r\n\p{L}\p{N}], where cLine is not set
)

// unicodeSet is the class of the characters in a table.
type unicodeSet struct {
	table *unicode.RangeTable
	class class
}

// unicodeSets divides what Go knows of Unicode; no character is in two of its tables.
func unicodeSets() [8]unicodeSet {
	return [...]unicodeSet{
		{unicode.Lu, cUpper}, {unicode.Lt, cUpper}, {unicode.Ll, cLower}, {unicode.Lm, cBoth}, {unicode.Lo, cBoth},
		{unicode.N, cNumber}, {unicode.M, cMark}, {unicode.White_Space, cSpace},
	}
}

// basic is the class of each character below U+10000, so that common text needs
// no search: 128 KiB, of which a script uses little.
var basic = func() *[1 << 16]class {
	t := new([1 << 16]class)
	for r := range t {
		t[r] = cOther
	}
	for _, a := range additions {
		for r := a.from; r <= a.to && int(r) < len(t); r++ {
			t[r] = addedClass(r)
		}
	}
	each := func(table *unicode.RangeTable, put func(c *class)) {
		for _, g := range table.R16 {
			for r := int(g.Lo); r <= int(g.Hi); r += int(g.Stride) {
				put(&t[r])
			}
		}
	}
	for _, k := range unicodeSets() {
		each(k.table, func(c *class) { *c = k.class })
	}
	each(unicode.Han, func(c *class) { *c |= cHan })
	t['\n'] |= cLine
	t['\r'] |= cLine
	return t
}()

// runeClass sorts a character by Unicode 16; see additions.
func runeClass(r rune) class {
	if 0 <= r && int(r) < len(basic) {
		return basic[r]
	}
	c := addedClass(r)
	for _, k := range unicodeSets() {
		if unicode.Is(k.table, r) {
			c = k.class
			break
		}
	}
	if unicode.Is(unicode.Han, r) {
		c |= cHan
	}
	return c
}

// at returns the class of the character at s[i] and its length in bytes. It
// decodes two and three bytes by itself, as nearly all characters have no more.
func at(s string, i int) (class, int) {
	a := rune(s[i])
	switch {
	case a < utf8.RuneSelf:
		return basic[a], 1
	case 0xc2 <= a && a < 0xe0 && i+1 < len(s):
		if b := rune(s[i+1]); b&0xc0 == 0x80 {
			return basic[a&0x1f<<6|b&0x3f], 2
		}
	case 0xe0 <= a && a < 0xf0 && i+2 < len(s):
		b, c := rune(s[i+1]), rune(s[i+2])
		r := a&0xf<<12 | b&0x3f<<6 | c&0x3f
		if b&0xc0 == 0x80 && c&0xc0 == 0x80 && r >= 0x800 && r>>11 != 0xd800>>11 {
			return basic[r], 3
		}
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return runeClass(r), n
}

// run returns the end of the characters from i on that are of the classes in set.
func run(s string, i int, set class) int {
	for i < len(s) {
		if a := s[i]; a < utf8.RuneSelf { // at is not inlined
			if basic[a]&set == 0 {
				break
			}
			i++
			continue
		}
		c, n := at(s, i)
		if c&set == 0 {
			break
		}
		i += n
	}
	return i
}
