package op

import (
	"encoding/binary"
	"math"

	"weft/compute/kernel"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// Floats is a float32 matrix at rest as the kernel reads it, and in no other order
// besides: a model that only serves needs its rows to look tokens up at most.
// Products have the bits of those with the matrix as it was.
type Floats struct{ packed *kernel.Packed }

// NewFloats lays out a matrix [out, in], whose values are copied.
func NewFloats(w *tensor.Tensor) *Floats {
	return &Floats{kernel.Pack(kernel.Matrix{Data: w.Data, Stride: w.Cols, T: true}, w.Cols, w.Rows)}
}

// Size is the shape.
func (w *Floats) Size() (out, in int) { return w.packed.N, w.packed.K }

// Bytes is the memory that it takes.
func (w *Floats) Bytes() int { return w.packed.Bytes() }

// Format is the form that the matrix rests in.
func (w *Floats) Format() quant.Format { return quant.F32 }

// Row writes row i into dst.
func (w *Floats) Row(dst []float32, i int) { w.packed.Column(dst, i) }

// Blocks writes the bytes of row i, as a file holds them, into dst.
func (w *Floats) Blocks(dst []byte, i int) {
	row := make([]float32, w.packed.K)
	w.packed.Column(row, i)
	for k, v := range row {
		binary.LittleEndian.PutUint32(dst[4*k:], math.Float32bits(v))
	}
}

// Multiply sets y = x W^T.
func (w *Floats) Multiply(p *Pass, y, x *tensor.Tensor) {
	kernel.GemmPacked(p.Pool, y.Data, w.packed.N, kernel.Matrix{Data: x.Data, Stride: w.packed.K}, w.packed, x.Rows, false)
}
