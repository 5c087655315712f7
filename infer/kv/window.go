package kv

import (
	"fmt"
	"slices"

	"weft/compute/kernel"
	"weft/model"
)

// span is how far back any layer looks. A page holds all layers, so that it is
// done with only when all of them are: a model of which one layer sees everything
// keeps every page.
type span struct{ window, sinks int } // window 0: without end

// gone stands in a table for a page that all windows have passed.
const gone = -1

func spanOf(states []model.State) (w span) {
	for _, s := range states {
		if s.Window == 0 {
			return span{}
		}
		w.window, w.sinks = max(w.window, s.Window), max(w.sinks, s.Sinks)
	}
	return w
}

// whole is how many of n positions can be kept for their prefix: a sequence holds
// what is kept until it has passed all of it, so that is one window at most.
func (w span) whole(n int) int {
	if w.window > 0 {
		n = min(n, w.window)
	}
	return n
}

// most is the number of pages that a sequence of n positions holds at a time, at
// most: what is kept of its prefix, the window in front of that, a chunk, and
// sinks. Three pages are there in part or shared.
func (w span) most(n int, o Options) int {
	o = o.fill()
	pages := func(n int) int { return (n + o.PageLen - 1) / o.PageLen }
	if w.window == 0 {
		return pages(n)
	}
	return min(pages(n), pages(w.sinks)+pages(2*w.window+o.Chunk)+3)
}

// MostPages is the number of pages that a sequence of n positions holds at a
// time, at most, if it grows by Chunk and Slide follows it.
func MostPages(states []model.State, o Options, n int) int { return spanOf(states).most(n, o) }

// Slides reports whether all layers have a window, so that pages behind it are
// given back.
func (c *Cache) Slides() bool { return c.span.window > 0 }

// Holds reports whether all that a query at position n sees is there: a fork at n
// is possible.
func (c *Cache) Holds(seq, n int) bool {
	s := c.seq(seq)
	return n >= s.passed && n <= s.length
}

// Slide says that all positions below n are written and that only positions from
// n on will look back. It gives back the pages that none of them sees: those
// behind the window, but for sinks. Pages that are kept for their prefix stay
// until all of them are behind it, because whoever holds a page of the tree holds
// those in front of it.
func (c *Cache) Slide(seq, n int) {
	s := c.seq(seq)
	if n < s.passed || n > s.length {
		panic(fmt.Sprintf("kv: slide to %d of a sequence of %d, whose windows have passed %d", n, s.length, s.passed))
	}
	if !c.Slides() {
		return
	}
	first, end := c.need(c.span.sinks), max(0, n-c.span.window+1)/c.opts.PageLen
	per := c.opts.PageLen / kernel.BlockLen
	if s.passed == 0 && end > first && end < len(s.pages) && c.tree.kept[s.pages[end]] {
		return
	}
	for i := end - 1; i >= first && s.pages[i] != gone; i-- {
		c.drop(s.pages[i])
		s.pages[i] = gone
		for l := range s.blocks {
			clear(s.blocks[l][i*per : (i+1)*per])
		}
		s.passed = n
	}
}

// forked reports whether other tables hold some of these pages of a sequence that
// may slide: were they kept, a table might hold one of them without those in front.
func (c *Cache) forked(pages []int32) bool {
	return c.Slides() && slices.ContainsFunc(pages, func(p int32) bool { return c.refs[p] > 1 })
}
