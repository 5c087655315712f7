package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// added is a token that is found in text before any merging.
type added struct {
	id         int32
	content    string
	special    bool // found in trusted text only
	single     bool // only where no word goes on at its ends
	lstrip     bool // takes the white space in front of it along
	rstrip     bool // takes the white space behind it along
	normalized bool // looked for in normalised text, as its own normalised form
	outside    bool // the model's vocabulary does not list it
}

// finder finds added tokens: at the leftmost place, the longest.
type finder struct {
	tokens  map[string]added
	lengths [256][]int // of the tokens that begin with a byte, longest first
	only    int        // the one byte that can begin a match; -1 several
	open    bool       // some tokens are not special
}

// newFinder orders the lengths of each first byte so that the longest is tried
// first. Of tokens with the same content the first counts.
func newFinder(list []added) finder {
	f := finder{tokens: make(map[string]added, len(list)), only: -2}
	for _, a := range list {
		if _, twice := f.tokens[a.content]; twice || a.content == "" {
			continue
		}
		f.tokens[a.content] = a
		f.open = f.open || !a.special
		b := a.content[0]
		if f.only == -2 {
			f.only = int(b)
		} else if f.only != int(b) {
			f.only = -1
		}
		if n := len(a.content); !slices.Contains(f.lengths[b], n) {
			f.lengths[b] = append(f.lengths[b], n)
		}
	}
	for _, l := range f.lengths {
		slices.SortFunc(l, func(x, y int) int { return y - x })
	}
	return f
}

// empty says that there is nothing to find, in text of users or in any.
func (f *finder) empty(user bool) bool { return len(f.tokens) == 0 || user && !f.open }

// split appends the ids of text: tokens that it finds as their ids, and what
// stands between them by way of rest.
func (f *finder) split(dst []int32, text string, rest func([]int32, string) []int32) []int32 {
	f.cut(text, false, func(start, end int, a *added) {
		if a != nil {
			dst = append(dst, a.id)
		} else {
			dst = rest(dst, text[start:end])
		}
	})
	return dst
}

// cut divides text into tokens that it finds and, with a nil token, what stands
// between them. Text of users keeps special tokens as text: as in the tokenizers
// library, nothing else is found where one is spelled.
func (f *finder) cut(text string, user bool, yield func(start, end int, a *added)) {
	last := 0
	for at := 0; at < len(text); {
		start, a, ok := f.find(text, at)
		if !ok {
			break
		}
		end := start + len(a.content)
		at = end
		if user && a.special || a.single && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		if a.lstrip {
			start = max(last, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if a.rstrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if last < start {
			yield(last, start, nil)
		}
		yield(start, end, &a)
		last = end
	}
	if last < len(text) {
		yield(last, len(text), nil)
	}
}

// find returns the first match in text from byte i on.
func (f *finder) find(text string, i int) (int, added, bool) {
	if len(f.tokens) == 0 {
		return 0, added{}, false
	}
	for ; i < len(text); i++ {
		if f.only >= 0 {
			j := strings.IndexByte(text[i:], byte(f.only))
			if j < 0 {
				break
			}
			i += j
		}
		for _, n := range f.lengths[text[i]] {
			if i+n <= len(text) {
				if a, ok := f.tokens[text[i:i+n]]; ok {
					return i, a, true
				}
			}
		}
	}
	return 0, added{}, false
}

// endsInWord says whether the last character is part of a word.
func endsInWord(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && isWord(r)
}

// beginsWithWord says whether the first character is part of a word.
func beginsWithWord(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && isWord(r)
}
