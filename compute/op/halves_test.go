package op

import (
	"fmt"
	"testing"

	"weft/compute/quant"
	"weft/compute/tensor"
)

// TestHalves: products with 16-bit floats have the bits of those with the values.
func TestHalves(t *testing.T) {
	const in, out = 70, 45
	for _, f := range quant.Formats() {
		if !HasHalves(f) {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			data, w := randomBlocks(t, f, in, out)
			rest := NewHalves(f, out, in, func(i int) []byte { return data[2*in*i:][:2*in] })
			checkAtRest(t, rest, w, 0)
			back := make([]byte, 2*in)
			if rest.Blocks(back, 7); string(back) != string(data[2*in*7:][:2*in]) || rest.Format() != f {
				t.Errorf("row 7 of %s comes back otherwise, as %s", f, rest.Format())
			}
		})
	}
}

func ExampleNewHalves() {
	// Two weights in BF16: 1 and -2.
	w := NewHalves(quant.BF16, 1, 2, func(int) []byte { return []byte{0x80, 0x3f, 0, 0xc0} })
	fmt.Println((&Pass{}).LinearAtRest(tensor.From(1, 2, []float32{3, 4}), w).Data)
	// Output: [-5]
}
