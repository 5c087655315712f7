package kernel

import (
	"math"
	"unsafe"
)

// Block holds BlockLen positions of one layer. Of type KVF32, K is
// [KV][Dim][BlockLen], so that a block's scores are the lanes of one vector, and V
// is [KV][BlockLen][Dim]. The other types keep the same order in fewer bits; K and
// V are then the words of their memory, head by head: values, then scales.
//
//	f16, bf16, q8  K [Dim][BlockLen]  V [BlockLen][Dim]
//	q4             K [Dim/2][BlockLen] bytes: channels 2c (low bits) and 2c+1
//	               V [BlockLen][Dim/32][16] bytes: values i and i+16 of a group
//	q8, q4         then the positions' scales, [BlockLen] float32
type Block struct {
	Type KVType
	K, V []float32
}

// Store writes one position's key and value rows, each [KV*Dim], into slot.
// Slots of a block may be stored from several goroutines at once.
func (b Block) Store(slot int, k, v []float32, h Heads) {
	for kv := range h.KV {
		key, value := k[kv*h.Dim:(kv+1)*h.Dim], v[kv*h.Dim:(kv+1)*h.Dim]
		if b.Type != KVF32 {
			words := b.Type.headWords(h.Dim)
			at, end := kv*words, (kv+1)*words
			b.Type.store(slot, b.K[at:end], b.V[at:end], key, value)
			continue
		}
		kb := b.K[kv*h.Dim*BlockLen:]
		for d, x := range key {
			kb[d*BlockLen+slot] = x
		}
		copy(b.V[(kv*BlockLen+slot)*h.Dim:][:h.Dim], value)
	}
}

// store rounds one position of one head.
func (t KVType) store(slot int, kw, vw, key, value []float32) {
	dim := len(key)
	switch t {
	case KVF16, KVBF16:
		round := roundHalf
		if t == KVBF16 {
			round = roundBrain
		}
		kh, vh := view[uint16](kw), view[uint16](vw)[slot*dim:]
		for d, x := range key {
			kh[d*BlockLen+slot] = round(x)
		}
		for d, x := range value {
			vh[d] = round(x)
		}
		return
	}
	var room [256]float32
	turned := append(room[:0], key...)
	turns := rotate(turned)
	kb, vb, width := view[uint8](kw), view[uint8](vw), t.width(dim)
	var space [256]uint8
	codes := append(space[:0], make([]uint8, width)...)
	kw[len(kw)-BlockLen+slot] = t.encode(codes, turned) / float32(turns)
	if t == KVQ8 {
		for d, c := range codes {
			kb[d*BlockLen+slot] = c
		}
	} else {
		for d := 0; d < width; d += 2 {
			kb[d/2*BlockLen+slot] = codes[d] | codes[d+1]<<4
		}
	}
	clear(codes)
	vw[len(vw)-BlockLen+slot] = t.encode(codes, value)
	if t == KVQ8 {
		copy(vb[slot*width:], codes)
		return
	}
	row := vb[slot*width/2:]
	for d := 0; d < width; d += 32 {
		for i := range 16 {
			row[d/2+i] = codes[d+i] | codes[d+i+16]<<4
		}
	}
}

// encode rounds a row to codes and returns the scale: 8-bit codes are whole
// numbers -127..127 (two's complement), 4-bit ones stand for -7.5..7.5 in steps of
// one. What is not finite makes the scale so, and by it all that is computed.
func (t KVType) encode(codes []uint8, row []float32) (scale float32) {
	most, zero := float32(127), float32(0)
	if t == KVQ4 {
		most, zero = 7.5, 7.5
	}
	var top float32
	for _, x := range row {
		top = max(top, x, -x) // NaN stays
	}
	if top == 0 {
		if t == KVQ4 {
			for i := range codes {
				codes[i] = 8
			}
		}
		return 0
	}
	scale = top / most
	by := most / top
	if by > math.MaxFloat32 { // top is so small that nothing is left of it
		return 0
	}
	for i, x := range row {
		codes[i] = uint8(int32(math.RoundToEven(float64(float32(x*by) + zero))))
	}
	return scale
}

