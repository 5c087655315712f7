package kernel

import "encoding/binary"

// Blocks of 32 values, from files to panels and back.

// d | 32 bytes
func packQ8(dst, src []byte, col int) {
	from, to := (*[34]byte)(src), (*[514]byte)(dst[2*col:])
	for p := 0; p < len(from); p += 2 { // the scale and pairs alike: two bytes per column
		binary.LittleEndian.PutUint16(to[16*p:], binary.LittleEndian.Uint16(from[p:]))
	}
}

func restoreQ8(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	for p := range 16 {
		copy(dst[2+2*p:][:2], src[32+32*p+2*col:])
	}
}

func unpackQ8(dst []float32, src []byte, col int) {
	d, q := half(src[2*col:]), src[32+2*col:]
	for ; len(dst) > 1; dst = dst[2:] { // the last block of a row may be short
		dst[0], dst[1] = d*float32(int8(q[0])), d*float32(int8(q[1]))
		q = q[min(32, len(q)):]
	}
	if len(dst) > 0 {
		dst[0] = d * float32(int8(q[0]))
	}
}

// d | 16 bytes of nibbles, value j below and j+16 above
func packQ4(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	packFour(dst[32:], src[2:], col)
}

func restoreQ4(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	restoreFour(dst[2:], src[32:], col)
}

// packFour writes column col of 16 bytes of nibbles.
func packFour(dst, q []byte, col int) {
	from, to := (*[16]byte)(q), (*[196]byte)(dst[4*col:])
	for j := range 4 {
		binary.LittleEndian.PutUint32(to[64*j:], word(from[4*j:]))
	}
}

func restoreFour(q, src []byte, col int) {
	for j := range 4 {
		copy(q[4*j:4*j+4], src[64*j+4*col:])
	}
}

// word is four values of a column.
func word(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func unpackQ4(dst []float32, src []byte, col int) {
	d := half(src[2*col:])
	for l := range dst {
		dst[l] = d * float32(int(nibble(src[32:], col, l))-8)
	}
}

// nibble is the weight at depth l of a block of 32.
func nibble(src []byte, col, l int) byte { return src[64*(l%16/4)+4*col+l%4] >> (l / 16 * 4) & 15 }

// d | m | 16 bytes of nibbles
func packQ4_1(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	copy(dst[32+2*col:32+2*col+2], src[2:])
	packFour(dst[64:], src[4:], col)
}

func restoreQ4_1(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	copy(dst[2:4], src[32+2*col:])
	restoreFour(dst[4:], src[64:], col)
}

func unpackQ4_1(dst []float32, src []byte, col int) {
	d, m := half(src[2*col:]), half(src[32+2*col:])
	for l := range dst {
		dst[l] = float32(d*float32(nibble(src[64:], col, l))) + m
	}
}

// d | fifth bits, value v in bit v | 16 bytes of nibbles
func packQ5(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	packFive(dst[32:], src[2:], col)
}

func restoreQ5(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	restoreFive(dst[2:], src[32:], col)
}

// packFive writes column col of 4 bytes of fifth bits and 16 of nibbles.
func packFive(dst, q []byte, col int) {
	packFour(dst, q[4:], col)
	bits, high := word(q), uint32(0)
	for j := range 8 { // bits 4j to 4j+3 go to bit j of a byte each
		high |= bits >> (4 * j) & 15 * 0x204081 & 0x01010101 << j
	}
	binary.LittleEndian.PutUint32(dst[256+4*col:], high)
}

func restoreFive(q, src []byte, col int) {
	var bits uint32
	for l := range intBlock {
		bits |= uint32(five(src, col, l)>>4) << l
	}
	binary.LittleEndian.PutUint32(q, bits)
	restoreFour(q[4:], src, col)
}

// five is the weight at depth l of a block of 32 in 5 bits.
func five(src []byte, col, l int) byte {
	return nibble(src, col, l) | src[256+4*col+l%4]>>(l/4)&1<<4
}

func unpackQ5(dst []float32, src []byte, col int) {
	d := half(src[2*col:])
	for l := range dst {
		dst[l] = d * float32(int(five(src[32:], col, l))-16)
	}
}

// d | m | fifth bits, value v in bit v | 16 bytes of nibbles
func packQ5_1(dst, src []byte, col int) {
	copy(dst[2*col:2*col+2], src)
	copy(dst[32+2*col:32+2*col+2], src[2:])
	packFive(dst[64:], src[4:], col)
}

func restoreQ5_1(dst, src []byte, col int) {
	copy(dst[:2], src[2*col:])
	copy(dst[2:4], src[32+2*col:])
	restoreFive(dst[4:], src[64:], col)
}

func unpackQ5_1(dst []float32, src []byte, col int) {
	d, m := half(src[2*col:]), half(src[32+2*col:])
	for l := range dst {
		dst[l] = float32(d*float32(five(src[64:], col, l))) + m
	}
}
