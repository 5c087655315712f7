package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"weft/internal/mapfile"
)

// Tensor is one entry of a file's directory.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // at most 4 sizes, the fastest first: a matrix is [columns, rows]

	part, offset, size int // which file of a split model; bytes of it
}

// Len is the number of values.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is an open file, or the parts of a split model as if they were one file.
// It is safe for concurrent use; Close ends it.
type File struct {
	Version   int // 2 or 3
	Alignment int // bytes

	keys    []string
	values  map[string]any
	tensors []Tensor
	byName  map[string]int
	parts   [][]byte // whole files; nil once closed
	unmap   []func() error
}

// Open maps a file and checks its metadata and its directory. Given any part of
// a split model, it opens all parts.
func Open(path string) (*File, error) {
	f, err := openPart(path)
	if err != nil {
		return nil, err
	}
	no, count, err := f.split()
	if err == nil && count > 1 {
		err = f.join(path, no, count)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

// openPart opens one file.
func openPart(path string) (*File, error) {
	data, unmap, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := Parse(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), unmap())
	}
	f.unmap = append(f.unmap, unmap)
	return f, nil
}

// Is says whether the file at path begins as a GGUF does.
func Is(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [len(magic)]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && string(b[:]) == magic
}

// Close releases the mapping, and with it what Bytes returned. Values and names
// stay valid.
func (f *File) Close() error {
	var errs []error
	for _, unmap := range f.unmap {
		errs = append(errs, unmap())
	}
	f.unmap, f.parts = nil, nil
	return errors.Join(errs...)
}

// Size is the number of bytes of the file, or of all parts.
func (f *File) Size() (n int64) {
	for _, p := range f.parts {
		n += int64(len(p))
	}
	return n
}

// WriteTo writes the file, or all parts one after the other; see io.WriterTo.
func (f *File) WriteTo(w io.Writer) (n int64, err error) {
	for _, p := range f.parts {
		m, err := w.Write(p)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Keys lists the metadata in the file's order.
func (f *File) Keys() []string { return slices.Clone(f.keys) }

// Value is the metadata of a key, of the Go type that matches the file's:
// uint8 to int64, float32, float64, bool, string. An array is a slice of one of
// these, or for arrays of arrays an []any of slices. It is not to be changed.
func (f *File) Value(key string) (any, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Tensors lists the directory in the file's order.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Forget says that a part of what Bytes returned will not be read again soon, so
// that it need not count as memory of this process. It stays readable.
func (f *File) Forget(part []byte) {
	if f.unmap != nil { // a file, not what Parse was given
		mapfile.Forget(part)
	}
}

// Bytes are the stored blocks of a tensor of this file: they lie in the mapping,
// are not to be changed, and end with Close. It is nil once the file is closed.
func (f *File) Bytes(t Tensor) []byte {
	if f.parts == nil {
		return nil
	}
	return f.parts[t.part][t.offset : t.offset+t.size : t.offset+t.size]
}
