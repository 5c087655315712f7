//go:build unix

package hub

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock keeps other processes from the same part; it ends with the file.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%w: %s", ErrLocked, f.Name())
	}
	return err
}
