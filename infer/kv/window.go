package kv

import (
	"fmt"
	"slices"

	"weft/model"
)

// span is how far back the layers of a group look.
type span struct{ window, sinks int } // window 0: without end

// gone stands in a table for a page that its window has passed, and in the tree
// for one that was given up.
const gone = -1

// groupsOf puts layers that look equally far back into groups, those without a
// window first, and says which group each layer is of. All groups have as many
// layers, so that their pages are equal and share one pool: three layers with a
// window to each without are four groups. Layers of different shapes are one
// group, of which no page is done with before the widest window has passed it.
func groupsOf(states []model.State) (groups []span, of []int) {
	var kinds []span
	count, members := map[span]int{}, 0
	for _, s := range states {
		w := span{s.Window, s.Sinks}
		if s.Window == 0 {
			w = span{}
		}
		if s.KVHeads != states[0].KVHeads || s.HeadDim != states[0].HeadDim {
			return []span{widest(states)}, make([]int, len(states))
		}
		if count[w]++; count[w] == 1 {
			kinds = append(kinds, w)
		}
	}
	for _, n := range count {
		members = gcd(members, n)
	}
	slices.SortStableFunc(kinds, func(a, b span) int { return min(a.window, 1) - min(b.window, 1) })
	first := map[span]int{}
	for _, w := range kinds {
		first[w] = len(groups)
		groups = append(groups, slices.Repeat([]span{w}, count[w]/members)...)
	}
	seen := map[span]int{}
	for _, s := range states {
		w := groups[0]
		if s.Window > 0 {
			w = span{s.Window, s.Sinks}
		}
		of = append(of, first[w]+seen[w]/members)
		seen[w]++
	}
	return groups, of
}

// widest is how far back any layer looks.
func widest(states []model.State) (w span) {
	for _, s := range states {
		if s.Window == 0 {
			return span{}
		}
		w.window, w.sinks = max(w.window, s.Window), max(w.sinks, s.Sinks)
	}
	return w
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// passed reports whether no query at position n or behind it sees anything of
// page i.
func (w span) passed(i, n, pageLen int) bool {
	return w.window > 0 && i*pageLen >= w.sinks && (i+1)*pageLen <= n-w.window+1
}

// most is the number of pages that a sequence of n positions holds of a group at
// a time, at most: a window, a chunk, and sinks. Three pages are there in part or
// shared.
func (w span) most(n int, o Options) int {
	o = o.fill()
	pages := func(n int) int { return (n + o.PageLen - 1) / o.PageLen }
	if w.window == 0 {
		return pages(n)
	}
	return min(pages(n), pages(w.sinks)+pages(w.window+o.Chunk)+3)
}

// MostPages is the number of pages that a sequence of n positions holds at a
// time, at most, if it grows by Chunk and Slide follows it.
func MostPages(states []model.State, o Options, n int) (most int) {
	groups, _ := groupsOf(states)
	for _, w := range groups {
		most += w.most(n, o)
	}
	return most
}

// Slides reports whether some layers have a window, so that their pages behind it
// are given back.
func (c *Cache) Slides() bool { return c.groups[len(c.groups)-1].window > 0 }

// reach is the longest of the first n positions such that all is there that a
// query behind them sees; has says whether page i of a group is.
func (c *Cache) reach(n int, has func(g, i int) bool) int {
	for i := c.need(n) - 1; i >= 0 && c.Slides(); i-- {
		for g, w := range c.groups {
			if !w.passed(i, n, c.opts.PageLen) && !has(g, i) {
				n = i * c.opts.PageLen // then nothing of page i is needed
			}
		}
	}
	return n
}

// Holds reports whether all that a query at position n sees is there: a fork at n
// is possible.
func (c *Cache) Holds(seq, n int) bool {
	s := c.seq(seq)
	return n >= 0 && n <= s.length && c.reach(n, func(g, i int) bool { return s.pages[g][i] != gone }) == n
}

// Slide says that all positions below n are written and that only positions from
// n on will look back. It gives back the pages that none of them sees: those
// behind the window of their layers, but for sinks. What is kept for its prefix
// stays cached.
func (c *Cache) Slide(seq, n int) {
	s := c.seq(seq)
	if n < 0 || n > s.length {
		panic(fmt.Sprintf("kv: slide to %d of a sequence of %d", n, s.length))
	}
	for g, w := range c.groups {
		if w.window == 0 {
			continue
		}
		first, end := c.need(w.sinks), max(0, n-w.window+1)/c.opts.PageLen
		for i := end - 1; i >= first && s.pages[g][i] != gone; i-- {
			c.drop(s.pages[g][i])
			s.pages[g][i] = gone
			c.mapPage(s, g, i)
		}
	}
}
