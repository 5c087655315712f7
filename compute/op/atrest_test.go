package op

import (
	"math"
	"strings"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// randomBlocks is a random matrix [out, in] in a format, row by row, and its values.
func randomBlocks(tb testing.TB, f quant.Format, in, out int) (data []byte, w *tensor.Tensor) {
	tb.Helper()
	rng := tensor.NewRNG(6)
	stride, err := f.RowBytes(in)
	if err != nil {
		tb.Fatal(err)
	}
	data, w = make([]byte, out*stride), tensor.New(out, in)
	for i := range out {
		row, block := w.Row(i), data[i*stride:][:stride]
		rng.FillNormal(row, 0.1)
		if err := f.Encode(block, row, nil); err != nil {
			tb.Fatal(err)
		}
		f.Decode(row, block)
	}
	return data, w
}

// checkAtRest holds a matrix at rest to its values w [out, in]: products are off by
// up to most of their size, or, with most 0, have the same bits; rows of them have
// the same bits alone, among others and on any number of threads; the table, and the
// gradient that is handed on, are those of the values.
func checkAtRest(t *testing.T, rest AtRest, w *tensor.Tensor, most float64) {
	t.Helper()
	if out, in := rest.Size(); out != w.Rows || in != w.Cols {
		t.Fatalf("size is [%d, %d], want [%d, %d]", out, in, w.Rows, w.Cols)
	}
	x := tensor.New(17, w.Cols)
	tensor.NewRNG(7).FillNormal(x.Data, 1)
	run := func(pool *par.Pool, linear func(p *Pass) *tensor.Tensor) (y, dx []float32) {
		p := &Pass{Record: true, Arena: &tensor.Arena{}, Pool: pool}
		x.Grad = []float32{}
		z := linear(p)
		z.Grad = make([]float32, len(z.Data))
		for i := range z.Grad { // the same for products that differ
			z.Grad[i] = float32(i%7) - 3
		}
		p.Backward()
		return z.Data, x.Grad
	}
	want, dwant := run(nil, func(p *Pass) *tensor.Tensor { return p.Linear(x, w, nil) })
	y, _ := run(nil, func(p *Pass) *tensor.Tensor { return p.LinearAtRest(x, rest) })
	if same := sameBits(y, want); same != (most == 0) {
		t.Errorf("products have the bits of the values: %v, want %v", same, most == 0)
	}
	if e := distance(y, want); e > most {
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

// TestRows: a weight at rest in a file's blocks, stored in another order, gives the
// bits of its values.
func TestRows(t *testing.T) {
	const in, out = 256, 150
	for _, f := range quant.Formats() {
		t.Run(f.Name(), func(t *testing.T) {
			data, stored := randomBlocks(t, f, in, out)
			w, order := tensor.New(out, in), make([]int32, out)
			for i := range out {
				order[i] = int32((i + 7) % out)
				copy(w.Row(i), stored.Row(int(order[i])))
			}
			rest, err := NewRows(f, data, out, in, order, t)
			if err != nil {
				t.Fatal(err)
			}
			if rest.Bytes() != len(data) || rest.Format() != f {
				t.Errorf("%d bytes of %s, want %d of %s", rest.Bytes(), rest.Format(), len(data), f)
			}
			checkAtRest(t, rest, w, 0)
		})
	}
}

func TestNewRowsRefuses(t *testing.T) {
	for want, bad := range map[string]func() (*Rows, error){
		"33 values in blocks of 32":   func() (*Rows, error) { return NewRows(quant.Q8_0, make([]byte, 34), 1, 33, nil, nil) },
		"got 33 bytes":                func() (*Rows, error) { return NewRows(quant.Q8_0, make([]byte, 33), 1, 32, nil, nil) },
		"order of 2 rows, want 34":    func() (*Rows, error) { return NewRows(quant.Q8_0, make([]byte, 34), 1, 32, []int32{0, 0}, nil) },
		"matrix [1, 32] in Q8_0: got": func() (*Rows, error) { return NewRows(quant.Q8_0, nil, 1, 32, nil, nil) },
	} {
		if _, err := bad(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
}

// BenchmarkRows is one row, as in decoding, times a matrix [2048, 2048], by format.
func BenchmarkRows(b *testing.B) {
	const n = 2048
	pool := par.New(0)
	defer pool.Close()
	for _, f := range []quant.Format{quant.F16, quant.BF16, quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K} {
		for name, rows := range map[string]int{"1": 1, "256": 256} {
			b.Run(f.Name()+"/"+name, func(b *testing.B) {
				stride, _ := f.RowBytes(n)
				w, err := NewRows(f, make([]byte, n*stride), n, n, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				p, x, y := &Pass{Pool: pool}, tensor.New(rows, n), tensor.New(rows, n)
				b.SetBytes(int64(w.Bytes()))
				b.ReportAllocs()
				for b.Loop() {
					w.Multiply(p, y, x)
				}
				b.ReportMetric(2*float64(rows)*n*n/b.Elapsed().Seconds()*float64(b.N)/1e9, "GFLOP/s")
			})
		}
	}
}
