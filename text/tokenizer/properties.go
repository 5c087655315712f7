package tokenizer

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// properties.txt says what the tokenizers library takes characters for. Its parts
// follow different versions of Unicode, none of them Go's, and vocabularies were
// made with them. testdata/unicode/make.py writes the file.
//
//go:embed properties.txt
var propertiesText string

// tables are properties of characters as the library sees them.
type tables struct {
	mark       *unicode.RangeTable // what StripAccents leaves out
	nonspacing *unicode.RangeTable // what BertNormalizer leaves out as an accent
	gone       *unicode.RangeTable // what it leaves out as a control character
	punct      *unicode.RangeTable
	word       *unicode.RangeTable // \w
	number     *unicode.RangeTable
	anyScript  *unicode.RangeTable // no script of their own
	moves      *unicode.RangeTable // marks that normal forms put in order
	decomposes *unicode.RangeTable // in NFKD
}

// libraryTables reads them once.
var libraryTables = sync.OnceValue(func() *tables {
	all := map[string]*unicode.RangeTable{}
	for line := range strings.Lines(propertiesText) {
		name, ranges, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		all[name] = tableOf(ranges)
	}
	return &tables{mark: all["mark"], nonspacing: all["nonspacing"], gone: all["gone"], punct: all["punct"], word: all["word"],
		number: all["number"], anyScript: all["anyscript"], moves: all["moves"], decomposes: all["compatible"]}
})

// tableOf reads ranges of code points, "61-7a aa b5".
func tableOf(ranges string) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for r := range strings.FieldsSeq(ranges) {
		from, to, ok := strings.Cut(r, "-")
		if !ok {
			to = from
		}
		lo, err1 := strconv.ParseUint(from, 16, 32)
		hi, err2 := strconv.ParseUint(to, 16, 32)
		if err1 != nil || err2 != nil {
			panic("properties.txt: " + r)
		}
		if lo <= 0xffff && hi > 0xffff {
			t.R16 = append(t.R16, unicode.Range16{Lo: uint16(lo), Hi: 0xffff, Stride: 1})
			lo = 0x10000
		}
		if hi <= 0xffff {
			t.R16 = append(t.R16, unicode.Range16{Lo: uint16(lo), Hi: uint16(hi), Stride: 1})
		} else {
			t.R32 = append(t.R32, unicode.Range32{Lo: uint32(lo), Hi: uint32(hi), Stride: 1})
		}
		if hi <= unicode.MaxLatin1 {
			t.LatinOffset++
		}
	}
	return t
}
