package kernel

import "encoding/binary"

// Superblocks of 256 values, from files to panels and back.

// packScales takes the 6-bit scales of Q4_K and Q5_K apart: a and b of group g
// go to place(g) and 16 behind. restoreScales is the other way.
func packScales(s []byte, place func(g int) []byte) {
	for g := range 4 {
		low, high := place(g), place(g+4)
		low[0], low[16] = s[g]&63, s[g+4]&63
		high[0], high[16] = s[g+8]&15|s[g]>>6<<4, s[g+8]>>4|s[g+4]>>6<<4
	}
}

func restoreScales(s []byte, place func(g int) []byte) {
	for g := range 4 {
		low, high := place(g), place(g+4)
		s[g], s[g+4] = low[0]|high[0]>>4<<6, low[16]|high[16]>>4<<6
		s[g+8] = high[0]&15 | high[16]<<4
	}
}

// nibblesK is where group g of 32 values has its nibbles in 128 bytes, and in
// which half of them.
func nibblesK(q []byte, g int) (group []byte, shift int) { return q[g/2*32:][:32], g % 2 * 4 }

// packNibbles writes column col of a group's nibbles, k below and k+16 above.
func packNibbles(dst, q []byte, g, col int) {
	q, shift := nibblesK(q, g)
	for j := range 4 {
		low, high := word(q[4*j:])>>shift&0x0f0f0f0f, word(q[16+4*j:])>>shift&0x0f0f0f0f
		binary.LittleEndian.PutUint32(dst[64*j+4*col:], low|high<<4)
	}
}

func restoreNibbles(q, src []byte, g, col int) {
	q, shift := nibblesK(q, g)
	for l := range q {
		q[l] |= nibble(src, col, l) << shift
	}
}

// unpackAffine writes values (d*a)q - (m*b); q gives those of a group.
func unpackAffine(dst []float32, src []byte, col, size int, q func(nibbles []byte, col, l int) byte) {
	d, m := half(src[2*col:]), half(src[32+2*col:])
	for l := range dst {
		group := src[64+size*(l/32):]
		scale, low := d*float32(group[col]), float32(m*float32(group[16+col]))
		dst[l] = float32(scale*float32(q(group[32:], col, l%32))) - low
	}
}

// d | m | 12 bytes of scales | 128 bytes of nibbles: 32 bytes hold a group
// below and the next one above.
func packK4(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	copy(dst[32+2*col:32+2*col+2], src[2:])
	packScales(src[4:16], func(g int) []byte { return dst[64+288*g+col:] })
	for g := range 8 {
		packNibbles(dst[96+288*g:], src[16:], g, col)
	}
}

func restoreK4(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	copy(dst[2:4], src[32+2*col:])
	restoreScales(dst[4:16], func(g int) []byte { return src[64+288*g+col:] })
	clear(dst[16:])
	for g := range 8 {
		restoreNibbles(dst[16:], src[96+288*g:], g, col)
	}
}

func unpackK4(dst []float32, src []byte, col int) { unpackAffine(dst, src, col, 288, nibble) }

// d | m | 12 bytes of scales | 32 bytes of fifth bits, value v in bit v/32 of
// byte v%32 | 128 bytes of nibbles, as in Q4_K
func packK5(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	copy(dst[32+2*col:32+2*col+2], src[2:])
	packScales(src[4:16], func(g int) []byte { return dst[64+352*g+col:] })
	for g := range 8 {
		packNibbles(dst[96+352*g:], src[48:], g, col)
		var high uint32
		for j := range 8 {
			high |= word(src[16+4*j:]) >> g & 0x01010101 << j
		}
		binary.LittleEndian.PutUint32(dst[352+352*g+4*col:], high)
	}
}

func restoreK5(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	copy(dst[2:4], src[32+2*col:])
	restoreScales(dst[4:16], func(g int) []byte { return src[64+352*g+col:] })
	clear(dst[16:])
	for g := range 8 {
		restoreNibbles(dst[48:], src[96+352*g:], g, col)
		high := src[352+352*g+4*col:][:4]
		for l := range dst[16:48] {
			dst[16+l] |= high[l%4] >> (l / 4) & 1 << g
		}
	}
}

func unpackK5(dst []float32, src []byte, col int) { unpackAffine(dst, src, col, 352, five) }

// six is the weight at depth l of 16 in 6 bits.
func six(src []byte, col, l int) byte {
	b, q := 4*col+l%4, l/4
	return src[64*(q%2)+b]>>(q/2*4)&15 | src[128+b]>>(2*q)&3<<4
}

// placeQ6 is where value v has its lower 4 and upper 2 bits in a block of Q6_K.
func placeQ6(v int) (low, lowShift, high, highShift int) {
	part := v % 128 / 32
	return v/128*64 + part%2*32 + v%32, part / 2 * 4, 128 + v/128*32 + v%32, 2 * part
}

// 128 bytes of 4 bits | 64 bytes of 2 bits | 16 signed scales | d. Of 128
// values the first 64 have the lower nibbles of 64 bytes.
func packK6(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src[208:])
	for h := range 16 {
		group := dst[32+416*(h/2):]
		group[h%2*16+col] = src[192+h]
		to := group[32+192*(h%2)+4*col:]
		low, lowShift, high, highShift := placeQ6(16 * h)
		var q [4]uint32
		var upper uint32
		for j := range q {
			q[j] = word(src[low+4*j:]) >> lowShift & 0x0f0f0f0f
			upper |= word(src[high+4*j:]) >> highShift & 0x03030303 << (2 * j)
		}
		binary.LittleEndian.PutUint32(to, q[0]|q[2]<<4)
		binary.LittleEndian.PutUint32(to[64:], q[1]|q[3]<<4)
		binary.LittleEndian.PutUint32(to[128:], upper)
	}
}

func restoreK6(dst, src []byte, col int) {
	clear(dst)
	copy(dst[208:], src[2*col:2*col+2])
	for h := range 16 {
		group := src[32+416*(h/2):]
		dst[192+h] = group[h%2*16+col]
		for l := range 16 {
			q := six(group[32+192*(h%2):], col, l)
			low, lowShift, high, highShift := placeQ6(16*h + l)
			dst[low] |= q & 15 << lowShift
			dst[high] |= q >> 4 << highShift
		}
	}
}

func unpackK6(dst []float32, src []byte, col int) {
	d := half(src[2*col:])
	for l := range dst {
		group, h := src[32+416*(l/32):], l/16%2
		scale := d * float32(int8(group[16*h+col]))
		dst[l] = scale * float32(int(six(group[32+192*h:], col, l%16))-32)
	}
}
