package jinja

import (
	"strings"
	"unicode/utf8"
)

// split is str.split and str.rsplit.
func (m *machine) split(t *str, a []value, fromRight bool) value {
	// A negative number means no limit, in Python too.
	limit := m.int("split", a[1], -1)
	if limit < 0 {
		// As often as it can.
		limit = len(t.s) + 1
	}
	var parts []value
	switch {
	// Without a separator, runs of white space divide and empty pieces vanish.
	case a[0] == nil || a[0] == none{}:
		parts = splitSpace(t, limit, fromRight)
	default:
		sep := m.text("split", a[0]).s
		if sep == "" {
			m.fail("split: the separator is empty")
		}
		parts = splitText(t, sep, limit, fromRight)
	}
	m.roomItems(len(parts))
	return &list{items: parts}
}

// splitText splits at a separator, at most limit times.
// Pieces keep the origins of their bytes; empty ones between separators stay.
func splitText(t *str, sep string, limit int, fromRight bool) []value {
	var parts []value
	from, to := 0, len(t.s)
	for ; limit > 0; limit-- {
		// from..to is what has not been divided yet; pieces are cut off its front, or its end.
		rest := t.s[from:to]
		if fromRight {
			i := strings.LastIndex(rest, sep)
			if i < 0 {
				break
			}
			parts = append(parts, t.sub(i+len(sep), to))
			to = i
			continue
		}
		i := strings.Index(rest, sep)
		if i < 0 {
			break
		}
		parts = append(parts, t.sub(from, from+i))
		from += i + len(sep)
	}
	parts = append(parts, t.sub(from, to))
	if fromRight {
		// They were found from the end.
		reverse(parts)
	}
	return parts
}

// splitSpace splits at runs of white space; none is left at the ends.
// What is behind the last split keeps its inner white space.
func splitSpace(t *str, limit int, fromRight bool) []value {
	var parts []value
	if fromRight {
		to := len(t.s)
		for {
			to = len(strings.TrimRightFunc(t.s[:to], isSpace))
			if to == 0 {
				break
			}
			from := lastSpace(t.s[:to])
			// All that is left is one piece; white space in front of it stays.
			if limit--; limit < 0 {
				from = 0
			}
			parts = append(parts, t.sub(from, to))
			to = from
		}
		reverse(parts)
		return parts
	}
	from := 0
	for {
		from = len(t.s) - len(strings.TrimLeftFunc(t.s[from:], isSpace))
		if from == len(t.s) {
			return parts
		}
		to := strings.IndexFunc(t.s[from:], isSpace)
		if limit--; limit < 0 || to < 0 {
			to = len(t.s) - from
		}
		parts = append(parts, t.sub(from, from+to))
		from += to
	}
}

// lastSpace is the offset behind the last white space of s, or 0.
func lastSpace(s string) int {
	i := strings.LastIndexFunc(s, isSpace)
	if i < 0 {
		return 0
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return i + n
}

// reverse turns a slice round in place.
func reverse(list []value) {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
}

// strSplitLines is str.splitlines; a last line that is empty is none.
func strSplitLines(m *machine, t *str, a []value) value {
	// keepends leaves each line its break.
	keep := m.int("splitlines", a[0], 0) != 0
	var parts []value
	for from := 0; from < len(t.s); {
		end, after := lineEnd(t.s, from)
		if keep {
			end = after
		}
		parts = append(parts, t.sub(from, end))
		from = after
	}
	m.roomItems(len(parts))
	return &list{items: parts}
}

// lineEnd finds the end of the line that starts at from, and that of its line
// break.
func lineEnd(s string, from int) (end, after int) {
	for i, r := range s[from:] {
		switch r {
		// \r\n is one break.
		case '\r':
			if strings.HasPrefix(s[from+i+1:], "\n") {
				return from + i, from + i + 2
			}
			fallthrough
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			return from + i, from + i + utf8.RuneLen(r)
		}
	}
	return len(s), len(s)
}

// partition is str.partition and str.rpartition.
// The separator in the result is the text's own, with its origin.
func (m *machine) partition(t *str, sep value, fromRight bool) value {
	s := m.text("partition", sep)
	if s.s == "" {
		m.fail("partition: the separator is empty")
	}
	i := strings.Index(t.s, s.s)
	if fromRight {
		i = strings.LastIndex(t.s, s.s)
	}
	// Not found: the whole text stands first, or with rpartition last.
	empty := t.sub(0, 0)
	switch {
	case i >= 0:
		return tuple(t.sub(0, i), t.sub(i, i+len(s.s)), t.sub(i+len(s.s), len(t.s)))
	case fromRight:
		return tuple(empty, empty, t)
	}
	return tuple(t, empty, empty)
}
