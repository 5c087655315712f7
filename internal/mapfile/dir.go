package mapfile

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Dir is a folder as a file system whose files OpenIn can map. Its errors and
// Path give whole paths.
type Dir string

var _ fs.FS = Dir("")

// Open opens a file of the folder by its slash-separated name.
func (d Dir) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return os.Open(d.path(name))
}

// String is the folder's path.
func (d Dir) String() string { return string(d) }

func (d Dir) path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

// OpenIn shows a file of fsys as memory: mapped in a Dir, read elsewhere.
func OpenIn(fsys fs.FS, name string) (data []byte, release func() error, err error) {
	if d, ok := fsys.(Dir); ok && fs.ValidPath(name) {
		return Open(d.path(name))
	}
	data, err = fs.ReadFile(fsys, name)
	return data, func() error { return nil }, err
}

// Path is how messages call a file of fsys: under the name that fsys gives
// itself, if it has one.
func Path(fsys fs.FS, name string) string {
	switch f := fsys.(type) {
	case Dir:
		return f.path(name)
	case fmt.Stringer:
		return path.Join(f.String(), name)
	}
	return name
}
