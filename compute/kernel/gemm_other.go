//go:build !amd64 || purego

package kernel

// tile calls the only micro-kernel of this build.
func tile(_ tier, x *tileArgs) { tileGeneric(x) }

func packStrip(_ tier, dst []float32, width int, src lanes, count, k int) {
	packGeneric(dst, width, src, count, k)
}

func fmaBurst(tier) int64 { return fmaGeneric() }

func readBurst(_ tier, x []float32) { readGeneric(x) }
