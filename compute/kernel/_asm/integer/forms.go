package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// q8 is weights of 8 bits and activations of 16: 16 scales, then by pairs of k
// [16 columns][2]. Activations are [32]int16 and their scale.
type q8 struct{}

const q8Unroll = 4 // pairs

func (q8) name() string { return "q8rows" }
func (q8) record() int  { return 68 }
func (q8) groups() int  { return 1 }
func (q8) head() int    { return 0 }

func (q8) start(t *tile) { t.zeroSums() }

func (q8) multiply(t *tile) {
	t.loop("pairs", 16/q8Unroll, func() {
		for p := range q8Unroll {
			if p%2 == 0 {
				PREFETCHT0(Mem{Base: t.w, Disp: 32 + 32*p + ahead})
			}
			for v := range vecs {
				VPMOVSXBW(Mem{Base: t.w, Disp: 32 + 32*p + 16*v}, t.v[v])
			}
			t.step(4*p, maddwd, addd)
		}
		ADDQ(Imm(32*q8Unroll), t.w)
		t.both(t.x, 4*q8Unroll)
	})
}

func (f q8) scale(t *tile) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16*v - 512}, t.v[v])
	}
	t.scaled(0, nil)
	t.store()
	ADDQ(Imm(32), t.w)
	t.both(t.x, f.record()-64)
}

// Activations of 8 bits: [32]int8, a pair of int16 that stands for -8 times
// their sum, two that stand for -32 times the sums of their halves, their scale,
// their sum times the scale.
const (
	record8 = 52
	bias8   = 32
	bias32  = 36
	scale8  = 44
	sum8    = 48
)

// nibbles emits the sums of a block of 4-bit weights, t.w at its 256 bytes:
// [4][16 columns][4 k], the next 16 k in the upper halves.
func nibbles(t *tile) {
	const unroll = 2
	t.loop("quads", 4/unroll, func() {
		for q := range unroll {
			PREFETCHT0(Mem{Base: t.w, Disp: 64*q + ahead})
			for v := range vecs {
				VMOVDQU(Mem{Base: t.w, Disp: 64*q + 32*v}, t.v[v])
				VPAND(low(), t.v[v], t.v[v])
			}
			t.step(4*q, maddubsw, addw)
			for v := range vecs {
				VMOVDQU(Mem{Base: t.w, Disp: 64*q + 32*v}, t.v[v])
				VPSRLW(Imm(4), t.v[v], t.v[v])
				VPAND(low(), t.v[v], t.v[v])
			}
			t.step(4*q+16, maddubsw, addw)
		}
		ADDQ(Imm(64*unroll), t.w)
		t.both(t.x, 4*unroll)
	})
}

// pairsToInt32 adds the two 16-bit sums of each column.
func pairsToInt32(s reg.VecVirtual) { VPMADDWD(ones(), s, s) }

// q4 is weights of 4 bits, 8 more than they mean: 16 scales, then nibbles.
type q4 struct{}

func (q4) name() string { return "q4rows" }
func (q4) record() int  { return record8 }
func (q4) groups() int  { return 1 }
func (q4) head() int    { return 0 }

func (q4) start(t *tile) {
	for i := range t.sum {
		VPBROADCASTD(t.X(i, bias8), t.sum[i][0])
		VMOVDQA(t.sum[i][0], t.sum[i][1])
	}
}

func (q4) multiply(t *tile) {
	ADDQ(Imm(32), t.w)
	nibbles(t)
}

func (q4) scale(t *tile) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16*v - 288}, t.v[v])
	}
	t.scaled(scale8-16, pairsToInt32)
	t.store()
	t.both(t.x, record8-16)
}

// q41 is Q4_1: 16 scales d, 16 minima m, nibbles; the weight is dq+m.
type q41 struct{}

func (q41) name() string { return "q41rows" }
func (q41) record() int  { return record8 }
func (q41) groups() int  { return 1 }
func (q41) head() int    { return 0 }

func (q41) start(t *tile) { t.zeroSums() }

func (q41) multiply(t *tile) {
	ADDQ(Imm(64), t.w)
	nibbles(t)
}

func (q41) scale(t *tile) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16*v - 320}, t.v[v])
	}
	t.scaled(scale8-16, pairsToInt32)
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16*v - 288}, t.v[v])
	}
	t.plus(sum8-16, raise)
	t.store()
	t.both(t.x, record8-16)
}

