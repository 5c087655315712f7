package quant

import "encoding/binary"

// Blocks of 256 values: 8 groups of 32 or 16 groups of 16, each with its own
// small integer scale beside the float16 of the whole block. Conversions to
// float32 around products keep them from being fused with sums.

// 16 scales, nibbles a (below) and b | 64 bytes of 2 bits | d | m.
// A half of 128 values takes 32 bytes; byte l holds values l, l+32, l+64, l+96.
func decodeQ2_K(dst []float32, src []byte) {
	for i := range len(src) / 84 {
		b := (*[84]byte)(src[84*i:])
		y, d, m := (*[256]float32)(dst[256*i:]), half(b[80:]), half(b[82:])
		for g := range 16 {
			a := b[g]
			scale, low := d*float32(a&15), float32(m*float32(a>>4))
			var t [4]float32
			for q := range t {
				t[q] = float32(scale*float32(q)) - low
			}
			quads((*[16]float32)(y[16*g:]), b[16:80], g, &t)
		}
	}
}

// quads writes the 16 values of group g, looked up in t, from its 2 bits.
func quads(y *[16]float32, q []byte, g int, t *[4]float32) {
	shift := 2 * (g / 2 % 4)
	for l, v := range (*[16]byte)(q[g/8*32+g%2*16:]) {
		y[l] = t[v>>shift&3]
	}
}

// 32 bytes of third bits, value v in bit v/32 of byte v%32 | 64 bytes of
// 2 bits, as in Q2_K | 12 bytes of scales | d
func decodeQ3_K(dst []float32, src []byte) {
	for i := range len(src) / 110 {
		b := (*[110]byte)(src[110*i:])
		y, d := (*[256]float32)(dst[256*i:]), half(b[108:])
		scales := scalesQ3((*[12]byte)(b[96:]))
		for g, a := range scales {
			scale := d * float32(a)
			var t [8]float32
			for q := range t {
				t[q] = scale * float32(q-4)
			}
			low := (*[16]byte)(b[32+g/8*32+g%2*16:])
			high := (*[16]byte)(b[g%2*16:])
			shift, bit := 2*(g/2%4), g/2
			out := (*[16]float32)(y[16*g:])
			for l := range out {
				out[l] = t[low[l]>>shift&3|high[l]>>bit&1<<2]
			}
		}
	}
}

// scalesQ3 unpacks 16 signed scales: 4 low bits in bytes 0 to 7, scale g in
// byte g%8; 2 high bits in bytes 8 to 11, scale g in byte 8+g%4; 32 is zero.
func scalesQ3(b *[12]byte) (a [16]int8) {
	for g := range a {
		low := b[g%8] >> (g / 8 * 4) & 15
		high := b[8+g%4] >> (g / 4 * 2) & 3
		a[g] = int8(low|high<<4) - 32
	}
	return a
}

// scalesQ4 unpacks the scales a and b of 8 groups, 6 bits each. Groups 0 to 3
// stand plainly in bytes 0 to 3 and 4 to 7, whose upper 2 bits are the upper
// bits of groups 4 to 7; their lower bits are the nibbles of bytes 8 to 11.
func scalesQ4(s *[12]byte) (a, b [8]byte) {
	for g := range 4 {
		a[g], b[g] = s[g]&63, s[g+4]&63
		a[g+4] = s[g+8]&15 | s[g]>>6<<4
		b[g+4] = s[g+8]>>4 | s[g+4]>>6<<4
	}
	return a, b
}

// d | m | 12 bytes of scales | 128 bytes of nibbles: 32 bytes hold a group
// below and the next one above.
func decodeQ4_K(dst []float32, src []byte) {
	for i := range len(src) / 144 {
		b := (*[144]byte)(src[144*i:])
		y, d, m := (*[256]float32)(dst[256*i:]), half(b[:]), half(b[2:])
		a, low := scalesQ4((*[12]byte)(b[4:]))
		for p := range 4 {
			d0, m0 := d*float32(a[2*p]), float32(m*float32(low[2*p]))
			d1, m1 := d*float32(a[2*p+1]), float32(m*float32(low[2*p+1]))
			out := (*[64]float32)(y[64*p:])
			for l, v := range (*[32]byte)(b[16+32*p:]) {
				out[l] = float32(d0*plain4[v&15]) - m0
				out[l+32] = float32(d1*plain4[v>>4]) - m1
			}
		}
	}
}

// d | m | 12 bytes of scales | 32 bytes of fifth bits, value v in bit v/32 of
// byte v%32 | 128 bytes of nibbles, as in Q4_K
func decodeQ5_K(dst []float32, src []byte) {
	for i := range len(src) / 176 {
		b := (*[176]byte)(src[176*i:])
		y, d, m := (*[256]float32)(dst[256*i:]), half(b[:]), half(b[2:])
		a, low := scalesQ4((*[12]byte)(b[4:]))
		high := (*[32]byte)(b[16:])
		for p := range 4 {
			d0, m0 := d*float32(a[2*p]), float32(m*float32(low[2*p]))
			d1, m1 := d*float32(a[2*p+1]), float32(m*float32(low[2*p+1]))
			out := (*[64]float32)(y[64*p:])
			for l, v := range (*[32]byte)(b[48+32*p:]) {
				h := high[l] >> (2 * p)
				out[l] = float32(d0*float32(int32(v&15|h&1<<4))) - m0
				out[l+32] = float32(d1*float32(int32(v>>4|h&2<<3))) - m1
			}
		}
	}
}

// 128 bytes of low nibbles | 64 bytes of 2 high bits | 16 signed scales | d.
// A half of 128 values takes 64 and 32 bytes: low byte l holds values l and
// l+64, byte l+32 values l+32 and l+96; high byte l is as in Q2_K.
func decodeQ6_K(dst []float32, src []byte) {
	for i := range len(src) / 210 {
		b := (*[210]byte)(src[210*i:])
		d := half(b[208:])
		for h := range 2 {
			y := (*[128]float32)(dst[256*i+128*h:])
			low, high := (*[64]byte)(b[64*h:]), (*[32]byte)(b[128+32*h:])
			var scale [8]float32
			for g := range scale {
				scale[g] = d * float32(int8(b[192+8*h+g]))
			}
			for l, v := range high {
				g := l / 16
				y[l] = scale[g] * float32(int32(low[l]&15|v&3<<4)-32)
				y[l+32] = scale[g+2] * float32(int32(low[l+32]&15|v>>2&3<<4)-32)
				y[l+64] = scale[g+4] * float32(int32(low[l]>>4|v>>4&3<<4)-32)
				y[l+96] = scale[g+6] * float32(int32(low[l+32]>>4|v>>6<<4)-32)
			}
		}
	}
}

// d | 8 times 2 high bits of scales | 8 nibbles of scales | 128 bytes of
// nibbles, a group like a block of IQ4_NL; scale 32 is zero.
func decodeIQ4_XS(dst []float32, src []byte) {
	for i := range len(src) / 136 {
		b := (*[136]byte)(src[136*i:])
		d, high := half(b[:]), binary.LittleEndian.Uint16(b[2:])
		for g := range 8 {
			a := b[4+g/2]>>(g%2*4)&15 | byte(high>>(2*g)&3<<4)
			nibbles((*[32]float32)(dst[256*i+32*g:]), (*[16]byte)(b[8+16*g:]), d*float32(int32(a)-32), &table4)
		}
	}
}
