//go:build unix

package kv

import (
	"fmt"
	"syscall"
	"unsafe"
)

// newSlab maps n zero floats outside the Go heap: the kernel commits a memory
// page when it is first written, and the garbage collector never counts it.
func newSlab(n int) (data []float32, release func(), err error) {
	raw, err := syscall.Mmap(-1, 0, n*4, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("kv: map %d bytes for the cache: %w (hint: fewer or smaller pages)", n*4, err)
	}
	data = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), n)
	return data, func() { _ = syscall.Munmap(raw) }, nil
}
