package kv

import (
	"errors"
	"fmt"
	"slices"
)

// Check proves the books: every page is free, used (counted once per table
// that holds it) or cached (held by the tree alone), and free + used + cached
// = total; the tree is sorted, and whoever holds a page of it holds those in
// front of it.
func (c *Cache) Check() error {
	refs := make([]int32, len(c.refs)) // by tables
	for i := range c.seqs {
		s := &c.seqs[i]
		for g, pages := range s.pages {
			if want := c.need(s.length); len(pages) != want {
				return fmt.Errorf("kv: slot %d has %d pages of group %d for %d positions, want %d", i, len(pages), g, s.length, want)
			}
			for _, p := range pages {
				if p != gone {
					refs[p]++
				}
			}
		}
	}
	used := 0
	for _, n := range refs {
		if n > 0 {
			used++
		}
	}
	cached, err := c.checkTree(refs)
	if err != nil {
		return err
	}
	for p, n := range refs {
		if n != c.refs[p] {
			return fmt.Errorf("kv: page %d has %d references, but %d tables and trees hold it", p, c.refs[p], n)
		}
	}
	seen := make([]bool, len(c.refs))
	for _, p := range c.free {
		if seen[p] || refs[p] > 0 {
			return fmt.Errorf("kv: page %d is on the free list twice or in use", p)
		}
		seen[p] = true
	}
	if len(c.free)+used+cached != len(c.refs) {
		return fmt.Errorf("kv: %d pages free + %d used + %d cached, want %d in total", len(c.free), used, cached, len(c.refs))
	}
	return nil
}

// checkTree adds the tree's references to those of the tables and counts the
// pages that the tree alone holds.
func (c *Cache) checkTree(refs []int32) (cached int, err error) {
	kept, nodes := 0, 0
	var visit func(n *node, held bool) error
	visit = func(n *node, held bool) error {
		below := held
		for g, pages := range n.pages {
			if len(n.tokens) != len(pages)*c.opts.PageLen {
				return fmt.Errorf("kv: a node of the tree has %d tokens for %d pages", len(n.tokens), len(pages))
			}
			held := held
			for _, p := range pages {
				switch {
				case p == gone && c.tree.windows[g]:
					continue
				case p == gone || !c.tree.kept[p]:
					return fmt.Errorf("kv: page %d is in the tree and not marked as kept", p)
				case refs[p] > 0 && !held && !c.tree.windows[g]:
					return fmt.Errorf("kv: page %d is in use, the one in front of it is not", p)
				case (c.tree.where[p] == n) != c.tree.windows[g]:
					return fmt.Errorf("kv: page %d is in another node than is marked", p)
				case refs[p] == 0:
					cached++
					held = held && c.tree.windows[g]
				}
				refs[p]++
				kept++
			}
			below = below && held
		}
		nodes++
		for i, child := range n.children {
			if child.parent != n || child.size() == 0 {
				return fmt.Errorf("kv: a child of the tree is empty or has another parent")
			}
			if i > 0 && slices.Compare(n.children[i-1].tokens[:c.opts.PageLen], child.tokens[:c.opts.PageLen]) >= 0 {
				return fmt.Errorf("kv: two children of a node begin alike or are not in order")
			}
			if err := visit(child, below); err != nil {
				return err
			}
		}
		return nil
	}
	for _, root := range c.tree.roots {
		if err := visit(root, true); err != nil {
			return 0, err
		}
	}
	marked := 0
	for _, k := range c.tree.kept {
		if k {
			marked++
		}
	}
	if marked != kept || cached != c.tree.idle {
		return 0, fmt.Errorf("kv: %d pages in the tree, %d marked; %d of them idle, %d counted", kept, marked, cached, c.tree.idle)
	}
	return cached, errors.Join(c.checkUse(nodes-len(c.tree.roots)), c.checkIdlers(refs))
}

// checkUse walks the ring of use: every node once, parents newer than children.
func (c *Cache) checkUse(nodes int) error {
	seen := map[*node]bool{}
	for n := c.tree.use.older; n != c.tree.use; n = n.older {
		if n.parent.parent != nil && !seen[n.parent] {
			return fmt.Errorf("kv: a node of the tree is newer than its parent")
		}
		seen[n] = true
	}
	if len(seen) != nodes {
		return fmt.Errorf("kv: %d nodes in the ring of use, %d in the tree", len(seen), nodes)
	}
	return nil
}

// checkIdlers walks the queue of idle pages of windows, the oldest first.
func (c *Cache) checkIdlers(refs []int32) error {
	q, n, last := &c.tree.idlers, 0, uint64(0)
	for p := q.next[len(refs)]; int(p) < len(refs); p = q.next[p] {
		if c.tree.where[p] == nil || refs[p] != 1 || c.tree.since[p] <= last {
			return fmt.Errorf("kv: page %d is in the queue of idle ones: used, not kept, or out of order", p)
		}
		n, last = n+1, c.tree.since[p]
	}
	for p := range refs {
		if c.tree.where[p] != nil && refs[p] == 1 {
			n--
		}
	}
	if n != 0 {
		return fmt.Errorf("kv: the queue of idle pages has %d too many", n)
	}
	return nil
}
