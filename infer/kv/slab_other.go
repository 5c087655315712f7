//go:build !unix

package kv

// newSlab allocates n zero floats in one piece on the Go heap.
func newSlab(n int) (data []float32, release func(), err error) {
	return make([]float32, n), func() {}, nil
}
