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

// sliding is a small model all of whose layers have a window, and another shape each:
// one group. In mixed, two have one and two have none: two groups; in three, as many.
var (
	sliding = []model.State{{KVHeads: 2, HeadDim: 4, Window: 40, Sinks: 5}, {KVHeads: 1, HeadDim: 8, Window: 32, Sinks: 3}}
	mixed   = []model.State{{KVHeads: 1, HeadDim: 4}, {KVHeads: 1, HeadDim: 4, Window: 33}, {KVHeads: 1, HeadDim: 4}, {KVHeads: 1, HeadDim: 4, Window: 33}}
	three   = []model.State{{KVHeads: 1, HeadDim: 4, Window: 20, Sinks: 18}, {KVHeads: 1, HeadDim: 4, Window: 50}, {KVHeads: 1, HeadDim: 4}}
)

// write stores x as every key and value of a position.
func write(c *Cache, states []model.State, seq, pos int, x float32) {
	for l, s := range states {
		row := make([]float32, s.KVHeads*s.HeadDim)
		for i := range row {
			row[i] = x
		}
		c.Blocks(l, seq, pos+1)[pos/kernel.BlockLen].Store(pos%kernel.BlockLen, row, row, kernel.Heads{KV: s.KVHeads, Dim: s.HeadDim})
	}
}

// seen compares what a query at position n would see with want.
func seen(t interface{ Fatalf(string, ...any) }, c *Cache, states []model.State, seq, n int, want naive) {
	for l, s := range states {
		blocks := c.Blocks(l, seq, min(n, c.Len(seq)))
		for j := range min(n, c.Len(seq)) {
			if s.Window > 0 && n-j >= s.Window && j >= s.Sinks {
				continue
			}
			if b := blocks[j/kernel.BlockLen]; b.K == nil || b.K[j%kernel.BlockLen] != want[j] {
				t.Fatalf("layer %d: position %d, which %d sees, is gone or wrong: %v", l, j, n, b.K)
			}
		}
	}
}

