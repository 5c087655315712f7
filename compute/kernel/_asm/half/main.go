// Command half generates the products with weights of 16-bit floats for amd64:
//
//	go run ./half -out ../half_amd64.s -stubs ../half_asm_amd64.go -pkg kernel
//
// All of it is AVX2 with F16C.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, f := range []form{{"F16", widenF16}, {"BF16", widenBF16}} {
		f.widening()
		f.product()
	}
	Generate()
}

const (
	mostRows = 3
	vecs     = 4 // vectors of eight columns in a panel
	ahead    = 4096
)

// form is a format: how eight values at m become float32.
type form struct {
	name string
	load func(m Mem, to reg.VecVirtual)
}

func widenF16(m Mem, to reg.VecVirtual) { VCVTPH2PS(m, to) }

func widenBF16(m Mem, to reg.VecVirtual) {
	VPMOVZXWD(m, to)
	VPSLLD(Imm(16), to, to)
}

// widening generates the conversion of whole steps of a panel.
func (f form) widening() {
	TEXT("widen"+f.name, NOSPLIT, "func(dst *float32, src *uint16, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("widen%s converts n times %d values.", f.name, 8*vecs))
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	Label("step")
	PREFETCHT0(Mem{Base: src, Disp: ahead})
	for v := range vecs {
		x := YMM()
		f.load(Mem{Base: src, Disp: 16 * v}, x)
		VMOVUPS(x, Mem{Base: dst, Disp: 32 * v})
	}
	ADDQ(Imm(16*vecs), src)
	ADDQ(U32(32*vecs), dst)
	DECQ(n)
	JNZ(LabelRef("step"))
	VZEROUPPER()
	RET()
}

// product generates the kernel for a few rows: the weights are converted in
// registers, each element of c is one chain of fused multiply-adds.
func (f form) product() {
	TEXT("few"+f.name, NOSPLIT, "func(rows, k int, a *float32, rs int, b *uint16, c *float32, ldc int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("few%s sets c [rows, %d] to the product of rows <= %d of a [rows, k] and a panel b [k, %[2]d], k >= 1.", f.name, 8*vecs, mostRows),
		"Bytes: rs from row to row of a, ldc of c.")
	a, rs := Load(Param("a"), GP64()), Load(Param("rs"), GP64())
	b, k := Load(Param("b"), GP64()), Load(Param("k"), GP64())
	c, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	rows := Load(Param("rows"), GP64())
	for r := mostRows; r > 1; r-- {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := 1; r <= mostRows; r++ {
		Label(fmt.Sprintf("rows%d", r))
		f.rows(r, a, rs, b, k, c, ldc)
	}
}

// rows generates the code for one row count.
func (f form) rows(rows int, a, rs, b, k, c, ldc reg.Register) {
	acc, x := make([][vecs]reg.VecVirtual, rows), make([]reg.VecVirtual, rows)
	for i := range acc {
		x[i] = YMM()
		for v := range vecs {
			acc[i][v] = YMM()
			zero(acc[i][v])
		}
	}
	Label(fmt.Sprintf("step%d", rows))
	PREFETCHT0(Mem{Base: b, Disp: ahead})
	for i := range x {
		m := Mem{Base: a}
		if i > 0 {
			m.Index, m.Scale = rs, uint8(i)
		}
		VBROADCASTSS(m, x[i])
	}
	for v := range vecs {
		w := YMM()
		f.load(Mem{Base: b, Disp: 16 * v}, w)
		for i := range acc {
			VFMADD231PS(w, x[i], acc[i][v])
		}
	}
	ADDQ(Imm(4), a)
	ADDQ(Imm(16*vecs), b)
	DECQ(k)
	JNZ(LabelRef(fmt.Sprintf("step%d", rows)))
	for i := range acc {
		for v := range vecs {
			VMOVUPS(acc[i][v], Mem{Base: c, Disp: 32 * v})
		}
		if i < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// zero clears a vector register without reading it, so that it is not live
// before.
func zero(z reg.Register) {
	Instruction(&ir.Instruction{Opcode: "VPXOR", Operands: []Op{z, z, z}, Outputs: []Op{z}})
}
