package tokenizer

import "unicode/utf8"

// The scanners below do by hand what these regular expressions say; regexp has
// no look-ahead, and a scanner is many times faster. Each takes s[i:], i below
// len(s), and returns the end of the chunk that starts at i. Invalid UTF-8
// counts as one "other" character per byte, as U+FFFD would.

// digits is run for at most n numbers.
func digits(s string, i, n int) int {
	for ; n > 0 && i < len(s); n-- {
		c, size := at(s, i)
		if c&cNumber == 0 {
			break
		}
		i += size
	}
	return i
}

// lines is run for any of the given ASCII characters, as in [\r\n/]*.
func lines(s string, i int, slash bool) int {
	for i < len(s) && (s[i] == '\r' || s[i] == '\n' || slash && s[i] == '/') {
		i++
	}
	return i
}

// contraction returns the end of 's 't 're 've 'm 'll 'd at i, or i. With fold
// the case does not matter, and by Unicode's rule ſ (U+017F) is an s.
func contraction(s string, i int, fold bool) int {
	if i+1 >= len(s) || s[i] != '\'' {
		return i
	}
	low := func(c byte) byte {
		if fold && 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	first := low(s[i+1])
	switch first {
	case 's', 't', 'm', 'd':
		return i + 2
	}
	if i+2 >= len(s) {
		return i
	}
	switch second := low(s[i+2]); {
	case first == 'r' && second == 'e', first == 'v' && second == 'e', first == 'l' && second == 'l':
		return i + 3
	case fold && s[i+1:i+3] == "ſ":
		return i + 3
	}
	return i
}

// spaces cuts the white space at i: up to its last line break where the pattern
// has \s*[\r\n]+ (line), otherwise all of it when it ends the text, otherwise
// all but its last character, which goes with the word behind it: \s+(?!\S)|\s+.
// stop holds classes that end the text for this purpose.
func spaces(s string, i int, line bool, stop class) int {
	end, last, broken := i, i, 0
	for end < len(s) {
		c, n := at(s, end)
		if c&cSpace == 0 {
			if c&stop != 0 {
				last = i
			}
			break
		}
		last = end
		end += n
		if c&cLine != 0 {
			broken = end
		}
	}
	switch {
	case line && broken > 0:
		return broken
	case end == len(s), last == i:
		return end
	}
	return last
}

// nextGPT2 follows 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func nextGPT2(s string, i int) int { return gpt2(s, i, false) }

// nextGPT2Digits is nextGPT2 on the pieces that are left when every number has
// been cut out by itself, as StarCoder and SmolLM do.
func nextGPT2Digits(s string, i int) int { return gpt2(s, i, true) }

// gpt2 takes a space along with the word behind it. With single, a number is a
// chunk of its own and ends the text for whatever stands in front of it.
func gpt2(s string, i int, single bool) int {
	if e := contraction(s, i, false); e > i {
		return e
	}
	j := i
	if s[i] == ' ' && i+1 < len(s) {
		j++
	}
	c, n := at(s, j)
	switch {
	case c&cLetter != 0:
		return run(s, j+n, cLetter)
	case c&cNumber != 0 && !single:
		return run(s, j+n, cNumber)
	case c&cNumber != 0 && i == j:
		return j + n
	case c&cSymbol != 0:
		return run(s, j+n, cSymbol)
	case single:
		return spaces(s, i, false, cNumber)
	}
	return spaces(s, i, false, 0)
}

// nextCL100K follows
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func nextCL100K(s string, i int) int { return cl100k(s, i, cLetter, 3) }

// nextTiktoken is nextCL100K in the form that tiktoken has had since 0.8, where
// \s++$ comes before \s*[\r\n]: white space that ends the text is one chunk.
func nextTiktoken(s string, i int) int {
	if basic[s[i]&0x7f]&cSpace != 0 || s[i] >= utf8.RuneSelf {
		if e := run(s, i, cSpace); e == len(s) {
			return e
		}
	}
	return cl100k(s, i, cLetter, 3)
}

// nextQwen2 is nextCL100K with \p{N} in place of \p{N}{1,3}.
func nextQwen2(s string, i int) int { return cl100k(s, i, cLetter, 1) }

// nextQwen35 is nextQwen2 where words hold marks and symbols do not: with
// [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+.
func nextQwen35(s string, i int) int { return cl100k(s, i, cLetter|cMark, 1) }

// cl100k takes any one character except line breaks, letters and numbers along
// with the letters behind it; letters is what counts as one inside a word.
func cl100k(s string, i int, letters class, maxDigits int) int {
	if s[i] == '\'' {
		if e := contraction(s, i, true); e > i {
			return e
		}
	}
	c, n := at(s, i)
	switch {
	case c&cLetter != 0:
		return run(s, i+n, letters)
	case c&cNumber != 0:
		return digits(s, i, maxDigits)
	case c&cLine == 0:
		// A mark that is a letter here is a word even with nothing behind it.
		if e := run(s, i+n, letters); e > i+n || c&letters != 0 {
			return e
		}
	}
	if e := symbolRun(s, i, cSymbol&^letters, false); e > i {
		return e
	}
	return spaces(s, i, true, 0)
}

// symbolRun is ` ?[^\s\p{L}\p{N}]+[\r\n]*`, with a slash in the last set or not,
// for any set of symbols; it returns i where that does not match.
func symbolRun(s string, i int, set class, slash bool) int {
	j := i
	if s[i] == ' ' {
		j++
	}
	if e := run(s, j, set); e > j {
		return lines(s, e, slash)
	}
	return i
}

// nextO200K follows, with U for [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L for
// [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C for (?i:'s|'t|'re|'ve|'m|'ll|'d)?:
// [^\r\n\p{L}\p{N}]?U*L+C|[^\r\n\p{L}\p{N}]?U+L*C|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func nextO200K(s string, i int) int {
	e, letters := o200k(s, i, 3, true, 0)
	if letters {
		return contraction(s, e, true)
	}
	return e
}

