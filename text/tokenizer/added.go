package tokenizer

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// added is a token that is found in text before any merging.
type added struct {
	id         int32
	content    string
	special    bool // found in trusted text only
	lstrip     bool // takes the white space in front of it along
	rstrip     bool // takes the white space behind it along
	normalized bool // looked for in normalised text
}

// matcher finds added tokens: at the leftmost place, the longest.
type matcher struct{ raw, normal finder }

// newMatcher sorts tokens by when they are looked for. Only an NFC normaliser
// makes a difference between text as it is and text as it will be.
func newMatcher(list []added, nfc bool) *matcher {
	var raw, normal []added
	for _, a := range list {
		if nfc && a.normalized {
			a.content = norm.NFC.String(a.content)
			normal = append(normal, a)
		} else {
			raw = append(raw, a)
		}
	}
	return &matcher{raw: newFinder(raw), normal: newFinder(normal)}
}

// finder holds tokens by their first byte, longest first.
type finder struct {
	byFirst [256][]added
	only    int // the one byte that can begin a match; -1 several, -2 none
}

// newFinder orders the tokens of each first byte so that the longest is tried first.
func newFinder(list []added) (f finder) {
	f.only = -2
	for _, a := range list {
		b := a.content[0]
		if f.only == -2 {
			f.only = int(b)
		} else if f.only != int(b) {
			f.only = -1
		}
		f.byFirst[b] = append(f.byFirst[b], a)
	}
	for _, l := range f.byFirst {
		slices.SortStableFunc(l, func(x, y added) int { return len(y.content) - len(x.content) })
	}
	return f
}

// split appends the ids of text: tokens that it finds as their ids, and what
// stands between them by way of rest.
func (f *finder) split(dst []int32, text string, rest func([]int32, string) []int32) []int32 {
	for text != "" {
		at, a := f.find(text)
		if a == nil {
			return rest(dst, text)
		}
		front, end := text[:at], text[at+len(a.content):]
		if a.lstrip {
			front = strings.TrimRightFunc(front, unicode.IsSpace)
		}
		if a.rstrip {
			end = strings.TrimLeftFunc(end, unicode.IsSpace)
		}
		if front != "" {
			dst = rest(dst, front)
		}
		dst = append(dst, a.id)
		text = end
	}
	return dst
}

// find returns the first match in text, nil when there is none.
func (f *finder) find(text string) (int, *added) {
	if f.only == -2 {
		return 0, nil
	}
	for i := 0; i < len(text); i++ {
		if f.only >= 0 {
			j := strings.IndexByte(text[i:], byte(f.only))
			if j < 0 {
				break
			}
			i += j
		}
		list := f.byFirst[text[i]]
		for k := range list {
			if strings.HasPrefix(text[i:], list[k].content) {
				return i, &list[k]
			}
		}
	}
	return 0, nil
}
