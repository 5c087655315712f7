//go:build !amd64 || purego

package kernel

func intTile(_ tier, f *intForm, x *intArgs) { intTileGeneric(f, x) }

func spreadPanel(*intForm, []byte, []byte, int) {
	panic("kernel: panels of integers are not spread in this build")
}

func roundBlocks(_ tier, wide bool, dst []byte, x []float32) { roundGeneric(wide, dst, x) }

func intBurst(tier, bool) int64 { return intBurstGeneric() }
