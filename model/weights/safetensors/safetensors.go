// Package safetensors reads and writes the safetensors format of Hugging Face:
// a file, or a folder of shards with an index, of named tensors.
//
//	+--------+-------------------------------+----------------------------+
//	| u64 LE | header: JSON, space-padded    | tensors, row-major, LE     |
//	| length | name -> dtype, shape, offsets | back to back, no holes     |
//	+--------+-------------------------------+----------------------------+
//
// A matrix may be stored in 8 bits, as two plain tensors of the same file that
// metadata ties together (docs/format/q8.md); it then shows as one of dtype Q8_0.
//
// Files come from strangers: every length, offset and shape is checked against
// the file before it is used. The package knows names and numbers; it knows
// nothing of models. Format: https://github.com/huggingface/safetensors.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"weft/compute/quant"
	"weft/internal/mapfile"
)

// Info describes a tensor.
type Info struct {
	DType string // F32, F16, BF16, I64, ...; Q8 for a matrix in 8-bit blocks
	Shape []int
}

// Len is the number of values.
func (i Info) Len() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// File is an open file, or the shards of one model as if they were one file.
// Reads are safe from many goroutines; Close ends them.
type File struct {
	Metadata map[string]string // free text of the writer

	entries map[string]entry
	mapped  bool // data lies in files
	unmap   []func() error
}

type entry struct {
	Info
	data   []byte
	scales []byte // of a Q8 matrix
	part   bool   // scales: read with their matrix, not listed
}

// Open maps one file and checks its header.
func Open(path string) (*File, error) {
	return openIn(mapfile.Dir(filepath.Dir(path)), filepath.Base(path))
}

func openIn(fsys fs.FS, name string) (*File, error) {
	data, unmap, err := mapfile.OpenIn(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := Parse(data)
	if err != nil {
		unmap()
		return nil, fmt.Errorf("%s: %w", mapfile.Path(fsys, name), err)
	}
	_, f.mapped = fsys.(mapfile.Dir)
	f.unmap = append(f.unmap, unmap)
	return f, nil
}

// Close releases the mapping, and with it what Bytes returned. What Read has
// copied stays valid.
func (f *File) Close() error {
	var first error
	for _, u := range f.unmap {
		if err := u(); err != nil && first == nil {
			first = err
		}
	}
	f.unmap, f.entries = nil, nil
	return first
}

// Names lists the tensors in alphabetical order.
func (f *File) Names() []string {
	var names []string
	for name, e := range f.entries {
		if !e.part {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Info describes a tensor, if the file has it.
func (f *File) Info(name string) (Info, bool) {
	e, ok := f.entries[name]
	return e.Info, ok && !e.part
}

// Bytes are the values of a tensor as they are stored, row after row; nil where
// there is none. They lie in the mapping, are not to be changed, and end with
// Close.
func (f *File) Bytes(name string) []byte { return f.entries[name].data }

// Forget says that a part of what Bytes returned will not be read again soon, so
// that it need not count as memory of this process. It stays readable.
func (f *File) Forget(part []byte) {
	if f.mapped {
		mapfile.Forget(part)
	}
}

// Read converts a tensor of F32, F16, BF16 or Q8 to float32 into dst, which
// holds exactly its values.
func (f *File) Read(name string, dst []float32) error {
	e, ok := f.entries[name]
	if !ok || e.part {
		return fmt.Errorf("safetensors: no tensor %s", name)
	}
	if n := e.Len(); n != len(dst) {
		return fmt.Errorf("safetensors: tensor %s has shape %v (%d values), want %d values", name, e.Shape, n, len(dst))
	}
	switch e.DType {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(e.data[4*i:]))
		}
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(e.data[2*i:])) << 16)
		}
	case "F16":
		for i := range dst {
			dst[i] = quant.FromHalf(binary.LittleEndian.Uint16(e.data[2*i:]))
		}
	case Q8:
		e.readQ8(dst)
	default:
		return fmt.Errorf("safetensors: tensor %s is %s, but only F32, F16, BF16 and Q8_0 are read as numbers", name, e.DType)
	}
	return nil
}
