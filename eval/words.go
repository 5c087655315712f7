package eval

import (
	"strings"
	"unicode"
)

// words cuts a text into what the grader compares: runs of letters, folded to
// lower case, and numbers in one way of writing them. Everything between is
// dropped. A letter in front of digits makes one word ("b12"), behind them two
// ("12 km"), but for ordinals ("3rd").
func words(text string) []string {
	var out []string
	rs := []rune(text)
	for i := 0; i < len(rs); {
		from := i
		switch {
		case digit(rs, i):
			i = numberEnd(rs, i)
			n := number(string(rs[from:i]))
			if negative(rs, from) {
				n = "-" + n
			}
			if end := wordEnd(rs, i); ordinal(string(rs[i:end])) {
				n, i = n+strings.ToLower(string(rs[i:end])), end
			}
			out = append(out, n)
		case letter(rs, i):
			i = wordEnd(rs, i)
			out = append(out, strings.ToLower(string(rs[from:i])))
		default:
			i++
		}
	}
	return out
}

func digit(rs []rune, i int) bool { return i >= 0 && i < len(rs) && rs[i] >= '0' && rs[i] <= '9' }

func letter(rs []rune, i int) bool {
	return i >= 0 && i < len(rs) && (unicode.IsLetter(rs[i]) || unicode.IsMark(rs[i]) || unicode.IsNumber(rs[i]))
}

func wordEnd(rs []rune, i int) int {
	for letter(rs, i) {
		i++
	}
	return i
}

func ordinal(s string) bool {
	switch strings.ToLower(s) {
	case "st", "nd", "rd", "th":
		return true
	}
	return false
}

// negative says whether the minus sign in front of a number belongs to it: it
// does not where it stands between two numbers or words.
func negative(rs []rune, i int) bool {
	return i > 0 && (rs[i-1] == '-' || rs[i-1] == '−') && !letter(rs, i-2)
}

// numberEnd is where a number ends: decimals, times and fractions are one
// (4.50, 9:30, 1/2), and so are groups of three digits (1,250).
func numberEnd(rs []rune, i int) int {
	from, grouped := i, true
	for ; digit(rs, i); i++ {
	}
	for digit(rs, i+1) {
		switch rs[i] {
		case '.', ':', '/':
			grouped = false
		case ',':
			three := digit(rs, i+2) && digit(rs, i+3) && !digit(rs, i+4)
			if !grouped || !three || i-from > 3 && rs[i-4] != ',' {
				return i
			}
		default:
			return i
		}
		for i++; digit(rs, i); i++ {
		}
	}
	return i
}

// number writes equal numbers equally: without grouping commas, without zeros
// in front, and without zeros at the end of decimals.
func number(s string) string {
	s = strings.ReplaceAll(s, ",", "")
	if strings.Count(s, ".") == 1 && !strings.ContainsAny(s, ":/") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	for len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		s = s[1:]
	}
	return s
}
