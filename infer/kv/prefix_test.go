package kv

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/compute/kernel"
)

// tokens is a sequence of the property test: what it says, in which space.
type tokens struct {
	space string
	ids   []int32
}

// content is what a position holds: a value of the space and all ids up to it,
// as keys and values of a model are.
func (s tokens) content(seed maphash.Seed) naive {
	m, h := naive{}, maphash.Hash{}
	h.SetSeed(seed)
	h.WriteString(s.space)
	for i, id := range s.ids {
		h.WriteByte(byte(id))
		m[i] = float32(h.Sum64() >> 44)
	}
	return m
}

// drawIDs favours what was said before, so that prefixes meet in all places.
func drawIDs(t *rapid.T, known []tokens) []int32 {
	var ids []int32
	if len(known) > 0 && rapid.IntRange(0, 3).Draw(t, "fresh") > 0 {
		old := rapid.SampledFrom(known).Draw(t, "like").ids
		ids = slices.Clone(old[:rapid.IntRange(0, len(old)).Draw(t, "up to")])
	}
	for range rapid.IntRange(0, 50).Draw(t, "more") {
		ids = append(ids, int32(rapid.IntRange(0, 1).Draw(t, "id")))
	}
	return ids
}

// longest is the oracle of Match: the longest common prefix with anything that
// was kept in the space.
func longest(kept []tokens, s tokens) (best int) {
	for _, k := range kept {
		if k.space == s.space {
			best = max(best, shared(k.ids, s.ids))
		}
	}
	return best
}

