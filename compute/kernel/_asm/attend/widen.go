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

// widenQ4 turns groups of 32 values into float32: the low bits of 16 bytes, then
// the high ones, less 7.5.
func widenQ4() {
	begin("widenQ4", "func(dst, src *float32, n int)", "dst[:n] = 4-bit integers at src, less 7.5; n is a positive multiple of 32")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	low, middle := XMM(), YMM()
	VMOVDQU(isa.Word(0x0f0f0f0f), low)
	VMOVUPS(isa.Lanes(7.5), middle)
	Label("groups")
	x := XMM()
	VMOVDQU(mem(src, 0), x)
	high := XMM()
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
			VCVTDQ2PS(y, y)
			VSUBPS(middle, y, y)
			VMOVUPS(y, mem(dst, 64*i+32*half))
		}
	}
	ADDQ(Imm(16), src)
	ADDQ(I32(128), dst)
	SUBQ(Imm(32), n)
	JNZ(LabelRef("groups"))
	end()
}

// scaleColumns multiplies columns of a tile of scores.
func scaleColumns() {
	begin("scaleColumns", "func(s, by *float32, rows, n int)",
		"s[r][i] *= by[i] for rows of a tile of scores; n is a positive multiple of 16")
	s, by := Load(Param("s"), GP64()), Load(Param("by"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), n) // bytes
	Label("row")
	at := GP64()
	XORQ(at, at)
	Label("columns")
	for i := range 2 {
		y := YMM()
		VMOVUPS(Mem{Base: s, Index: at, Scale: 1, Disp: 32 * i}, y)
		VMULPS(Mem{Base: by, Index: at, Scale: 1, Disp: 32 * i}, y, y)
		VMOVUPS(y, Mem{Base: s, Index: at, Scale: 1, Disp: 32 * i})
	}
	ADDQ(Imm(64), at)
	CMPQ(at, n)
	JLT(LabelRef("columns"))
	ADDQ(I32(4*tile), s)
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
