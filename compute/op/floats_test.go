package op

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/tensor"
)

// TestFloats: products, rows and blocks of a matrix in the kernel's order are bit
// for bit those of the matrix, whatever its shape.
func TestFloats(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	rng := tensor.NewRNG(7)
	for _, s := range [][3]int{{1, 1, 1}, {1, 33, 70}, {3, 100, 31}, {20, 64, 256}} {
		rows, out, in := s[0], s[1], s[2]
		m, x := tensor.New(out, in), tensor.New(rows, in)
		rng.FillNormal(m.Data, 1)
		rng.FillNormal(x.Data, 1)
		w := NewFloats(m)
		p := &Pass{Pool: pool}
		if !slices.Equal(p.LinearAtRest(x, w).Data, p.Linear(x, m, nil).Data) {
			t.Errorf("%v: the product differs", s)
		}
		row, bytes := make([]float32, in), make([]byte, 4*in)
		for i := range out {
			w.Row(row, i)
			w.Blocks(bytes, i)
			last := math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*in-4:]))
			if !slices.Equal(row, m.Row(i)) || last != m.Row(i)[in-1] {
				t.Errorf("%v: row %d differs", s, i)
			}
		}
		if o, k := w.Size(); o != out || k != in || w.Bytes() < 4*out*in || fmt.Sprint(w.Format()) != "F32" {
			t.Errorf("%v: [%d, %d] of %v in %d bytes", s, o, k, w.Format(), w.Bytes())
		}
	}
}