// k4 is Q4_K. The head is 16 scales d and 16 minima m; a block is 16 bytes a,
// 16 bytes b and nibbles: the weight is (d*a)q - (m*b).
type k4 struct{}

func (k4) name() string { return "k4rows" }
func (k4) record() int  { return record8 }
func (k4) groups() int  { return 8 }
func (k4) head() int    { return 64 }

func (k4) start(t *tile) { t.zeroSums() }

func (k4) multiply(t *tile) {
	ADDQ(Imm(32), t.w)
	nibbles(t)
}

// factors loads v = head*bytes, the scales or the minima of this block.
func (k4) factors(t *tile, head, bytes int) {
	for v := range vecs {
		t.factor(t.v[v], t.tmp, head+16*v, bytes+8*v-288)
	}
}

// factor loads to = head*bytes for eight columns.
func (t *tile) factor(to, tmp reg.VecVirtual, head, bytes int) {
	VPMOVZXBD(Mem{Base: t.w, Disp: bytes}, to)
	VCVTDQ2PS(to, to)
	VCVTPH2PS(Mem{Base: t.head, Disp: head}, tmp)
	VMULPS(to, tmp, to)
}

// plus emits c += v * the activations' sum, or c -= that.
func (t *tile) plus(disp int, by func(v, a, c Op)) {
	for i := range t.rows {
		VBROADCASTSS(t.X(i, disp), t.a)
		for v, s := range t.sum[i] {
			by(t.v[v], t.a, s)
		}
	}
}

func raise(v, a, c Op) { VFMADD231PS(v, a, c) }
func lower(v, a, c Op) { VFNMADD231PS(v, a, c) }

func (k k4) scale(t *tile) {
	k.factors(t, 0, 0)
	t.scaled(scale8-16, pairsToInt32)
	k.factors(t, 32, 16)
	t.plus(sum8-16, lower)
	t.store()
	t.both(t.x, record8-16)
}

// startFive sets the sums of a block of 5-bit weights to -16 times the
// activations, without which they would not fit 16 bits.
func startFive(t *tile) {
	for i := range t.sum {
		s := t.sum[i]
		VPBROADCASTD(t.X(i, bias8), s[0])
		VPADDW(s[0], s[0], s[0])
		VMOVDQA(s[0], s[1])
	}
}

// fives emits the sums of a block of 5-bit weights: nibbles, and 64 bytes
// behind them, [16 columns][4 k], whose bit j is the fifth of the j-th four k.
func fives(t *tile, at int) {
	for q := range 8 {
		if q%2 == 0 {
			PREFETCHT0(Mem{Base: t.w, Disp: 32*q + ahead})
		}
		for v := range vecs {
			t.nibble(v, at+64*(q%4)+32*v, q/4)
			t.upper(v, at+256+32*v, 4-q, bit4())
		}
		t.step(4*q, maddubsw, addw)
	}
}

// q5 is Q5_0: 16 scales d, weights of 5 bits, 16 more than they mean.
type q5 struct{}

func (q5) name() string { return "q5rows" }
func (q5) record() int  { return record8 }
func (q5) groups() int  { return 1 }
func (q5) head() int    { return 0 }

func (q5) start(t *tile)    { startFive(t) }
func (q5) multiply(t *tile) { fives(t, 32) }

func (q5) scale(t *tile) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16 * v}, t.v[v])
	}
	t.scaled(scale8, pairsToInt32)
	t.store()
	ADDQ(U32(352), t.w)
	t.both(t.x, record8)
}

// q51 is Q5_1: 16 scales d, 16 minima m, weights of 5 bits; the weight is dq+m,
// or d(q-16) + (m+16d).
type q51 struct{}

func (q51) name() string { return "q51rows" }
func (q51) record() int  { return record8 }
func (q51) groups() int  { return 1 }
func (q51) head() int    { return 0 }

func (q51) start(t *tile)    { startFive(t) }
func (q51) multiply(t *tile) { fives(t, 64) }

func (q51) scale(t *tile) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16 * v}, t.v[v])
	}
	t.scaled(scale8, pairsToInt32)
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 16 * v}, t.v[v])
		VCVTPH2PS(Mem{Base: t.w, Disp: 32 + 16*v}, t.a)
		VFMADD132PS(sixteen(), t.a, t.v[v])
	}
	t.plus(sum8, raise)
	t.store()
	ADDQ(U32(384), t.w)
	t.both(t.x, record8)
}

