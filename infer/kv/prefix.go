package kv

import "slices"

// tree is the prefix cache: a radix tree over the tokens of whole pages
// (RadixAttention, Zheng 2023). It holds one reference to each of its pages,
// and whoever holds a page holds those in front of it, so that a page without
// other holders has none below it either: active paths are pinned by their
// references alone.
type tree struct {
	pageLen int
	roots   map[string]*node // by space; sequences of different spaces never share
	kept    []bool           // per page: the tree holds it
	idle    int              // pages that nobody else holds
	use     *node            // head of the ring of all nodes but the roots, newest first
}

// node is an edge: whole pages, and what can follow the last of them. A root
// has no pages.
type node struct {
	space    string // of a root
	parent   *node
	tokens   []int32 // [len(pages)*PageLen]
	pages    []int32
	children []*node // sorted by tokens; no two begin with the same page

	// A parent is always newer than its children: the oldest node is a leaf.
	newer, older *node
}

func newTree(o Options) tree {
	head := &node{}
	head.newer, head.older = head, head
	return tree{pageLen: o.PageLen, roots: map[string]*node{}, kept: make([]bool, o.Pages), use: head}
}

// Match opens a sequence with the longest known prefix of ids, tokens that were
// kept in the same space; Len says how long it is. The sequence may end inside
// a page that it shares with the tree; Grow copies that one.
func (c *Cache) Match(space string, ids []int32) int {
	ids = ids[:c.span.whole(len(ids))]
	handle := c.match(space, ids)
	if c.disk != nil && c.load(space, handle, ids) {
		c.Free(handle)
		handle = c.match(space, ids)
	}
	return handle
}

// match is Match in memory.
func (c *Cache) match(space string, ids []int32) int {
	handle := c.Alloc()
	s, n := c.seq(handle), c.tree.roots[space]
	for n != nil && len(ids) > 0 {
		child, common := n.closest(ids)
		if common == 0 {
			break
		}
		for _, p := range child.pages[:c.need(common)] {
			c.hold(s, c.share(p))
		}
		s.length += common
		ids, n = ids[common:], child
		if common < len(child.tokens) {
			break
		}
	}
	c.tree.touch(n)
	return handle
}

// Keep puts the whole pages of a sequence into the tree under their tokens:
// ids [at most Len] are those of its positions, all written. Pages known
// already take the place of the sequence's own, which hold the same bits. Where all
// layers have a window, one window is kept at most, and nothing of a sequence that
// has given pages back.
func (c *Cache) Keep(space string, seq int, ids []int32) {
	s, size := c.seq(seq), c.opts.PageLen
	if ids = ids[:c.span.whole(len(ids))]; s.passed > 0 {
		return
	}
	n := c.tree.roots[space]
	if n == nil {
		n = &node{space: space}
	}
	at, full := 0, len(ids)/size
walk:
	for at < full {
		rest := ids[at*size : full*size]
		child, common := n.closest(rest)
		whole := common / size
		if whole == 0 {
			if c.forked(s.pages[at:full]) {
				break
			}
			n = c.tree.extend(n, rest)
			c.give(n, s.pages[at:full])
			break
		}
		for i, p := range child.pages[:whole] {
			if !c.adopt(s, at+i, p) {
				break walk
			}
		}
		if at += whole; whole < len(child.pages) && at < full {
			child = c.tree.split(child, whole)
		}
		n = child
	}
	c.tree.touch(n)
}

// adopt puts page p of the tree into entry i of a table, for one of the same
// content. It fails when a fork has the table's own page: the fork would hold
// pages behind p without holding p.
func (c *Cache) adopt(s *sequence, i int, p int32) bool {
	own := s.pages[i]
	if own == p {
		return true
	}
	if c.refs[own] > 1 {
		return false
	}
	s.pages[i] = c.share(p)
	c.drop(own)
	c.mapPage(s, i)
	return true
}

// give appends pages that a table holds to a node whose tokens are there.
func (c *Cache) give(n *node, pages []int32) {
	for _, p := range pages {
		c.refs[p]++
		c.tree.kept[p] = true
	}
	n.pages = append(n.pages, pages...)
}

// evict frees the last page of the leaf that was used longest ago. There is
// one: the caller has looked at idle.
func (c *Cache) evict() {
	for n := c.tree.use.newer; n != c.tree.use; n = n.newer {
		last := len(n.pages) - 1
		if len(n.children) > 0 || c.refs[n.pages[last]] > 1 {
			continue
		}
		if c.disk != nil {
			c.store(n, last, false)
		}
		p := n.pages[last]
		n.pages, n.tokens = n.pages[:last], n.tokens[:last*c.opts.PageLen]
		if last == 0 {
			c.tree.remove(n)
		}
		c.tree.kept[p] = false
		c.tree.idle--
		c.drop(p)
		return
	}
	panic("kv: idle pages are counted, but the tree has none")
}

// closest finds the child that shares most tokens with ids, and how many.
func (n *node) closest(ids []int32) (best *node, common int) {
	i, _ := slices.BinarySearchFunc(n.children, ids, func(c *node, ids []int32) int { return slices.Compare(c.tokens, ids) })
	for _, c := range n.children[max(0, i-1):min(i+1, len(n.children))] { // in a sorted list it is a neighbour
		if k := shared(c.tokens, ids); k > common {
			best, common = c, k
		}
	}
	return best, common
}

// shared is the length of the common prefix of a and b.
func shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// extend returns a node that goes on from n with tokens: n itself if it is a
// leaf, else a new child. The pages are the caller's to add.
func (t *tree) extend(n *node, tokens []int32) *node {
	if n.parent != nil && len(n.children) == 0 {
		n.tokens = append(n.tokens, tokens...)
		return n
	}
	if n.parent == nil {
		t.roots[n.space] = n
	}
	child := &node{parent: n, tokens: slices.Clone(tokens)}
	i, _ := slices.BinarySearchFunc(n.children, tokens, func(c *node, ids []int32) int { return slices.Compare(c.tokens, ids) })
	n.children = slices.Insert(n.children, i, child)
	t.link(child)
	return child
}

// split cuts a node behind its first pages and returns a new one, the front.
func (t *tree) split(n *node, pages int) *node {
	cut := pages * t.pageLen
	front := &node{parent: n.parent, tokens: slices.Clone(n.tokens[:cut]), pages: slices.Clone(n.pages[:pages]), children: []*node{n}}
	n.parent.children[slices.Index(n.parent.children, n)] = front
	n.parent, n.tokens, n.pages = front, n.tokens[cut:], n.pages[pages:]
	t.link(front)
	return front
}

// remove takes a leaf out of the tree, and its root when it was the last.
func (t *tree) remove(n *node) {
	n.unlink()
	up := n.parent
	up.children = slices.DeleteFunc(up.children, func(c *node) bool { return c == n })
	if up.parent == nil && len(up.children) == 0 {
		delete(t.roots, up.space)
	}
}

// touch makes a node and all above it the newest, parents last.
func (t *tree) touch(n *node) {
	for ; n != nil && n.parent != nil; n = n.parent {
		n.unlink()
		t.link(n)
	}
}

// link puts a node in front of the ring of use.
func (t *tree) link(n *node) {
	n.newer, n.older = t.use, t.use.older
	n.newer.older, n.older.newer = n, n
}

func (n *node) unlink() { n.newer.older, n.older.newer = n.older, n.newer }
