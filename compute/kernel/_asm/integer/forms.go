package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// q8 is weights of 8 bits and activations of 16: 16 scales, then by pairs of k
// [16 columns][2]. Activations are [32]int16 and their scale.
type q8 struct{}

func (q8) name() string { return "q8rows" }
func (q8) record() int  { return 68 }
func (q8) scaleAt() int { return 64 }
func (q8) bytes() int   { return 544 }
func (q8) groups() int  { return 1 }
func (q8) head() int    { return 0 }
func (q8) masks() []Mem { return nil }
func (q8) held() int    { return 0 }

func (q8) start(t *tile) { t.fresh = true }

func (q8) multiply(t *tile) {
	for p := range 16 {
		if p%2 == 0 {
			t.fetch(32 * p)
		}
		for v := range vecs {
			VPMOVSXBW(Mem{Base: t.w, Disp: 32 + 32*p + 16*v}, t.v[v])
		}
		t.step(4*p, maddwd, addd)
	}
}

func (q8) scale(t *tile) {
	t.halves(t.w, 0)
	t.scaled(0, func(*tile, reg.VecVirtual) {})
	t.store()
}

// fetch asks for a line that is wanted later.
func (t *tile) fetch(disp int) { PREFETCHT0(Mem{Base: t.w, Disp: disp + ahead}) }

// halves loads v = 16 float16.
func (t *tile) halves(base reg.Register, disp int) {
	for v := range vecs {
		VCVTPH2PS(Mem{Base: base, Disp: disp + 16*v}, t.v[v])
	}
}

// eight is what forms with activations of 8 bits share. Those are [32]int8, a
// pair of int16 that stands for -8 times their sum, two that stand for -32 times
// the sums of their halves, their scale, their sum times the scale.
type eight struct{}

const (
	bias8  = 32
	bias32 = 36
	scale8 = 44
	sum8   = 48
)

func (eight) record() int  { return 52 }
func (eight) scaleAt() int { return scale8 }

// plain is a form whose blocks have scales each, super one whose blocks share
// those of eight: factors of theirs are bytes.
type (
	plain struct{ eight }
	super struct{ eight }
)

func (plain) groups() int { return 1 }
func (plain) head() int   { return 0 }
func (super) groups() int { return 8 }
func (super) head() int   { return 64 }

// four is weights of 4 bits, five of 5.
type (
	four struct{}
	five struct{}
)

func (four) masks() []Mem { return []Mem{low()} }
func (four) held() int    { return vecs }
func (five) masks() []Mem { return []Mem{low(), bit4()} }
func (five) held() int    { return 2 * vecs }

// sums emits those of a block, [4][16 columns][4 k] at disp, the next 16 k in the
// upper halves of bytes.
func (four) sums(t *tile, disp int) {
	for q := range 4 {
		t.fetch(disp + 64*q)
		t.nibbles(disp+64*q, func(upper int) { t.step(4*q+16*upper, maddubsw, addw) })
	}
}

// start sets the sums to -16 times the activations, without which they would not
// fit 16 bits.
func (five) start(t *tile) {
	for i := range t.sum {
		s := t.sum[i]
		VPBROADCASTD(t.X(i, bias8), s[0])
		VPADDW(s[0], s[0], s[0])
		VMOVDQA(s[0], s[1])
	}
}

// sums emits those of a block: nibbles, and 64 bytes behind them, [16 columns]
// [4 k], whose bit j is the fifth of the j-th four k.
func (five) sums(t *tile, disp int) {
	t.fetch(disp + 256)
	t.loadHigh(disp + 256)
	for q := range 4 {
		t.fetch(disp + 64*q)
		t.nibbles(disp+64*q, func(upper int) {
			t.above(disp+256, 4-q-4*upper, bit4())
			t.step(4*q+16*upper, maddubsw, addw)
		})
	}
}

// nibbles decodes the lower halves of 64 bytes at disp, then the upper ones.
func (t *tile) nibbles(disp int, use func(upper int)) {
	for upper := range 2 {
		for v, to := range t.v {
			var from reg.Register = to
			if t.raw[v] != nil {
				from = t.raw[v]
			}
			if upper == 0 || t.raw[v] == nil {
				VMOVDQU(Mem{Base: t.w, Disp: disp + 32*v}, from)
			}
			if upper > 0 {
				VPSRLW(Imm(4), from, from)
			}
			VPAND(t.constant(low()), from, to)
		}
		use(upper)
	}
}

