//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package train

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an advisory lock on an open folder, which ends with its
// descriptor, and says whether nobody else has it. File systems without locks
// count as free.
func lock(d *os.File) bool {
	return !errors.Is(syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// locked says whether somebody has the lock, without keeping anything: it asks
// for a share of it, so that two who ask do not see each other.
func locked(d *os.File) bool {
	return errors.Is(syscall.Flock(int(d.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