// k5 is Q5_K: Q4_K with weights of 5 bits, as in Q5_0.
type k5 struct{}

func (k5) name() string { return "k5rows" }
func (k5) record() int  { return record8 }
func (k5) groups() int  { return 8 }
func (k5) head() int    { return 64 }

func (k5) start(t *tile)    { startFive(t) }
func (k5) multiply(t *tile) { fives(t, 32) }

// nibble loads the lower or upper nibbles at disp.
func (t *tile) nibble(v, disp, upper int) {
	VMOVDQU(Mem{Base: t.w, Disp: disp}, t.v[v])
	if upper > 0 {
		VPSRLW(Imm(4), t.v[v], t.v[v])
	}
	VPAND(low(), t.v[v], t.v[v])
}

// upper adds the bits at disp, moved to the left and masked.
func (t *tile) upper(v, disp, left int, mask Mem) {
	VMOVDQU(Mem{Base: t.w, Disp: disp}, t.a)
	switch {
	case left > 0:
		VPSLLW(Imm(uint64(left)), t.a, t.a)
	case left < 0:
		VPSRLW(Imm(uint64(-left)), t.a, t.a)
	}
	VPAND(mask, t.a, t.a)
	VPOR(t.a, t.v[v], t.v[v])
}

func (k5) scale(t *tile) {
	for v := range vecs {
		t.factor(t.v[v], t.tmp, 16*v, 8*v)
	}
	t.scaled(scale8, pairsToInt32)
	for v := range vecs {
		t.factor(t.v[v], t.tmp, 32+16*v, 16+8*v)
		t.factor(t.a, t.tmp, 16*v, 8*v)
		VMULPS(sixteen(), t.a, t.a)
		VSUBPS(t.a, t.v[v], t.v[v])
	}
	t.plus(sum8, lower)
	t.store()
	ADDQ(U32(352), t.w)
	t.both(t.x, record8)
}

// k6 is Q6_K. The head is 16 scales d; a block is 16 signed bytes a for its
// first and 16 for its second half, and for each half nibbles [2][16 columns]
// [4 k], the next 8 k in the upper ones, and two bits of all [16 columns][4 k]:
// the weight is (d*a)(q-32). The sums of a half fit 16 bits with their bias.
type k6 struct{}

func (k6) name() string { return "k6rows" }
func (k6) record() int  { return record8 }
func (k6) groups() int  { return 8 }
func (k6) head() int    { return 32 }

func (k6) start(*tile) {}

func (k6) multiply(t *tile) {
	for half := range 2 {
		for i, s := range t.sum {
			VPBROADCASTD(t.X(i, bias32+4*half), s[0])
			VMOVDQA(s[0], s[1])
		}
		at := 32 + 192*half
		for q := range 4 {
			PREFETCHT0(Mem{Base: t.w, Disp: at + 48*q + ahead})
			for v := range vecs {
				t.nibble(v, at+64*(q%2)+32*v, q/2)
				t.upper(v, at+128+32*v, 4-2*q, bits45())
			}
			t.step(16*half+4*q, maddubsw, addw)
		}
		for v := range vecs {
			VPMOVSXBD(Mem{Base: t.w, Disp: 16*half + 8*v}, t.v[v])
			VCVTDQ2PS(t.v[v], t.v[v])
			VCVTPH2PS(Mem{Base: t.head, Disp: 16 * v}, t.tmp)
			VMULPS(t.v[v], t.tmp, t.v[v])
		}
		t.scaled(scale8, pairsToInt32)
		t.store()
	}
}

func (k6) scale(t *tile) {
	ADDQ(U32(416), t.w)
	t.both(t.x, record8)
}

var constants = map[string]Mem{}

// constant is 32 bytes of a repeated 32-bit pattern in memory.
func constant(name string, v uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(4*i, U32(v))
	}
	constants[name] = m
	return m
}

func low() Mem       { return constant("intLow", 0x0f0f0f0f) }
func ones() Mem      { return constant("intOnes", 0x00010001) }
func oneBytes() Mem  { return constant("intOneBytes", 0x01010101) }
func bit4() Mem      { return constant("intBit4", 0x10101010) }
func bits45() Mem    { return constant("intBits45", 0x30303030) }
func sixteen() Mem   { return constant("intSixteen", math.Float32bits(16)) }
func magnitude() Mem { return constant("intMagnitude", 0x7fffffff) }
