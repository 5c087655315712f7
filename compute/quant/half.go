package quant

import (
	"encoding/binary"
	"math"
)

// FromHalf widens an IEEE binary16: 1 sign, 5 exponent, 10 fraction bits.
func FromHalf(h uint16) float32 {
	// Exponent and fraction, put where a float32 has them, are the value times
	// 2^-112: exact for subnormals too.
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112)
	if h&0x7c00 == 0x7c00 { // infinite or NaN
		bits |= 0xff << 23
	}
	return math.Float32frombits(bits | uint32(h>>15)<<31)
}

// ToHalf rounds to the nearest binary16, ties to even. What is larger than
// 65504 by half a step or more becomes infinite; NaN stays NaN.
func ToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, exp, frac := uint16(bits>>16&0x8000), int(bits>>23&0xff)-127, bits&0x7fffff
	switch {
	case exp == 128 && frac != 0:
		return sign | 0x7e00
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14: // a carry out of the fraction raises the exponent, as it should
		return sign | uint16(roundShift(uint32(exp+15)<<23|frac, 13))
	case exp >= -25: // subnormal: the fraction, with its leading one, in steps of 2^-24
		return sign | uint16(roundShift(frac|1<<23, uint(-exp-1)))
	}
	return sign
}

// roundShift is v / 2^n to the nearest integer, ties to even; n is 1 to 31.
func roundShift(v uint32, n uint) uint32 {
	return (v + (1<<(n-1) - 1) + v>>n&1) >> n
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = FromHalf(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// half reads a float16 from the first two bytes of b.
func half(b []byte) float32 { return FromHalf(binary.LittleEndian.Uint16(b)) }
