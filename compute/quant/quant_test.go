package quant_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weft/compute/quant"
)

// Integers and scales apart are those of Q8_0's blocks, and so are the values.
func TestQ8IsQ8_0Apart(t *testing.T) {
	for kind := range kinds {
		x := values(kind)
		blocks := make([]byte, len(x)/32*34)
		if err := quant.Q8_0.Encode(blocks, x, nil); err != nil {
			t.Fatal(err)
		}
		q, d := make([]int8, len(x)), make([]uint16, quant.Q8Scales(len(x)))
		if err := quant.Q8Encode(q, d, x); err != nil {
			t.Fatal(err)
		}
		var joined []byte
		for i, v := range q {
			if i%32 == 0 {
				joined = binary.LittleEndian.AppendUint16(joined, d[i/32])
			}
			joined = append(joined, byte(v))
		}
		if !bytes.Equal(joined, blocks) {
			t.Errorf("%s: the integers and scales are not those of Q8_0", kind)
		}
		a, b := make([]float32, len(x)), make([]float32, len(x))
		quant.Q8Decode(a, q, d)
		if quant.Q8_0.Decode(b, blocks); !slices.Equal(a, b) {
			t.Errorf("%s: the values are not those of Q8_0", kind)
		}
	}
}

// A block worked by hand: max 254 gives d = 2 exactly, halves go away from zero.
func TestQ8ByHand(t *testing.T) {
	x := []float32{254, -254, 1, -1, 2.99, 3, 0, 0.99}
	q, d := make([]int8, len(x)), make([]uint16, 1)
	if err := quant.Q8Encode(q, d, x); err != nil {
		t.Fatal(err)
	}
	if want := []int8{127, -127, 1, -1, 1, 2, 0, 0}; !slices.Equal(q, want) || d[0] != 0x4000 {
		t.Errorf("got %v scale %#x, want %v scale 0x4000 (2)", q, d[0], want)
	}
}

// Rows that are no multiple of the block, tiny values, zeros: the error stays
// within half a step, and a second round changes nothing.
func TestQ8RoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 31, 32, 33, 64, 100, 192} {
		for _, spread := range []float64{0, 1e-42, 1e-30, 1e-6, 1e-4, 0.02, 1, 1e4} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(rng.NormFloat64() * spread)
			}
			q, d, back := make([]int8, n), make([]uint16, quant.Q8Scales(n)), make([]float32, n)
			if err := quant.Q8Encode(q, d, x); err != nil {
				t.Fatal(err)
			}
			quant.Q8Decode(back, q, d)
			for i := range x {
				step := float64(quant.FromHalf(d[i/quant.Q8Block]))
				// Half a step, the rounding of the scale, the smallest float16.
				bound := 0.5001*step + math.Abs(float64(x[i]))/2048 + 127.0/(1<<25)
				if e := math.Abs(float64(x[i] - back[i])); !(e <= bound) {
					t.Fatalf("n=%d spread=%g: %g came back as %g, want within %g", n, spread, x[i], back[i], bound)
				}
			}
			again, scales := make([]int8, n), make([]uint16, len(d))
			if err := quant.Q8Encode(again, scales, back); err != nil {
				t.Fatal(err)
			}
			if spread >= 1e-4 && (!slices.Equal(again, q) || !slices.Equal(scales, d)) {
				t.Errorf("n=%d spread=%g: encoding the decoded row changed it", n, spread)
			}
		}
	}
}

func TestQ8Range(t *testing.T) {
	for v, want := range map[float32]string{
		float32(math.NaN()): "value 33", float32(math.Inf(-1)): "value 33", 1e8: "values 32 to 39 of the row reach 1e+08",
	} {
		x := make([]float32, 40)
		x[33] = v
		err := quant.Q8Encode(make([]int8, 40), make([]uint16, 2), x)
		if !errors.Is(err, quant.ErrRange) || !strings.Contains(err.Error(), want) {
			t.Errorf("%g: error is %v, want one with %q", v, err, want)
		}
	}
}

// Every half survives the trip through float32, and every float32 between two
// halves goes to the nearer one, ties to the even one.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		f := quant.FromHalf(uint16(h))
		back := quant.ToHalf(f)
		if f != f {
			if b := quant.FromHalf(back); b == b {
				t.Fatalf("NaN %#x became %#x", h, back)
			}
			continue
		}
		if back != uint16(h) {
			t.Fatalf("%#x (%g) came back as %#x", h, f, back)
		}
		if h&0x7fff >= 0x7bff { // the largest has no finite neighbour
			continue
		}
		next := quant.FromHalf(uint16(h + 1))
		mid := f + (next-f)/2 // exact in float32
		even := uint16(h + h&1)
		below, above := math.Nextafter32(mid, f), math.Nextafter32(mid, next)
		if a, b, c := quant.ToHalf(below), quant.ToHalf(mid), quant.ToHalf(above); a != uint16(h) || b != even || c != uint16(h+1) {
			t.Fatalf("around the middle of %#x: got %#x %#x %#x, want %#x %#x %#x", h, a, b, c, h, even, h+1)
		}
	}
	for f, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, -1e30: 0xfc00, 1e-30: 0, float32(math.Inf(1)): 0x7c00} {
		if got := quant.ToHalf(f); got != want {
			t.Errorf("%g became %#x, want %#x", f, got, want)
		}
	}
}

func ExampleQ8Encode() {
	x := []float32{0.5, -1.27, 0.004, 0}
	q, d := make([]int8, 4), make([]uint16, 1)
	if err := quant.Q8Encode(q, d, x); err != nil {
		fmt.Println(err)
		return
	}
	quant.Q8Decode(x, q, d)
	fmt.Println(q, x[1])
	// Output: [50 -127 0 0] -1.2702713
}
