package kv

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/compute/kernel"
	"weft/compute/tensor"
	"weft/model"
)

// states is a small model: two layers of different shape.
var states = []model.State{{KVHeads: 2, HeadDim: 4}, {KVHeads: 1, HeadDim: 8, Window: 32}}

func heads(layer int) kernel.Heads {
	return kernel.Heads{KV: states[layer].KVHeads, Dim: states[layer].HeadDim}
}

func open(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := New(states, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// naive is the oracle: a map from position to the value written there, copied
// whole by a fork.
type naive map[int]float32

func (n naive) fork(upTo int) naive {
	m := naive{}
	for p := range upTo {
		m[p] = n[p]
	}
	return m
}

// put writes value x (every key and value float of the position) into both.
func put(c *Cache, n naive, seq, pos int, x float32) {
	for l := range states {
		h := heads(l)
		row := make([]float32, h.KV*h.Dim)
		for i := range row {
			row[i] = x
		}
		c.Blocks(l, seq, pos+1)[pos/kernel.BlockLen].Store(pos%kernel.BlockLen, row, row, h)
	}
	n[pos] = x
}

// same compares every position of a sequence with the oracle.
func same(t interface{ Fatalf(string, ...any) }, c *Cache, n naive, seq int) {
	for l := range states {
		h := heads(l)
		blocks := c.Blocks(l, seq, len(n))
		if want := c.need(len(n)) * c.PageLen() / kernel.BlockLen; len(blocks) != want {
			t.Fatalf("layer %d: %d blocks for %d positions, want %d", l, len(blocks), len(n), want)
		}
		for pos, want := range n {
			b, slot := blocks[pos/kernel.BlockLen], pos%kernel.BlockLen
			for kv := range h.KV {
				for d := range h.Dim {
					k := b.K[(kv*h.Dim+d)*kernel.BlockLen+slot]
					v := b.V[(kv*kernel.BlockLen+slot)*h.Dim+d]
					if k != want || v != want {
						t.Fatalf("layer %d position %d head %d: k %v v %v, want %v", l, pos, kv, k, v, want)
					}
				}
			}
		}
	}
}

// TestAgainstNaive drives random allocations, growths, forks and frees and
// compares all contents with a map per sequence after every step.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Pages:   rapid.IntRange(1, 12).Draw(t, "pages"),
			PageLen: kernel.BlockLen * rapid.IntRange(1, 3).Draw(t, "blocks per page"),
			Poison:  rapid.Bool().Draw(t, "poison"),
		}
		c, err := New(states, o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		live, next := map[int]naive{}, float32(1)
		pick := func() int {
			if len(live) == 0 {
				t.Skip("no sequence")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "seq")
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) { live[c.Alloc()] = naive{} },
			"grow": func(t *rapid.T) {
				seq := pick()
				from, before := c.Len(seq), len(c.free)
				n := from + rapid.IntRange(1, 40).Draw(t, "by")
				if err := c.Grow(seq, n); err != nil {
					if !errors.Is(err, ErrFull) || c.Len(seq) != from || len(c.free) != before {
						t.Fatalf("failed growth changed something: %v", err)
					}
					return
				}
				for p := from; p < n; p++ {
					put(c, live[seq], seq, p, next)
					next++
				}
			},
			"fork": func(t *rapid.T) {
				seq := pick()
				n := rapid.IntRange(0, c.Len(seq)).Draw(t, "at")
				live[c.Fork(seq, n)] = live[seq].fork(n)
			},
			"shrink": func(t *rapid.T) {
				seq := pick()
				n := rapid.IntRange(0, c.Len(seq)).Draw(t, "to")
				c.Shrink(seq, n)
				live[seq] = live[seq].fork(n)
			},
			"free": func(t *rapid.T) {
				seq := pick()
				c.Free(seq)
				delete(live, seq)
			},
			"": func(t *rapid.T) {
				if err := c.Check(); err != nil {
					t.Fatal(err)
				}
				for seq, n := range live {
					same(t, c, n, seq)
				}
			},
		})
		for seq := range live {
			c.Free(seq)
		}
		if free, _, total := c.Pages(); free != total {
			t.Fatalf("%d of %d pages free after all sequences are gone", free, total)
		}
	})
}

// TestForkSharesUntilWritten counts pages: a fork costs nothing, its growth
// costs the copy of the last partial page and no more.
func TestForkSharesUntilWritten(t *testing.T) {
	c := open(t, Options{Pages: 8})
	a := c.Alloc()
	n := naive{}
	if err := c.Grow(a, 40); err != nil {
		t.Fatal(err)
	}
	for p := range 40 {
		put(c, n, a, p, float32(p))
	}
	b := c.Fork(a, 40)
	if free, _, _ := c.Pages(); free != 5 {
		t.Fatalf("after the fork %d pages are free, want 5", free)
	}
	m := n.fork(40)
	if err := c.Grow(b, 41); err != nil {
		t.Fatal(err)
	}
	put(c, m, b, 40, 99)
	if free, _, _ := c.Pages(); free != 4 {
		t.Fatalf("after the child's growth %d pages are free, want 4", free)
	}
	same(t, c, n, a)
	same(t, c, m, b)
	c.Free(a)
	if free, _, _ := c.Pages(); free != 5 {
		t.Fatalf("after the parent is gone %d pages are free, want 5", free)
	}
	same(t, c, m, b)
}

