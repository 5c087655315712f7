package op

import (
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// Several matrices of one input give what each gives alone, bit for bit, in
// results and gradients, when gradients are set and when they are added to.
func TestLinearsIsLinear(t *testing.T) {
	const rows, in = 70, 48
	pool := par.New(2)
	defer pool.Close()
	outs := []int{40, 24, 24}
	run := func(together bool, times int) (all [][]float32) {
		rng := tensor.NewRNG(5)
		fresh := func(r, c int) *tensor.Tensor {
			x := tensor.New(r, c)
			rng.FillNormal(x.Data, 1)
			x.Grad = []float32{}
			return x
		}
		x, ws := fresh(rows, in), make([]*tensor.Tensor, len(outs))
		for i, out := range outs {
			ws[i] = fresh(out, in)
		}
		for range times {
			p := &Pass{Record: true, Pool: pool}
			ys := make([]*tensor.Tensor, len(ws))
			if together {
				p.Linears(ys, x, ws)
			} else {
				for i, w := range ws {
					ys[i] = p.Linear(x, w, nil)
				}
			}
			for _, y := range ys {
				all = append(all, y.Data)
				y.Grad = fresh(y.Rows, y.Cols).Data
			}
			p.Backward()
		}
		all = append(all, x.Grad)
		for _, w := range ws {
			all = append(all, w.Grad)
		}
		return all
	}
	for _, times := range []int{1, 2} {
		got, want := run(true, times), run(false, times)
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%d times: result or gradient %d has other bits than alone", times, i)
			}
		}
	}
}
