//go:build unix

package mapfile

import (
	"fmt"
	"math"
	"os"
	"syscall"
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
