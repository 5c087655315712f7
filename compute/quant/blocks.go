package quant

import (
	"encoding/binary"
	"math"
)

// Blocks of 32 values. In those of 4 and 5 bits byte j of the 16 nibble bytes
// holds value j below and value j+16 above.

// What 4 bits stand for. Source: kvalues_iq4nl and kvalues_mxfp4 of ggml's
// ggml-common.h; the last is twice the E2M1 of the OCP Microscaling
// specification 1.0, so that all are whole numbers.
var (
	plain4  = [16]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	signed4 = [16]float32{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}
	table4  = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	float4  = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// nibbles writes the 32 values d*table[q].
func nibbles(y *[32]float32, q *[16]byte, d float32, table *[16]float32) {
	for j, b := range q {
		y[j] = d * table[b&15]
		y[j+16] = d * table[b>>4]
	}
}

// d | 16 bytes of nibbles
func decodeQ4_0(dst []float32, src []byte) {
	for i := range len(src) / 18 {
		b := (*[18]byte)(src[18*i:])
		nibbles((*[32]float32)(dst[32*i:]), (*[16]byte)(b[2:]), half(b[:]), &signed4)
	}
}

// d | 16 bytes of nibbles
func decodeIQ4_NL(dst []float32, src []byte) {
	for i := range len(src) / 18 {
		b := (*[18]byte)(src[18*i:])
		nibbles((*[32]float32)(dst[32*i:]), (*[16]byte)(b[2:]), half(b[:]), &table4)
	}
}

// e | 16 bytes of nibbles
func decodeMXFP4(dst []float32, src []byte) {
	for i := range len(src) / 17 {
		b := (*[17]byte)(src[17*i:])
		nibbles((*[32]float32)(dst[32*i:]), (*[16]byte)(b[1:]), powerOfTwo(b[0]), &float4)
	}
}

// powerOfTwo is 2^(e-128): half of what E8M0 means, because float4 is doubled.
// As in ggml, e = 255 is a power like all others, not NaN.
func powerOfTwo(e byte) float32 {
	if e < 2 { // subnormal in float32
		return math.Float32frombits(1 << (21 + e))
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// d | m | 16 bytes of nibbles
func decodeQ4_1(dst []float32, src []byte) {
	for i := range len(src) / 20 {
		b := (*[20]byte)(src[20*i:])
		y, q := (*[32]float32)(dst[32*i:]), (*[16]byte)(b[4:])
		d, m := half(b[:]), half(b[2:])
		for j, v := range q {
			y[j] = float32(d*plain4[v&15]) + m
			y[j+16] = float32(d*plain4[v>>4]) + m
		}
	}
}

// d | fifth bits, value j in bit j | 16 bytes of nibbles
func decodeQ5_0(dst []float32, src []byte) {
	for i := range len(src) / 22 {
		b := (*[22]byte)(src[22*i:])
		y, q := (*[32]float32)(dst[32*i:]), (*[16]byte)(b[6:])
		d, high := half(b[:]), binary.LittleEndian.Uint32(b[2:])
		for j, v := range q {
			y[j] = d * float32(int32(uint32(v&15)|high<<4&16)-16)
			y[j+16] = d * float32(int32(uint32(v>>4)|high>>12&16)-16)
			high >>= 1
		}
	}
}

// d | m | fifth bits, value j in bit j | 16 bytes of nibbles
func decodeQ5_1(dst []float32, src []byte) {
	for i := range len(src) / 24 {
		b := (*[24]byte)(src[24*i:])
		y, q := (*[32]float32)(dst[32*i:]), (*[16]byte)(b[8:])
		d, m, high := half(b[:]), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
		for j, v := range q {
			y[j] = float32(d*float32(int32(uint32(v&15)|high<<4&16))) + m
			y[j+16] = float32(d*float32(int32(uint32(v>>4)|high>>12&16))) + m
			high >>= 1
		}
	}
}

// d | 32 signed bytes
func decodeQ8_0(dst []float32, src []byte) {
	for i := range len(src) / 34 {
		b := (*[34]byte)(src[34*i:])
		y, q := (*[32]float32)(dst[32*i:]), (*[32]byte)(b[2:])
		d := half(b[:])
		for j, v := range q {
			y[j] = d * float32(int8(v))
		}
	}
}
