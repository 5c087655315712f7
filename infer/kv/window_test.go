package kv

import (
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/compute/kernel"
	"weft/model"
)

// sliding is a small model all of whose layers have a window.
var sliding = []model.State{{KVHeads: 2, HeadDim: 4, Window: 40, Sinks: 5}, {KVHeads: 1, HeadDim: 8, Window: 32, Sinks: 3}}

// write stores x as every key and value of a position.
func write(c *Cache, seq, pos int, x float32) {
	for l, s := range sliding {
		row := make([]float32, s.KVHeads*s.HeadDim)
		for i := range row {
			row[i] = x
		}
		c.Blocks(l, seq, pos+1)[pos/kernel.BlockLen].Store(pos%kernel.BlockLen, row, row, kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})
	}
}

// seen compares what a query at position n would see with want.
func seen(t interface{ Fatalf(string, ...any) }, c *Cache, seq, n int, want naive) {
	for l, s := range sliding {
		blocks := c.Blocks(l, seq, min(n, c.Len(seq)))
		for j := range min(n, c.Len(seq)) {
			if n-j >= s.Window && j >= s.Sinks {
				continue
			}
			if b := blocks[j/kernel.BlockLen]; b.K == nil || b.K[j%kernel.BlockLen] != want[j] {
				t.Fatalf("layer %d: position %d, which %d sees, is gone or wrong: %v", l, j, n, b.K)
			}
		}
	}
}

// TestSlideBoundsPages: a sequence of any length holds as many pages as
// MostPages says, and sees all that its windows and sinks show.
func TestSlideBoundsPages(t *testing.T) {
	for _, pageLen := range []int{16, 48} {
		for _, chunk := range []int{1, 7, 64} {
			o := Options{Pages: 30, PageLen: pageLen, Chunk: chunk, Poison: true}
			c, err := New(sliding, o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			seq, most, written, ids := c.Alloc(), 0, naive{}, []int32{}
			for n := 0; n < 3000; {
				to := n + chunk
				if lacks := c.Lacks(seq, 3000); lacks > MostPages(sliding, o, 3000) {
					t.Fatalf("at %d positions %d pages are wanted, want at most %d", n, lacks, MostPages(sliding, o, 3000))
				}
				if err := c.Grow(seq, to); err != nil {
					t.Fatalf("%d positions: %v", to, err)
				}
				free, cached, total := c.Pages()
				most = max(most, total-free-cached)
				for ; n < to; n++ {
					seen(t, c, seq, n, written)
					write(c, seq, n, float32(n+1))
					written[n], ids = float32(n+1), append(ids, int32(n))
				}
				c.Keep("", seq, ids)
				c.Slide(seq, n)
				if err := c.Check(); err != nil {
					t.Fatal(err)
				}
			}
			if bound := MostPages(sliding, o, 3000); most > bound || bound >= MostPages(sliding[:0], o, 3000) {
				t.Errorf("pages of %d, chunks of %d: %d in use at a time, want at most %d", pageLen, chunk, most, bound)
			}
			again := c.Match("", ids)
			if got := c.Len(again); got > 40 || got < min(40, 40/pageLen*pageLen) {
				t.Errorf("%d positions of the prefix are offered, want the whole pages of one window of 40", got)
			}
			seen(t, c, again, c.Len(again), written)
			c.Free(again)
			mustPanic(t, "windows have passed", func() { c.Fork(seq, 100) })
			mustPanic(t, "windows have passed", func() { c.Shrink(seq, 100) })
			mustPanic(t, "windows have passed", func() { c.Slide(seq, 100) })
			child := c.Fork(seq, c.Len(seq))
			c.Free(seq)
			seen(t, c, child, c.Len(child), written)
			c.Free(child)
			if free, cached, total := c.Pages(); free+cached != total {
				t.Errorf("%d of %d pages free or cached in the end", free+cached, total)
			}
		}
	}
}

// TestOneLayerSeesAll: pages hold all layers, so none is given back while one
// layer looks back to the start.
func TestOneLayerSeesAll(t *testing.T) {
	c := open(t, Options{Pages: 10})
	seq := c.Alloc()
	if err := c.Grow(seq, 160); err != nil {
		t.Fatal(err)
	}
	c.Slide(seq, 160)
	if free, _, _ := c.Pages(); c.Slides() || free != 0 {
		t.Errorf("%d pages are free, slides: %v", free, c.Slides())
	}
}

// TestSlideAgainstNaive: sequences of a model with windows are admitted, grow, are
// kept, slide, are forked and freed at random, in a pool that may be too small.
func TestSlideAgainstNaive(t *testing.T) {
	seed := maphash.MakeSeed()
	rapid.Check(t, func(t *rapid.T) {
		c, err := New(sliding, Options{
			Pages:   rapid.SampledFrom([]int{3, 9, 20, 100}).Draw(t, "pages"),
			PageLen: kernel.BlockLen * rapid.IntRange(1, 2).Draw(t, "blocks per page"),
			Poison:  true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		live := map[int]tokens{}
		var known []tokens
		pick := func() int {
			if len(live) == 0 {
				t.Skip("no sequence")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "seq")
		}
		grow := func(seq int, s tokens) {
			from := c.Len(seq)
			if err := c.Grow(seq, len(s.ids)); errors.Is(err, ErrFull) {
				c.Free(seq)
				delete(live, seq)
				return
			}
			content := s.content(seed)
			for p := from; p < len(s.ids); p++ {
				write(c, seq, p, content[p])
			}
			live[seq] = s
			known = append(known, s)
		}
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				s := tokens{"", drawIDs(t, known)}
				seq := c.Match("", s.ids)
				if n := c.Len(seq); n > 40 {
					t.Fatalf("%d positions of a prefix are offered, more than the window", n)
				}
				grow(seq, s)
			},
			"grow": func(t *rapid.T) {
				seq := pick()
				s := live[seq]
				s.ids = append(slices.Clone(s.ids), drawIDs(t, nil)...)
				grow(seq, s)
			},
			"keep": func(t *rapid.T) { seq := pick(); c.Keep("", seq, live[seq].ids) },
			"slide": func(t *rapid.T) {
				seq := pick()
				c.Slide(seq, c.Len(seq))
			},
			"fork": func(t *rapid.T) {
				seq := pick()
				live[c.Fork(seq, c.Len(seq))] = live[seq]
			},
			"free": func(t *rapid.T) { seq := pick(); c.Free(seq); delete(live, seq) },
			"": func(t *rapid.T) {
				if err := c.Check(); err != nil {
					t.Fatal(err)
				}
				for seq, s := range live {
					seen(t, c, seq, c.Len(seq), s.content(seed))
				}
			},
		})
		for seq := range live {
			c.Free(seq)
		}
		if free, cached, total := c.Pages(); free+cached != total {
			t.Fatalf("%d pages free + %d cached of %d after all sequences are gone", free, cached, total)
		}
	})
}

