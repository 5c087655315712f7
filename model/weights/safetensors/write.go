package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Tensor is one tensor to write, as F32.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// writeChunk is how many values are converted at a time.
const writeChunk = 1 << 16

// Write streams the tensors as one file, in the order given. The data part
// starts on a multiple of 64 bytes. The same input gives the same bytes.
func Write(w io.Writer, tensors []Tensor, meta map[string]string) error {
	head, err := header(tensors, meta)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	buf := make([]byte, 4*writeChunk)
	for _, t := range tensors {
		for part := range slices.Chunk(t.Data, writeChunk) {
			for i, v := range part {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buf[:4*len(part)]); err != nil {
				return fmt.Errorf("safetensors: tensor %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// header returns the length and the padded JSON.
func header(tensors []Tensor, meta map[string]string) ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	if len(meta) > 0 {
		m, err := json.Marshal(meta) // sorts the keys
		if err != nil {
			return nil, fmt.Errorf("safetensors: metadata: %w", err)
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, m)
	}
	at, seen := 0, map[string]bool{"__metadata__": true}
	for _, t := range tensors {
		if n := (Info{Shape: t.Shape}).Len(); n != len(t.Data) {
			return nil, fmt.Errorf("safetensors: tensor %s has %d values for shape %v", t.Name, len(t.Data), t.Shape)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("safetensors: two tensors are named %q", t.Name)
		}
		seen[t.Name] = true
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, fmt.Errorf("safetensors: name %q: %w", t.Name, err)
		}
		shape, err := json.Marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, fmt.Errorf("safetensors: tensor %s: %w", t.Name, err)
		}
		fmt.Fprintf(&b, `%s:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, at, at+4*len(t.Data))
		at += 4 * len(t.Data)
	}
	b.WriteByte('}')
	for b.Len()%64 != 56 { // 8 bytes of length come before
		b.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.String()...), nil
}
