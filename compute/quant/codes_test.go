package quant_test

import (
	"math"
	"testing"

	"weft/compute/quant"
	"weft/compute/tensor"
)

// TestCodes: step*grid[code]-low is what Decode gives, for every format with
// codes and every code, and putting codes leaves the scales.
func TestCodes(t *testing.T) {
	for _, f := range quant.Formats() {
		g := f.Grid()
		if len(g.Values) == 0 {
			if f.BlockLen() != 1 {
				t.Errorf("%s has blocks but no codes", f)
			}
			continue
		}
		n := 2 * f.BlockLen()
		size, err := f.RowBytes(n)
		if err != nil {
			t.Fatal(err)
		}
		x, blocks := make([]float32, n), make([]byte, size)
		tensor.NewRNG(uint64(f)).FillNormal(x, 1)
		if err := f.Encode(blocks, x, nil); err != nil {
			t.Fatal(err)
		}
		step, low, got := make([]float32, n), make([]float32, n), make([]float32, n)
		f.Steps(step, low, blocks)
		codes := make([]uint8, n)
		for shift := range g.Values {
			for i := range codes {
				codes[i] = uint8((7*i + shift) % len(g.Values))
			}
			f.PutCodes(blocks, codes)
			f.Decode(got, blocks)
			for i, v := range got {
				want := float64(step[i])*float64(g.Values[codes[i]]) - float64(low[i])
				if d := math.Abs(float64(v) - want); d > 1e-5*math.Abs(float64(step[i])) {
					t.Fatalf("%s: value %d with code %d is %g, want %g", f, i, codes[i], v, want)
				}
			}
		}
		// Rounding each value by itself is never worse than what Encode chose.
		if err := f.Encode(blocks, x, nil); err != nil {
			t.Fatal(err)
		}
		f.Decode(got, blocks)
		for i, v := range x {
			c := g.Nearest((v + low[i]) / step[i])
			own := math.Abs(float64(step[i])*float64(g.Values[c]) - float64(low[i]) - float64(v))
			if was := math.Abs(float64(got[i] - v)); own > was+1e-5*math.Abs(float64(step[i])) {
				t.Errorf("%s: value %d: nearest code errs by %g, Encode's by %g", f, i, own, was)
			}
		}
	}
}
