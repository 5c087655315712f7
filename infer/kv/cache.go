package kv

import (
	"fmt"
	"math"
	"slices"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/model"
)

var _ op.KV = (*Cache)(nil)

// Options sizes a cache.
type Options struct {
	Pages     int         // pages in the pool for each group of layers; must be positive
	PageLen   int         // positions per page, a multiple of kernel.BlockLen; kernel.BlockLen when 0
	Watermark int         // pages that Fits keeps free for sequences that run already; 0
	Chunk     int         // positions that a sequence grows by between two calls of Slide, at most; 256
	Poison    bool        // fill freed pages with NaN, so that a test sees a stale read; false
	Disk      DiskOptions // where kept pages go when memory runs out, and at the end; nowhere

	Type kernel.KVType // how keys and values are kept; float32
}

// Validate names the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Pages <= 0:
		return fmt.Errorf("kv: Pages is %d, want at least 1", o.Pages)
	case o.PageLen < 0 || o.PageLen%kernel.BlockLen != 0:
		return fmt.Errorf("kv: PageLen is %d, want a multiple of %d", o.PageLen, kernel.BlockLen)
	case o.Chunk < 0:
		return fmt.Errorf("kv: Chunk is %d, want 0 (the default) or more", o.Chunk)
	case !o.Type.Valid():
		return fmt.Errorf("kv: Type is %v, want one of %v", o.Type, kernel.KVTypes())
	case o.Disk.Validate() != nil:
		return o.Disk.Validate()
	case o.Watermark < 0 || o.Watermark >= o.Pages:
		return fmt.Errorf("kv: Watermark is %d, want 0 to %d (Pages-1)", o.Watermark, o.Pages-1)
	}
	return nil
}

// fill replaces zeros by defaults.
func (o Options) fill() Options {
	if o.PageLen == 0 {
		o.PageLen = kernel.BlockLen
	}
	if o.Chunk == 0 {
		o.Chunk = 256
	}
	return o
}

// PageBytes is the size in bytes of PageLen positions of all layers: of a page, or
// of one page of each group.
func PageBytes(states []model.State, o Options) (n int64) {
	for _, s := range states {
		n += int64(o.Type.BlockWords(kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})) * 2 * 4
	}
	return n * int64(o.fill().PageLen/kernel.BlockLen)
}

// Cache is a pool of pages and the tables of the sequences that use them.
type Cache struct {
	opts    Options // Watermark in pages of the pool
	layers  []layer
	groups  []span
	page    int // words of 4 bytes per page, all layers of a group
	slab    []float32
	release func()

	refs []int32 // per page: tables that hold it, and the tree
	free []int32 // pages with refs 0, used as a stack
	tree tree    // pages kept for the prefixes they hold
	disk *disk   // nil: none

	loaded uint64 // pages that came from disk

	seqs  []sequence
	slots []int // unused entries of seqs
}

// layer is where a layer's blocks lie inside a page of its group:
// PageLen/BlockLen blocks of K and V halves, half words each.
type layer struct{ group, offset, half int }

// sequence is one block table. A slot of Cache.seqs is reused, with its
// slices' memory, under a new generation.
type sequence struct {
	live   bool
	gen    int
	length int              // positions
	pages  [][]int32        // of each group, the page of positions i*PageLen and on; gone: its window has passed it
	blocks [][]kernel.Block // of each layer
}

// A handle is slot + generation<<slotBits, so that a handle used after Free is
// noticed even when its slot lives again.
const slotBits = 24

// New maps the memory of a cache for a model's layers. Memory is committed by
// the system as pages are first written.
func New(states []model.State, o Options) (*Cache, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.fill()
	c := &Cache{}
	words := c.lay(states, o)
	c.page = slices.Max(append(words, 0))
	if c.page == 0 {
		return nil, fmt.Errorf("kv: the model has no attention state (%d layers)", len(states))
	}
	total := o.Pages * len(c.groups)
	if o.Pages > math.MaxInt32/len(c.groups) || total > math.MaxInt/4/c.page {
		return nil, fmt.Errorf("kv: %d times %d pages of %d words overflow the address space", o.Pages, len(c.groups), c.page)
	}
	o.Watermark *= len(c.groups)
	c.opts, c.refs, c.free, c.tree = o, make([]int32, total), make([]int32, total), newTree(o.PageLen, c.groups, total)
	for i := range c.free {
		c.free[i] = int32(total - 1 - i) // page 0 on top
	}
	var err error
	if o.Disk.Dir != "" {
		shape := fmt.Sprint(o.PageLen, o.Type, c.layers)
		if c.disk, err = openDisk(o.Disk, shape, c.PageBytes()); err != nil {
			return nil, err
		}
	}
	c.slab, c.release, err = newSlab(total * c.page)
	return c, err
}

