//go:build !amd64 || purego

package kernel

// fewRows is never called: the generic tier widens panels whatever the rows.
func fewRows(HalfFormat, int, int, *float32, int, *uint16, *float32, int) {
	panic("kernel: no kernel for few rows of 16-bit floats in this build")
}

func widenPanel(_ tier, f HalfFormat, dst []float32, src []uint16) { widenGeneric(f, dst, src) }
