package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// isASCII reports whether characters are bytes.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// upper and lower are the full mappings of Unicode, where a letter may become
// several, as in Python.
// For ASCII, by far the most, the tables of x/text would only cost time.
func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

// lower knows the final sigma, which depends on the letters around it.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

// casefold is str.casefold, for comparing: ß becomes ss.
func casefold(s string) string { return cases.Fold().String(s) }

// swapcase is str.swapcase.
// Each character is mapped by itself, so ß becomes SS and does not come back.
func swapcase(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			b.WriteString(lower(string(r)))
		case unicode.IsLower(r):
			b.WriteString(upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// titleRune is a character as the first of a word.
func titleRune(r rune) string {
	if t := unicode.ToTitle(r); t != r || !unicode.IsLower(r) {
		return string(t)
	}
	up := upper(string(r)) // such as ß: Ss
	first, n := utf8.DecodeRuneInString(up)
	return string(first) + lower(up[n:])
}

// capitalize is str.capitalize: all but the first character in lower case.
func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return titleRune(r) + lower(s[n:])
}

// title is str.title: a word is a run of letters that have case.
func title(s string) string {
	var b strings.Builder
	in := false
	for _, r := range s {
		switch {
		case !isCased(r):
			b.WriteRune(r)
		case in:
			b.WriteString(lower(string(r)))
		default:
			b.WriteString(titleRune(r))
		}
		in = isCased(r)
	}
	return b.String()
}

// Case as str.isupper and its like see it: Other_Uppercase and Other_Lowercase have
// letters in circles and modifier letters, which Go's IsUpper and IsLower leave out.
func isUpperRune(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }
func isLowerRune(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }
func isCased(r rune) bool     { return isUpperRune(r) || isLowerRune(r) || unicode.IsTitle(r) }

// isDigit is str.isdigit of one character: decimal digits, and digits that
// are written above, below or in circles.
func isDigit(r rune) bool {
	switch {
	case unicode.Is(unicode.Nd, r):
		return true
	case !unicode.Is(unicode.No, r):
		return false
	}
	switch {
	// Those of category No with Numeric_Type=Digit in Unicode's UnicodeData.txt; Go has
	// no table of that property.
	case r == 0xb2, r == 0xb3, r == 0xb9, r >= 0x1369 && r <= 0x1371, r == 0x19da, r == 0x2070,
		r >= 0x2074 && r <= 0x2079, r >= 0x2080 && r <= 0x2089, r >= 0x2460 && r <= 0x2468,
		r >= 0x2474 && r <= 0x247c, r >= 0x2488 && r <= 0x2490, r == 0x24ea, r >= 0x24f5 && r <= 0x24fd,
		r == 0x24ff, r >= 0x2776 && r <= 0x277e, r >= 0x2780 && r <= 0x2788, r >= 0x278a && r <= 0x2792,
		r >= 0x10a40 && r <= 0x10a43, r >= 0x10e60 && r <= 0x10e68, r >= 0x11052 && r <= 0x1105a,
		r >= 0x1f100 && r <= 0x1f10a:
		return true
	}
	return false
}

// isNumeric is str.isnumeric of one character; the Chinese numerals are letters.
func isNumeric(r rune) bool {
	return unicode.Is(unicode.N, r) || strings.ContainsRune("一二三四五六七八九十百千万亿億兆零〇壱壹弌弍弎弐貳贰叁參参叄肆伍陆陸陌柒漆玖両两廾廿卅卌佰仟亖什仨幺捌阡", r)
}

// charTests are the methods of str that ask about all of its characters.
func charTests() map[string]func(string) bool {
	all := func(test func(rune) bool) func(string) bool {
		return func(s string) bool {
			return s != "" && strings.IndexFunc(s, func(r rune) bool { return !test(r) }) < 0
		}
	}
	// oneCase wants a letter with case, and none of the other case or of title case.
	oneCase := func(other func(rune) bool) func(string) bool {
		return func(s string) bool {
			return strings.IndexFunc(s, isCased) >= 0 &&
				strings.IndexFunc(s, func(r rune) bool { return other(r) || unicode.IsTitle(r) }) < 0
		}
	}
	return map[string]func(string) bool{
		"isspace":   all(isSpace),
		"isalpha":   all(unicode.IsLetter),
		"isalnum":   all(func(r rune) bool { return unicode.IsLetter(r) || isNumeric(r) || isDigit(r) }),
		"isdecimal": all(func(r rune) bool { return unicode.Is(unicode.Nd, r) }),
		"isdigit":   all(isDigit),
		"isnumeric": all(isNumeric),
		"isupper":   oneCase(isLowerRune),
		"islower":   oneCase(isUpperRune),
		"istitle":   isTitled,
		"isascii":   isASCII,
		"isprintable": func(s string) bool {
			return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		},
		"isidentifier": func(s string) bool {
			for i, r := range s {
				if r != '_' && !unicode.IsLetter(r) && !unicode.Is(unicode.Nl, r) &&
					(i == 0 || !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc)) {
					return false
				}
			}
			return s != ""
		},
	}
}

// isTitled reports whether capitals stand at the start of words, and only there.
func isTitled(s string) bool {
	in, any := false, false
	for _, r := range s {
		switch {
		case isUpperRune(r) || unicode.IsTitle(r):
			if in {
				return false
			}
			in, any = true, true
		case isLowerRune(r):
			if !in {
				return false
			}
		default:
			in = false
		}
	}
	return any
}