func TestWatermark(t *testing.T) {
	c := open(t, Options{Pages: 4, Watermark: 1})
	s := c.Alloc()
	if !c.Fits(s, 48) || c.Fits(s, 49) {
		t.Fatalf("Fits(48)=%v Fits(49)=%v with 4 pages of 16 and one kept back", c.Fits(s, 48), c.Fits(s, 49))
	}
	if err := c.Grow(s, 64); err != nil {
		t.Fatalf("a running sequence may use the watermark: %v", err)
	}
}

// TestAdmitsMoreThanSlabs: where slabs of a whole context admit 16 sequences,
// pages of the same memory admit at least three times as many of mixed length.
func TestAdmitsMoreThanSlabs(t *testing.T) {
	const slabs, context = 16, 2048
	c := open(t, Options{Pages: slabs * context / kernel.BlockLen})
	rng, admitted, used := tensor.NewRNG(1), 0, 0
	for {
		n := int(50 * math.Pow(40, rng.Float64())) // 50 to 2000, log-uniform
		s := c.Alloc()
		if !c.Fits(s, n) {
			break
		}
		if err := c.Grow(s, n); err != nil {
			t.Fatal(err)
		}
		admitted++
		used += n
	}
	if admitted < 3*slabs {
		t.Errorf("%d sequences admitted, want at least %d", admitted, 3*slabs)
	}
	free, _, total := c.Pages()
	if waste := (total-free)*kernel.BlockLen - used; waste > admitted*(kernel.BlockLen-1) {
		t.Errorf("%d positions wasted by %d sequences, want at most %d each", waste, admitted, kernel.BlockLen-1)
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "Pages is 0"},
		{Options{Pages: 1, PageLen: 20}, "PageLen is 20, want a multiple of 16"},
		{Options{Pages: 1, PageLen: -16}, "PageLen is -16"},
		{Options{Pages: 2, Watermark: 2}, "Watermark is 2, want 0 to 1"},
	} {
		if _, err := New(states, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %q", tc.o, err, tc.want)
		}
	}
	if _, err := New(nil, Options{Pages: 1}); err == nil {
		t.Error("a model without state was accepted")
	}
}

func mustPanic(t *testing.T, want string, fn func()) {
	t.Helper()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	fn()
}

// TestStaleHandles: a handle is dead after Free, also when its slot is reused.
func TestStaleHandles(t *testing.T) {
	c := open(t, Options{Pages: 2})
	a := c.Alloc()
	c.Free(a)
	mustPanic(t, "freed before", func() { c.Free(a) })
	b := c.Alloc()
	if a == b {
		t.Fatal("a reused slot has the old handle")
	}
	mustPanic(t, "freed before", func() { _ = c.Grow(a, 1) })
	mustPanic(t, "never allocated", func() { c.Len(77) })
	mustPanic(t, "fork at position 1 of a sequence of 0", func() { c.Fork(b, 1) })
	mustPanic(t, "shrink to 1 positions of a sequence of 0", func() { c.Shrink(b, 1) })
	mustPanic(t, "attention wants 5 positions", func() { c.Blocks(0, b, 5) })
}

// TestCheckFindsDamage breaks the books by hand.
func TestCheckFindsDamage(t *testing.T) {
	for name, damage := range map[string]func(*Cache){
		"refs":      func(c *Cache) { c.refs[0]++ },
		"free":      func(c *Cache) { c.free[0] = c.free[1] },
		"leak":      func(c *Cache) { c.free = c.free[1:] },
		"too short": func(c *Cache) { c.seqs[0].length += 100 },
	} {
		c := open(t, Options{Pages: 4})
		if err := c.Grow(c.Alloc(), 20); err != nil {
			t.Fatal(err)
		}
		damage(c)
		if c.Check() == nil {
			t.Errorf("%s: damage not found", name)
		}
	}
}

// TestSteadyStateDoesNotAllocate: a slot and its lists are reused.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	c := open(t, Options{Pages: 16})
	n := testing.AllocsPerRun(50, func() {
		s := c.Alloc()
		for i := 1; i < 200; i += 7 {
			if err := c.Grow(s, i); err != nil {
				t.Fatal(err)
			}
			c.Blocks(0, s, i)
			c.Blocks(1, s, i)
		}
		c.Free(s)
	})
	if n != 0 {
		t.Errorf("%v allocations per sequence, want 0", n)
	}
}

func ExampleCache() {
	c, err := New([]model.State{{KVHeads: 2, HeadDim: 16}}, Options{Pages: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	s := c.Alloc()
	_ = c.Grow(s, 47) // three pages of 16 positions
	free, _, total := c.Pages()
	fmt.Println(len(c.Blocks(0, s, 47)), "blocks;", free, "of", total, "pages free")
	c.Free(s)
	fmt.Println(c.Check())
	// Output:
	// 3 blocks; 1 of 4 pages free
	// <nil>
}
