package kernel

import (
	"runtime"
	"sync"
)

// Blocks of at least hugeFloats, a huge page, live outside the Go heap.
const hugeFloats = 2 << 20 / 4

// alloc returns n zero floats that live as long as owner, and at least as
// long as someone calls runtime.KeepAlive(owner).
func alloc[T any](owner *T, n int) []float32 {
	if n >= hugeFloats {
		if x := mapFloats(n); x != nil {
			runtime.AddCleanup(owner, unmapFloats, x)
			return x
		}
	}
	return make([]float32, n)
}

// scratch is memory for packed operands. Products reuse it; what no product has
// wanted for a while goes with the garbage.
type scratch struct{ data []float32 }

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

// getScratch returns at least n floats of undefined content.
func getScratch(n int) *scratch {
	s := scratchPool.Get().(*scratch)
	if len(s.data) < n {
		s = new(scratch)
		s.data = alloc(s, roundUp(n, 1<<16))
	}
	return s
}

// putScratch gives the memory back for the next product.
func putScratch(s *scratch) { scratchPool.Put(s) }
