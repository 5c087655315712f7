package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// maxHeader bounds the JSON header, as the reference implementation does.
const maxHeader = 100_000_000

// Parse checks a whole file in memory. The File refers to data.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%w: %d bytes, want at least the 8 of the header's length", ErrFormat, len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("%w: the header says it has %d bytes, but the file has %d after its length (at most %d are allowed): truncated, or another format?",
			ErrFormat, n, len(data)-8, maxHeader)
	}
	f := &File{entries: map[string]entry{}}
	spans, err := f.header(data[8:8+n], data[8+n:])
	if err != nil {
		return nil, err
	}
	if err := noHoles(spans, len(data)-8-int(n)); err != nil {
		return nil, err
	}
	return f, f.pairQ8()
}

// span is where a tensor lies in the data part.
type span struct {
	name       string
	start, end int64
}

// header reads the JSON object key by key, since a map would hide duplicates.
func (f *File) header(text, data []byte) ([]span, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: the header is no JSON object", ErrFormat)
	}
	var spans []span
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
		}
		name := t.(string) // keys of an object are strings
		if name == "__metadata__" {
			if f.Metadata != nil {
				return nil, fmt.Errorf("%w: __metadata__ occurs twice", ErrFormat)
			}
			if err := dec.Decode(&f.Metadata); err != nil {
				return nil, fmt.Errorf("%w: __metadata__: %w", ErrFormat, err)
			}
			continue
		}
		if _, twice := f.entries[name]; twice {
			return nil, fmt.Errorf("%w: tensor %q occurs twice", ErrFormat, name)
		}
		var h headerEntry
		if err := dec.Decode(&h); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
		}
		if err := h.check(len(data)); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
		}
		f.entries[name] = entry{Info: Info{h.DType, h.Shape}, data: data[h.Offsets[0]:h.Offsets[1]]}
		spans = append(spans, span{name, h.Offsets[0], h.Offsets[1]})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the header's object", ErrFormat)
	}
	return spans, nil
}

type headerEntry struct {
	DType   string  `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// check compares dtype, shape and offsets with each other and the data part.
func (h *headerEntry) check(size int) error {
	width := dtypeBytes(h.DType)
	if width == 0 {
		return fmt.Errorf("unknown dtype %q", h.DType)
	}
	if len(h.Offsets) != 2 || h.Offsets[0] < 0 || h.Offsets[0] > h.Offsets[1] || h.Offsets[1] > int64(size) {
		return fmt.Errorf("data_offsets %v lie outside the %d bytes of data", h.Offsets, size)
	}
	want := int64(width)
	for _, d := range h.Shape {
		if d < 0 || (d > 0 && want > math.MaxInt64/int64(d)) {
			return fmt.Errorf("shape %v is impossible", h.Shape)
		}
		want *= int64(d)
	}
	if got := h.Offsets[1] - h.Offsets[0]; got != want {
		return fmt.Errorf("%s of shape %v takes %d bytes, but data_offsets span %d", h.DType, h.Shape, want, got)
	}
	return nil
}

// dtypeBytes is the width of a value; 0 when unknown.
func dtypeBytes(dtype string) int {
	switch dtype {
	case "F64", "I64", "U64":
		return 8
	case "F32", "I32", "U32":
		return 4
	case "F16", "BF16", "I16", "U16":
		return 2
	case "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL":
		return 1
	}
	return 0
}

// noHoles checks that the tensors fill the data part exactly, which also
// rules out overlaps.
func noHoles(spans []span, size int) error {
	slices.SortFunc(spans, func(a, b span) int {
		if a.start != b.start {
			return int(min(max(a.start-b.start, -1), 1))
		}
		return int(min(max(a.end-b.end, -1), 1))
	})
	at := int64(0)
	for _, s := range spans {
		if s.start < at {
			return fmt.Errorf("%w: tensor %q starts at byte %d, inside the tensor before it, which ends at %d", ErrFormat, s.name, s.start, at)
		}
		if s.start > at {
			return fmt.Errorf("%w: bytes %d to %d before tensor %q belong to no tensor", ErrFormat, at, s.start, s.name)
		}
		at = s.end
	}
	if at != int64(size) {
		return fmt.Errorf("%w: the tensors take %d bytes, but the file holds %d", ErrFormat, at, size)
	}
	return nil
}
