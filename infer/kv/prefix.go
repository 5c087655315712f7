package kv

import "slices"

// tree is the prefix cache: a radix tree over the tokens of whole pages
// (RadixAttention, Zheng 2023). It holds one reference to each of its pages.
//
// Layers without a window: whoever holds a page holds those in front of it, so
// that a page without other holders has none below it either, and active paths
// are pinned by their references alone. Such pages go from the ends of leaves.
// Layers with a window: a prefix needs the pages of its last window alone, so any
// page may go, and leaves a hole.
type tree struct {
	pageLen int
	windows []bool           // per group: its layers have a window
	roots   map[string]*node // by space; sequences of different spaces never share
	kept    []bool           // per page: the tree holds it
	where   []*node          // per kept page of a group with a window: its node; else nil
	idle    int              // pages that nobody else holds
	idlers  idlers           // of them, those of groups with a window, as they became so
	since   []uint64         // per page of idlers: the clock then
	use     *node            // head of the ring of all nodes but the roots, newest first
	clock   uint64           // counts uses
}

// node is an edge: whole pages, and what can follow the last of them. A root
// has no pages.
type node struct {
	space    string // of a root
	parent   *node
	tokens   []int32   // [pages*PageLen]
	pages    [][]int32 // [groups][pages]; gone: a hole
	children []*node   // sorted by tokens; no two begin with the same page

	// A parent is always newer than its children: the oldest node is a leaf.
	newer, older *node
	used         uint64 // the clock when it became the newest
}

func newTree(pageLen int, groups []span, pages int) tree {
	head := &node{}
	head.newer, head.older = head, head
	t := tree{pageLen: pageLen, roots: map[string]*node{}, kept: make([]bool, pages), where: make([]*node, pages), use: head}
	for _, w := range groups {
		t.windows = append(t.windows, w.window > 0)
	}
	t.idlers, t.since = newIdlers(pages), make([]uint64, pages)
	return t
}

// size is the number of pages of a node, per group.
func (n *node) size() int { return len(n.pages[0]) }

// Match opens a sequence with the longest known prefix of ids, tokens that were
// kept in the same space, of which all is there that its windows show; Len says
// how long it is. The sequence may end inside a page that it shares with the tree;
// Grow copies that one.
func (c *Cache) Match(space string, ids []int32) int {
	handle := c.Alloc()
	s := c.seq(handle)
	n, done := 0, false
	if c.disk == nil {
		n = c.walk(s, c.tree.roots[space], ids)
	} else if n, done = c.load(space, handle, ids); done {
		return handle
	}
	s.length = c.reach(n, func(g, i int) bool { return s.pages[g][i] != gone })
	c.claim(s)
	return handle
}

// walk writes the pages that the tree has for ids into the tables of a sequence
// that is empty, and returns the positions that they stand for. None of them is
// held yet: claim follows.
func (c *Cache) walk(s *sequence, n *node, ids []int32) (known int) {
	for n != nil && known < len(ids) {
		child, common := n.closest(ids[known:])
		if common == 0 {
			break
		}
		for g := range c.groups {
			s.pages[g] = append(s.pages[g], child.pages[g][:c.need(common)]...)
		}
		known += common
		if n = child; common < len(child.tokens) {
			break
		}
	}
	c.tree.touch(n)
	return known
}

// claim takes a reference to every page that walk has found and that the length of
// the sequence leaves in sight.
func (c *Cache) claim(s *sequence) {
	for g, w := range c.groups {
		s.pages[g] = s.pages[g][:min(len(s.pages[g]), c.need(s.length))]
		for i, p := range s.pages[g] {
			if w.passed(i, s.length, c.opts.PageLen) {
				s.pages[g][i] = gone
			} else if p != gone {
				c.share(p)
			}
			c.mapPage(s, g, i)
		}
	}
}

// Keep puts the whole pages of a sequence into the tree under their tokens:
// ids [at most Len] are those of its positions, all written. Pages known
// already take the place of the sequence's own, which hold the same bits.
func (c *Cache) Keep(space string, seq int, ids []int32) {
	s, size := c.seq(seq), c.opts.PageLen
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
			n = c.tree.extend(n, rest)
			c.give(n, s, at, full)
			break
		}
		for i := range whole {
			if !c.adopt(s, at+i, child, i) {
				break walk
			}
		}
		if at += whole; whole < child.size() && at < full {
			child = c.tree.split(child, whole)
		}
		n = child
	}
	c.tree.touch(n)
	c.trim(n)
}

// adopt puts the pages of place j of a node into entry i of a sequence's tables,
// for those of the same content, and fills holes of the node. It fails when a fork
// has one of the sequence's own pages of layers without a window: the fork would
// hold pages behind the node's without holding those.
func (c *Cache) adopt(s *sequence, i int, n *node, j int) bool {
	for g, window := range c.tree.windows {
		if own := s.pages[g][i]; !window && own != n.pages[g][j] && c.refs[own] > 1 {
			return false
		}
	}
	for g := range c.groups {
		own, p := s.pages[g][i], n.pages[g][j]
		switch {
		case own == p || own == gone:
		case p == gone:
			n.pages[g][j] = c.keep(n, g, own)
		case c.refs[own] == 1:
			s.pages[g][i] = c.share(p)
			c.drop(own)
			c.mapPage(s, g, i)
		}
	}
	return true
}

