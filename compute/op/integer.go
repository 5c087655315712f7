package op

import (
	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// Integers is a matrix at rest that is multiplied as the integers it is stored
// as (kernel.GemmInt): x is rounded to integers too, 32 values of a row at a
// time, so products are not those with the float32 values, but nearer than
// twice the error of 8-bit activations. Their bits depend on the row of x
// alone, as everywhere.
type Integers struct{ packed *kernel.PackedInt }

// HasIntegers says whether there are products with integers for a format.
func HasIntegers(f quant.Format) bool { return kernel.IntFormat(f).Valid() }

// NewIntegers lays out a matrix [out, in] for the kernel, on all cores. blocks
// returns those of row i; they are copied. in must be whole blocks. A scale that
// is infinite or NaN is an error.
func NewIntegers(f quant.Format, out, in int, blocks func(i int) []byte) (*Integers, error) {
	pool := par.New(0)
	defer pool.Close()
	packed, err := kernel.PackInt(pool, kernel.IntFormat(f), in, out, blocks)
	if err != nil {
		return nil, err
	}
	return &Integers{packed}, nil
}

// Pack8 puts a matrix [out, in] to rest in 8 bits: integers q [out, in], with
// the scales of each row's blocks of 32, d [out, ceil(in/32)], float16 values.
func Pack8(q []int8, d []float32, in, out int) *Integers {
	return &Integers{kernel.PackInt8(q, d, in, out)}
}

// Size is the shape.
func (w *Integers) Size() (out, in int) { return w.packed.N, w.packed.K }

// Bytes is the memory that it takes.
func (w *Integers) Bytes() int { return w.packed.Bytes() }

// Format is the form that the matrix rests in.
func (w *Integers) Format() quant.Format { return quant.Format(w.packed.Format()) }

// Row writes row i, in the values of the format, into dst.
func (w *Integers) Row(dst []float32, i int) { w.packed.Column(dst, i) }

// Blocks writes the blocks of row i, as a file holds them, into dst.
func (w *Integers) Blocks(dst []byte, i int) { w.packed.Blocks(dst, i) }

// multiplyAll sets ys to x W^T for each of several matrices, as Multiply does, and
// rounds x once. Where one of them is no Integers, or rounds x in another way, it
// does nothing and reports false.
func multiplyAll(p *Pass, ys []*tensor.Tensor, x *tensor.Tensor, ws []AtRest) bool {
	first, ok := ws[0].(*Integers)
	all := p.products[:0]
	for i, w := range ws {
		w, is := w.(*Integers)
		if !ok || !is || !w.packed.Alike(first.packed) {
			return false
		}
		all = append(all, kernel.IntProduct{C: ys[i].Data, LDC: w.packed.N, B: w.packed})
	}
	kernel.GemmInts(p.Pool, kernel.Matrix{Data: x.Data, Stride: first.packed.K}, x.Rows, all...)
	clear(all)
	p.products = all
	return true
}

// Multiply sets y = x W^T, x rounded to integers.
func (w *Integers) Multiply(p *Pass, y, x *tensor.Tensor) {
	kernel.GemmInt(p.Pool, y.Data, w.packed.N, kernel.Matrix{Data: x.Data, Stride: w.packed.K}, w.packed, x.Rows)
}
