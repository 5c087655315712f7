package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

const (
	magic     = "GGUF"
	maxName   = 1 << 16 // bytes of a key or a tensor's name
	maxNest   = 4       // arrays inside arrays
	maxDims   = 4       // as ggml
	maxAlign  = 1 << 20 // bytes
	noAlign   = 32      // where a file does not say
	alignment = "general.alignment"
)

// Parse checks a whole file in memory. The File refers to data.
func Parse(data []byte) (*File, error) {
	r := reader{data: data}
	f := &File{parts: [][]byte{data}, values: map[string]any{}, byName: map[string]int{}}
	version, tensors, entries, err := r.header()
	if err != nil {
		return nil, err
	}
	f.Version = version
	if err := f.metadata(&r, entries); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := f.align(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := f.directory(&r, tensors); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

// Head reads what the first bytes of a file say: its metadata up to the first
// value that data does not hold whole. Writers put what describes the model in
// front of the vocabulary, so that a few KiB tell shapes without the file.
func Head(data []byte) (map[string]any, error) {
	r := reader{data: data}
	f := &File{values: map[string]any{}}
	_, _, entries, err := r.header()
	if err == nil {
		_ = f.metadata(&r, entries) // where data ends is no fault of the file
	}
	return f.values, err
}

// header reads what comes before the metadata.
func (r *reader) header() (version int, tensors, entries uint64, err error) {
	if len(r.data) < 4 || string(r.data[:4]) != magic {
		return 0, 0, 0, fmt.Errorf("%w: it does not begin with %s", ErrFormat, magic)
	}
	r.at = 4
	v := r.u32()
	tensors, entries = r.u64(), r.u64()
	switch {
	case r.err != nil:
		err = fmt.Errorf("%w: header: %w", ErrFormat, r.err)
	case v&0xffff == 0 && v != 0:
		err = fmt.Errorf("%w: version %#x: the numbers are big-endian, but only little-endian files are read; convert it", ErrFormat, v)
	case v != 2 && v != 3:
		err = fmt.Errorf("%w: version %d, want 2 or 3; convert it again with a newer llama.cpp", ErrFormat, v)
	}
	return int(v), tensors, entries, err
}

// metadata reads the keys and their values.
func (f *File) metadata(r *reader, n uint64) error {
	for i := uint64(0); i < n; i++ {
		key := r.name("key")
		if r.err != nil {
			return fmt.Errorf("metadata %d of %d: %w", i, n, r.err)
		}
		if _, twice := f.values[key]; twice {
			return fmt.Errorf("key %q occurs twice", key)
		}
		v := r.value(r.u32(), 0)
		if r.err != nil {
			return fmt.Errorf("key %q: %w", key, r.err)
		}
		f.keys, f.values[key] = append(f.keys, key), v
	}
	return nil
}

// align finds the alignment of the tensors.
func (f *File) align() error {
	f.Alignment = noAlign
	v, ok := f.values[alignment]
	if !ok {
		return nil
	}
	n, ok := v.(uint32)
	if !ok || n == 0 || n > maxAlign || n&(n-1) != 0 {
		return fmt.Errorf("%s is %v, want a uint32 power of two up to %d", alignment, v, maxAlign)
	}
	f.Alignment = int(n)
	return nil
}

// directory reads the tensors' entries, then places them behind it.
func (f *File) directory(r *reader, n uint64) error {
	offsets := []uint64{} // from where the first tensor may lie
	for i := uint64(0); i < n; i++ {
		t := Tensor{Name: r.name("tensor's name")}
		dims := r.u32()
		if r.err == nil && dims > maxDims {
			return fmt.Errorf("tensor %q has %d dimensions, want at most %d", t.Name, dims, maxDims)
		}
		total := uint64(1)
		for range dims {
			d := r.u64()
			if d > math.MaxInt32 || d > 0 && total > math.MaxInt64/16/d {
				return fmt.Errorf("tensor %q: dimension %d is impossible", t.Name, d)
			}
			total *= d
			t.Shape = append(t.Shape, int(d))
		}
		t.Type = Type(r.u32())
		offset := r.u64()
		if r.err != nil {
			return fmt.Errorf("tensor %d of %d: %w", i, n, r.err)
		}
		if err := t.measure(); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if _, twice := f.byName[t.Name]; twice {
			return fmt.Errorf("tensor %q occurs twice", t.Name)
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors, offsets = append(f.tensors, t), append(offsets, offset)
	}
	return f.place(r.at, offsets)
}

// measure computes how many bytes a tensor takes. Blocks do not cross rows.
func (t *Tensor) measure() error {
	l, ok := t.Type.layout()
	if !ok {
		return fmt.Errorf("%v is not known", t.Type)
	}
	row := 1
	if len(t.Shape) > 0 {
		row = t.Shape[0]
	}
	if row%l.values != 0 {
		return fmt.Errorf("rows of %d values do not divide into the blocks of %d that %v has", row, l.values, t.Type)
	}
	t.size = t.Len() / l.values * l.bytes
	return nil
}

// place checks that every tensor lies in the file, aligned, and in no other.
func (f *File) place(end int, offsets []uint64) error {
	start := (end + f.Alignment - 1) / f.Alignment * f.Alignment
	order := make([]int, len(f.tensors))
	for i := range f.tensors {
		t, at := &f.tensors[i], offsets[i]
		if at%uint64(f.Alignment) != 0 {
			return fmt.Errorf("tensor %q at offset %d is not aligned to %d", t.Name, at, f.Alignment)
		}
		room := len(f.parts[0]) - start
		if room < t.size || at > uint64(room-t.size) {
			return fmt.Errorf("tensor %q takes %d bytes at offset %d, but behind the directory the file holds %d: truncated?", t.Name, t.size, at, max(room, 0))
		}
		t.offset = start + int(at)
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := f.tensors[a], f.tensors[b]
		return cmp.Or(cmp.Compare(x.offset, y.offset), cmp.Compare(x.size, y.size))
	})
	for i := 1; i < len(order); i++ {
		x, y := f.tensors[order[i-1]], f.tensors[order[i]]
		if x.offset+x.size > y.offset {
			return fmt.Errorf("tensors %q and %q overlap", x.Name, y.Name)
		}
	}
	return nil
}

// reader walks over data. The first thing wrong stays in err, and from then on
// it reads zeros.
type reader struct {
	data []byte
	at   int
	err  error
}

// take returns the next n bytes, nil when the file ends before.
func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.data)-r.at) {
		r.err = fmt.Errorf("%d bytes wanted at byte %d, but the file ends after %d more: truncated?", n, r.at, len(r.data)-r.at)
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) str() string { return string(r.take(r.u64())) }