// TestPrefixAgainstNaive: requests are admitted, grow, are kept, forked, cut and
// cancelled at random in a pool that may be too small. A match is the longest
// known prefix unless pages were given up, and every sequence always reads what
// its own tokens mean.
func TestPrefixAgainstNaive(t *testing.T) {
	seed := maphash.MakeSeed()
	rapid.Check(t, func(t *rapid.T) {
		c, err := New(states, Options{
			Pages:   rapid.SampledFrom([]int{3, 8, 20, 400}).Draw(t, "pages"),
			PageLen: kernel.BlockLen * rapid.IntRange(1, 2).Draw(t, "blocks per page"),
			Poison:  true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		live := map[int]tokens{}
		var known, kept []tokens
		marked, evicted := 0, false
		pick := func() int {
			if len(live) == 0 {
				t.Skip("no sequence")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "seq")
		}
		write := func(seq int, s tokens, from int) {
			for p, x := range s.content(seed) {
				if p >= from {
					put(c, naive{}, seq, p, x)
				}
			}
		}
		// grow extends seq to all of s, or frees it when the pool is full.
		grow := func(seq int, s tokens) {
			from := c.Len(seq)
			if err := c.Grow(seq, len(s.ids)); errors.Is(err, ErrFull) {
				c.Free(seq)
				delete(live, seq)
				return
			}
			write(seq, s, from)
			live[seq] = s
		}
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				s := tokens{rapid.SampledFrom([]string{"", "a"}).Draw(t, "space"), drawIDs(t, known)}
				known = append(known, s)
				seq := c.Match(s.space, s.ids)
				if got, want := c.Len(seq), longest(kept, s); got > want || got < want && !evicted {
					t.Fatalf("%d of %v match, want %d (pages given up: %v)", got, s, want, evicted)
				}
				grow(seq, s)
			},
			"grow": func(t *rapid.T) {
				seq := pick()
				s := live[seq]
				s.ids = append(slices.Clone(s.ids), drawIDs(t, nil)...)
				known = append(known, s)
				grow(seq, s)
			},
			"keep": func(t *rapid.T) {
				seq := pick()
				s := live[seq]
				c.Keep(s.space, seq, s.ids)
				s.ids = s.ids[:len(s.ids)/c.PageLen()*c.PageLen()]
				kept = append(kept, s)
			},
			"fork": func(t *rapid.T) {
				seq := pick()
				s := live[seq]
				s.ids = s.ids[:rapid.IntRange(0, len(s.ids)).Draw(t, "at")]
				live[c.Fork(seq, len(s.ids))] = s
				evicted = true // what a fork holds too may not give way to what is kept
			},
			"shrink": func(t *rapid.T) {
				seq := pick()
				s := live[seq]
				s.ids = s.ids[:rapid.IntRange(0, len(s.ids)).Draw(t, "to")]
				c.Shrink(seq, len(s.ids))
				live[seq] = s
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
				n := 0
				for _, k := range c.tree.kept {
					if k {
						n++
					}
				}
				evicted = evicted || n < marked
				marked = n
				for seq, s := range live {
					same(t, c, s.content(seed), seq)
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

// said opens a sequence with all its positions written.
func said(t *testing.T, c *Cache, space string, ids []int32) int {
	t.Helper()
	seq := c.Match(space, ids)
	if err := c.Grow(seq, len(ids)); err != nil {
		t.Fatal(err)
	}
	for p := range ids {
		put(c, naive{}, seq, p, 0)
	}
	return seq
}

// TestPrefixEviction: the leaf used longest ago goes first, page by page from
// its end; what is in use stays.
func TestPrefixEviction(t *testing.T) {
	c := open(t, Options{Pages: 8})
	line := func(first int32, n int) []int32 {
		ids := make([]int32, n)
		ids[0] = first
		return ids
	}
	for _, first := range []int32{1, 2, 3} {
		seq := said(t, c, "", line(first, 32))
		c.Keep("", seq, line(first, 32))
		if first != 1 {
			c.Free(seq) // 1 goes on
		}
	}
	if free, cached, total := c.Pages(); free != 2 || cached != 4 || total != 8 {
		t.Fatalf("%d free, %d cached of %d, want 2, 4 and 8", free, cached, total)
	}
	known := func(first int32) int {
		seq := c.Match("", line(first, 32))
		defer c.Free(seq)
		return c.Len(seq)
	}
	known(2) // 3 is now the oldest that nobody holds
	c.Free(said(t, c, "", line(9, 3*16)))
	if a, b, d := known(1), known(2), known(3); a != 32 || b != 32 || d != 16 {
		t.Errorf("%d, %d and %d positions known after one page was needed, want 32, 32 and 16", a, b, d)
	}
	big := c.Alloc()
	if err := c.Grow(big, 7*16); !errors.Is(err, ErrFull) {
		t.Errorf("seven pages beside one sequence of two: %v, want ErrFull", err)
	}
	if err := c.Grow(big, 6*16); err != nil {
		t.Error(err)
	}
	if a, b, d := known(1), known(2), known(3); a != 32 || b != 0 || d != 0 {
		t.Errorf("%d, %d and %d positions known after all pages were needed, want 32, 0 and 0", a, b, d)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// TestPrefixCopiesOnWrite: a match that ends inside a page shares it until it
// grows, and leaves the kept page as it was.
func TestPrefixCopiesOnWrite(t *testing.T) {
	c := open(t, Options{Pages: 8})
	ids := make([]int32, 32)
	first := said(t, c, "", ids)
	c.Keep("", first, ids)
	seq := c.Match("", ids[:31])
	if free, _, _ := c.Pages(); c.Len(seq) != 31 || free != 6 {
		t.Fatalf("%d positions match and %d pages are free, want 31 and 6", c.Len(seq), free)
	}
	if err := c.Grow(seq, 32); err != nil {
		t.Fatal(err)
	}
	put(c, naive{}, seq, 31, 7)
	want := naive{}
	for p := range 32 {
		want[p] = 0
	}
	same(t, c, want, first)
	if other := c.Match("b", ids); c.Len(other) != 0 {
		t.Errorf("another space finds %d positions", c.Len(other))
	}
}

func ExampleCache_Match() {
	c, err := New(states, Options{Pages: 8})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ids := make([]int32, 40)
	first := c.Match("tenant", ids) // nothing is known yet
	_ = c.Grow(first, len(ids))     // a pass writes the positions here
	c.Keep("tenant", first, ids)
	c.Free(first)
	second := c.Match("tenant", ids)
	fmt.Println(c.Len(second), "of", len(ids), "positions are there")
	// Output: 32 of 40 positions are there
}
