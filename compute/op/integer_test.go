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
