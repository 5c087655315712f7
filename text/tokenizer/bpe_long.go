package tokenizer

// buckets is a list of tokens whose pairs lie in one bucket for each rank.
type buckets struct {
	m     *mergeTable
	ids   []int32
	links []link
	first []int32 // by rank: a pair of that rank, as the place of its left token; -1: none

	// While limit is not negative, pairs up to that rank are merged in order: heap
	// has all of them, and some that are no more.
	limit int32
	heap  rankHeap
}

// link ties a token to its neighbours, and to the pairs in the same bucket as the
// one that it begins. -1 and the number of tokens stand for nothing.
type link struct {
	prev, next     int32
	before, behind int32
	rank           int32 // of the pair; noRank: in no bucket
}

// applyBuckets is apply in time that is linear in the number of ids, as long as
// few merges are early. A merge that is not makes pairs of higher ranks only, so
// that ranks can be gone through once. Merges of one rank do not touch each
// other, so their order does not matter, unless a token is merged with its like:
// there a run goes from left to right. It takes 20 bytes for an id.
func (m *mergeTable) applyBuckets(ids []int32) []int32 {
	n := int32(len(ids))
	b := &buckets{m: m, ids: ids, links: make([]link, n), first: make([]int32, len(m.merges)), limit: -1}
	for rank := range b.first {
		b.first[rank] = -1
	}
	for i := n - 1; i >= 0; i-- {
		b.links[i] = link{prev: i - 1, next: i + 1, rank: noRank}
		b.look(i)
	}
	for rank, g := range m.merges {
		if m.early[rank] {
			b.mergeInOrder(int32(rank))
			continue
		}
		for i := b.first[rank]; i >= 0; i = b.first[rank] {
			if g.left != g.right {
				b.merge(i)
				continue
			}
			for p := b.links[i].prev; p >= 0 && ids[p] == g.left; p = b.links[i].prev {
				i = p
			}
			for ; i < n && b.links[i].rank == int32(rank); i = b.links[i].next {
				b.merge(i)
			}
		}
	}
	out := ids[:0]
	for i := int32(0); i < n; i = b.links[i].next {
		out = append(out, ids[i])
	}
	return out
}

// mergeInOrder merges the pairs of a rank from left to right, and in between
// those of lower ranks as they come up.
func (b *buckets) mergeInOrder(rank int32) {
	for i := b.first[rank]; i >= 0; i = b.links[i].behind {
		b.heap.push(uint64(rank)<<32 | uint64(i))
	}
	b.limit = rank
	for len(b.heap) > 0 {
		top := b.heap.pop()
		if i := int32(uint32(top)); b.links[i].rank == int32(top>>32) {
			b.merge(i)
		}
	}
	b.limit = -1
}

// merge makes one token of that at i and the one behind it.
func (b *buckets) merge(i int32) {
	l := &b.links[i]
	j := l.next
	b.ids[i] = b.m.merges[l.rank].into
	b.leave(j)
	l.next = b.links[j].next
	if int(l.next) < len(b.ids) {
		b.links[l.next].prev = i
	}
	b.look(i)
	if l.prev >= 0 {
		b.look(l.prev)
	}
}

// look puts the pair that begins at i into the bucket where it belongs now.
func (b *buckets) look(i int32) {
	b.leave(i)
	l := &b.links[i]
	if int(l.next) == len(b.ids) {
		return
	}
	rank := b.m.find(b.ids[i], b.ids[l.next])
	if rank == noRank {
		return
	}
	l.rank, l.before, l.behind = rank, -1, b.first[rank]
	if l.behind >= 0 {
		b.links[l.behind].before = i
	}
	b.first[rank] = i
	if rank <= b.limit {
		b.heap.push(uint64(rank)<<32 | uint64(i))
	}
}

// leave takes the pair that begins at i out of its bucket.
func (b *buckets) leave(i int32) {
	l := &b.links[i]
	if l.rank == noRank {
		return
	}
	if l.behind >= 0 {
		b.links[l.behind].before = l.before
	}
	if l.before >= 0 {
		b.links[l.before].behind = l.behind
	} else {
		b.first[l.rank] = l.behind
	}
	l.rank = noRank
}

// applyHeap is apply in O(n log n): a heap of candidate merges, keyed by rank
// and then position, over a linked list of tokens. A candidate whose tokens
// have changed since is dropped when it comes up. With drop, a candidate is
// passed over now and then until another one has been taken, as in the
// tokenizers library (after Provilkov et al. 2020).
func (m *mergeTable) applyHeap(ids []int32, drop *dropout) []int32 {
	n := int32(len(ids))
	prev, next := make([]int32, n), make([]int32, n)
	ranks := make([]int32, n) // rank of the merge of token i and the one behind it
	var h rankHeap
	var passed []uint64
	look := func(i int32) {
		ranks[i] = noRank
		if j := next[i]; j < n {
			if ranks[i] = m.find(ids[i], ids[j]); ranks[i] != noRank {
				h.push(uint64(ranks[i])<<32 | uint64(i))
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
		ids[i] = m.merges[ranks[i]].into
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
