package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantizer is what both roundings of activations share.
type quantizer struct {
	dst, src         reg.Register
	x                [4]reg.VecVirtual
	scale            reg.VecVirtual
	top, share, tiny Mem
}

// rounding generates the walk over blocks of 32 values; pack writes the
// integers in q.x and what belongs to them.
func rounding(name string, most float32, record int, doc string, pack func(q *quantizer)) {
	TEXT(name, NOSPLIT, "func(dst *byte, src *float32, blocks int)")
	Pragma("noescape")
	Doc(doc)
	f := math.Float32bits
	q := &quantizer{dst: Load(Param("dst"), GP64()), src: Load(Param("src"), GP64()),
		top: constant(name+"Top", f(most)), share: constant(name+"Share", f(1/most)), tiny: constant("intTiny", f(0x1p-100))}
	n := Load(Param("blocks"), GP64())
	Label("block")
	q.reach()
	pack(q)
	ADDQ(Imm(128), q.src)
	ADDQ(Imm(uint64(record)), q.dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// reach emits the integers round(x * most/max|x|) in q.x and q.scale, which is
// max|x|/most in all lanes, NaN where a value is NaN or infinite: as integers,
// those are larger than all others.
func (q *quantizer) reach() {
	var m [4]reg.VecVirtual
	abs := YMM()
	VMOVDQU(magnitude(), abs)
	for i := range q.x {
		q.x[i], m[i] = YMM(), YMM()
		VMOVUPS(Mem{Base: q.src, Disp: 32 * i}, q.x[i])
		VPAND(abs, q.x[i], m[i])
	}
	VPMAXSD(m[1], m[0], m[0])
	VPMAXSD(m[3], m[2], m[2])
	VPMAXSD(m[2], m[0], m[0])
	VPERM2F128(Imm(1), m[0], m[0], m[1])
	VPMAXSD(m[1], m[0], m[0])
	VPSHUFD(Imm(0x4e), m[0], m[1])
	VPMAXSD(m[1], m[0], m[0])
	VPSHUFD(Imm(0xb1), m[0], m[1])
	VPMAXSD(m[1], m[0], m[0])
	VPMAXSD(q.tiny, m[0], m[0])
	inverse := YMM()
	VMOVUPS(q.top, inverse)
	VDIVPS(m[0], inverse, inverse)
	q.scale = YMM()
	VMULPS(q.share, m[0], q.scale)
	VSUBPS(m[0], m[0], m[0])
	VADDPS(m[0], q.scale, q.scale)
	for _, x := range q.x {
		VMULPS(inverse, x, x)
		VCVTPS2DQ(x, x)
	}
}

func quantize16() {
	rounding("round16", math.MaxInt16, q8{}.record(), "round16 rounds blocks of 32 values to records of [32]int16 and their scale.", func(q *quantizer) {
		for i := 0; i < 4; i += 2 {
			VPACKSSDW(q.x[i+1], q.x[i], q.x[i])
			VPERMQ(Imm(0xd8), q.x[i], q.x[i])
			VMOVDQU(q.x[i], Mem{Base: q.dst, Disp: 16 * i})
		}
		VMOVSS(q.scale.AsX(), Mem{Base: q.dst, Disp: 64})
	})
}

func quantize8() {
	rounding("round8", math.MaxInt8, record8, "round8 rounds blocks of 32 values to records of [32]int8, biases, their scale and their sum times that.", func(q *quantizer) {
		VPACKSSDW(q.x[1], q.x[0], q.x[0])
		VPACKSSDW(q.x[3], q.x[2], q.x[2])
		VPACKSSWB(q.x[2], q.x[0], q.x[0])
		order := YMM()
		VMOVDQU(ordered(), order)
		VPERMD(q.x[0], order, q.x[0])
		VMOVDQU(q.x[0], Mem{Base: q.dst})
		one, pairs, total := YMM(), YMM(), YMM()
		VMOVDQU(oneBytes(), one)
		VPMADDUBSW(q.x[0], one, pairs)
		VPSHUFD(Imm(0x4e), pairs, total) // each half is a half of the vector
		VPADDW(total, pairs, pairs)
		VPSHUFD(Imm(0xb1), pairs, total)
		VPADDW(total, pairs, pairs)
		none, halves, other := YMM(), YMM(), XMM()
		zero(none)
		VPSUBW(pairs, none, halves)
		VEXTRACTI128(Imm(1), pairs, other)
		VPADDW(other, pairs.AsX(), pairs.AsX())
		VPMADDWD(ones(), pairs, total)
		VCVTDQ2PS(total, total)
		VMULPS(q.scale, total, total)
		VPSUBW(pairs, none, pairs)
		VPSLLW(Imm(3), pairs, pairs)
		VPSLLW(Imm(5), halves, halves)
		VMOVD(pairs.AsX(), Mem{Base: q.dst, Disp: bias8})
		VMOVD(halves.AsX(), Mem{Base: q.dst, Disp: bias32})
		VEXTRACTI128(Imm(1), halves, other)
		VMOVD(other, Mem{Base: q.dst, Disp: bias32 + 4})
		VMOVSS(q.scale.AsX(), Mem{Base: q.dst, Disp: scale8})
		VMOVSS(total.AsX(), Mem{Base: q.dst, Disp: sum8})
	})
}

// ordered is the order of four-byte lanes after two packs of halves.
func ordered() Mem {
	if m, ok := constants["intOrder"]; ok {
		return m
	}
	m := GLOBL("intOrder", attr.RODATA|attr.NOPTR)
	for i, lane := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(lane))
	}
	constants["intOrder"] = m
	return m
}

// peak generates the loop that measures the roof of a product: n times 12
// multiplications, each with its addition.
func peak(name, multiply, add string) {
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("%s runs n times 12 independent pairs of %s and %s.", name, multiply, add))
	n := Load(Param("n"), GP64())
	x, acc := YMM(), make([]reg.VecVirtual, 12)
	zero(x)
	for i := range acc {
		acc[i] = YMM()
		zero(acc[i])
	}
	op := func(code string, a, b, to reg.VecVirtual) {
		Instruction(&ir.Instruction{Opcode: code, Operands: []Op{a, b, to}, Inputs: []Op{a, b}, Outputs: []Op{to}})
	}
	Label("loop")
	for _, s := range acc {
		product := YMM()
		op(multiply, x, x, product)
		op(add, product, s, s)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