// rotate multiplies x by a matrix of +1 and -1 whose rows are orthogonal
// (Walsh-Hadamard), in pieces of p values, the largest power of two that divides
// its length, and returns p: the product of two turned vectors is p times that of
// the vectors. A channel that stands out in all keys, as they do (Liu 2024), is
// spread over the piece, so that the scale of a position fits all of it
// (Ashkboos 2024). The type needs no scale per channel then, which would tie
// positions that are stored at different times.
func rotate(x []float32) (p int) {
	p = len(x) & -len(x)
	for i := 0; i < len(x); i += p {
		hadamard(x[i : i+p])
	}
	return p
}

// hadamardGeneric turns a piece of 2^n values in place.
func hadamardGeneric(x []float32) {
	for h := 1; h < len(x); h *= 2 {
		for i := 0; i < len(x); i += 2 * h {
			lo, hi := x[i:i+h], x[i+h:i+2*h]
			for j, a := range lo {
				b := hi[j]
				lo[j], hi[j] = a+b, a-b
			}
		}
	}
}

// StoreRows writes n positions from pos on, rows of k and v [n, KV*Dim], into
// blocks, where blocks[i] holds positions i*BlockLen and on. It is Store for
// each row, faster: whole blocks of float32 are transposed.
func StoreRows(blocks []Block, pos int, k, v []float32, n int, h Heads) {
	width := h.KV * h.Dim
	for n > 0 {
		b, slot := blocks[pos/BlockLen], pos%BlockLen
		rows := min(n, BlockLen-slot)
		if rows == BlockLen && b.Type == KVF32 {
			for kv := range h.KV {
				at := kv * h.Dim
				transposeBlock(b.K[at*BlockLen:(at+h.Dim)*BlockLen], k[at:], width, BlockLen, h.Dim)
				for i := range BlockLen {
					copy(b.V[(kv*BlockLen+i)*h.Dim:][:h.Dim], v[i*width+at:])
				}
			}
		} else {
			for i := range rows {
				b.Store(slot+i, k[i*width:(i+1)*width], v[i*width:(i+1)*width], h)
			}
		}
		pos, n = pos+rows, n-rows
		k, v = k[rows*width:], v[rows*width:]
	}
}

// transposeBlock sets dst [dim][BlockLen] to the transpose of rows of src,
// zero where there is no row.
func transposeBlock(dst, src []float32, stride, rows, dim int) {
	if rows == BlockLen && dim%8 == 0 {
		transpose(dst, src[:(BlockLen-1)*stride+dim], stride, dim)
		return
	}
	clear(dst)
	transposeGeneric(dst, src, stride, rows, dim)
}

func transposeGeneric(dst, src []float32, stride, rows, dim int) {
	for i := range rows {
		for d, x := range src[i*stride : i*stride+dim] {
			dst[d*BlockLen+i] = x
		}
	}
}

// widenGeneric writes the values of a head's half without their scales, in order,
// into dst: [Dim][BlockLen] of keys, [BlockLen][width] of values.
func (t KVType) widenGeneric(dst, words []float32) {
	switch t {
	case KVF16:
		raw := view[uint8](words)
		for i := range dst {
			dst[i] = half(raw[2*i:])
		}
	case KVBF16:
		for i, v := range view[uint16](words)[:len(dst)] {
			dst[i] = math.Float32frombits(uint32(v) << 16)
		}
	case KVQ8:
		for i, v := range view[int8](words)[:len(dst)] {
			dst[i] = float32(v)
		}
	case KVQ4:
		for i, v := range view[uint8](words)[:len(dst)/2] {
			at := i/16*32 + i%16
			dst[at], dst[at+16] = float32(v&15)-7.5, float32(v>>4)-7.5
		}
	}
}

// view is the memory of words as other elements, in the machine's byte order.
func view[T uint8 | int8 | uint16](words []float32) []T {
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*4/int(unsafe.Sizeof(one)))
}

// roundHalf is the nearest binary16, ties to even; beyond 65504 it is infinite.
func roundHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000: // NaN
		return sign | 0x7e00
	case b >= 0x477ff000: // rounds to 2^16 or more
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14, in steps of 2^-24: the sum's last bit is one step
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	return sign | uint16((b+0xfff+b>>13&1-0x38000000)>>13)
}

// roundBrain is the nearest bfloat16, ties to even.
func roundBrain(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
