package tensor

import (
	"syscall"
	"unsafe"
)

const hugePage = 2 << 20

// adviseHuge asks for huge pages inside s. It is advice: a refusal costs speed
// and nothing else, so the error is dropped.
func adviseHuge(s []float32) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*4)
	from := int(-uintptr(unsafe.Pointer(unsafe.SliceData(s))) & (hugePage - 1))
	if to := from + (len(b)-from)&^(hugePage-1); to > from {
		_ = syscall.Madvise(b[from:to], syscall.MADV_HUGEPAGE)
	}
}
