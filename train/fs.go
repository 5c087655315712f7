package train

import (
	"io"
	"os"
)

// FS is what checkpoints need of a file system; tests inject faults here.
type FS interface {
	Create(path string) (File, error)
	Mkdir(path string) error // with parents
	Rename(from, to string) error
	Link(from, to string) error
	RemoveAll(path string) error
	SyncDir(path string) error
}

// File is a file being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// osFS is the operating system's file system.
type osFS struct{}

func (osFS) Create(path string) (File, error) { return os.Create(path) }
func (osFS) Mkdir(path string) error          { return os.MkdirAll(path, 0o755) }
func (osFS) Rename(from, to string) error     { return os.Rename(from, to) }
func (osFS) Link(from, to string) error       { return os.Link(from, to) }
func (osFS) RemoveAll(path string) error      { return os.RemoveAll(path) }

func (osFS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