// name reads a string that must be there and short.
func (r *reader) name(what string) string {
	s := r.str()
	if r.err == nil && (s == "" || len(s) > maxName) {
		r.err = fmt.Errorf("%s of %d bytes at byte %d, want 1 to %d", what, len(s), r.at-len(s), maxName)
	}
	return s
}

// The types of metadata (enum gguf_type).
const (
	typeUint8 uint32 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// value reads a value of a type.
func (r *reader) value(kind uint32, depth int) any {
	if kind == typeString {
		return r.str()
	}
	if kind == typeArray {
		return r.array(depth + 1)
	}
	one := r.slice(kind, 1)
	switch v := one.(type) {
	case []uint8:
		return first(v)
	case []int8:
		return first(v)
	case []uint16:
		return first(v)
	case []int16:
		return first(v)
	case []uint32:
		return first(v)
	case []int32:
		return first(v)
	case []float32:
		return first(v)
	case []bool:
		return first(v)
	case []uint64:
		return first(v)
	case []int64:
		return first(v)
	case []float64:
		return first(v)
	}
	return nil
}

// first is the one value that was read, if it was.
func first[T any](v []T) any {
	if len(v) == 0 {
		return nil
	}
	return v[0]
}

// array reads a type, a count and the elements.
func (r *reader) array(depth int) any {
	kind, n := r.u32(), r.u64()
	switch {
	case kind == typeString:
		if !r.fits(n, 8) {
			return nil
		}
		list := make([]string, n)
		for i := range list {
			list[i] = r.str()
		}
		return list
	case kind != typeArray:
		return r.slice(kind, n)
	case depth >= maxNest:
		r.err = fmt.Errorf("arrays inside arrays more than %d deep at byte %d", maxNest, r.at)
	}
	if !r.fits(n, 12) {
		return nil
	}
	list := make([]any, n)
	for i := range list {
		if list[i] = r.array(depth + 1); r.err != nil {
			return nil
		}
	}
	return list
}

// fits says whether n elements of at least size bytes can follow, before room is
// made for them.
func (r *reader) fits(n uint64, size int) bool {
	if left := uint64(len(r.data) - r.at); r.err == nil && n > left/uint64(size) {
		r.err = fmt.Errorf("array of %d elements at byte %d, but the file ends after %d more: truncated?", n, r.at, left)
	}
	return r.err == nil
}

// slice reads n numbers or bools of a type.
func (r *reader) slice(kind uint32, n uint64) any {
	le := binary.LittleEndian
	switch kind {
	case typeUint8:
		return numbers(r, n, 1, func(b []byte) uint8 { return b[0] })
	case typeInt8:
		return numbers(r, n, 1, func(b []byte) int8 { return int8(b[0]) })
	case typeUint16:
		return numbers(r, n, 2, le.Uint16)
	case typeInt16:
		return numbers(r, n, 2, func(b []byte) int16 { return int16(le.Uint16(b)) })
	case typeUint32:
		return numbers(r, n, 4, le.Uint32)
	case typeInt32:
		return numbers(r, n, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case typeFloat32:
		return numbers(r, n, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case typeBool:
		return numbers(r, n, 1, func(b []byte) bool {
			if b[0] > 1 && r.err == nil {
				r.err = fmt.Errorf("a bool is %d, want 0 or 1", b[0])
			}
			return b[0] == 1
		})
	case typeUint64:
		return numbers(r, n, 8, le.Uint64)
	case typeInt64:
		return numbers(r, n, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case typeFloat64:
		return numbers(r, n, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	}
	if r.err == nil {
		r.err = fmt.Errorf("value type %d at byte %d is not known", kind, r.at)
	}
	return nil
}

// numbers reads n values of size bytes each.
func numbers[T any](r *reader, n uint64, size int, decode func([]byte) T) []T {
	if !r.fits(n, size) {
		return nil
	}
	b := r.take(n * uint64(size))
	list := make([]T, n)
	for i := range list {
		list[i] = decode(b[i*size:])
	}
	return list
}
