package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Encode writes the row or rows src as blocks into dst. weights, where not nil,
// is the importance of each column (from calibration: the mean square of what
// it is multiplied with), and src is rows of len(weights) values; formats whose
// scale leaves no choice (Q8_0, MXFP4 and those without blocks) ignore it. A
// block whose columns all have importance 0 is encoded as without.
//
// The bytes are those of ggml's ggml_quantize_chunk. Values so small that their
// scale is zero in float16 become zero, as there. NaN, infinity and blocks
// whose scale no float16 holds are an error that wraps ErrRange and says where;
// dst is then spoilt. Sizes that do not fit are a mistake in the caller and
// panic, as in Decode.
func (f Format) Encode(dst []byte, src, weights []float32) error {
	f.sizes(len(src), len(dst))
	l, cols := f.layout(), len(src)
	if weights != nil {
		cols = len(weights)
		if cols == 0 && len(src) > 0 || cols%l.values != 0 || cols > 0 && len(src)%cols != 0 {
			panic(fmt.Sprintf("quant: importance of %d columns for %d values in blocks of %d", cols, len(src), l.values))
		}
		for i, w := range weights {
			if !(w >= 0 && w <= math.MaxFloat32) {
				return fmt.Errorf("%w %s: importance of column %d is %g, want a finite number from 0", ErrRange, l.name, i, w)
			}
		}
	}
	for at := 0; at < len(src); at += cols {
		row := src[at : at+cols]
		if err := l.encodeRow(dst[at/l.values*l.bytes:], row, weights); err != nil {
			if weights == nil {
				return err
			}
			return fmt.Errorf("row %d: %w", at/cols, err)
		}
	}
	return nil
}

func (l *layout) encodeRow(dst []byte, x, weights []float32) error {
	var spread float32
	if weights != nil {
		spread = squares(x) / float32(len(x))
	}
	step := l.values
	if step == 1 {
		step = 64 // a format without blocks goes in runs
	}
	for i := 0; i < len(x); i += step {
		block, w := x[i:min(i+step, len(x))], weights
		top, bad := reach(block)
		if bad >= 0 {
			return fmt.Errorf("%w %s: value %d is %g", ErrRange, l.name, i+bad, block[bad])
		}
		if w != nil {
			if w = w[i : i+len(block)]; total(w) == 0 {
				w = nil
			}
		}
		if top > l.most || !l.encode(dst[i/l.values*l.bytes:], block, w, spread) {
			return fmt.Errorf("%w %s: values %d to %d reach %g", ErrRange, l.name, i, i+len(block)-1, top)
		}
	}
	return nil
}

// reach is the largest magnitude in x, and the index of the first value that
// is no finite number, or -1.
func reach(x []float32) (top float32, bad int) {
	for i, v := range x {
		a := abs(v)
		if !(a <= math.MaxFloat32) {
			return 0, i
		}
		if a > top {
			top = a
		}
	}
	return top, -1
}

func encodeF32(b []byte, x, _ []float32, _ float32) bool {
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	return true
}

func encodeF16(b []byte, x, _ []float32, _ float32) bool {
	ok := true
	for i, v := range x {
		ok = putHalf(b[2*i:], v) && ok
	}
	return ok
}

// encodeBF16 rounds to nearest, ties to even.
func encodeBF16(b []byte, x, _ []float32, _ float32) bool {
	for i, v := range x {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(roundShift(math.Float32bits(v), 16)))
	}
	return true
}

// putHalf writes v as float16 into the first two bytes of b; false where that
// is not finite.
func putHalf(b []byte, v float32) bool {
	h := ToHalf(v)
	binary.LittleEndian.PutUint16(b, h)
	return h&0x7c00 != 0x7c00
}

// inverse is 1/d, and 0 where d is zero or so near that 1/d is infinite.
func inverse(d float32) float32 {
	if id := 1 / d; abs(id) <= math.MaxFloat32 {
		return id
	}
	return 0
}

// putNibbles writes 32 codes of 4 bits: byte j holds code j below, j+16 above.
func putNibbles(b []byte, q *[32]uint8) {
	for j := range 16 {
		b[j] = q[j]&15 | q[j+16]<<4
	}
}