// lay finds the place of every layer, and returns the words that each group's
// pages have: the same for all.
func (c *Cache) lay(states []model.State, o Options) (words []int) {
	var of []int
	c.groups, of = groupsOf(states)
	words = make([]int, len(c.groups))
	for i, s := range states {
		g, half := of[i], o.Type.BlockWords(kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})
		c.layers = append(c.layers, layer{group: g, offset: words[g], half: half})
		words[g] += 2 * half * o.PageLen / kernel.BlockLen
	}
	return words
}

// Close stores what is kept if there is a disk tier, and gives the memory back.
// Blocks handed out before are invalid.
func (c *Cache) Close() {
	if c.disk != nil && c.release != nil {
		c.flush()
		c.disk.close()
	}
	if c.release != nil {
		c.release()
	}
	c.release, c.slab, c.seqs, c.slots, c.tree = nil, nil, nil, nil, tree{}
}

// PageLen is the number of positions in a page.
func (c *Cache) PageLen() int { return c.opts.PageLen }

// Pages counts the pages that are free, the cached ones, which only a kept
// prefix holds and which are given up when pages run out, and all.
func (c *Cache) Pages() (free, cached, total int) { return len(c.free), c.tree.idle, len(c.refs) }

// Loaded is the number of pages that came from disk.
func (c *Cache) Loaded() uint64 { return c.loaded }

// PageBytes is the size of one page of the pool in bytes: what keys and values of
// a group of layers take in the cache's type, scales included.
func (c *Cache) PageBytes() int { return c.page * 4 }

// need is the number of pages that hold n positions.
func (c *Cache) need(n int) int { return (n + c.opts.PageLen - 1) / c.opts.PageLen }

// Room is the number of pages, free ones and cached, above the watermark.
func (c *Cache) Room() int { return len(c.free) + c.tree.idle - c.opts.Watermark }

// Fits reports whether a sequence can grow to n positions and leaves the
// watermark free.
func (c *Cache) Fits(seq, n int) bool { return c.Room() >= c.Lacks(seq, n) }

// lacks is the number of pages that a sequence takes in a group to grow to n
// positions.
func (c *Cache) lacks(s *sequence, g, n int) int {
	more := c.need(n) - len(s.pages[g])
	if n > s.length && c.shared(s, g) {
		more++
	}
	return more
}

// Lacks is the number of pages that a sequence takes to grow to n positions, at
// most, if it grows by Chunk and Slide follows it.
func (c *Cache) Lacks(seq, n int) (all int) {
	s := c.seq(seq)
	for g, w := range c.groups {
		more := c.lacks(s, g, n)
		if w.window > 0 {
			held := 0
			for _, p := range s.pages[g] {
				if p != gone {
					held++
				}
			}
			more = min(more, w.most(n, c.opts)-held)
		}
		all += max(0, more)
	}
	return all
}

// shared reports whether the next position falls into a page that others hold.
func (c *Cache) shared(s *sequence, g int) bool {
	pages := s.pages[g]
	return s.length%c.opts.PageLen != 0 && c.refs[pages[len(pages)-1]] > 1
}

// Alloc opens an empty sequence and returns its handle.
func (c *Cache) Alloc() int {
	if len(c.slots) == 0 {
		c.slots = append(c.slots, len(c.seqs))
		c.seqs = append(c.seqs, sequence{pages: make([][]int32, len(c.groups)), blocks: make([][]kernel.Block, len(c.layers))})
	}
	slot := c.slots[len(c.slots)-1]
	c.slots = c.slots[:len(c.slots)-1]
	s := &c.seqs[slot]
	s.live = true
	return slot | s.gen<<slotBits
}

// seq resolves a handle; a freed or invented one is a programmer error.
func (c *Cache) seq(handle int) *sequence {
	slot := handle & (1<<slotBits - 1)
	if handle < 0 || slot >= len(c.seqs) {
		panic(fmt.Sprintf("kv: sequence %#x was never allocated", handle))
	}
	s := &c.seqs[slot]
	if !s.live || s.gen != handle>>slotBits {
		panic(fmt.Sprintf("kv: sequence %#x was freed before", handle))
	}
	return s
}

// Len is the number of positions a sequence has grown to.
func (c *Cache) Len(seq int) int { return c.seq(seq).length }

// Grow extends a sequence to n positions; the caller will write those from
// the old length on. A shared last page is copied first. With too few free
// pages, and too few cached ones to give up, it returns ErrFull and changes
// nothing.
func (c *Cache) Grow(seq, n int) error {
	s := c.seq(seq)
	if n <= s.length {
		return nil
	}
	lacks := 0
	for g := range c.groups {
		lacks += c.lacks(s, g, n)
	}
	if lacks > len(c.free)+c.tree.idle {
		return ErrFull
	}
	for g := range c.groups {
		if c.shared(s, g) {
			c.unshare(s, g, len(s.pages[g])-1)
		}
		for len(s.pages[g]) < c.need(n) {
			c.hold(s, g, c.take())
		}
	}
	s.length = n
	return nil
}

