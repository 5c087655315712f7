package kv

import (
	"strings"
	"testing"

	"weft/compute/kernel"
)

// TestForget: the pages of forgotten spaces are free, those of others are kept,
// and a sequence that is under way keeps its own and can be kept again.
func TestForget(t *testing.T) {
	const page = kernel.BlockLen
	c, err := New(states, Options{Pages: 20, PageLen: page, Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	count := func(what string, free, cached int) {
		t.Helper()
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		if f, k, _ := c.Pages(); f != free || k != cached {
			t.Errorf("%s: %d pages free and %d cached, want %d and %d", what, f, k, free, cached)
		}
	}
	keep := func(space string, ids []int32) int {
		seq := c.Alloc()
		if err := c.Grow(seq, len(ids)); err != nil {
			t.Fatal(err)
		}
		c.Keep(space, seq, ids)
		return seq
	}
	ids := make([]int32, 4*page)
	branch := append(append([]int32(nil), ids[:2*page]...), make([]int32, page)...)
	branch[2*page] = 1
	for _, space := range []string{"a1", "a2", "b"} {
		c.Free(keep(space, ids))
	}
	c.Free(keep("a1", branch))
	running := keep("a2", branch)
	count("before", 20-14, 14-3)

	c.Forget(func(space string) bool { return strings.HasPrefix(space, "a") })
	count("after", 20-4-3, 4)
	for space, want := range map[string]int{"a1": 0, "a2": 0, "b": 4 * page} {
		seq := c.Match(space, ids)
		if c.Len(seq) != want {
			t.Errorf("%s: %d tokens are known, want %d", space, c.Len(seq), want)
		}
		c.Free(seq)
	}
	c.Keep("a2", running, branch)
	count("kept again", 20-4-3, 4)
	c.Free(running)
	count("at the end", 20-4-3, 4+3)
}