// startAt sets the sums to the pair of int16 at disp of the activations.
func (t *tile) startAt(disp int) {
	for i, s := range t.sum {
		VPBROADCASTD(t.X(i, disp), s[0])
		VMOVDQA(s[0], s[1])
	}
}

// loadHigh keeps the 64 bytes of bits at disp, where there are registers.
func (t *tile) loadHigh(disp int) {
	for v, to := range t.high {
		if to != nil {
			VMOVDQU(Mem{Base: t.w, Disp: disp + 32*v}, to)
		}
	}
}

// above adds the bits at disp, moved to the left and masked.
func (t *tile) above(disp, left int, mask Mem) {
	for v, to := range t.v {
		from := t.high[v]
		if from == nil {
			from = t.a
			VMOVDQU(Mem{Base: t.w, Disp: disp + 32*v}, from)
		}
		switch {
		case left > 0:
			VPSLLW(Imm(uint64(left)), from, t.a)
			from = t.a
		case left < 0:
			VPSRLW(Imm(uint64(-left)), from, t.a)
			from = t.a
		}
		VPAND(t.constant(mask), from, t.a)
		VPOR(t.a, to, to)
	}
}

// pairsToInt32 adds the two 16-bit sums of each column.
func pairsToInt32(t *tile, s reg.VecVirtual) { VPMADDWD(t.constant(ones()), s, s) }

// plus emits c += v * the activations' sum. In spread weights v is behind the scales.
func (t *tile) plus() {
	t.keepSpread(spreadBytes + 64)
	t.eachSum(func(v int, s reg.VecVirtual) { VFMADD231PS(t.weight(v, spreadBytes+64), t.a, s) })
}

// minus emits c -= v * the activations' sum; spread weights have it with its sign
// turned.
func (t *tile) minus() {
	if t.to != nil {
		for _, v := range t.v {
			VXORPS(sign(), v, v)
		}
		t.keepSpread(spreadBytes + 64)
	}
	t.eachSum(func(v int, s reg.VecVirtual) { VFNMADD231PS(t.v[v], t.a, s) })
}

// eachSum emits use for the sums, with the activations' sum in t.a.
func (t *tile) eachSum(use func(v int, s reg.VecVirtual)) {
	for i := range t.rows {
		VBROADCASTSS(t.X(i, sum8), t.a)
		for v, s := range t.sum[i] {
			use(v, s)
		}
	}
}

// q4 is Q4_0: 16 scales d, weights of 4 bits, 8 more than they mean.
type q4 struct {
	plain
	four
}

func (q4) name() string { return "q4rows" }
func (q4) bytes() int   { return 288 }

func (q4) start(t *tile) { t.startAt(bias8) }

func (f q4) multiply(t *tile) { f.sums(t, 32) }

func (q4) scale(t *tile) {
	t.halves(t.w, 0)
	t.scaled(spreadBytes, pairsToInt32)
	t.store()
}

// q41 is Q4_1: 16 scales d, 16 minima m; the weight is dq+m.
type q41 struct {
	plain
	four
}

func (q41) name() string { return "q41rows" }
func (q41) bytes() int   { return 320 }

func (q41) start(t *tile)      { t.fresh = true }
func (f q41) multiply(t *tile) { f.sums(t, 64) }

func (q41) scale(t *tile) {
	t.halves(t.w, 0)
	t.scaled(spreadBytes, pairsToInt32)
	t.halves(t.w, 32)
	t.plus()
	t.store()
}

// q5 is Q5_0: 16 scales d, weights of 5 bits, 16 more than they mean.
type q5 struct {
	plain
	five
}

func (q5) name() string   { return "q5rows" }
func (q5) bytes() int     { return 352 }
func (q5) spread() spread { return spread5 }

func (f q5) multiply(t *tile) { f.sums(t, 32) }

func (q5) scale(t *tile) { q4{}.scale(t) }

// q51 is Q5_1: 16 scales d, 16 minima m; the weight is dq+m, or d(q-16) + (m+16d).
type q51 struct {
	plain
	five
}

func (q51) name() string   { return "q51rows" }
func (q51) bytes() int     { return 384 }
func (q51) spread() spread { return spread51 }

