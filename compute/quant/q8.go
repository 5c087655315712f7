package quant

import "fmt"

// Q8Block is how many values share a scale. The last block of a row may be
// shorter.
const Q8Block = 32

// Q8Scales is the number of scales, one per block, of a row of n values.
func Q8Scales(n int) int { return (n + Q8Block - 1) / Q8Block }

// Q8Encode is Q8_0 with integers and scales apart, as safetensors files and the
// 8-bit kernel have them, and with a short last block where x is no whole
// number of them. It writes the row x as integers q [len(x)] and scales d
// [Q8Scales(len(x))], float16 bits. NaN, infinity and blocks whose scale no
// float16 holds (a value beyond about 8.3 million) are an error that wraps
// ErrRange and says where.
//
// Encoding what Q8Decode gave yields the same integers and scales again, but
// for blocks so small (below 4e-6) that their scale is zero in float16.
func Q8Encode(q []int8, d []uint16, x []float32) error {
	q8Sizes(len(q), len(d), len(x))
	for b := range d {
		lo, hi := b*Q8Block, min((b+1)*Q8Block, len(x))
		top, bad := reach(x[lo:hi])
		if bad >= 0 {
			return fmt.Errorf("%w: value %d of the row is %g", ErrRange, lo+bad, x[lo+bad])
		}
		if d[b] = ToHalf(integers8(q[lo:hi], x[lo:hi])); d[b] == 0x7c00 {
			return fmt.Errorf("%w: values %d to %d of the row reach %g, too large for a float16 scale", ErrRange, lo, hi-1, top)
		}
	}
	return nil
}

// Q8Decode writes the float32 values of a row of integers q and scales d into
// x, len(q) values: exactly q times the scale, rounded once.
func Q8Decode(x []float32, q []int8, d []uint16) {
	q8Sizes(len(q), len(d), len(x))
	for b, h := range d {
		scale := FromHalf(h)
		for i := b * Q8Block; i < min((b+1)*Q8Block, len(x)); i++ {
			x[i] = float32(q[i]) * scale
		}
	}
}

func q8Sizes(q, d, x int) {
	if q != x || d != Q8Scales(x) {
		panic(fmt.Sprintf("quant: %d integers and %d scales for %d values, want %d and %d", q, d, x, x, Q8Scales(x)))
	}
}
