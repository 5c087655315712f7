package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

// transpose turns 16 rows of cols values into [cols][16], eight columns at a
// time: 8x8 squares of 256-bit registers serve both instruction sets.
func transpose(s *isa.ISA) {
	if s.Wide {
		return
	}
	s.Func("transpose", "func(dst, src *float32, stride, cols int)",
		"dst[c*16+r] = src[r*stride+c] for 16 rows; stride in bytes, cols a multiple of 8")
	dst, src := Load(Param("dst"), GP64()).(reg.GPVirtual), Load(Param("src"), GP64()).(reg.GPVirtual)
	stride, cols := Load(Param("stride"), GP64()).(reg.GPVirtual), Load(Param("cols"), GP64()).(reg.GPVirtual)
	s3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s3)
	Label("columns")
	p := GP64()
	MOVQ(src, p)
	for half := range 2 {
		square(p, stride, s3, dst, 32*half)
		if half == 0 {
			LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
		}
	}
	ADDQ(Imm(32), src)
	ADDQ(I32(8*64), dst)
	SUBQ(Imm(8), cols)
	JNZ(LabelRef("columns"))
	s.Ret()
}

// square transposes 8 rows at p; p moves down by four rows.
func square(p, stride, s3, dst reg.Register, disp int) {
	row := make([]reg.VecVirtual, 8)
	for i := range row {
		m := Mem{Base: p}
		switch i % 4 {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(i%4)
		case 3:
			m.Index, m.Scale = s3, 1
		}
		row[i] = YMM()
		VMOVUPS(m, row[i])
		if i == 3 {
			LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
		}
	}
	pair := make([]reg.VecVirtual, 8)
	for i := 0; i < 8; i += 2 {
		pair[i], pair[i+1] = YMM(), YMM()
		VUNPCKLPS(row[i+1], row[i], pair[i])
		VUNPCKHPS(row[i+1], row[i], pair[i+1])
	}
	quad := make([]reg.VecVirtual, 8) // quad[4*h+c]: rows 4h.., columns c and c+4
	for h := range 2 {
		for c := range 4 {
			quad[4*h+c] = YMM()
			imm := U8(0x44)
			if c%2 == 1 {
				imm = 0xee
			}
			VSHUFPS(imm, pair[4*h+2+c/2], pair[4*h+c/2], quad[4*h+c])
		}
	}
	for c := range 4 {
		z := YMM()
		VPERM2F128(U8(0x20), quad[4+c], quad[c], z)
		VMOVUPS(z, Mem{Base: dst, Disp: 64*c + disp})
		z = YMM()
		VPERM2F128(U8(0x31), quad[4+c], quad[c], z)
		VMOVUPS(z, Mem{Base: dst, Disp: 64*(c+4) + disp})
	}
}