// Shrink cuts a sequence to its first n positions and gives back the pages
// behind them.
func (c *Cache) Shrink(seq, n int) {
	if !c.Holds(seq, n) {
		panic(fmt.Sprintf("kv: shrink to %d positions of a sequence of %d, whose windows have passed them", n, c.Len(seq)))
	}
	c.cut(c.seq(seq), n)
}

// cut keeps the pages of the first n positions.
func (c *Cache) cut(s *sequence, n int) {
	keep := c.need(n)
	for g, pages := range s.pages {
		for _, p := range pages[keep:] {
			if p != gone {
				c.drop(p)
			}
		}
		s.pages[g] = pages[:keep]
	}
	s.length = n
	for l := range s.blocks {
		s.blocks[l] = s.blocks[l][:keep*c.opts.PageLen/kernel.BlockLen]
	}
}

// take pops a free page; without one, the tree gives up its oldest.
func (c *Cache) take() int32 {
	if len(c.free) == 0 {
		c.evict()
	}
	p := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.refs[p] = 1
	return p
}

// hold appends a page, whose reference is the table's, to a table.
func (c *Cache) hold(s *sequence, g int, p int32) {
	s.pages[g] = append(s.pages[g], p)
	c.mapPage(s, g, len(s.pages[g])-1)
}

// share takes one more reference to a page.
func (c *Cache) share(p int32) int32 {
	if c.refs[p] == 1 && c.tree.kept[p] {
		c.tree.wake(p)
	}
	c.refs[p]++
	return p
}

// drop gives one reference to a page back.
func (c *Cache) drop(p int32) {
	if c.refs[p] <= 0 {
		panic(fmt.Sprintf("kv: page %d freed twice", p))
	}
	if c.refs[p]--; c.refs[p] > 0 {
		if c.refs[p] == 1 && c.tree.kept[p] {
			c.tree.rest(p)
		}
		return
	}
	c.free = append(c.free, p)
	if c.opts.Poison {
		data := c.data(p)
		for i := range data {
			data[i] = math.Float32frombits(math.MaxUint32) // NaN in all types
		}
	}
}

// data is the memory of a page.
func (c *Cache) data(p int32) []float32 { return c.slab[int(p)*c.page : (int(p)+1)*c.page] }

// unshare replaces entry i of a group's table by a copy of its page. Slots beyond
// the sequence's length are copied too; nobody reads them before they are written.
func (c *Cache) unshare(s *sequence, g, i int) {
	old := s.pages[g][i]
	s.pages[g][i] = c.take()
	copy(c.data(s.pages[g][i]), c.data(old))
	c.drop(old)
	c.mapPage(s, g, i)
}

// mapPage writes the blocks of entry i of a group's table into the lists per layer
// that Blocks returns; a page that is gone has empty ones.
func (c *Cache) mapPage(s *sequence, g, i int) {
	per, p := c.opts.PageLen/kernel.BlockLen, s.pages[g][i]
	for l, at := range c.layers {
		if at.group != g {
			continue
		}
		for len(s.blocks[l]) < (i+1)*per {
			s.blocks[l] = append(s.blocks[l], kernel.Block{})
		}
		blocks := s.blocks[l][i*per : (i+1)*per]
		clear(blocks)
		for b := range blocks {
			if p != gone {
				k := c.data(p)[at.offset+2*b*at.half:]
				blocks[b] = kernel.Block{Type: c.opts.Type, K: k[:at.half:at.half], V: k[at.half : 2*at.half : 2*at.half]}
			}
		}
	}
}

// Fork opens a sequence that shares the first n positions of another, which
// has written them. Pages are copied only when either grows into a shared one.
func (c *Cache) Fork(seq, n int) int {
	if !c.Holds(seq, n) {
		panic(fmt.Sprintf("kv: fork at position %d of a sequence of %d, whose windows have passed it", n, c.Len(seq)))
	}
	child := c.Alloc()
	s, t := c.seq(seq), c.seq(child)
	for g := range c.groups {
		for _, p := range s.pages[g][:c.need(n)] {
			if p != gone {
				c.share(p)
			}
			c.hold(t, g, p)
		}
	}
	t.length = n
	return child
}

// Free closes a sequence and gives its pages back; those that were kept stay
// cached. A second Free of the same handle panics.
func (c *Cache) Free(seq int) {
	s := c.seq(seq)
	c.cut(s, 0)
	s.live = false
	s.gen++
	c.slots = append(c.slots, seq&(1<<slotBits-1))
}

// Blocks returns the blocks of a layer and sequence in position order. The
// sequence must have grown to n positions. It does not allocate.
func (c *Cache) Blocks(layer, seq, n int) []kernel.Block {
	s := c.seq(seq)
	if n > s.length {
		panic(fmt.Sprintf("kv: attention wants %d positions of sequence %#x, which has %d", n, seq, s.length))
	}
	return s.blocks[layer]
}