// TestGroups: layers that look equally far back share groups of one size, those
// without a window first.
func TestGroups(t *testing.T) {
	layer := func(window int) model.State { return model.State{KVHeads: 2, HeadDim: 4, Window: window} }
	for _, tc := range []struct {
		windows []int
		groups  []span
		of      []int
	}{
		{[]int{0, 0, 0}, []span{{}}, []int{0, 0, 0}},
		{[]int{9, 9}, []span{{9, 0}}, []int{0, 0}},
		{[]int{9, 9, 9, 0, 9, 9, 9, 0}, []span{{}, {9, 0}, {9, 0}, {9, 0}}, []int{1, 1, 2, 0, 2, 3, 3, 0}},
		{[]int{0, 0, 7, 7, 7, 7}, []span{{}, {7, 0}, {7, 0}}, []int{0, 0, 1, 1, 2, 2}},
		{[]int{7, 0, 9}, []span{{}, {7, 0}, {9, 0}}, []int{1, 0, 2}},
	} {
		var states []model.State
		for _, w := range tc.windows {
			states = append(states, layer(w))
		}
		groups, of := groupsOf(states)
		if !slices.Equal(groups, tc.groups) || !slices.Equal(of, tc.of) {
			t.Errorf("%v: groups %v, layers in %v, want %v and %v", tc.windows, groups, of, tc.groups, tc.of)
		}
		o := Options{Pages: 5, PageLen: 32}
		c, err := New(states, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, total := c.Pages(); total*c.PageBytes() != 5*int(PageBytes(states, o)) || total != 5*len(groups) {
			t.Errorf("%v: %d pages of %d bytes, want the memory of 5 of all layers", tc.windows, total, c.PageBytes())
		}
		c.Close()
	}
}

// TestSlideBoundsPages: a sequence of any length holds as many pages as
// MostPages says, and sees all that its windows and sinks show; its whole prefix is
// known for as long as nobody else needs the pages.
func TestSlideBoundsPages(t *testing.T) {
	for _, tc := range []struct {
		states []model.State
		n      int // positions
		pages  int // for each group
		known  int // positions at least, in the end
	}{{sliding, 3000, 30, 100}, {mixed, 600, 60, 600}, {three, 600, 60, 600}} {
		for _, pageLen := range []int{16, 48} {
			for _, chunk := range []int{1, 7, 64} {
				slideFar(t, tc.states, tc.n, tc.known, Options{Pages: tc.pages, PageLen: pageLen, Chunk: chunk, Poison: true})
			}
		}
	}
}

func slideFar(t *testing.T, states []model.State, to, known int, o Options) {
	c, err := New(states, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seq, most, written, ids := c.Alloc(), 0, naive{}, []int32{}
	bound := MostPages(states, o, to)
	for n := 0; n < to; {
		next := min(n+o.Chunk, to)
		if lacks := c.Lacks(seq, to); lacks > bound {
			t.Fatalf("at %d positions %d pages are wanted, want at most %d", n, lacks, bound)
		}
		if err := c.Grow(seq, next); err != nil {
			t.Fatalf("%d positions: %v", next, err)
		}
		free, cached, total := c.Pages()
		most = max(most, total-free-cached)
		for ; n < next; n++ {
			seen(t, c, states, seq, n, written)
			write(c, states, seq, n, float32(n+1))
			written[n], ids = float32(n+1), append(ids, int32(n))
		}
		c.Keep("", seq, ids)
		c.Slide(seq, n)
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if all := len(c.groups) * c.need(to); most > bound || bound >= all {
		t.Errorf("%+v: %d pages in use at a time, want at most %d, which is fewer than %d", o, most, bound, all)
	}
	again := c.Match("", ids)
	if got := c.Len(again); got < min(known, to/o.PageLen*o.PageLen) {
		t.Errorf("%+v: %d positions of the prefix are offered, want %d", o, got, known)
	}
	seen(t, c, states, again, c.Len(again), written)
	c.Free(again)
	mustPanic(t, "windows have passed", func() { c.Fork(seq, 100) })
	mustPanic(t, "windows have passed", func() { c.Shrink(seq, 100) })
	mustPanic(t, "slide to", func() { c.Slide(seq, to+1) })
	child := c.Fork(seq, c.Len(seq))
	c.Free(seq)
	seen(t, c, states, child, c.Len(child), written)
	c.Free(child)
	if free, cached, total := c.Pages(); free+cached != total {
		t.Errorf("%d of %d pages free or cached in the end", free+cached, total)
	}
}

// TestWindowsGoFirst: of a request that is over, what its windows had passed is
// given up before what was used last, and the prefix is known up to where a window
// is whole.
func TestWindowsGoFirst(t *testing.T) {
	c, err := New(mixed, Options{Pages: 20, PageLen: 16, Poison: true}) // 40 pages
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run := func(first int) (ids []int32) {
		seq := c.Alloc()
		for n := 16; n <= 160; n += 16 {
			for len(ids) < n {
				ids = append(ids, int32(first))
				first++
			}
			if err := c.Grow(seq, n); err != nil {
				t.Fatal(err)
			}
			c.Keep("", seq, ids)
			c.Slide(seq, n)
		}
		c.Free(seq)
		return ids
	}
	known := func(ids []int32) int {
		seq := c.Match("", ids)
		defer c.Free(seq)
		return c.Len(seq)
	}
	a, b := run(0), run(1000) // 20 pages each
	if _, cached, _ := c.Pages(); cached != 40 {
		t.Fatalf("%d pages cached, want all", cached)
	}
	big := c.Alloc()
	if err := c.Grow(big, 4*16); err != nil { // eight pages: seven that the windows of a had passed before it ended, and its end
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if x, y, z := known(a[:64]), known(a), known(b); x != 0 || y != 144 || z != 160 {
		t.Errorf("%d of 64 and %d of 160 positions of the older are known, and %d of the newer, want 0, 144 and 160", x, y, z)
	}
}

// TestWindowsOnDisk: what one cache kept of layers with and without windows, the
// next one finds, holes and all.
func TestWindowsOnDisk(t *testing.T) {
	for _, states := range [][]model.State{mixed, three, sliding} {
		dir := t.TempDir()
		open := func() *Cache {
			c, err := New(states, Options{Pages: 12, PageLen: 16, Chunk: 16, Poison: true, Disk: DiskOptions{Dir: dir, Key: "k", Warn: func(err error) { t.Error(err) }}})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		ids, want := numbered(0, 190), naive{}
		c := open()
		seq := c.Alloc()
		for n := 0; n < len(ids); n++ {
			if err := c.Grow(seq, n+1); err != nil {
				t.Fatal(err)
			}
			want[n] = float32(n + 1)
			write(c, states, seq, n, want[n])
			c.Keep("", seq, ids[:n+1])
			c.Slide(seq, n+1)
		}
		c.Free(seq)
		c.Close()
		c = open()
		for _, n := range []int{190, 100, 16} {
			seq := c.Match("", ids[:n])
			if got := c.Len(seq); got != n/16*16 && n != 100 || got < 80 && n == 100 {
				t.Errorf("%d of %d positions are found after a new start", got, n)
			}
			seen(t, c, states, seq, c.Len(seq), want)
			if err := c.Check(); err != nil {
				t.Error(err)
			}
			c.Free(seq)
		}
		if c.Loaded() == 0 {
			t.Error("no page came from disk")
		}
		c.Close()
	}
}

// TestSlideAgainstNaive: sequences of a model with windows are admitted, grow, are
// kept, slide, are forked and freed at random, in a pool that may be too small.
func TestSlideAgainstNaive(t *testing.T) {
	seed := maphash.MakeSeed()
	rapid.Check(t, func(t *rapid.T) {
		states := [][]model.State{sliding, mixed, three}[rapid.IntRange(0, 2).Draw(t, "model")]
		c, err := New(states, Options{
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
				write(c, states, seq, p, content[p])
			}
			live[seq] = s
			known = append(known, s)
		}
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				s := tokens{"", drawIDs(t, known)}
				seq := c.Match("", s.ids)
				if n := c.Len(seq); n > len(s.ids) {
					t.Fatalf("%d positions of a prefix of %d are offered", n, len(s.ids))
				}
				seen(t, c, states, seq, c.Len(seq), s.content(seed))
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
				s, n := live[seq], rapid.IntRange(0, c.Len(seq)).Draw(t, "at")
				if !c.Holds(seq, n) {
					n = c.Len(seq)
				}
				s.ids = s.ids[:n]
				live[c.Fork(seq, n)] = s
			},
			"shrink": func(t *rapid.T) {
				seq := pick()
				if s, n := live[seq], rapid.IntRange(0, c.Len(seq)).Draw(t, "to"); c.Holds(seq, n) {
					c.Shrink(seq, n)
					s.ids = s.ids[:n]
					live[seq] = s
				}
			},
			"free": func(t *rapid.T) { seq := pick(); c.Free(seq); delete(live, seq) },
			"": func(t *rapid.T) {
				if err := c.Check(); err != nil {
					t.Fatal(err)
				}
				for seq, s := range live {
					seen(t, c, states, seq, c.Len(seq), s.content(seed))
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
