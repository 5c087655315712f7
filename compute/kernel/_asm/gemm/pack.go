package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Packing uses 256-bit vectors in both tiers: it is bound by stores and
// shuffles, of which a core does as many bytes per cycle in either width.

// transpose generates the packing of 4 or 8 lanes that lie along k.
func transpose(lanes int) {
	params := "s0"
	for i := 1; i < lanes; i++ {
		params += fmt.Sprintf(", s%d", i)
	}
	TEXT(fmt.Sprintf("transpose%d", lanes), NOSPLIT, "func(dst *float32, width int, "+params+" *float32, n int)")
	Doc(fmt.Sprintf("transpose%d writes s0[i], s1[i], ... to dst + i*width bytes for i < 8*n.", lanes))
	dst, width, n := Load(Param("dst"), GP64()), Load(Param("width"), GP64()), Load(Param("n"), GP64())
	src := make([]reg.Register, lanes)
	for i := range src {
		src[i] = Load(Param(fmt.Sprintf("s%d", i)), GP64())
	}
	at, width3, half := GP64(), GP64(), GP64()
	XORL(at.As32(), at.As32())
	LEAQ(Mem{Base: width, Index: width, Scale: 2}, width3)
	rows := func(base reg.Register) []Mem {
		return []Mem{{Base: base}, {Base: base, Index: width, Scale: 1}, {Base: base, Index: width, Scale: 2}, {Base: base, Index: width3, Scale: 1}}
	}
	Label("loop")
	LEAQ(Mem{Base: dst, Index: width, Scale: 4}, half)
	if lanes == 4 {
		// The halves of a vector are k and k+4.
		r := isa2.vecs(4)
		for i := range r {
			VMOVUPS(Mem{Base: src[i], Index: at, Scale: 1}, r[i])
		}
		t := transposed(r)
		for i, m := range rows(dst) {
			VMOVUPS(t[i].AsX(), m)
		}
		for i, m := range rows(half) {
			VEXTRACTF128(Imm(1), t[i], m)
		}
	} else {
		// The halves of a vector are lanes i and i+4.
		for k, base := range []reg.Register{dst, half} {
			r := isa2.vecs(4)
			for i := range r {
				VMOVUPS(Mem{Base: src[i], Index: at, Scale: 1, Disp: 16 * k}, r[i].AsX())
				VINSERTF128(Imm(1), Mem{Base: src[i+4], Index: at, Scale: 1, Disp: 16 * k}, r[i], r[i])
			}
			t := transposed(r)
			for i, m := range rows(base) {
				VMOVUPS(t[i], m)
			}
		}
	}
	ADDQ(Imm(32), at)
	LEAQ(Mem{Base: dst, Index: width, Scale: 8}, dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transposed emits the transposition of 4x4 values in each half of r.
func transposed(r []reg.VecVirtual) []reg.VecVirtual {
	u, t := isa2.vecs(4), isa2.vecs(4)
	VUNPCKLPS(r[1], r[0], u[0])
	VUNPCKHPS(r[1], r[0], u[1])
	VUNPCKLPS(r[3], r[2], u[2])
	VUNPCKHPS(r[3], r[2], u[3])
	VUNPCKLPD(u[2], u[0], t[0])
	VUNPCKHPD(u[2], u[0], t[1])
	VUNPCKLPD(u[3], u[1], t[2])
	VUNPCKHPD(u[3], u[1], t[3])
	return t
}

// copyLanes generates the packing of full strips whose lanes lie side by side.
func copyLanes(width int) {
	TEXT(fmt.Sprintf("copy%d", width), NOSPLIT, "func(dst, src *float32, stride, n int)")
	Doc(fmt.Sprintf("copy%d copies n rows of %[1]d floats, stride bytes apart in src, to dst.", width))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	var parts []reg.Register
	for left := width; left > 0; {
		x := reg.Register(YMM())
		if left < 8 {
			x = XMM()
		}
		VMOVUPS(Mem{Base: src, Disp: 4 * (width - left)}, x)
		parts = append(parts, x)
		left -= int(x.Size()) / 4
	}
	at := 0
	for _, x := range parts {
		VMOVUPS(x, Mem{Base: dst, Disp: at})
		at += int(x.Size())
	}
	ADDQ(stride, src)
	ADDQ(U32(uint32(4*width)), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
