package kv

import (
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
		if want := c.need(s.length); len(s.pages) != want {
			return fmt.Errorf("kv: slot %d has %d pages for %d positions, want %d", i, len(s.pages), s.length, want)
		}
		for _, p := range s.pages {
			if p != gone {
				refs[p]++
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
		if len(n.tokens) != len(n.pages)*c.opts.PageLen {
			return fmt.Errorf("kv: a node of the tree has %d tokens for %d pages", len(n.tokens), len(n.pages))
		}
		for _, p := range n.pages {
			switch {
			case !c.tree.kept[p]:
				return fmt.Errorf("kv: page %d is in the tree and not marked as kept", p)
			case refs[p] > 0 && !held:
				return fmt.Errorf("kv: page %d is in use, the one in front of it is not", p)
			case refs[p] == 0:
				cached++
				held = false
			}
			refs[p]++
			kept++
		}
		nodes++
		for i, child := range n.children {
			if child.parent != n || len(child.pages) == 0 {
				return fmt.Errorf("kv: a child of the tree is empty or has another parent")
			}
			if i > 0 && slices.Compare(n.children[i-1].tokens[:c.opts.PageLen], child.tokens[:c.opts.PageLen]) >= 0 {
				return fmt.Errorf("kv: two children of a node begin alike or are not in order")
			}
			if err := visit(child, held); err != nil {
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
	return cached, c.checkUse(nodes - len(c.tree.roots))
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
