package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFloats returns n zero floats outside the Go heap, on huge pages where the
// kernel has them: a panel crosses a 4 KiB page every 32 steps of k. It returns
// nil if the system refuses.
func mapFloats(n int) []float32 {
	b, err := unix.Mmap(-1, 0, 4*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	// Only a hint: without huge pages it is slower, not wrong.
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// unmapFloats gives back what mapFloats returned.
func unmapFloats(x []float32) {
	if err := unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))); err != nil {
		panic("kernel: unmap: " + err.Error())
	}
}
