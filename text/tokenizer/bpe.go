package tokenizer

import (
	"math"
	"math/bits"
)

// merge says that two neighbouring tokens become one. Its index in the list of
// merges is its rank: lower ranks go first, and of the same rank the leftmost.
type merge struct{ left, right, into int32 }

// noRank is the rank of a pair that is not merged: behind all others.
const noRank = math.MaxInt32

// mergeTable finds the merge of a pair of ids. It is made to be small, as most of
// the time of merging goes by waiting for memory: a hash table of four bytes a
// place, at most half full. It is read by many goroutines at once.
type mergeTable struct {
	merges []merge
	// places has ranks, plus one, under bits of the hash that tell most pairs that
	// are not merged from those that are; 0: empty.
	places []uint32
	shift  int    // hash bits that places is not indexed by
	maybe  sieve  // of all pairs in places
	rank   uint32 // the bits of a place that are a rank
	// small has the ranks of pairs of ids below 256, which are the bytes in most
	// vocabularies of bytes.
	small *[1 << 16]int32
	early []bool // by rank: the merge may make a pair of a lower rank
}

// newMergeTable returns the table of a list of merges, which it keeps. Of two
// merges of one pair the last counts.
func newMergeTable(merges []merge) *mergeTable {
	size := bits.Len(uint(max(2*len(merges), 8) - 1))
	m := &mergeTable{merges: merges, places: make([]uint32, 1<<size), shift: 64 - size, maybe: newSieve(size),
		rank: 1<<bits.Len(uint(len(merges))) - 1, small: new([1 << 16]int32)}
	for i := range m.small {
		m.small[i] = noRank
	}
	for rank, g := range merges {
		if uint32(g.left|g.right) < 256 {
			m.small[g.left<<8|g.right] = int32(rank)
			continue
		}
		h := pairHash(g.left, g.right)
		m.maybe.add(h)
		i := h >> m.shift
		for ; m.places[i] != 0; i = (i + 1) & uint64(len(m.places)-1) {
			if old := merges[m.places[i]&m.rank-1]; old.left == g.left && old.right == g.right {
				break
			}
		}
		m.places[i] = uint32(h)&^m.rank | uint32(rank+1)
	}
	m.early = early(merges)
	return m
}

// early lists, by rank, the merges whose token is part of a merge of a lower
// rank, or of the same. Training gives none, but vocabularies with tokens put in
// by hand have some.
func early(merges []merge) []bool {
	var lowest []int32 // by id: the first merge that it is part of, plus one
	note := func(id int32, rank int) {
		if more := int(id) + 1 - len(lowest); more > 0 {
			lowest = append(lowest, make([]int32, more)...)
		}
		if lowest[id] == 0 {
			lowest[id] = int32(rank + 1)
		}
	}
	for rank, g := range merges {
		note(g.left, rank)
		note(g.right, rank)
	}
	out := make([]bool, len(merges))
	for rank, g := range merges {
		out[rank] = int(g.into) < len(lowest) && lowest[g.into] > 0 && int(lowest[g.into]) <= rank+1
	}
	return out
}

// pairHash mixes two ids: the upper bits are the better ones, then the lower half.
func pairHash(left, right int32) uint64 {
	h := (uint64(uint32(left))<<32 | uint64(uint32(right))) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// find returns the rank of the merge of a pair, or noRank.
func (m *mergeTable) find(left, right int32) int32 {
	if uint32(left|right) < 256 {
		return m.small[left<<8|right]
	}
	return m.search(left, right)
}

// search is find for any ids, in places.
func (m *mergeTable) search(left, right int32) int32 {
	h := pairHash(left, right)
	if !m.maybe.has(h) {
		return noRank
	}
	for i := h >> m.shift; ; i = (i + 1) & uint64(len(m.places)-1) {
		p := m.places[i]
		if p == 0 {
			return noRank
		}
		if (p^uint32(h))&^m.rank != 0 {
			continue
		}
		rank := int32(p&m.rank) - 1
		if g := &m.merges[rank]; g.left == left && g.right == right {
			return rank
		}
	}
}

// The three ways of merging and the lengths, in ids, up to which each is the
// fastest: looking over all ranks for each merge, a heap of them, and buckets by
// rank, which have to be emptied and looked over as well.
const (
	shortChunk = 64
	heapChunk  = 1 << 10
)

// apply merges the ids of one chunk in place and returns what is left of them.
func (m *mergeTable) apply(ids []int32) []int32 {
	n := len(ids)
	switch {
	case n < 2:
		return ids
	case n > heapChunk:
		return m.applyBuckets(ids)
	case n > shortChunk:
		return m.applyHeap(ids, nil)
	}
	// found[i] is the rank of the merge of the token at i and the one behind it,
	// over i: the smallest is the leftmost of the best rank.
	const none = noRank << 8
	var found [shortChunk]uint64
	var prev, next [shortChunk + 1]uint8
	for i := range n - 1 {
		found[i] = uint64(m.find(ids[i], ids[i+1]))<<8 | uint64(i)
		next[i] = uint8(i + 1)
		prev[i+1] = uint8(i)
	}
	next[n-1] = uint8(n)
	for {
		best := uint64(none)
		for _, f := range found[:n-1] {
			best = min(best, f)
		}
		if best >= none {
			break
		}
		i := int(best & (shortChunk - 1))
		id := m.merges[best>>8].into
		ids[i] = id
		j := next[i] & (shortChunk - 1)
		k := next[j]
		next[i] = k
		found[i], found[j] = none, none
		if int(k) < n {
			prev[k] = uint8(i)
			found[i] = uint64(m.find(id, ids[k]))<<8 | uint64(i)
		}
		if i > 0 {
			p := prev[i]
			found[p] = uint64(m.find(ids[p], id))<<8 | uint64(p)
		}
	}
	out := ids[:0]
	for i := 0; i < n; i = int(next[i]) {
		out = append(out, ids[i])
	}
	return out
}
