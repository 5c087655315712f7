package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminal asks the system: /dev/null is a character device too.
func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
