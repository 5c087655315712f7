//go:build !unix

package mapfile

import "os"

// Open reads the whole file where mapping is not available.
func Open(path string) (data []byte, release func() error, err error) {
	data, err = os.ReadFile(path)
	return data, func() error { return nil }, err
}

// Forget does nothing: the file is not mapped.
func Forget([]byte) {}
