package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkAttendTypes is attention over 2,048 positions kept in each type: of one
// new token, whose time is that of reading the cache, and of 64 rows of a prompt.
// Enough caches take turns that the processor's own holds none of them.
func BenchmarkAttendTypes(b *testing.B) {
	const positions, caches = 2048, 24
	h := Heads{Q: 32, KV: 4, Dim: 64}
	r := newRand(50)
	for _, kind := range KVTypes() {
		c := newTypedCase(r, kind, h, positions, 0, 0, 1)
		var all [][]Block
		for range caches {
			blocks := make([]Block, len(c.blocks))
			for i, block := range c.blocks {
				blocks[i] = Block{Type: kind, K: clone(block.K), V: clone(block.V)}
			}
			all = append(all, blocks)
		}
		out := make([]float32, len(c.q))
		for _, rows := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/rows%d", kind, rows), func(b *testing.B) {
				b.SetBytes(int64(2 * h.KV * positions * kind.RowBytes(h.Dim)))
				for i := 0; b.Loop(); i++ {
					for kv := range h.KV {
						Attend(out, c.q, nil, all[i%caches], rows, positions-rows, kv, c.spec)
					}
				}
			})
		}
	}
}

// BenchmarkStoreTypes is what keeping 256 rows of a prompt takes.
func BenchmarkStoreTypes(b *testing.B) {
	h := Heads{Q: 32, KV: 4, Dim: 64}
	for _, kind := range KVTypes() {
		c := newTypedCase(newRand(51), kind, h, 256, 0, 0, 1)
		b.Run(kind.String(), func(b *testing.B) {
			for b.Loop() {
				for i := range c.total {
					c.store(i)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.total), "ns/position")
		})
	}
}
