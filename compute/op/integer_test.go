package op

import (
	"fmt"
	"testing"

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

// TestIntegers: products are near those with the values, as near as activations of
// 16 bits (Q8_0) or 8 are.
func TestIntegers(t *testing.T) {
	t.Run("eight", func(t *testing.T) {
		rest, w := eight(70, 45)
		checkAtRest(t, rest, w, 1e-4)
	})
	const in, out = 512, 45
	for _, f := range quant.Formats() {
		if !HasIntegers(f) {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			data, w := randomBlocks(t, f, in, out)
			stride := len(data) / out
			rest, err := NewIntegers(f, out, in, func(i int) []byte { return data[i*stride:][:stride] })
			if err != nil {
				t.Fatal(err)
			}
			most := 0.01
			if f == quant.Q8_0 {
				most = 1e-4
			}
			checkAtRest(t, rest, w, most)
		})
	}
}

// TestLinearsAtRest: several products of one input have the bits of each alone,
// whether they round it alike or not, and with empty batches too.
func TestLinearsAtRest(t *testing.T) {
	a, values := eight(64, 45)
	b, _ := eight(64, 17)
	data, _ := randomBlocks(t, quant.Q4_0, 64, 9)
	c, err := NewIntegers(quant.Q4_0, 9, 64, func(i int) []byte { return data[i*36:][:36] })
	if err != nil {
		t.Fatal(err)
	}
	halves, _ := randomBlocks(t, quant.F16, 64, 5)
	d := NewHalves(quant.F16, 5, 64, func(i int) []byte { return halves[i*128:][:128] })
	for _, rows := range []int{0, 1, 7, 40} {
		x := random(tensor.NewRNG(3), rows, values.Cols)
		for _, ws := range [][]AtRest{{a}, {a, b}, {a, b, a}, {a, c}, {c, d}, {d, a}} {
			p, ys := &Pass{}, make([]*tensor.Tensor, len(ws))
			p.LinearsAtRest(ys, x, ws)
			for i, w := range ws {
				if want := p.LinearAtRest(x, w); ys[i].Rows != rows || !sameBits(ys[i].Data, want.Data) {
					t.Errorf("%d rows, product %d of %d has other bits", rows, i, len(ws))
				}
			}
		}
	}
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
