package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"weft/compute/quant"
)

// Tensor is one tensor to write.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
	DType string // how it is stored: F32, F16, BF16, or Q8 for a matrix in 8-bit blocks; F32
}

// piece is one tensor as it lies in the file.
type piece struct {
	name, dtype string
	shape       []int
	write       func(io.Writer) error // exactly its bytes
}

func (p piece) bytes() int { return dtypeBytes(p.dtype) * Info{Shape: p.shape}.Len() }

// Write streams the tensors as one file: in the order given, wide types before
// narrow ones, as readers that map the file want them aligned. The data part
// starts on a multiple of 64 bytes. The same input gives the same bytes.
func Write(w io.Writer, tensors []Tensor, meta map[string]string) error {
	pieces, err := lay(tensors)
	if err != nil {
		return err
	}
	head, err := header(pieces, withScheme(meta, tensors))
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<18)
	for _, p := range pieces {
		err := p.write(out)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return fmt.Errorf("safetensors: tensor %s: %w", p.name, err)
		}
	}
	return nil
}

// lay turns tensors into what the file holds, in its order.
func lay(tensors []Tensor) ([]piece, error) {
	var all []piece
	seen := map[string]bool{"__metadata__": true}
	for _, t := range tensors {
		if n := (Info{Shape: t.Shape}).Len(); n != len(t.Data) {
			return nil, fmt.Errorf("safetensors: tensor %s has %d values for shape %v", t.Name, len(t.Data), t.Shape)
		}
		parts := []piece{{t.Name, "F32", t.Shape, func(w io.Writer) error { return writeF32(w, t.Data) }}}
		switch t.DType {
		case "", "F32":
		case "F16", "BF16":
			format, err := quant.Parse(t.DType)
			if err != nil {
				return nil, fmt.Errorf("safetensors: tensor %s: %w", t.Name, err)
			}
			parts[0].dtype, parts[0].write = t.DType, func(w io.Writer) error { return writeHalves(w, t.Data, format) }
		case Q8:
			var err error
			if parts, err = t.q8Pieces(); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("safetensors: tensor %s: cannot write %s, want F32, F16, BF16 or %s", t.Name, t.DType, Q8)
		}
		for _, p := range parts {
			if seen[p.name] {
				return nil, fmt.Errorf("safetensors: two tensors are named %q", p.name)
			}
			seen[p.name] = true
		}
		all = append(all, parts...)
	}
	slices.SortStableFunc(all, func(a, b piece) int { return dtypeBytes(b.dtype) - dtypeBytes(a.dtype) })
	return all, nil
}

func writeF32(w io.Writer, data []float32) error {
	var buf [4096]byte
	for part := range slices.Chunk(data, len(buf)/4) {
		for i, v := range part {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf[:4*len(part)]); err != nil {
			return err
		}
	}
	return nil
}

// writeHalves rounds to 16 bits; what is too large for them is an error.
func writeHalves(w io.Writer, data []float32, format quant.Format) error {
	const n = 2048 // values at a time
	var buf [2 * n]byte
	for part := range slices.Chunk(data, n) {
		if err := format.Encode(buf[:2*len(part)], part, nil); err != nil {
			return err
		}
		if _, err := w.Write(buf[:2*len(part)]); err != nil {
			return err
		}
	}
	return nil
}

// header returns the length and the padded JSON.
func header(pieces []piece, meta map[string]string) ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	if len(meta) > 0 {
		m, err := json.Marshal(meta) // sorts the keys
		if err != nil {
			return nil, fmt.Errorf("safetensors: metadata: %w", err)
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, m)
	}
	at := 0
	for _, p := range pieces {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(p.name)
		if err != nil {
			return nil, fmt.Errorf("safetensors: name %q: %w", p.name, err)
		}
		shape, err := json.Marshal(append([]int{}, p.shape...))
		if err != nil {
			return nil, fmt.Errorf("safetensors: tensor %s: %w", p.name, err)
		}
		fmt.Fprintf(&b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, p.dtype, shape, at, at+p.bytes())
		at += p.bytes()
	}
	b.WriteByte('}')
	for b.Len()%64 != 56 { // 8 bytes of length come before
		b.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.String()...), nil
}
