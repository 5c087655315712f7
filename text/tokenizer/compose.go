package tokenizer

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Three kinds of text go through the code below, which follows UAX 15 to the letter.
// In a row of more than 30 marks the norm package puts a joiner (U+034F), which
// other programs do not ("stream-safe" text). And it knows characters that the
// tokenizers library does not know yet: those stay as they are, and nothing moves
// across them. And it does not tell where a character came from.

// marksInRow is how many marks the norm package takes as they are.
const marksInRow = 30

// newer says whether a character is one that the library does not know: one that
// decomposes or moves for us, and not there. (U+0345, of a class of its own, is what
// make.py finds the others by.)
func newer(r rune, p norm.Properties) bool {
	t := libraryTables()
	return p.Decomposition() != nil && !unicode.Is(t.decomposes, r) || p.CCC() != 0 && r != 0x345 && !unicode.Is(t.moves, r)
}

// peculiar says whether text may hold such a character or such a row, counting
// marks as they are after decomposition.
func peculiar(text string) bool {
	row := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			row = 0
			i++
			continue
		}
		p := norm.NFKD.PropertiesString(text[i:])
		if r, _ := utf8.DecodeRuneInString(text[i:]); newer(r, p) {
			return true
		}
		if d := p.Decomposition(); d != nil {
			row += utf8.RuneCount(d)
		} else {
			row++
		}
		if p.CCC() == 0 && p.LeadCCC() == 0 && p.TrailCCC() == 0 {
			row = 0
		}
		if row > marksInRow-4 {
			return true
		}
		i += max(p.Size(), 1)
	}
	return false
}

// mark is a character with its combining class and where it came from.
type mark struct {
	r     rune
	class uint8
	span  Span
}

// formByHand is formOf for such texts.
func formByHand(f norm.Form, s strand) strand {
	chars := decomposed(f, s)
	for i := 0; i < len(chars); { // canonical order: marks by class, stable
		j := i + 1
		for j < len(chars) && chars[j].class != 0 {
			j++
		}
		from := i
		if chars[i].class == 0 {
			from++
		}
		slices.SortStableFunc(chars[from:j], func(a, b mark) int { return int(a.class) - int(b.class) })
		i = j
	}
	if f == norm.NFC || f == norm.NFKC {
		chars = composed(chars)
	}
	out := strand{at: s.at, late: s.late}
	var text []byte
	for _, c := range chars {
		n := len(text)
		text = utf8.AppendRune(text, c.r)
		for ; s.from != nil && n < len(text); n++ {
			out.from = append(out.from, c.span)
		}
	}
	out.text = string(text)
	return out
}

// decomposed lists the characters of s in their full decomposition.
func decomposed(f norm.Form, s strand) (out []mark) {
	form := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		form = norm.NFKD
	}
	for i := 0; i < len(s.text); {
		r, n := utf8.DecodeRuneInString(s.text[i:])
		if newer(r, norm.NFKD.PropertiesString(s.text[i:])) {
			out = append(out, mark{r, 0, s.span(i, i+n)})
			i += n
			continue
		}
		for _, r := range form.String(s.text[i : i+n]) {
			out = append(out, mark{r, form.PropertiesString(string(r)).CCC(), s.span(i, i+n)})
		}
		i += n
	}
	return out
}

// composed joins each mark with the starter in front of it where Unicode has a
// character for both and nothing stands between that blocks it. It stands for the
// starter alone, as the library has it.
func composed(in []mark) []mark {
	out := in[:0]
	starter := -1 // index in out
	for _, c := range in {
		if starter >= 0 {
			last := out[len(out)-1]
			free := len(out)-1 == starter || last.class != 0 && last.class < c.class
			if r, ok := pairOf(out[starter].r, c.r); ok && free {
				out[starter].r = r
				continue
			}
		}
		out = append(out, c)
		if c.class == 0 {
			starter = len(out) - 1
		}
	}
	return out
}

// pairOf is the character that two compose to.
func pairOf(a, b rune) (rune, bool) {
	if newer(b, norm.NFKD.PropertiesString(string(b))) {
		return 0, false
	}
	text := norm.NFC.String(string(a) + string(b))
	r, n := utf8.DecodeRuneInString(text)
	return r, n == len(text) && text != ""
}
