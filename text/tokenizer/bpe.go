package tokenizer

import (
	"math"
	"math/bits"
)

// merge says that two neighbouring tokens become one. Its index in the list of
// merges is its rank: lower ranks go first, and of the same rank the leftmost.
type merge struct{ left, right, into int32 }

const noRank = math.MaxInt32

// mergeTable finds the merge of a pair of ids: an open-addressed hash table, at
// most half full, of 16-byte slots. It is read by many goroutines at once.
type mergeTable struct {
	slots []slot
	shift int // hash bits that are dropped
}

// slot is one place of the table: 16 bytes, so that four share a cache line.
type slot struct {
	key  uint64 // pairKey; all ones when empty
	rank int32
	into int32
}

// pairKey packs two ids into one word; no pair of ids gives all ones, as ids are
// not negative.
func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// newMergeTable returns an empty table with room for n merges.
func newMergeTable(n int) *mergeTable {
	size := bits.Len(uint(max(2*n, 8) - 1))
	m := &mergeTable{slots: make([]slot, 1<<size), shift: 64 - size}
	for i := range m.slots {
		m.slots[i] = slot{key: math.MaxUint64, rank: noRank}
	}
	return m
}

// find returns the slot of a pair: its own, or the empty one where it belongs.
func (m *mergeTable) find(key uint64) *slot {
	for i := key * 0x9e3779b97f4a7c15 >> m.shift; ; i = (i + 1) & uint64(len(m.slots)-1) {
		if s := &m.slots[i]; s.key == key || s.key == math.MaxUint64 {
			return s
		}
	}
}

// add enters a merge; of two merges of one pair the last stays.
func (m *mergeTable) add(rank int, g merge) {
	*m.find(pairKey(g.left, g.right)) = slot{key: pairKey(g.left, g.right), rank: int32(rank), into: g.into}
}

// shortChunk is the length from which merging with a heap beats looking over
// all ranks for each merge.
const shortChunk = 64

// apply merges the ids of one chunk in place and returns what is left of them.
func (m *mergeTable) apply(ids []int32) []int32 {
	switch {
	case len(ids) < 2:
		return ids
	case len(ids) > shortChunk:
		return m.applyLong(ids, nil)
	}
	var found [shortChunk]*slot // found[i] is the merge of ids[i] and ids[i+1]
	n := len(ids)
	for i := range n - 1 {
		found[i] = m.find(pairKey(ids[i], ids[i+1]))
	}
	for n > 1 {
		best, rank := 0, int32(noRank)
		for i, s := range found[:n-1] {
			if s.rank < rank {
				best, rank = i, s.rank
			}
		}
		if rank == noRank {
			break
		}
		ids[best] = found[best].into
		copy(ids[best+1:n], ids[best+2:n])
		copy(found[best:n-1], found[best+1:n-1])
		n--
		if best > 0 {
			found[best-1] = m.find(pairKey(ids[best-1], ids[best]))
		}
		if best < n-1 {
			found[best] = m.find(pairKey(ids[best], ids[best+1]))
		}
	}
	return ids[:n]
}

// applyLong is apply in O(n log n): a heap of candidate merges, keyed by rank
// and then position, over a linked list of tokens. A candidate whose tokens
// have changed since is dropped when it comes up. With drop, a candidate is
// passed over now and then until another one has been taken, as in the
// tokenizers library (after Provilkov et al. 2020).
func (m *mergeTable) applyLong(ids []int32, drop *dropout) []int32 {
	n := int32(len(ids))
	prev, next := make([]int32, n), make([]int32, n)
	ranks := make([]int32, n) // rank of the merge of token i and the one behind it
	var h rankHeap
	var passed []uint64
	look := func(i int32) {
		ranks[i] = noRank
		if j := next[i]; j < n {
			if s := m.find(pairKey(ids[i], ids[j])); s.rank != noRank {
				ranks[i] = s.rank
				h.push(uint64(s.rank)<<32 | uint64(i))
			}
		}
	}
	for i := range n {
		prev[i], next[i] = i-1, i+1
	}
	for i := range n {
		look(i)
	}
	for len(h) > 0 {
		top := h.pop()
		if drop != nil && drop.rng.Float64() < drop.rate {
			passed = append(passed, top)
			continue
		}
		for _, p := range passed {
			h.push(p)
		}
		passed = passed[:0]
		i := int32(uint32(top))
		if ranks[i] != int32(top>>32) {
			continue
		}
		j := next[i]
		ids[i] = m.find(pairKey(ids[i], ids[j])).into
		ranks[j] = noRank
		next[i] = next[j]
		if next[i] < n {
			prev[next[i]] = i
		}
		look(i)
		if prev[i] >= 0 {
			look(prev[i])
		}
	}
	out := ids[:0]
	for i := int32(0); i < n; i = next[i] {
		out = append(out, ids[i])
	}
	return out
}

// rankHeap is a binary heap, smallest first.
type rankHeap []uint64

// push adds a candidate, moving larger ones down to make room.
func (h *rankHeap) push(v uint64) {
	a := append(*h, v)
	i := len(a) - 1
	for i > 0 && a[(i-1)/2] > v {
		a[i] = a[(i-1)/2]
		i = (i - 1) / 2
	}
	a[i] = v
	*h = a
}

// pop takes the smallest out; the last one fills the gap from the top.
func (h *rankHeap) pop() uint64 {
	a := *h
	top, v := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	i := 0
	for {
		c := 2*i + 1
		if c >= len(a) {
			break
		}
		if c+1 < len(a) && a[c+1] < a[c] {
			c++
		}
		if a[c] >= v {
			break
		}
		a[i] = a[c]
		i = c
	}
	if len(a) > 0 {
		a[i] = v
	}
	*h = a
	return top
}
