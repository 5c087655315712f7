package op

import (
	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// Halves is a matrix at rest in 16-bit floats that is laid out for the kernel
// (kernel.GemmHalf) and widened there: products have the bits of those with the
// float32 values.
type Halves struct{ packed *kernel.PackedHalf }

// HasHalves says whether a format is one of 16-bit floats.
func HasHalves(f quant.Format) bool { return kernel.HalfFormat(f).Valid() }

// NewHalves lays out a matrix [out, in] for the kernel, on all cores. row
// returns the 2*in bytes of row i; they are copied.
func NewHalves(f quant.Format, out, in int, row func(i int) []byte) *Halves {
	pool := par.New(0)
	defer pool.Close()
	return &Halves{kernel.PackHalf(pool, kernel.HalfFormat(f), in, out, row)}
}

// Size is the shape.
func (w *Halves) Size() (out, in int) { return w.packed.N, w.packed.K }

// Bytes is the memory that it takes.
func (w *Halves) Bytes() int { return w.packed.Bytes() }

// Format is the form that the matrix rests in.
func (w *Halves) Format() quant.Format { return quant.Format(w.packed.Format()) }

// Row writes row i into dst.
func (w *Halves) Row(dst []float32, i int) { w.packed.Column(dst, i) }

// Blocks writes the bytes of row i, as a file holds them, into dst.
func (w *Halves) Blocks(dst []byte, i int) { w.packed.Blocks(dst, i) }

// Multiply sets y = x W^T.
func (w *Halves) Multiply(p *Pass, y, x *tensor.Tensor) {
	kernel.GemmHalf(p.Pool, y.Data, w.packed.N, kernel.Matrix{Data: x.Data, Stride: w.packed.K}, w.packed, x.Rows)
}
