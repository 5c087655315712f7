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
			src, dst := make([]byte, n/f.BlockLen()*f.BlockBytes()), make([]float32, n)
			if err := f.Encode(src, values("bell")[:n], nil); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(4 * n)
			for b.Loop() {
				f.Decode(dst, src)
			}
		})
	}
}

// Rates are of float32 values read.
func BenchmarkEncode(b *testing.B) {
	src := values("bell")
	for _, f := range quant.Formats() {
		for label, weights := range map[string][]float32{"": nil, "/weighted": importance()} {
			b.Run(f.Name()+label, func(b *testing.B) {
				dst := make([]byte, len(src)/f.BlockLen()*f.BlockBytes())
				b.SetBytes(int64(4 * len(src)))
				for b.Loop() {
					if err := f.Encode(dst, src, weights); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
