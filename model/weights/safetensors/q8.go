package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"weft/compute/quant"
)

// Q8 is the dtype of a matrix kept in blocks of 8-bit integers (package
// quant). In the file it is the tensor NAME, I8 [rows, cols], and the tensor
// NAME.scales, F16 [rows, ceil(cols/32)].
const Q8 = "Q8_0"

// Metadata of a file with such pairs. Without it I8 tensors are integers of
// unknown meaning.
const (
	schemeKey = "weft.quantization"
	schemeQ8  = "q8_0/1" // the scheme and the version of its layout
	scalesEnd = ".scales"
)

// pairQ8 joins every I8 tensor with its scales, where metadata says that it
// has some.
func (f *File) pairQ8() error {
	scheme, ok := f.Metadata[schemeKey]
	if !ok {
		return nil
	}
	if scheme != schemeQ8 {
		return fmt.Errorf("%w: metadata key %s is %q, but only %q is known: made by a newer weft?", ErrFormat, schemeKey, scheme, schemeQ8)
	}
	for name, e := range f.entries {
		if e.DType != "I8" {
			continue
		}
		scales, ok := f.entries[name+scalesEnd]
		if !ok {
			return fmt.Errorf("%w: 8-bit tensor %q lacks its scales: no tensor %q", ErrFormat, name, name+scalesEnd)
		}
		if len(e.Shape) != 2 {
			return fmt.Errorf("%w: 8-bit tensor %q has shape %v, want [rows, cols]", ErrFormat, name, e.Shape)
		}
		if want := []int{e.Shape[0], quant.Q8Scales(e.Shape[1])}; scales.DType != "F16" || !slices.Equal(scales.Shape, want) {
			return fmt.Errorf("%w: scales %q are %s of shape %v, want F16 of %v for %v values", ErrFormat, name+scalesEnd, scales.DType, scales.Shape, want, e.Shape)
		}
		for i := 0; i < len(scales.data); i += 2 {
			if h := binary.LittleEndian.Uint16(scales.data[i:]); h > 0x7bff { // negative, infinite or NaN
				return fmt.Errorf("%w: scale %d of tensor %q is %g, want a finite number from 0", ErrFormat, i/2, name, quant.FromHalf(h))
			}
		}
		e.DType, e.scales, scales.part = Q8, scales.data, true
		f.entries[name], f.entries[name+scalesEnd] = e, scales
	}
	return nil
}

// ReadQ8 reads a Q8 matrix [rows, cols] as it is stored: integers q, rows*cols,
// and scales d, rows*ceil(cols/32), widened to float32.
func (f *File) ReadQ8(name string) (q []int8, d []float32, err error) {
	e, ok := f.entries[name]
	if !ok || e.DType != Q8 {
		return nil, nil, fmt.Errorf("safetensors: no tensor %s in 8 bits", name)
	}
	q, d = make([]int8, len(e.data)), make([]float32, len(e.scales)/2)
	for i, b := range e.data {
		q[i] = int8(b)
	}
	for i := range d {
		d[i] = quant.FromHalf(binary.LittleEndian.Uint16(e.scales[2*i:]))
	}
	return q, d, nil
}

// readQ8 decodes the matrix row by row.
func (e *entry) readQ8(dst []float32) {
	cols := e.Shape[1]
	if len(dst) == 0 {
		return
	}
	q, d := make([]int8, cols), make([]uint16, quant.Q8Scales(cols))
	for row := range e.Shape[0] {
		for i, b := range e.data[row*cols : (row+1)*cols] {
			q[i] = int8(b)
		}
		for i := range d {
			d[i] = binary.LittleEndian.Uint16(e.scales[2*(row*len(d)+i):])
		}
		quant.Q8Decode(dst[row*cols:(row+1)*cols], q, d)
	}
}

// q8Pieces are the two tensors that a matrix is written as. Each encodes on
// its own, so that no second copy of the model is ever in memory.
func (t Tensor) q8Pieces() ([]piece, error) {
	if len(t.Shape) != 2 {
		return nil, fmt.Errorf("safetensors: tensor %s has shape %v, but only matrices are stored in 8 bits", t.Name, t.Shape)
	}
	rows, cols := t.Shape[0], t.Shape[1]
	n := quant.Q8Scales(cols)
	each := func(w io.Writer, size int, fill func(buf []byte, q []int8, d []uint16)) error {
		q, d, buf := make([]int8, cols), make([]uint16, n), make([]byte, size)
		for row := range rows {
			if err := quant.Q8Encode(q, d, t.Data[row*cols:(row+1)*cols]); err != nil {
				return fmt.Errorf("row %d: %w", row, err)
			}
			fill(buf, q, d)
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
		return nil
	}
	integers := piece{t.Name, "I8", t.Shape, func(w io.Writer) error {
		return each(w, cols, func(buf []byte, q []int8, _ []uint16) {
			for i, v := range q {
				buf[i] = byte(v)
			}
		})
	}}
	scales := piece{t.Name + scalesEnd, "F16", []int{rows, n}, func(w io.Writer) error {
		return each(w, 2*n, func(buf []byte, _ []int8, d []uint16) {
			for i, h := range d {
				binary.LittleEndian.PutUint16(buf[2*i:], h)
			}
		})
	}}
	return []piece{integers, scales}, nil
}

// withScheme adds what says how to read Q8 tensors. A reader that does not
// know it still sees plain tensors.
func withScheme(meta map[string]string, tensors []Tensor) map[string]string {
	out := map[string]string{}
	for k, v := range meta {
		if k != schemeKey {
			out[k] = v
		}
	}
	if slices.ContainsFunc(tensors, func(t Tensor) bool { return t.DType == Q8 }) {
		out[schemeKey] = schemeQ8
	}
	return out
}
