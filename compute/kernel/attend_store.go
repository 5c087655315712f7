package kernel

import (
	"math"
	"unsafe"
)

// Block holds BlockLen positions of one layer. Of type KVF32, K is
// [KV][Dim][BlockLen], so that a block's scores are the lanes of one vector, and V
// is [KV][BlockLen][Dim]. The other types keep the same order in fewer bits; K and
// V are then the words of their memory, head by head.
//
//	f16, bf16, q8  K [Dim][BlockLen]  V [BlockLen][Dim]
//	q4             K [Dim/2][BlockLen] bytes: channels 2c (low bits) and 2c+1
//	               V [BlockLen][Dim/32][16] bytes: values i and i+16 of a group
//	q8, q4         then a word per position, its step and lowest value (encode)
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
	turns := 1 / float32(rotate(turned))
	for d := range turned {
		turned[d] *= turns // exact: a power of two
	}
	kb, vb, width := view[uint8](kw), view[uint8](vw), t.width(dim)
	var space [256]uint8
	codes := append(space[:0], make([]uint8, width)...)
	kw[len(kw)-BlockLen+slot] = t.encode(codes, turned)
	if t == KVQ8 {
		for d, c := range codes {
			kb[d*BlockLen+slot] = c
		}
	} else {
		for d := 0; d < width; d += 2 {
			kb[d/2*BlockLen+slot] = codes[d] | codes[d+1]<<4
		}
	}
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

// encode rounds a row to codes 0 to 2^bits-1, code c standing for c*step + low. It
// returns both in one word: step in its low half, low in the other, each the upper
// half of a float32. Step is rounded up and low down, so that all values lie in
// reach. What is not finite makes both NaN, and by them all that is computed.
func (t KVType) encode(codes []uint8, row []float32) (word float32) {
	low, high := row[0], row[0]
	for _, x := range row {
		low, high = min(low, x), max(high, x) // NaN stays
	}
	b := math.Float32bits(low)
	if b>>31 == 1 && b&0xffff != 0 {
		b += 1 << 16
	}
	low = math.Float32frombits(b &^ 0xffff)
	step := math.Float32frombits((math.Float32bits((high-low)/float32(uint(1)<<t.bits()-1)) + 0xffff) &^ 0xffff)
	if spread := high - low; spread-spread != 0 || step-step != 0 {
		return math.Float32frombits(math.MaxUint32)
	}
	by := 1 / step
	if by > math.MaxFloat32 { // all values are the same, or as good as that
		by, step = 0, 0
	}
	for i, x := range row {
		codes[i] = uint8(int32(math.RoundToEven(float64((x - low) * by))))
	}
	return math.Float32frombits(math.Float32bits(low) | math.Float32bits(step)>>16)
}

// rotate multiplies x by a matrix of +1 and -1 whose rows are orthogonal
// (Walsh-Hadamard), in pieces of p values, the largest power of two that divides
// its length, and returns p: the product of two turned vectors is p times that of
// the vectors. A channel that stands out in all keys, as they do (Liu 2024), is
// spread over the piece, so that the step of a position fits all of it
// (Ashkboos 2024). A step per channel would tie positions that are stored at
// different times, and for as few as a block has cost more bits than it saves.
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

// widenGeneric writes the values of a head's half, in order, into dst:
// [Dim][BlockLen] of keys, [BlockLen][width] of values.
func (t KVType) widenGeneric(dst, words []float32, width int, keys bool) {
	raw := view[uint8](words)
	for i := range dst {
		position := i / width
		if keys {
			position = i % BlockLen
		}
		var code uint8
		switch t {
		case KVF16:
			dst[i] = half(raw[2*i:])
			continue
		case KVBF16:
			dst[i] = math.Float32frombits(uint32(raw[2*i])<<16 | uint32(raw[2*i+1])<<24)
			continue
		case KVQ8:
			code = raw[i]
		case KVQ4:
			code = raw[i/32*16+i%16] >> (i % 32 / 16 * 4) & 15
		}
		word := math.Float32bits(words[len(words)-BlockLen+position])
		dst[i] = fma(float32(code), math.Float32frombits(word<<16), math.Float32frombits(word&^0xffff))
	}
}

// view is the memory of words as other elements, in the machine's byte order.
func view[T uint8 | uint16](words []float32) []T {
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
