package kv

// load brings the pages from disk that continue what the tree knows of ids, and
// puts them into the tree. seq, which Match has opened, may be changed; the result
// says whether another match would find more.
func (c *Cache) load(space string, seq int, ids []int32) bool {
	s, size := c.seq(seq), c.opts.PageLen
	known := s.length / size
	name := c.disk.root(space)
	for at := 0; at < len(ids)/size; at++ {
		name = name.next(ids[at*size : (at+1)*size])
		if at < known {
			continue
		}
		if at == known && c.disk.has(name) {
			c.cut(s, known*size) // the page that is known in part is there as a whole
		}
		if !c.disk.has(name) || len(c.free)+c.tree.idle <= c.opts.Watermark {
			break
		}
		p := c.take()
		if !c.disk.read(name, c.data(p)) {
			c.drop(p)
			break
		}
		c.hold(s, p)
		s.length += size
		c.loaded++
	}
	if s.length/size == known {
		return false
	}
	c.Keep(space, seq, ids[:s.length])
	return true
}

// store puts the page at place i of a node on its way to disk; wait: even if
// the queue is full.
func (c *Cache) store(n *node, i int, wait bool) {
	name := c.disk.root(n.root().space)
	tokens := n.path(nil)
	end := len(tokens) - (len(n.pages)-1-i)*c.opts.PageLen
	for at := 0; at < end; at += c.opts.PageLen {
		name = name.next(tokens[at : at+c.opts.PageLen])
	}
	c.disk.put(name, c.data(n.pages[i]), wait)
}

// flush stores the whole tree, what was used last at the end, where it stays
// longest.
func (c *Cache) flush() {
	for n := c.tree.use.newer; n != c.tree.use; n = n.newer {
		for i := len(n.pages) - 1; i >= 0; i-- {
			c.store(n, i, true)
		}
	}
}

func (n *node) root() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// path appends the tokens from the root to the end of a node.
func (n *node) path(tokens []int32) []int32 {
	if n.parent != nil {
		tokens = n.parent.path(tokens)
	}
	return append(tokens, n.tokens...)
}
