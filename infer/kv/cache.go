package kv

import (
	"fmt"
	"math"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/model"
)

var _ op.KV = (*Cache)(nil)

// Options sizes a cache.
type Options struct {
	Pages     int         // pages in the pool; must be positive
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

// PageBytes is the size in bytes of a page of these options, all layers.
func PageBytes(states []model.State, o Options) (n int64) {
	for _, s := range states {
		n += int64(o.Type.BlockWords(kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})) * 2 * 4
	}
	return n * int64(o.fill().PageLen/kernel.BlockLen)
}

// Cache is a pool of pages and the tables of the sequences that use them.
type Cache struct {
	opts    Options
	layers  []layer
	span    span
	page    int // words of 4 bytes per page, all layers
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

// layer is where a layer's blocks lie inside a page: PageLen/BlockLen blocks
// of K and V halves, half words each.
type layer struct{ offset, half int }

// sequence is one block table. A slot of Cache.seqs is reused, with its
// slices' memory, under a new generation.
type sequence struct {
	live   bool
	gen    int
	length int     // positions
	pages  []int32 // page of positions i*PageLen and on; gone: all windows have passed it
	blocks [][]kernel.Block

	passed int // positions at the last Slide that gave pages back
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
	c := &Cache{opts: o, span: spanOf(states), refs: make([]int32, o.Pages), free: make([]int32, o.Pages), tree: newTree(o)}
	for _, s := range states {
		half := o.Type.BlockWords(kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})
		c.layers = append(c.layers, layer{offset: c.page, half: half})
		c.page += 2 * half * o.PageLen / kernel.BlockLen
	}
	if c.page == 0 {
		return nil, fmt.Errorf("kv: the model has no attention state (%d layers)", len(states))
	}
	if o.Pages > math.MaxInt/4/c.page {
		return nil, fmt.Errorf("kv: %d pages of %d words overflow the address space", o.Pages, c.page)
	}
	for i := range c.free {
		c.free[i] = int32(o.Pages - 1 - i) // page 0 on top
	}
	var err error
	if o.Disk.Dir != "" {
		shape := fmt.Sprint(o.PageLen, o.Type, c.layers)
		if c.disk, err = openDisk(o.Disk, shape, c.PageBytes()); err != nil {
			return nil, err
		}
	}
	c.slab, c.release, err = newSlab(o.Pages * c.page)
	return c, err
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

// PageBytes is the size of one page, all layers, in bytes: what keys and values
// take in the cache's type, scales included.
func (c *Cache) PageBytes() int { return c.page * 4 }

// need is the number of pages that hold n positions.
func (c *Cache) need(n int) int { return (n + c.opts.PageLen - 1) / c.opts.PageLen }

// Room is the number of pages, free ones and cached, above the watermark.
func (c *Cache) Room() int { return len(c.free) + c.tree.idle - c.opts.Watermark }

// Fits reports whether a sequence can grow to n positions and leaves the
// watermark free.
func (c *Cache) Fits(seq, n int) bool { return c.Room() >= c.Lacks(seq, n) }

// lacks is the number of pages that a sequence takes to grow to n positions.
func (c *Cache) lacks(s *sequence, n int) int {
	more := c.need(n) - len(s.pages)
	if n > s.length && c.shared(s) {
		more++
	}
	return more
}

// Lacks is the number of pages that a sequence takes to grow to n positions, at
// most, if it grows by Chunk and Slide follows it.
func (c *Cache) Lacks(seq, n int) int {
	s := c.seq(seq)
	more := c.lacks(s, n)
	if c.span.window > 0 {
		held := len(s.pages)
		for _, p := range s.pages {
			if p == gone {
				held--
			}
		}
		more = min(more, c.span.most(n, c.opts)-held)
	}
	return max(0, more)
}

// shared reports whether the next position falls into a page that others hold.
func (c *Cache) shared(s *sequence) bool {
	return s.length%c.opts.PageLen != 0 && c.refs[s.pages[len(s.pages)-1]] > 1
}

// Alloc opens an empty sequence and returns its handle.
func (c *Cache) Alloc() int {
	if len(c.slots) == 0 {
		c.slots = append(c.slots, len(c.seqs))
		c.seqs = append(c.seqs, sequence{blocks: make([][]kernel.Block, len(c.layers))})
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
	if c.lacks(s, n) > len(c.free)+c.tree.idle {
		return ErrFull
	}
	if c.shared(s) {
		c.unshare(s, len(s.pages)-1)
	}
	for len(s.pages) < c.need(n) {
		c.hold(s, c.take())
	}
	s.length = n
	return nil
}

// Shrink cuts a sequence to its first n positions and gives back the pages
// behind them.
func (c *Cache) Shrink(seq, n int) {
	s := c.seq(seq)
	if n < s.passed || n > s.length {
		panic(fmt.Sprintf("kv: shrink to %d positions of a sequence of %d, whose windows have passed %d", n, s.length, s.passed))
	}
	c.cut(s, n)
}

// cut keeps the pages of the first n positions.
func (c *Cache) cut(s *sequence, n int) {
	keep := c.need(n)
	for _, p := range s.pages[keep:] {
		if p != gone {
			c.drop(p)
		}
	}
	s.pages, s.length = s.pages[:keep], n
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
func (c *Cache) hold(s *sequence, p int32) {
	s.pages = append(s.pages, p)
	c.mapPage(s, len(s.pages)-1)
}

// share takes one more reference to a page.
func (c *Cache) share(p int32) int32 {
	if c.refs[p] == 1 && c.tree.kept[p] {
		c.tree.idle--
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
			c.tree.idle++
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

// unshare replaces entry i of a table by a copy of its page. Slots beyond the
// sequence's length are copied too; nobody reads them before they are written.
func (c *Cache) unshare(s *sequence, i int) {
	old := s.pages[i]
	s.pages[i] = c.take()
	copy(c.data(s.pages[i]), c.data(old))
	c.drop(old)
	c.mapPage(s, i)
}

// mapPage writes the blocks of table entry i into the per-layer block lists that
// Blocks returns.
func (c *Cache) mapPage(s *sequence, i int) {
	per := c.opts.PageLen / kernel.BlockLen
	if s.pages[i] == gone {
		for l := range c.layers {
			s.blocks[l] = append(s.blocks[l], make([]kernel.Block, per)...)
		}
		return
	}
	data := c.data(s.pages[i])
	for l, at := range c.layers {
		for len(s.blocks[l]) < (i+1)*per {
			s.blocks[l] = append(s.blocks[l], kernel.Block{})
		}
		for b := range per {
			k := data[at.offset+2*b*at.half:]
			s.blocks[l][i*per+b] = kernel.Block{Type: c.opts.Type, K: k[:at.half:at.half], V: k[at.half : 2*at.half : 2*at.half]}
		}
	}
}

// Fork opens a sequence that shares the first n positions of another, which
// has written them. Pages are copied only when either grows into a shared one.
func (c *Cache) Fork(seq, n int) int {
	if s := c.seq(seq); n < s.passed || n > s.length {
		panic(fmt.Sprintf("kv: fork at position %d of a sequence of %d, whose windows have passed %d", n, s.length, s.passed))
	}
	child := c.Alloc()
	s, t := c.seq(seq), c.seq(child)
	for _, p := range s.pages[:c.need(n)] {
		if p != gone {
			c.share(p)
		}
		c.hold(t, p)
	}
	t.length, t.passed = n, s.passed
	return child
}

// Free closes a sequence and gives its pages back; those that were kept stay
// cached. A second Free of the same handle panics.
func (c *Cache) Free(seq int) {
	s := c.seq(seq)
	c.cut(s, 0)
	s.live, s.passed = false, 0
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
