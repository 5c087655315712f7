package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// spmText is how SentencePiece prepares text (normalizer.cc): replacements by
// the longest spelling, runs of spaces, a space in front, spaces made visible.
// tokenizer.json can only come close, see spec.exact.
type spmText struct {
	charsmap charsmap
	symbols  *trie // user-defined symbols, which are left as they are; nil none
	prefix   bool  // a space is put in front of any text
	suffix   bool  // behind it instead
	collapse bool  // runs of spaces become one, and none stands at the ends
	escape   bool  // spaces are spelled ▁
}

// prefixOf normalises the front of text: how many bytes, and into what. A byte
// that is no UTF-8 becomes U+FFFD.
func (s *spmText) prefixOf(text string) (n int, to string) {
	if s.symbols != nil {
		if n, _ := s.symbols.longest(text); n > 0 {
			return n, text[:n]
		}
	}
	if n, to = s.charsmap.longest(text); n > 0 {
		return n, to
	}
	r, n := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && n == 1 {
		return 1, "\ufffd"
	}
	return n, text[:n]
}

// normalize prepares a whole text. With at, it also says for each byte of the
// result, and for its end, which byte of text it came from.
func (s *spmText) normalize(text string, at *[]int32) string {
	from := 0
	if s.collapse {
		for from < len(text) {
			n, to := s.prefixOf(text[from:])
			if to != " " {
				break
			}
			from += n
		}
	}
	if from == len(text) {
		if at != nil {
			*at = append(*at, int32(from))
		}
		return ""
	}
	out := make([]byte, 0, len(text)-from+len(text)/8+8)
	put := func(to string, from int) {
		out = append(out, to...)
		for at != nil && len(*at) < len(out) {
			*at = append(*at, int32(from))
		}
	}
	space := " "
	if s.escape {
		space = spmSpace
	}
	if s.prefix && !s.suffix {
		put(space, from)
	}
	after := s.collapse // a space stands in front, or nothing
	for from < len(text) {
		n, to := s.prefixOf(text[from:])
		for after && strings.HasPrefix(to, " ") {
			to = to[1:]
		}
		if to != "" {
			after = s.collapse && to[len(to)-1] == ' '
			for to != "" {
				i := strings.IndexByte(to, ' ')
				if i < 0 {
					i = len(to)
				}
				put(to[:i], from)
				if to = to[i:]; to != "" {
					put(space, from)
					to = to[1:]
				}
			}
		}
		from += n
	}
	end := len(text)
	for s.collapse && strings.HasSuffix(string(out[max(0, len(out)-len(space)):]), space) {
		out = out[:len(out)-len(space)]
		if at != nil {
			end = int((*at)[len(out)])
			*at = (*at)[:len(out)]
		}
	}
	if s.prefix && s.suffix {
		put(space, end)
	}
	if at != nil {
		*at = append(*at, int32(end))
	}
	return string(out)
}
