//go:build unix

package cli

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskFree returns the bytes free for us on the disk of path, or of its
// nearest folder that exists; 0 when unknown.
func diskFree(path string) uint64 {
	for {
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil {
			return uint64(st.Bavail) * uint64(st.Bsize)
		}
		up := filepath.Dir(path)
		if up == path {
			return 0
		}
		path = up
	}
}
