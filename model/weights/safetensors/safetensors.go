// Package safetensors reads and writes the safetensors format of Hugging Face:
// a file, or a folder of shards with an index, of named tensors.
//
//	+--------+-------------------------------+----------------------------+
//	| u64 LE | header: JSON, space-padded    | tensors, row-major, LE     |
//	| length | name -> dtype, shape, offsets | back to back, no holes     |
//	+--------+-------------------------------+----------------------------+
//
// Files come from strangers: every length, offset and shape is checked against
// the file before it is used. The package knows names and numbers; it knows
// nothing of models. Format: https://github.com/huggingface/safetensors.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"weft/internal/mapfile"
)

// Info describes a tensor.
type Info struct {
	DType string // F32, F16, BF16, I64, ...
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
	unmap   []func() error
}

type entry struct {
	Info
	data []byte
}

// Open maps one file and checks its header.
func Open(path string) (*File, error) {
	data, unmap, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := Parse(data)
	if err != nil {
		unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.unmap = append(f.unmap, unmap)
	return f, nil
}

// Close releases the mapping. What Read has copied stays valid.
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
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.entries)) }

// Info describes a tensor, if the file has it.
func (f *File) Info(name string) (Info, bool) {
	e, ok := f.entries[name]
	return e.Info, ok
}

// Read converts a tensor of F32, F16 or BF16 to float32 into dst, which holds
// exactly its values.
func (f *File) Read(name string, dst []float32) error {
	e, ok := f.entries[name]
	if !ok {
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
			dst[i] = fromF16(binary.LittleEndian.Uint16(e.data[2*i:]))
		}
	default:
		return fmt.Errorf("safetensors: tensor %s is %s, but only F32, F16 and BF16 are read as numbers", name, e.DType)
	}
	return nil
}

// fromF16 widens an IEEE half: 1 sign, 5 exponent, 10 fraction bits.
func fromF16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero and subnormals: frac * 2^-24
		v := math.Float32bits(float32(frac) / (1 << 24))
		return math.Float32frombits(sign | v)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