// putFifths writes the fifth bits of 32 codes: bit j is code j's.
func putFifths(b []byte, q *[32]uint8) {
	var high uint32
	for j, v := range q {
		high |= uint32(v>>4&1) << j
	}
	binary.LittleEndian.PutUint32(b, high)
}

// signedCodes finds d and codes from 0 to 2*half-1 with x near d*(q-half).
func signedCodes(q *[32]uint8, x, importance []float32, spread float32, half int32) (d float32) {
	if importance != nil {
		var w [32]float32
		emphasis(w[:], importance, x, spread)
		return fitSymmetric(q[:], x, w[:], half)
	}
	d = farthest(x) / float32(-half)
	id := inverse(d)
	for j, v := range x {
		q[j] = uint8(min(2*half-1, int32(float32(v*id)+(float32(half)+0.5))))
	}
	return d
}

func encodeQ4_0(b []byte, x, importance []float32, spread float32) bool {
	var q [32]uint8
	d := signedCodes(&q, x, importance, spread, 8)
	putNibbles(b[2:], &q)
	return putHalf(b, d)
}

func encodeQ5_0(b []byte, x, importance []float32, spread float32) bool {
	var q [32]uint8
	d := signedCodes(&q, x, importance, spread, 16)
	putFifths(b[2:], &q)
	putNibbles(b[6:], &q)
	return putHalf(b, d)
}

// affineCodes finds d, m and codes from 0 to top with x near d*q + m.
func affineCodes(q *[32]uint8, x, importance []float32, spread float32, top int32) (d, m float32) {
	if importance != nil {
		var w [32]float32
		emphasis(w[:], importance, x, spread)
		d, low := fitAffine(q[:], x, w[:], top, weightedGrid)
		return d, -low
	}
	m, most := x[0], x[0]
	for _, v := range x {
		if v < m {
			m = v
		}
		if v > most {
			most = v
		}
	}
	d = (most - m) / float32(top)
	id := inverse(d)
	for j, v := range x {
		q[j] = uint8(min(top, int32(float32((v-m)*id)+0.5)))
	}
	return d, m
}

func encodeQ4_1(b []byte, x, importance []float32, spread float32) bool {
	var q [32]uint8
	d, m := affineCodes(&q, x, importance, spread, 15)
	putNibbles(b[4:], &q)
	return putHalf(b, d) && putHalf(b[2:], m)
}

func encodeQ5_1(b []byte, x, importance []float32, spread float32) bool {
	var q [32]uint8
	d, m := affineCodes(&q, x, importance, spread, 31)
	putFifths(b[4:], &q)
	putNibbles(b[8:], &q)
	return putHalf(b, d) && putHalf(b[2:], m)
}

func encodeQ8_0(b []byte, x, _ []float32, _ float32) bool {
	var q [32]int8
	d := integers8(q[:], x)
	for j, v := range q {
		b[2+j] = byte(v)
	}
	return putHalf(b, d)
}

// integers8 finds d and integers from -127 to 127 with x near d*q. They are
// found with the scale before its rounding to float16, by its reciprocal,
// halves away from zero. Source: quantize_row_q8_0_ref.
func integers8(q []int8, x []float32) (d float32) {
	d = abs(farthest(x)) / 127
	id := inverse(d)
	for j, v := range x {
		q[j] = int8(math.Round(float64(v * id)))
	}
	return d
}

// encodeMXFP4 takes the power of two by the largest magnitude, as the OCP
// specification asks (6.3), and for each value the nearest float of 4 bits.
func encodeMXFP4(b []byte, x, _ []float32, _ float32) bool {
	b[0] = 0
	if top := abs(farthest(x)); top > 0 {
		// In float32, where a value just below a power of two becomes it.
		log := float32(math.Log2(float64(top)))
		b[0] = byte(max(0, math.Floor(float64(log))-2+127))
	}
	d := powerOfTwo(b[0])
	var q [32]uint8
	for j, v := range x {
		best := abs(v)
		for c := 1; c < 8; c++ { // of equals the smaller
			if e := abs(float32(float4[c]*d) - abs(v)); e < best {
				best, q[j] = e, uint8(c)
			}
		}
		if v < 0 && q[j] > 0 {
			q[j] |= 8
		}
	}
	putNibbles(b[1:], &q)
	return true
}
