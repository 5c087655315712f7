package tensor

// hugeFloats is the size from which Alloc asks for huge pages: 4 MiB.
const hugeFloats = 1 << 20

// Alloc returns n zeroed floats on the Go heap, large ones advised to be backed
// by huge pages: a matrix product walks rows pages apart, and the Go heap does
// not ask by itself. The collector frees them like any slice.
func Alloc(n int) []float32 {
	s := make([]float32, n)
	if n >= hugeFloats {
		adviseHuge(s)
	}
	return s
}
