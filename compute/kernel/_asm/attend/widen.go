package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

// What follows is bound by its stores: 256-bit registers serve both instruction
// sets, and give both the same bits.

func begin(name, signature, doc string) {
	TEXT(name+"AVX2", attr.NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

func end() {
	VZEROUPPER()
	RET()
}

// widen turns n values into float32, 16 at a time, which are bytes of memory;
// load reads eight of them into y, the i-th of two.
func widen(name, what string, bytes int, load func(src reg.Register, i int, y reg.VecVirtual)) {
	begin(name, "func(dst, src *float32, n int)", "dst[:n] = "+what+" at src; n is a positive multiple of 16")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	Label("values")
	for i := range 2 {
		y := YMM()
		load(src, i, y)
		VMOVUPS(y, mem(dst, 32*i))
	}
	ADDQ(Imm(uint64(bytes)), src)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("values"))
	end()
}

// line holds what codes of 16 positions, or of one, are widened with: for each half
// of 16 lanes, codes are multiplied by step, and low is added.
type line struct{ step, low [2]reg.VecVirtual }

// split takes words apart: the low half of each is the upper half of its step, the
// other that of its lowest value.
func (l *line) split(half int, word reg.Register) {
	VPSLLD(U8(16), word, l.step[half])
	VPSRLD(U8(16), word, l.low[half])
	VPSLLD(U8(16), l.low[half], l.low[half])
}

// put widens eight codes, integers in y, to float32 at dst.
func (l *line) put(half int, y reg.Register, dst Mem) {
	VCVTDQ2PS(y, y)
	VFMADD213PS(l.low[half], l.step[half], y)
	VMOVUPS(y, dst)
}

// codes8 widens 16 codes of 8 bits.
func codes8(dst, src reg.Register, l *line) {
	for half := range 2 {
		y := YMM()
		VPMOVZXBD(mem(src, 8*half), y)
		l.put(half, y, mem(dst, 32*half))
	}
	ADDQ(Imm(16), src)
	ADDQ(Imm(64), dst)
}

// codes4 widens 32 codes of 4 bits: the low bits of 16 bytes, then the high ones.
func codes4(dst, src reg.Register, l *line) {
	x, high, low := XMM(), XMM(), XMM()
	VMOVDQU(isa.Word(0x0f0f0f0f), low)
	VMOVDQU(mem(src, 0), x)
	VPSRLW(U8(4), x, high)
	VPAND(low, high, high)
	VPAND(low, x, x)
	for i, codes := range []reg.VecVirtual{x, high} {
		for half := range 2 {
			if half == 1 {
				VPSRLDQ(U8(8), codes, codes)
			}
			y := YMM()
			VPMOVZXBD(codes, y)
			l.put(half, y, mem(dst, 64*i+32*half))
		}
	}
	ADDQ(Imm(16), src)
	ADDQ(I32(128), dst)
}

// widenCodes turns codes into float32, some at a time: keys, whose lanes are
// positions, and values, whose rows are.
func widenCodes(name string, some int, codes func(dst, src reg.Register, l *line)) {
	begin(name+"Keys", "func(dst, src, words *float32, n int)", "dst[:n] = codes at src, 16 positions of each channel, with their words; n is a positive multiple of 32")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	words, n := Load(Param("words"), GP64()), Load(Param("n"), GP64())
	l := &line{step: [2]reg.VecVirtual{YMM(), YMM()}, low: [2]reg.VecVirtual{YMM(), YMM()}}
	for half := range 2 {
		w := YMM()
		VMOVDQU(mem(words, 32*half), w)
		l.split(half, w)
	}
	Label("codes")
	codes(dst, src, l)
	SUBQ(Imm(uint64(some)), n)
	JG(LabelRef("codes"))
	end()

	begin(name+"Values", "func(dst, src, words *float32, cols int)", "dst = 16 rows of codes at src, each with its word; cols is a positive multiple of 32")
	dst, src = Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	words = Load(Param("words"), GP64())
	cols, left, rows := Load(Param("cols"), GP64()), GP64(), GP64()
	MOVQ(U32(16), rows)
	one := &line{step: [2]reg.VecVirtual{YMM()}, low: [2]reg.VecVirtual{YMM()}}
	one.step[1], one.low[1] = one.step[0], one.low[0]
	Label("row")
	w := YMM()
	VPBROADCASTD(mem(words, 0), w)
	one.split(0, w)
	MOVQ(cols, left)
	Label("codes")
	codes(dst, src, one)
	SUBQ(Imm(uint64(some)), left)
	JG(LabelRef("codes"))
	ADDQ(Imm(4), words)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

// hadamard runs the steps of width 1, 2 and 4 inside registers, then the others
// over memory.
func hadamard() {
	begin("hadamard", "func(x *float32, n int)", "turns x[:n], n a power of two and at least 8, by the Walsh-Hadamard matrix")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), n) // bytes
	signs := []reg.VecVirtual{YMM(), YMM(), YMM()}
	for i, width := range []int{1, 2, 4} {
		VMOVUPS(signed(width), signs[i])
	}
	at := GP64()
	XORQ(at, at)
	Label("eights")
	y, other := YMM(), YMM()
	VMOVUPS(Mem{Base: x, Index: at, Scale: 1}, y)
	for i := range 3 { // the upper of a pair is subtracted from the lower
		switch i {
		case 0:
			VPERMILPS(U8(0xb1), y, other)
		case 1:
			VPERMILPS(U8(0x4e), y, other)
		case 2:
			VPERM2F128(U8(0x01), y, y, other)
		}
		VXORPS(signs[i], y, y)
		VADDPS(y, other, y)
	}
	VMOVUPS(y, Mem{Base: x, Index: at, Scale: 1})
	ADDQ(Imm(32), at)
	CMPQ(at, n)
	JLT(LabelRef("eights"))

	h, lo, hi, stop := GP64(), GP64(), GP64(), GP64()
	ADDQ(x, n) // its end
	MOVQ(U32(32), h)
	Label("width")
	LEAQ(Mem{Base: x, Index: h, Scale: 1}, hi)
	CMPQ(hi, n)
	JGE(LabelRef("done"))
	MOVQ(x, lo)
	Label("pairs")
	LEAQ(Mem{Base: lo, Index: h, Scale: 1}, hi)
	MOVQ(hi, stop)
	Label("pair")
	a, b, d := YMM(), YMM(), YMM()
	VMOVUPS(mem(lo, 0), a)
	VMOVUPS(mem(hi, 0), b)
	VSUBPS(b, a, d)
	VADDPS(b, a, a)
	VMOVUPS(a, mem(lo, 0))
	VMOVUPS(d, mem(hi, 0))
	ADDQ(Imm(32), lo)
	ADDQ(Imm(32), hi)
	CMPQ(lo, stop)
	JLT(LabelRef("pair"))
	MOVQ(hi, lo)
	CMPQ(lo, n)
	JLT(LabelRef("pairs"))
	SHLQ(Imm(1), h)
	JMP(LabelRef("width"))
	Label("done")
	end()
}

// signed returns the address of sign bits for the upper of pairs that are width
// lanes apart.
func signed(width int) Mem {
	m := GLOBL([]string{"", "signs1", "signs2", "", "signs4"}[width], attr.RODATA|attr.NOPTR)
	for i := range 8 {
		v := uint32(0)
		if i&width != 0 {
			v = math.Float32bits(float32(math.Copysign(0, -1)))
		}
		DATA(4*i, U32(v))
	}
	return m
}
