package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"weft/internal/atomicfile"
)

// maxTensorName is what ggml can hold, in bytes.
const maxTensorName = 63

// KV is one entry of metadata to write, of the types that File.Value gives.
type KV struct {
	Key   string
	Value any
}

// Source is one tensor to write: what the directory says of it, and a function
// that writes its blocks, exactly as many bytes as they take.
type Source struct {
	Name  string
	Type  Type
	Shape []int // the fastest first, as in Tensor
	Write func(io.Writer) error
}

// Save writes a file of version 3 that is whole or absent: on any error, a full
// disk among them, an old file of that name stays as it was.
func Save(path string, meta []KV, tensors []Source) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, meta, tensors) })
}

// Write streams a file of version 3: metadata and tensors in the order given,
// each tensor at a multiple of the alignment, which the key general.alignment
// sets. Tensors are asked for their bytes one after the other. The same input
// gives the same bytes.
func Write(w io.Writer, meta []KV, tensors []Source) error {
	head, directory, err := header(meta, tensors)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	out := &counter{w: bufio.NewWriterSize(w, 1<<18)}
	out.Write(head)
	for i, t := range directory {
		if err := out.pad(tensors[i].Name, t.offset); err != nil {
			return err
		}
		if err := tensors[i].Write(out); err != nil {
			return fmt.Errorf("gguf: tensor %s: %w", t.Name, err)
		}
		if got := out.n - t.offset; got != t.size {
			return fmt.Errorf("gguf: tensor %s: %d bytes were written, want the %d of %v %v", t.Name, got, t.size, t.Type, t.Shape)
		}
	}
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// counter is a buffered writer that knows how far it is.
type counter struct {
	w *bufio.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// pad writes zeros up to an offset.
func (c *counter) pad(name string, to int) error {
	if _, err := c.Write(make([]byte, to-c.n)); err != nil {
		return fmt.Errorf("gguf: before tensor %s: %w", name, err)
	}
	return nil
}

// header returns all that stands before the tensors, padding included, and where
// in the file each of them goes.
func header(meta []KV, tensors []Source) (head []byte, directory []Tensor, err error) {
	f := File{values: map[string]any{}}
	head = append(head, magic...)
	head = binary.LittleEndian.AppendUint32(head, 3)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(tensors)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(meta)))
	for _, kv := range meta {
		if _, twice := f.values[kv.Key]; twice || kv.Key == "" || len(kv.Key) > maxName {
			return nil, nil, fmt.Errorf("metadata key %.80q occurs twice or has no or more than %d bytes", kv.Key, maxName)
		}
		f.values[kv.Key] = kv.Value
		kind, value, err := appendValue(nil, kv.Value, 0)
		if err != nil {
			return nil, nil, fmt.Errorf("metadata key %s: %w", kv.Key, err)
		}
		head = appendString(head, kv.Key)
		head = append(binary.LittleEndian.AppendUint32(head, kind), value...)
	}
	if err := f.align(); err != nil {
		return nil, nil, err
	}
	align := func(n int) int { return (n + f.Alignment - 1) / f.Alignment * f.Alignment }
	seen, at := map[string]bool{}, 0
	for _, s := range tensors {
		t := Tensor{Name: s.Name, Type: s.Type, Shape: s.Shape, offset: at}
		if seen[s.Name] || s.Name == "" || len(s.Name) > maxTensorName || len(s.Shape) > maxDims {
			return nil, nil, fmt.Errorf("tensor %q of shape %v: want a name of its own, of 1 to %d bytes, and at most %d dimensions", s.Name, s.Shape, maxTensorName, maxDims)
		}
		seen[s.Name] = true
		if err := t.measure(); err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", s.Name, err)
		}
		head = binary.LittleEndian.AppendUint32(appendString(head, s.Name), uint32(len(s.Shape)))
		for _, d := range s.Shape {
			head = binary.LittleEndian.AppendUint64(head, uint64(d))
		}
		head = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(head, uint32(s.Type)), uint64(at))
		at = align(at + t.size)
		directory = append(directory, t)
	}
	head = append(head, make([]byte, align(len(head))-len(head))...)
	for i := range directory {
		directory[i].offset += len(head)
	}
	return head, directory, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a value without its type, which it returns.
func appendValue(b []byte, v any, depth int) (kind uint32, out []byte, err error) {
	switch v := v.(type) {
	case string:
		return typeString, appendString(b, v), nil
	case []string:
		b = appendArray(b, typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
		return typeArray, b, nil
	case []any:
		if depth >= maxNest-1 {
			return 0, nil, fmt.Errorf("arrays inside arrays more than %d deep", maxNest)
		}
		b = appendArray(b, typeArray, len(v))
		for _, x := range v {
			var kind uint32
			if kind, b, err = appendValue(b, x, depth+1); err == nil && kind != typeArray {
				err = fmt.Errorf("an array of arrays holds a %T", x)
			}
			if err != nil {
				return 0, nil, err
			}
		}
		return typeArray, b, nil
	}
	kind, n := numberType(v)
	if kind == typeArray { // not known
		return 0, nil, fmt.Errorf("a value of Go type %T: want a string, a bool, a number of fixed size, or a slice of these", v)
	}
	if n >= 0 {
		b = appendArray(b, kind, n)
	}
	if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
		return 0, nil, err
	}
	if n >= 0 {
		kind = typeArray
	}
	return kind, b, nil
}

// appendArray begins an array of n elements.
func appendArray(b []byte, kind uint32, n int) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, kind), uint64(n))
}

// numberType is the type of a number or bool, and the length of a slice of them;
// -1 for one alone. What is neither is typeArray.
func numberType(v any) (kind uint32, n int) {
	switch v := v.(type) {
	case uint8:
		return typeUint8, -1
	case []uint8:
		return typeUint8, len(v)
	case int8:
		return typeInt8, -1
	case []int8:
		return typeInt8, len(v)
	case uint16:
		return typeUint16, -1
	case []uint16:
		return typeUint16, len(v)
	case int16:
		return typeInt16, -1
	case []int16:
		return typeInt16, len(v)
	case uint32:
		return typeUint32, -1
	case []uint32:
		return typeUint32, len(v)
	case int32:
		return typeInt32, -1
	case []int32:
		return typeInt32, len(v)
	case float32:
		return typeFloat32, -1
	case []float32:
		return typeFloat32, len(v)
	case bool:
		return typeBool, -1
	case []bool:
		return typeBool, len(v)
	case uint64:
		return typeUint64, -1
	case []uint64:
		return typeUint64, len(v)
	case int64:
		return typeInt64, -1
	case []int64:
		return typeInt64, len(v)
	case float64:
		return typeFloat64, -1
	case []float64:
		return typeFloat64, len(v)
	}
	return typeArray, 0
}

// Floats writes values as the blocks of an F32 tensor.
func Floats(w io.Writer, values []float32) error {
	var buf [4096]byte
	for len(values) > 0 {
		n := min(len(values), len(buf)/4)
		for i, v := range values[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf[:4*n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
