package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Some formats give each token a rank (tiktoken) or a score (SentencePiece)
// instead of a list of merges: whichever two neighbours make the best token are
// merged, however that token came about. The two rules give the same ids if
// the list holds, for each token, the pair that its own bytes end in when they
// are merged by themselves. For a token of the result covers its bytes without
// any merge across its ends; so all that happened inside is what happens to
// those bytes alone, and that is always the same, the last pair included.

// ranked is a vocabulary by rank: lower merges first.
type ranked struct {
	tokens []token
	ids    map[string]int32 // of plain tokens
	rank   []int32          // by id; noRank: never the result of a merge
}

// split cuts text into the ids that merging starts from.
type split func(dst []int32, text string) []int32

// recoverMerges lists the merges of a ranked vocabulary, in order of rank.
// Tokens of one rank must be runs of one character; of those, the leftmost-first
// rule prefers the longest.
func (r *ranked) recoverMerges(start split) ([]merge, error) {
	var out []merge
	var ids []int32
	for id, t := range r.tokens {
		if t.kind != plain || r.rank[id] == noRank {
			continue
		}
		ids = start(ids[:0], t.text)
		if last, ok := r.derive(ids); ok && last.into == int32(id) {
			out = append(out, last)
		}
	}
	text := func(g merge) string { return r.tokens[g.into].text }
	slices.SortStableFunc(out, func(a, b merge) int {
		if d := int(r.rank[a.into]) - int(r.rank[b.into]); d != 0 {
			return d
		}
		return len(text(b)) - len(text(a))
	})
	for i := range len(out) - 1 {
		a, b := text(out[i]), text(out[i+1])
		_, n := utf8.DecodeRuneInString(a)
		if r.rank[out[i].into] == r.rank[out[i+1].into] && strings.Trim(a+b, a[:n]) != "" {
			return nil, fmt.Errorf("tokens %q and %q have the same score: %w: no list of merges can say which goes first", a, b, ErrUnsupported)
		}
	}
	return out, nil
}

// derive merges ids by rank and returns the last merge, provided that one token
// is left.
func (r *ranked) derive(ids []int32) (last merge, ok bool) {
	const unknown = -1
	joint := func(i int) int32 { // id of the token that ids[i] and its neighbour make
		id, ok := r.ids[r.tokens[ids[i]].text+r.tokens[ids[i+1]].text]
		if !ok || r.rank[id] == noRank {
			return unknown
		}
		return id
	}
	var room [64]int32
	next := room[:0]
	for i := range len(ids) - 1 {
		next = append(next, joint(i))
	}
	for len(ids) > 1 {
		best := -1
		for i, id := range next {
			if id != unknown && (best < 0 || r.rank[id] < r.rank[next[best]]) {
				best = i
			}
		}
		if best < 0 {
			return last, false
		}
		last = merge{ids[best], ids[best+1], next[best]}
		ids[best] = last.into
		ids = slices.Delete(ids, best+1, best+2)
		next = slices.Delete(next, best, best+1)
		if best > 0 {
			next[best-1] = joint(best - 1)
		}
		if best < len(next) {
			next[best] = joint(best)
		}
	}
	return last, last.into >= 0 && last != merge{}
}

// scoreMerges turns the scores of a SentencePiece vocabulary into merges: the
// neighbours whose joint token scores best go first. Tokens that score worst or
// less are never the result of a merge.
func scoreMerges(s *spec, scores []float32, worst float32) ([]merge, error) {
	r := ranked{tokens: s.tokens, ids: map[string]int32{}, rank: make([]int32, len(scores))}
	order := make([]int32, 0, len(scores))
	var bytes [256]int32
	missing := int32(0) // a token that is part of no other
	for id, t := range s.tokens {
		switch t.kind {
		case fallback:
			bytes[t.text[0]] = int32(id)
		case special:
			missing = int32(id)
		case plain:
			if old, twice := r.ids[t.text]; twice {
				return nil, fmt.Errorf("tokens %d and %d are both %q: %w", old, id, t.text, ErrFormat)
			}
			r.ids[t.text] = int32(id)
			order = append(order, int32(id))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	for i, id := range order {
		r.rank[id] = int32(i)
		switch {
		case scores[id] <= worst:
			r.rank[id] = noRank
		case i > 0 && scores[id] == scores[order[i-1]]:
			r.rank[id] = r.rank[order[i-1]]
		}
	}
	return r.recoverMerges(func(dst []int32, text string) []int32 {
		for len(text) > 0 {
			_, n := utf8.DecodeRuneInString(text)
			if id, ok := r.ids[text[:n]]; ok {
				dst = append(dst, id)
			} else if !s.byteful {
				dst = append(dst, missing)
			} else {
				for i := range n {
					dst = append(dst, bytes[text[i]])
				}
			}
			text = text[n:]
		}
		return dst
	})
}
