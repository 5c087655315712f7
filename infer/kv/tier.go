package kv

// load goes on where walk has ended: with the pages of ids that are on disk. It
// fills the tables of a sequence that walk has begun, and puts what it has read
// into the tree. If the disk adds nothing it reports false, and the positions that
// walk has found: the tables are still to be claimed.
func (c *Cache) load(space string, seq int, ids []int32) (n int, done bool) {
	s, size := c.seq(seq), c.opts.PageLen
	n = c.walk(s, c.tree.roots[space], ids)
	var names []diskName // of the places that can be of use
	has := func(g, i int) bool {
		return i < len(s.pages[g]) && i < n/size && s.pages[g][i] != gone || c.disk.has(names[i].part(g))
	}
	name := c.disk.root(space)
	for i := 0; i < len(ids)/size; i++ {
		name = name.next(ids[i*size : (i+1)*size])
		if names = append(names, name); !c.tree.windows[0] && !has(0, i) {
			break
		}
	}
	for {
		length := c.reach(c.onDisk(len(names), has)*size, has)
		for length > 0 && !c.fitsIn(s, length, n/size) {
			length = c.reach(length-size, has)
		}
		if length <= c.reach(n, func(g, i int) bool { return s.pages[g][i] != gone }) {
			return n, false
		}
		if c.read(s, length, n/size, names) {
			c.Keep(space, seq, ids[:length])
			return n, true
		}
		n = c.walk(s, c.tree.roots[space], ids) // which may know less: reading has taken pages
	}
}

// onDisk is the number of places, of so many, up to the last one of which every
// group has its page: layers without a window have all in front of it too.
func (c *Cache) onDisk(places int, has func(g, i int) bool) (most int) {
	for i := range places {
		whole := true
		for g, window := range c.tree.windows {
			if ok := has(g, i); !ok && !window {
				return most
			} else if !ok {
				whole = false
			}
		}
		if whole {
			most = i + 1
		}
	}
	return most
}

// wants reports whether entry i of a group has to be read for a sequence of a
// length, of whose entries walk has found those in front of known.
func (c *Cache) wants(s *sequence, g, i, length, known int) bool {
	return !c.groups[g].passed(i, length, c.opts.PageLen) && (i >= min(known, len(s.pages[g])) || s.pages[g][i] == gone)
}

// fitsIn reports whether there are pages above the watermark for what has to be
// read; those that the tree alone holds and the sequence will hold are none.
func (c *Cache) fitsIn(s *sequence, length, known int) bool {
	room := len(c.free) + c.tree.idle - c.opts.Watermark
	for g, w := range c.groups {
		for i := range c.need(length) {
			if c.wants(s, g, i, length, known) || !w.passed(i, length, c.opts.PageLen) && c.refs[s.pages[g][i]] == 1 {
				room--
			}
		}
	}
	return room >= 0
}

// read claims what walk has found in front of known and reads what is missing of a
// length. If a file is damaged, which then is gone, the sequence is empty again.
func (c *Cache) read(s *sequence, length, known int, names []diskName) bool {
	for g := range c.groups {
		s.pages[g] = s.pages[g][:min(known, len(s.pages[g]))]
	}
	s.length = length
	c.claim(s)
	for g, w := range c.groups {
		for i := range c.need(length) {
			if i == len(s.pages[g]) {
				c.hold(s, g, gone)
			}
			if s.pages[g][i] != gone || w.passed(i, length, c.opts.PageLen) {
				continue
			}
			p := c.take()
			if !c.disk.read(names[i].part(g), c.data(p)) {
				c.drop(p)
				c.cut(s, 0)
				return false
			}
			s.pages[g][i] = p
			c.mapPage(s, g, i)
			c.loaded++
		}
	}
	return true
}

// store puts the page of a group at place i of a node on its way to disk; wait:
// even if the queue is full.
func (c *Cache) store(n *node, g, i int, wait bool) {
	name := c.disk.root(n.root().space)
	tokens := n.path(nil)
	end := len(tokens) - (n.size()-1-i)*c.opts.PageLen
	for at := 0; at < end; at += c.opts.PageLen {
		name = name.next(tokens[at : at+c.opts.PageLen])
	}
	c.disk.put(name.part(g), c.data(n.pages[g][i]), wait)
}

// flush stores the whole tree, what was used last at the end, where it stays
// longest.
func (c *Cache) flush() {
	for n := c.tree.use.newer; n != c.tree.use; n = n.newer {
		for i := n.size() - 1; i >= 0; i-- {
			for g := range c.groups {
				if n.pages[g][i] != gone {
					c.store(n, g, i, true)
				}
			}
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