// TestTypes: pages are as large as the type says, in a cache and before there is
// one, and a page on disk is found by its own type alone.
func TestTypes(t *testing.T) {
	dir, ids := t.TempDir(), make([]int32, 32)
	var bytes []int64
	for _, kind := range kernel.KVTypes() {
		o := Options{Pages: 4, PageLen: 32, Type: kind, Disk: DiskOptions{Dir: dir, Key: "k", Warn: func(err error) { t.Error(err) }}}
		for run := range 2 {
			c, err := New(sliding[:1], o)
			if err != nil {
				t.Fatal(err)
			}
			if int64(c.PageBytes()) != PageBytes(sliding[:1], o) || len(c.data(0))*4 != c.PageBytes() {
				t.Errorf("%v: a page has %d bytes, planned were %d", kind, c.PageBytes(), PageBytes(sliding[:1], o))
			}
			if run == 0 {
				bytes = append(bytes, PageBytes(sliding[:1], o))
			}
			seq := c.Match("", ids)
			if got := c.Len(seq); got != 32*run {
				t.Errorf("%v: start %d finds %d positions, want %d", kind, run, got, 32*run)
			}
			if err := c.Grow(seq, 32); err != nil {
				t.Fatal(err)
			}
			row := []float32{1, 2, 3, 4, 5, 6, 7, 8}
			for p := range ids {
				c.Blocks(0, seq, 32)[p/16].Store(p%16, row, row, kernel.Heads{KV: 2, Dim: 4})
			}
			c.Keep("", seq, ids)
			c.Close()
		}
	}
	want := []int64{32 * 2 * 8 * 4, 32 * 2 * 8 * 2, 32 * 2 * 8 * 2, 32 * 2 * 2 * (16 + 4), 32 * 2 * 2 * (16 + 4)}
	if !slices.Equal(bytes, want) {
		t.Errorf("pages of %v have %v bytes, want %v", kernel.KVTypes(), bytes, want)
	}
	if _, err := New(sliding, Options{Pages: 1, Type: 9}); err == nil || !strings.Contains(err.Error(), "want one of") {
		t.Errorf("type 9: %v", err)
	}
}
