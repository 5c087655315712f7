package op

import (
	"strings"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// rowsOf is a matrix in blocks of a format, stored in another order, and its
// values.
func rowsOf(t *testing.T, f quant.Format, in, out int) (rest AtRest, w *tensor.Tensor) {
	t.Helper()
	rng := tensor.NewRNG(6)
	stride, err := f.RowBytes(in)
	if err != nil {
		t.Fatal(err)
	}
	w, data, order := tensor.New(out, in), make([]byte, out*stride), make([]int32, out)
	for i := range out {
		stored := (i + 7) % out
		row := w.Row(i)
		rng.FillNormal(row, 0.1)
		block := data[stored*stride:][:stride]
		if err := f.Encode(block, row, nil); err != nil {
			t.Fatal(err)
		}
		f.Decode(row, block)
		order[i] = int32(stored)
	}
	r, err := NewRows(f, data, out, in, order, t)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes() != len(data) || r.Format() != f {
		t.Errorf("%s: %d bytes of %s", f, r.Bytes(), r.Format())
	}
	return r, w
}

// TestRows: a weight at rest in a file's blocks gives the bits of its values,
// forward as a matrix and as a table, alone and among many rows, on any number of threads, and in
// the gradient it hands on.
func TestRows(t *testing.T) {
	check := func(name string, rest AtRest, w *tensor.Tensor) {
		t.Run(name, func(t *testing.T) {
			if out, in := rest.Size(); out != w.Rows || in != w.Cols {
				t.Fatalf("size is [%d, %d], want [%d, %d]", out, in, w.Rows, w.Cols)
			}
			x := tensor.New(17, w.Cols)
			tensor.NewRNG(7).FillNormal(x.Data, 1)
			run := func(pool *par.Pool, linear func(p *Pass) *tensor.Tensor) (y, dx []float32) {
				p := &Pass{Record: true, Arena: &tensor.Arena{}, Pool: pool}
				x.Grad = []float32{}
				z := linear(p)
				z.Grad = append([]float32(nil), z.Data...)
				p.Backward()
				return z.Data, x.Grad
			}
			y, dx := run(nil, func(p *Pass) *tensor.Tensor { return p.Linear(x, w, nil) })
			for _, threads := range []int{1, 3} {
				pool := par.New(threads)
				defer pool.Close()
				y8, dx8 := run(pool, func(p *Pass) *tensor.Tensor { return p.LinearAtRest(x, rest) })
				if !sameBits(y, y8) || !sameBits(dx, dx8) {
					t.Errorf("%d threads: the product, or its gradient, has other bits", threads)
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
	for _, f := range quant.Formats() {
		rest, w := rowsOf(t, f, 256, 150)
		check(f.Name(), rest, w)
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
