package op

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// eight is a matrix in 8 bits, the last block of a row short, and its values.
func eight(in, out int) (*Integers, *tensor.Tensor) {
	rng := tensor.NewRNG(5)
	blocks := quant.Q8Scales(in)
	q, d := make([]int8, in*out), make([]float32, blocks*out)
	for i := range q {
		q[i] = int8(rng.IntN(256) - 128)
	}
	for i := range d {
		d[i] = float32(rng.IntN(1000)) / (1 << 16)
	}
	w := tensor.New(out, in)
	for i := range w.Data {
		w.Data[i] = float32(q[i]) * d[i/in*blocks+i%in/quant.Q8Block]
	}
	return Pack8(q, d, in, out), w
}

// blocksOf is a random matrix in a format, and its values.
func blocksOf(f quant.Format, in, out int) (*Integers, *tensor.Tensor) {
	rng := tensor.NewRNG(6)
	stride, err := f.RowBytes(in)
	if err != nil {
		panic(err)
	}
	w, data := tensor.New(out, in), make([]byte, out*stride)
	for i := range out {
		rng.FillNormal(w.Row(i), 0.1)
		if err := f.Encode(data[i*stride:][:stride], w.Row(i), nil); err != nil {
			panic(err)
		}
		f.Decode(w.Row(i), data[i*stride:][:stride])
	}
	rest, err := NewIntegers(f, out, in, func(i int) []byte { return data[i*stride:][:stride] })
	if err != nil {
		panic(err)
	}
	return rest, w
}

// TestIntegers: products are near those with the values of the matrix, rows of
// them have the same bits alone, among others and on any number of threads;
// table and gradient are those of the values.
func TestIntegers(t *testing.T) {
	check := func(name string, rest *Integers, w *tensor.Tensor, most float64) {
		t.Run(name, func(t *testing.T) {
			x := tensor.New(17, w.Cols)
			tensor.NewRNG(7).FillNormal(x.Data, 1)
			run := func(pool *par.Pool, linear func(p *Pass) *tensor.Tensor) (y, dx []float32) {
				p := &Pass{Record: true, Arena: &tensor.Arena{}, Pool: pool}
				x.Grad = []float32{}
				z := linear(p)
				z.Grad = slices.Clone(x.Data[:0])
				for i := range z.Data {
					z.Grad = append(z.Grad, float32(i%7)-3)
				}
				p.Backward()
				return z.Data, x.Grad
			}
			want, dwant := run(nil, func(p *Pass) *tensor.Tensor { return p.Linear(x, w, nil) })
			y, _ := run(nil, func(p *Pass) *tensor.Tensor { return p.LinearAtRest(x, rest) })
			if e := distance(y, want); e > most || e == 0 {
				t.Errorf("products are off by %g of their size, want up to %g", e, most)
			}
			for _, threads := range []int{1, 3} {
				pool := par.New(threads)
				defer pool.Close()
				got, dx := run(pool, func(p *Pass) *tensor.Tensor { return p.LinearAtRest(x, rest) })
				if !sameBits(got, y) || !sameBits(dx, dwant) {
					t.Errorf("%d threads: the product has other bits, or its gradient is not that of the values", threads)
				}
				for i := range x.Rows { // a row alone
					one := tensor.From(1, x.Cols, x.Row(i))
					if got := (&Pass{Pool: pool}).LinearAtRest(one, rest); !sameBits(got.Data, y[i*w.Rows:(i+1)*w.Rows]) {
						t.Fatalf("%d threads: row %d has other bits alone", threads, i)
					}
				}
			}
			ids := []int32{0, int32(w.Rows - 1), 31, 32, 31}
			if p := (&Pass{}); !sameBits(p.Embed(w, ids).Data, p.EmbedAtRest(rest, ids).Data) {
				t.Error("rows of the table have other bits")
			}
			if got := (&Pass{}).LinearAtRest(tensor.New(0, w.Cols), rest); got.Rows != 0 {
				t.Errorf("no rows in, %d out", got.Rows)
			}
		})
	}
	rest, w := eight(70, 45)
	check("eight", rest, w, 1e-4)
	for _, f := range quant.Formats() {
		if !HasIntegers(f) {
			continue
		}
		most := 0.01 // of activations in 8 bits
		if f == quant.Q8_0 {
			most = 1e-4
		}
		rest, w := blocksOf(f, 512, 45)
		check(f.Name(), rest, w, most)
	}
}

// distance is the size of x-y as a share of that of y.
func distance(x, y []float32) float64 {
	var d, n float64
	for i, v := range y {
		d += math.Pow(float64(x[i]-v), 2)
		n += math.Pow(float64(v), 2)
	}
	return math.Sqrt(d / n)
}

func ExampleNewIntegers() {
	// One row of 32 weights in Q8_0: a scale of 0.5, then 0, 1, 2 ...
	block := []byte{0, 0x38}
	for i := range 32 {
		block = append(block, byte(i))
	}
	w, err := NewIntegers(quant.Q8_0, 1, 32, func(int) []byte { return block })
	if err != nil {
		fmt.Println(err)
		return
	}
	x := tensor.New(1, 32)
	x.Data[31] = 2
	fmt.Println((&Pass{}).LinearAtRest(x, w).Data)
	// Output: [31]
}
