package kv

// Forget gives up every kept page of the spaces that which names, such as those
// of an adapter that is no longer served. Sequences keep what they hold, and so
// does the disk tier: its files are named by all that decides their content.
func (c *Cache) Forget(which func(space string) bool) {
	for space, root := range c.tree.roots {
		if !which(space) {
			continue
		}
		delete(c.tree.roots, space)
		for _, n := range root.children {
			c.forget(n)
		}
	}
}

// forget takes a node and all below it out of the tree.
func (c *Cache) forget(n *node) {
	for _, child := range n.children {
		c.forget(child)
	}
	n.unlink()
	for _, pages := range n.pages {
		for _, p := range pages {
			if p != gone {
				c.unkeep(p)
			}
		}
	}
}
