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
	dst, src reg.Register
	x        [4]reg.VecVirtual
}

// rounding generates two walks over blocks of 32 values: the first finds their
// scales and leaves the factor to round with in the record, where pack takes it
// up. In one walk too few blocks would be under way at a time: the way through
// a maximum and a division is long.
func rounding(name string, most float32, record, scale int, doc string, pack func(q *quantizer)) {
	TEXT(name, NOSPLIT, "func(dst *byte, src *float32, blocks int)")
	Pragma("noescape")
	Doc(doc)
	q := &quantizer{dst: Load(Param("dst"), GP64()), src: Load(Param("src"), GP64())}
	n := GP64()
	walk := func(label string, body func()) {
		Load(Param("blocks"), n)
		Label(label)
		body()
		ADDQ(Imm(128), q.src)
		ADDQ(Imm(uint64(record)), q.dst)
		DECQ(n)
		JNZ(LabelRef(label))
	}
	walk("reach", func() { q.reach(name, most, scale) })
	Load(Param("dst"), q.dst)
	Load(Param("src"), q.src)
	walk("block", func() {
		inverse := YMM()
		VBROADCASTSS(Mem{Base: q.dst}, inverse)
		for i := range q.x {
			q.x[i] = YMM()
			VMULPS(Mem{Base: q.src, Disp: 32 * i}, inverse, q.x[i])
			VCVTPS2DQ(q.x[i], q.x[i])
		}
		pack(q)
	})
	VZEROUPPER()
	RET()
}

// reach writes most/max|x| to the record's start and max|x|/most to scale, NaN
// where a value is NaN or infinite: as integers, those are larger than all others.
func (q *quantizer) reach(name string, most float32, scale int) {
	var m [4]reg.VecVirtual
	f, abs := math.Float32bits, YMM()
	VMOVDQU(magnitude(), abs)
	for i := range m {
		m[i] = YMM()
		VPAND(Mem{Base: q.src, Disp: 32 * i}, abs, m[i])
	}
	VPMAXSD(m[1], m[0], m[0])
	VPMAXSD(m[3], m[2], m[2])
	VPMAXSD(m[2], m[0], m[0])
	top, other := m[0].AsX(), XMM()
	VEXTRACTI128(Imm(1), m[0], other)
	VPMAXSD(other, top, top)
	VPSHUFD(Imm(0x4e), top, other)
	VPMAXSD(other, top, top)
	VPSHUFD(Imm(0xb1), top, other)
	VPMAXSD(other, top, top)
	VPMAXSD(constant("intTiny", f(0x1p-100)), top, top)
	VMOVSS(constant(name+"Top", f(most)), other)
	VDIVSS(top, other, other)
	VMOVSS(other, Mem{Base: q.dst})
	VMULSS(constant(name+"Share", f(1/most)), top, other)
	VSUBSS(top, top, top)
	VADDSS(top, other, other)
	VMOVSS(other, Mem{Base: q.dst, Disp: scale})
}

func quantize16() {
	rounding("round16", math.MaxInt16, q8{}.record(), 64, "round16 rounds blocks of 32 values to records of [32]int16 and their scale.", func(q *quantizer) {
		for i := 0; i < 4; i += 2 {
			VPACKSSDW(q.x[i+1], q.x[i], q.x[i])
			VPERMQ(Imm(0xd8), q.x[i], q.x[i])
			VMOVDQU(q.x[i], Mem{Base: q.dst, Disp: 16 * i})
		}
	})
}

func quantize8() {
	rounding("round8", math.MaxInt8, eight{}.record(), scale8, "round8 rounds blocks of 32 values to records of [32]int8, biases, their scale and their sum times that.", func(q *quantizer) {
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
		VMULSS(Mem{Base: q.dst, Disp: scale8}, total.AsX(), total.AsX())
		VPSUBW(pairs, none, pairs)
		VPSLLW(Imm(3), pairs, pairs)
		VPSLLW(Imm(5), halves, halves)
		VMOVD(pairs.AsX(), Mem{Base: q.dst, Disp: bias8})
		VMOVD(halves.AsX(), Mem{Base: q.dst, Disp: bias32})
		VEXTRACTI128(Imm(1), halves, other)
		VMOVD(other, Mem{Base: q.dst, Disp: bias32 + 4})
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