func (f q51) multiply(t *tile) { f.sums(t, 64) }

func (q51) scale(t *tile) {
	t.halves(t.w, 0)
	t.scaled(spreadBytes, pairsToInt32)
	t.halves(t.w, 0)
	for v := range vecs {
		VCVTPH2PS(Mem{Base: t.w, Disp: 32 + 16*v}, t.a)
		VFMADD132PS(sixteen(), t.a, t.v[v])
	}
	t.plus()
	t.store()
}

// k4 is Q4_K. The head is 16 scales d and 16 minima m; a block is 16 bytes a,
// 16 bytes b and nibbles: the weight is (d*a)q - (m*b).
type k4 struct {
	super
	four
}

func (k4) name() string { return "k4rows" }
func (k4) bytes() int   { return 288 }

func (k4) start(t *tile)      { t.fresh = true }
func (f k4) multiply(t *tile) { f.sums(t, 32) }

func (k4) scale(t *tile) {
	t.scales(0, 0)
	t.scaled(spreadBytes, pairsToInt32)
	t.scales(32, 16)
	t.minus()
	t.store()
}

// scales loads v = head*bytes, the scales or the minima of this block.
func (t *tile) scales(head, bytes int) {
	for v := range vecs {
		t.factor(t.v[v], head+16*v, bytes+8*v)
	}
}

// factor loads to = head*bytes for eight columns.
func (t *tile) factor(to reg.VecVirtual, head, bytes int) {
	VPMOVZXBD(Mem{Base: t.w, Disp: bytes}, to)
	VCVTDQ2PS(to, to)
	VCVTPH2PS(Mem{Base: t.head, Disp: head}, t.tmp)
	VMULPS(to, t.tmp, to)
}

// k5 is Q5_K: Q4_K with weights of 5 bits. The minima make up for the 16 that
// the sums begin at.
type k5 struct {
	super
	five
}

func (k5) name() string   { return "k5rows" }
func (k5) bytes() int     { return 352 }
func (k5) spread() spread { return spread51 }

func (f k5) multiply(t *tile) { f.sums(t, 32) }

func (k5) scale(t *tile) {
	t.scales(0, 0)
	t.scaled(spreadBytes, pairsToInt32)
	for v := range vecs {
		t.factor(t.v[v], 32+16*v, 16+8*v)
		t.factor(t.a, 16*v, 8*v)
		VMULPS(sixteen(), t.a, t.a)
		VSUBPS(t.a, t.v[v], t.v[v])
	}
	t.minus()
	t.store()
}

// k6 is Q6_K. The head is 16 scales d; a block is 16 signed bytes a for its
// first and 16 for its second half, and for each half nibbles [2][16 columns]
// [4 k], the next 8 k in the upper ones, and two bits of all [16 columns][4 k]:
// the weight is (d*a)(q-32). The sums of a half fit 16 bits with their bias.
type k6 struct{ super }

func (k6) name() string   { return "k6rows" }
func (k6) bytes() int     { return 416 }
func (k6) head() int      { return 32 }
func (k6) masks() []Mem   { return []Mem{low(), bits45()} }
func (k6) held() int      { return 2 * vecs }
func (k6) spread() spread { return spread6 }

func (k6) start(*tile) {}

func (k6) multiply(t *tile) {
	for half := range 2 {
		t.startAt(bias32 + 4*half)
		at := 32 + 192*half
		t.fetch(at + 128)
		t.loadHigh(at + 128)
		for q := range 2 {
			t.fetch(at + 64*q)
			t.nibbles(at+64*q, func(upper int) {
				t.above(at+128, 4-2*q-4*upper, bits45())
				t.step(16*half+4*q+8*upper, maddubsw, addw)
			})
		}
		for v := range vecs {
			VPMOVSXBD(Mem{Base: t.w, Disp: 16*half + 8*v}, t.v[v])
			VCVTDQ2PS(t.v[v], t.v[v])
			VCVTPH2PS(Mem{Base: t.head, Disp: 16 * v}, t.tmp)
			VMULPS(t.v[v], t.tmp, t.v[v])
		}
		t.scaled(spreadBytes+64*half, pairsToInt32)
		t.store()
	}
}

func (k6) scale(*tile) {}
