package tokenizer

import (
	"slices"
	"strings"
)

// Patterns mean Unicode 16: that is what Oniguruma in the tokenizers library
// (0.23) and Rust's regex crate in tiktoken (0.14) know. Go's tables are of
// version 15 up to Go 1.26, so this is what came between.

// addition is a range of characters that Unicode 16 has and Go does not.
type addition struct {
	from, to rune
	category string
}

// additions is in order of code points.
var additions = []addition{
	{0x897, 0x897, "Mn"}, {0x1b4e, 0x1b4f, "Po"}, {0x1b7f, 0x1b7f, "Po"}, {0x1c89, 0x1c89, "Lu"}, {0x1c8a, 0x1c8a, "Ll"},
	{0x2427, 0x2429, "So"}, {0x2ffc, 0x2fff, "So"}, {0x31e4, 0x31e5, "So"}, {0x31ef, 0x31ef, "So"},
	{0xa7cb, 0xa7cc, "Lu"}, {0xa7cd, 0xa7cd, "Ll"}, {0xa7da, 0xa7da, "Lu"}, {0xa7db, 0xa7db, "Ll"}, {0xa7dc, 0xa7dc, "Lu"},
	{0x105c0, 0x105f3, "Lo"}, {0x10d40, 0x10d49, "Nd"}, {0x10d4a, 0x10d4d, "Lo"}, {0x10d4e, 0x10d4e, "Lm"}, {0x10d4f, 0x10d4f, "Lo"},
	{0x10d50, 0x10d65, "Lu"}, {0x10d69, 0x10d6d, "Mn"}, {0x10d6e, 0x10d6e, "Pd"}, {0x10d6f, 0x10d6f, "Lm"}, {0x10d70, 0x10d85, "Ll"},
	{0x10d8e, 0x10d8f, "Sm"}, {0x10ec2, 0x10ec4, "Lo"}, {0x10efc, 0x10efc, "Mn"}, {0x11380, 0x11389, "Lo"}, {0x1138b, 0x1138b, "Lo"},
	{0x1138e, 0x1138e, "Lo"}, {0x11390, 0x113b5, "Lo"}, {0x113b7, 0x113b7, "Lo"}, {0x113b8, 0x113ba, "Mc"}, {0x113bb, 0x113c0, "Mn"},
	{0x113c2, 0x113c2, "Mc"}, {0x113c5, 0x113c5, "Mc"}, {0x113c7, 0x113ca, "Mc"}, {0x113cc, 0x113cd, "Mc"}, {0x113ce, 0x113ce, "Mn"},
	{0x113cf, 0x113cf, "Mc"}, {0x113d0, 0x113d0, "Mn"}, {0x113d1, 0x113d1, "Lo"}, {0x113d2, 0x113d2, "Mn"}, {0x113d3, 0x113d3, "Lo"},
	{0x113d4, 0x113d5, "Po"}, {0x113d7, 0x113d8, "Po"}, {0x113e1, 0x113e2, "Mn"}, {0x116d0, 0x116e3, "Nd"}, {0x11bc0, 0x11be0, "Lo"},
	{0x11be1, 0x11be1, "Po"}, {0x11bf0, 0x11bf9, "Nd"}, {0x11f5a, 0x11f5a, "Mn"}, {0x13460, 0x143fa, "Lo"}, {0x16100, 0x1611d, "Lo"},
	{0x1611e, 0x16129, "Mn"}, {0x1612a, 0x1612c, "Mc"}, {0x1612d, 0x1612f, "Mn"}, {0x16130, 0x16139, "Nd"}, {0x16d40, 0x16d42, "Lm"},
	{0x16d43, 0x16d6a, "Lo"}, {0x16d6b, 0x16d6c, "Lm"}, {0x16d6d, 0x16d6f, "Po"}, {0x16d70, 0x16d79, "Nd"}, {0x18cff, 0x18cff, "Lo"},
	{0x1cc00, 0x1ccef, "So"}, {0x1ccf0, 0x1ccf9, "Nd"}, {0x1cd00, 0x1ceb3, "So"}, {0x1e5d0, 0x1e5ed, "Lo"}, {0x1e5ee, 0x1e5ef, "Mn"},
	{0x1e5f0, 0x1e5f0, "Lo"}, {0x1e5f1, 0x1e5fa, "Nd"}, {0x1e5ff, 0x1e5ff, "Po"}, {0x1f8b2, 0x1f8bb, "So"}, {0x1f8c0, 0x1f8c1, "So"},
	{0x1fa89, 0x1fa89, "So"}, {0x1fa8f, 0x1fa8f, "So"}, {0x1fabe, 0x1fabe, "So"}, {0x1fac6, 0x1fac6, "So"}, {0x1fadc, 0x1fadc, "So"},
	{0x1fadf, 0x1fadf, "So"}, {0x1fae9, 0x1fae9, "So"}, {0x1fbcb, 0x1fbef, "So"}, {0x2ebf0, 0x2ee5d, "Lo"},
}

// addedClass is the class of a character that Go does not know.
func addedClass(r rune) class {
	if r < 0x897 || 0x1c8a < r && r < 0xa7cb {
		return cOther // soon, for the punctuation that is in every text
	}
	i, ok := slices.BinarySearchFunc(additions, r, func(a addition, r rune) int {
		switch {
		case a.to < r:
			return -1
		case a.from > r:
			return 1
		}
		return 0
	})
	if !ok {
		return cOther
	}
	switch a := additions[i]; {
	case a.from == 0x2ebf0:
		return cBoth | cHan
	case a.category == "Lu":
		return cUpper
	case a.category == "Ll":
		return cLower
	case a.category[0] == 'L':
		return cBoth
	case a.category[0] == 'M':
		return cMark
	case a.category[0] == 'N':
		return cNumber
	}
	return cOther
}

// addedItems lists the additions to a category, such as "Lu" or "L", or to the
// script "Han", as they stand in a class of a regular expression.
func addedItems(name string) string {
	var b strings.Builder
	for _, a := range additions {
		if strings.HasPrefix(a.category, name) || name == "Han" && a.from == 0x2ebf0 {
			b.WriteString(quoted(a.from) + "-" + quoted(a.to))
		}
	}
	return b.String()
}