// give appends the entries of a sequence's tables to a node whose tokens are there.
func (c *Cache) give(n *node, s *sequence, from, to int) {
	for g := range c.groups {
		for _, p := range s.pages[g][from:to] {
			if p != gone {
				c.keep(n, g, p)
			}
			n.pages[g] = append(n.pages[g], p)
		}
	}
}

// keep takes the tree's reference to a page that a table holds.
func (c *Cache) keep(n *node, g int, p int32) int32 {
	c.refs[p]++
	c.tree.kept[p] = true
	if c.tree.windows[g] {
		c.tree.where[p] = n
	}
	return p
}

// unkeep gives the tree's reference back.
func (c *Cache) unkeep(p int32) {
	if c.refs[p] == 1 {
		c.tree.wake(p)
	}
	c.tree.kept[p], c.tree.where[p] = false, nil
	c.drop(p)
}

// evict gives up what was used longest ago: the end of a leaf, or a page that
// windows have passed. There is one: the caller has looked at idle.
func (c *Cache) evict() {
	p, idle := c.tree.idlers.first()
	n := c.lastLeaf()
	switch {
	case idle && (n == nil || c.tree.since[p] < n.used):
		c.evictPage(p)
	case n != nil:
		c.evictEnd(n)
	default:
		panic("kv: idle pages are counted, but the tree has none")
	}
}

// lastLeaf is the leaf used longest ago whose last page nobody else holds; nil:
// there is none, or all layers have a window.
func (c *Cache) lastLeaf() *node {
	if c.tree.windows[0] {
		return nil
	}
	for n := c.tree.use.newer; n != c.tree.use; n = n.newer {
		if len(n.children) == 0 && c.refs[n.pages[0][n.size()-1]] == 1 {
			return n
		}
	}
	return nil
}

// evictEnd frees the last place of a leaf, of all groups.
func (c *Cache) evictEnd(n *node) {
	last := n.size() - 1
	for g := range c.groups {
		if p := n.pages[g][last]; p != gone {
			if c.disk != nil {
				c.store(n, g, last, false)
			}
			c.unkeep(p)
		}
	}
	c.tree.shorten(n)
}

// evictPage frees a page of a group with a window.
func (c *Cache) evictPage(p int32) {
	n := c.tree.where[p]
	for g, pages := range n.pages {
		if i := slices.Index(pages, p); i >= 0 {
			if c.disk != nil {
				c.store(n, g, i, false)
			}
			n.pages[g][i] = gone
		}
	}
	c.unkeep(p)
	c.trim(n)
}

// trim takes places at the end of a leaf out of the tree that hold no page, and
// goes on with what then is a leaf.
func (c *Cache) trim(n *node) {
	for n.parent != nil && len(n.children) == 0 {
		up, last := n.parent, n.size()-1
		if slices.ContainsFunc(n.pages, func(pages []int32) bool { return pages[last] != gone }) {
			return
		}
		if c.tree.shorten(n); last == 0 {
			n = up
		}
	}
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
	child := &node{parent: n, tokens: slices.Clone(tokens), pages: make([][]int32, len(t.windows))}
	i, _ := slices.BinarySearchFunc(n.children, tokens, func(c *node, ids []int32) int { return slices.Compare(c.tokens, ids) })
	n.children = slices.Insert(n.children, i, child)
	t.link(child)
	return child
}

// split cuts a node behind its first pages and returns a new one, the front.
func (t *tree) split(n *node, pages int) *node {
	cut := pages * t.pageLen
	front := &node{parent: n.parent, tokens: slices.Clone(n.tokens[:cut]), children: []*node{n}}
	for g, all := range n.pages {
		front.pages = append(front.pages, slices.Clone(all[:pages]))
		n.pages[g] = all[pages:]
		for _, p := range all[:pages] {
			if p != gone && t.windows[g] {
				t.where[p] = front
			}
		}
	}
	n.parent.children[slices.Index(n.parent.children, n)] = front
	n.parent, n.tokens = front, n.tokens[cut:]
	t.link(front)
	return front
}

// shorten takes the last place of a leaf out of the tree, whose pages are given up.
func (t *tree) shorten(n *node) {
	last := n.size() - 1
	for g := range n.pages {
		n.pages[g] = n.pages[g][:last]
	}
	if n.tokens = n.tokens[:last*t.pageLen]; last == 0 {
		t.remove(n)
	}
}

// rest says that nobody but the tree holds a page any more, wake that somebody
// does again.
func (t *tree) rest(p int32) {
	t.idle++
	if t.where[p] != nil {
		t.clock++
		t.since[p] = t.clock
		t.idlers.push(p)
	}
}

func (t *tree) wake(p int32) {
	t.idle--
	if t.where[p] != nil {
		t.idlers.remove(p)
	}
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
	t.clock++
	n.used = t.clock
	n.newer, n.older = t.use, t.use.older
	n.newer.older, n.older.newer = n, n
}

func (n *node) unlink() { n.newer.older, n.older.newer = n.older, n.newer }
