package quant

import "math"

// Blocks whose scales are set, and codes that somebody else chooses: what a
// method that rounds column after column (GPTQ) works on.
//
//	Encode --> scales --Steps--> step, low --Grid--> codes --PutCodes--> blocks
//
// A value of a block is step*Grid[code] - low, as Decode rounds it.

// Grid lists what the codes of a format stand for before scaling; code c is
// Values[c]. It is empty for formats without codes (F32, F16, BF16).
type Grid struct {
	Values  []float32
	uniform bool // Values[c] is Values[0] + c
}

// Grid is the format's.
func (f Format) Grid() Grid {
	switch f {
	case Q4_0:
		return Grid{signed4[:], true}
	case Q4_1, Q4_K:
		return Grid{plain4[:], true}
	case Q5_0:
		return ramp(-16, 32)
	case Q5_1, Q5_K:
		return ramp(0, 32)
	case Q8_0:
		return ramp(-127, 255)
	case Q2_K:
		return Grid{plain4[:4], true}
	case Q3_K:
		return ramp(-4, 8)
	case Q6_K:
		return ramp(-32, 64)
	case IQ4_NL, IQ4_XS:
		return Grid{table4[:], false}
	case MXFP4:
		return Grid{float4[:], false}
	}
	f.layout() // panics where f is no format
	return Grid{}
}

func ramp(from float32, n int) Grid {
	g := Grid{make([]float32, n), true}
	for i := range g.Values {
		g.Values[i] = from + float32(i)
	}
	return g
}

// Nearest is the code whose value is nearest to v, of equals the one with the
// even distance from the first where the grid is uniform, else the first.
func (g Grid) Nearest(v float32) uint8 {
	if g.uniform {
		c := math.RoundToEven(float64(v - g.Values[0]))
		return uint8(max(0, min(float64(len(g.Values)-1), c)))
	}
	var best uint8
	for c, x := range g.Values {
		if abs(x-v) < abs(g.Values[best]-v) {
			best = uint8(c)
		}
	}
	return best
}

// Steps writes step and low of every value of the blocks in src; their codes do
// not matter. Step is exact where low is zero, else within a rounding of low.
// Formats without codes panic, and so do sizes that do not fit.
func (f Format) Steps(step, low []float32, src []byte) {
	f.sizes(len(step), len(src))
	g := f.Grid()
	blocks := append([]byte(nil), src...)
	fill := func(dst []float32, code uint8) {
		codes := make([]uint8, f.BlockLen())
		for i := range codes {
			codes[i] = code
		}
		for at := 0; at < len(blocks); at += f.BlockBytes() {
			f.PutCodes(blocks[at:at+f.BlockBytes()], codes)
		}
		f.Decode(dst, blocks)
	}
	if g.Values[0] != 0 { // signed: d times nothing is nothing
		fill(step, g.Nearest(1))
		clear(low)
		return
	}
	last := len(g.Values) - 1
	fill(low, 0)
	fill(step, uint8(last))
	for i, v := range low {
		step[i], low[i] = (step[i]-v)/g.Values[last], -v
	}
}

// PutCodes replaces the codes of whole blocks and leaves their scales.
func (f Format) PutCodes(dst []byte, codes []uint8) {
	f.sizes(len(codes), len(dst))
	l := f.layout()
	for at := 0; at < len(codes); at += l.values {
		f.putBlock(dst[at/l.values*l.bytes:], codes[at:at+l.values])
	}
}

// putBlock packs the codes of one block; the layouts stand at the decoders.
func (f Format) putBlock(b []byte, q []uint8) {
	if f.BlockLen() == 256 {
		f.putSuper(b, (*[256]uint8)(q))
		return
	}
	c := (*[32]uint8)(q)
	switch f {
	case Q4_0, IQ4_NL:
		putNibbles(b[2:], c)
	case MXFP4:
		putNibbles(b[1:], c)
	case Q4_1:
		putNibbles(b[4:], c)
	case Q5_0:
		putFifths(b[2:], c)
		putNibbles(b[6:], c)
	case Q5_1:
		putFifths(b[4:], c)
		putNibbles(b[8:], c)
	case Q8_0:
		for j, v := range c {
			b[2+j] = v - 127
		}
	default:
		panic("quant: " + f.Name() + " has no codes")
	}
}

func (f Format) putSuper(b []byte, q *[256]uint8) {
	switch f {
	case Q2_K:
		putQuads(b[16:], q)
	case Q3_K:
		putHigh(b, q, 2)
		putQuads(b[32:], q)
	case Q4_K:
		putPairs(b[16:], q)
	case Q5_K:
		putHigh(b[16:], q, 4)
		putPairs(b[48:], q)
	case Q6_K:
		putSixes(b, q)
	case IQ4_XS:
		for g := range 8 {
			putNibbles(b[8+16*g:], (*[32]uint8)(q[32*g:]))
		}
	}
}