// nextKimi is nextO200K with [\p{Han}]+ before all else, no Han in U and L, and
// no slash behind symbols.
func nextKimi(s string, i int) int {
	if c, n := at(s, i); c&cHan != 0 {
		return run(s, i+n, cHan)
	}
	e, letters := o200k(s, i, 3, false, cHan)
	if letters {
		return contraction(s, e, true)
	}
	return e
}

// nextTekken is nextO200K without C and with \p{N} in place of \p{N}{1,3}.
func nextTekken(s string, i int) int {
	e, _ := o200k(s, i, 1, true, 0)
	return e
}

// o200k also says whether the chunk is one that C may follow. stop holds classes
// that are in neither U nor L, slash says whether symbols end in [\r\n/]*.
func o200k(s string, i, maxDigits int, slash bool, stop class) (end int, letters bool) {
	c, n := at(s, i)
	switch {
	case c&cNumber != 0:
		return digits(s, i, maxDigits), false
	case c&cLetter != 0:
		e, _ := cased(s, i, stop)
		return e, true
	case c&cLine == 0:
		e, tail := cased(s, i+n, stop)
		if c&cMark != 0 && !tail {
			// U*L+ with no character in front comes before U+L* with one, and
			// the mark alone satisfies it.
			e, _ = cased(s, i, stop)
		}
		if e > i+n || c&cMark != 0 {
			return e, true
		}
	}
	if e := symbolRun(s, i, cSymbol, slash); e > i {
		return e, false
	}
	return spaces(s, i, true, 0), false
}

// cased matches U*L+, or failing that U+L*, at i (see nextO200K), and returns
// the end, or i. tail says that it was the former. The two differ only where no
// lower letter follows U*: then the former gives back as far as the last
// character that is in both sets.
func cased(s string, i int, stop class) (end int, tail bool) {
	end = i
	back := i
	for end < len(s) {
		c, n := at(s, end)
		if c&cHead == 0 || c&stop != 0 {
			break
		}
		end += n
		if c&cTail != 0 {
			back = end
		}
	}
	e := end
	for e < len(s) {
		c, n := at(s, e)
		if c&cTail == 0 || c&stop != 0 {
			break
		}
		e += n
	}
	if e > end {
		end, tail = e, true
	} else if back > i {
		end, tail = back, true
	}
	return end, tail
}
