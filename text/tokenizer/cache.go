package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// cache remembers the ids of chunks. Every chunk has one slot by its hash, where
// the newest wins: bounded without any bookkeeping, and free of locks.
type cache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cached]
}

// cached is never changed once it is in a slot, so readers need no lock.
type cached struct {
	text string
	ids  []int32
}

const (
	cacheSlots = 1 << 15
	cacheChunk = 48 // bytes; longer chunks hardly ever come back
)

// newCache hashes with a seed of its own, so that no text can be made in advance
// whose chunks all fall into one slot.
func newCache() *cache {
	return &cache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cached], cacheSlots)}
}

// slot returns where chunk belongs, nil for one that is too long to keep.
func (c *cache) slot(chunk string) *atomic.Pointer[cached] {
	if len(chunk) > cacheChunk {
		return nil
	}
	return &c.slots[maphash.String(c.seed, chunk)%cacheSlots]
}

// put copies both: chunk is a piece of a text that would stay in memory with it,
// and ids lie in the caller's result.
func (c *cache) put(slot *atomic.Pointer[cached], chunk string, ids []int32) {
	slot.Store(&cached{text: strings.Clone(chunk), ids: append([]int32(nil), ids...)})
}
