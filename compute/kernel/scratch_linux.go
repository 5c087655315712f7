package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFloats returns n zero floats outside the Go heap, on huge pages where the
// kernel has them: a panel crosses a 4 KiB page every 32 steps of k. They begin
// with a huge page and end with small ones: the huge page that the last floats
// would begin could be empty for the most part, and a model has hundreds of
// matrices. It returns nil if the system refuses.
func mapFloats(n int) []float32 {
	const huge = 4 * hugeFloats
	size := uintptr(roundUp(4*n, unix.Getpagesize()))
	p, err := unix.MmapPtr(-1, 0, nil, size+huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	skip := -uintptr(p) & (huge - 1)
	at := unsafe.Add(p, skip)
	unmap(p, skip)
	unmap(unsafe.Add(at, size), huge-skip)
	// Only a hint: without huge pages it is slower, not wrong.
	_ = unix.Madvise(unsafe.Slice((*byte)(at), size), unix.MADV_HUGEPAGE)
	return unsafe.Slice((*float32)(at), n)
}

// unmapFloats gives back what mapFloats returned.
func unmapFloats(x []float32) {
	unmap(unsafe.Pointer(unsafe.SliceData(x)), uintptr(roundUp(4*len(x), unix.Getpagesize())))
}

func unmap(p unsafe.Pointer, size uintptr) {
	if size == 0 {
		return
	}
	if err := unix.MunmapPtr(p, size); err != nil {
		panic("kernel: unmap: " + err.Error())
	}
}
