//go:build unix

package mapfile

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"unsafe"
)

// Open maps a regular file; release ends the mapping, and data with it. An
// empty file has no data.
func Open(path string) (data []byte, release func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	switch n := st.Size(); {
	case !st.Mode().IsRegular():
		return nil, nil, fmt.Errorf("map %s: it is no regular file", path)
	case n == 0:
		return nil, func() error { return nil }, nil
	case n > math.MaxInt:
		return nil, nil, fmt.Errorf("map %s: %d bytes are more than this machine can address", path, n)
	}
	data, err = syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s (%d bytes): %w", path, st.Size(), err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}

// Forget says that a part of what Open returned will not be read again soon: it
// no longer counts as this process's memory, and is read from the system's cache
// or from disk if it is after all. The refusal of a system costs memory and
// nothing else.
func Forget(data []byte) {
	if len(data) == 0 {
		return
	}
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(data)))) & (page - 1) // to whole pages inside
	if n := (len(data) - skip) &^ (page - 1); n > 0 {
		_ = syscall.Madvise(data[skip:skip+n], syscall.MADV_DONTNEED)
	}
}
