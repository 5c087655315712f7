package quant_test

import (
	"testing"

	"weft/compute/quant"
)

// Rates are of float32 values written: 4 bytes each.
func BenchmarkDecode(b *testing.B) {
	for _, f := range quant.Formats() {
		b.Run(f.Name(), func(b *testing.B) {
			const n = 1 << 14
			src, dst := randomBlocks(f, n/f.BlockLen()), make([]float32, n)
			b.SetBytes(4 * n)
			for b.Loop() {
				f.Decode(dst, src)
			}
		})
	}
}
