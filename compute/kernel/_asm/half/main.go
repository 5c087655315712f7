// Command half generates the products with weights of 16-bit floats for amd64:
//
//	go run ./half -out ../half_amd64.s -stubs ../half_stubs_amd64.go -pkg kernel
//
// All of it is AVX2 with F16C.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	product("f16rows", func(m Mem, use func(v int, w reg.VecVirtual)) {
		for v := range 2 {
			w := YMM()
			VCVTPH2PS(m.Offset(16*v), w)
			use(v, w)
		}
	})
	upper := GLOBL("halfUpper", attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(4*i, U32(0xffff0000))
	}
	product("bf16rows", func(m Mem, use func(v int, w reg.VecVirtual)) {
		w := YMM()
		VMOVDQU(m, w)
		VPSLLD(Imm(16), w, w)
		use(0, w)
		w = YMM()
		VMOVDQU(m, w)
		VPAND(upper, w, w)
		use(1, w)
	})
	Generate()
}

const (
	mostRows = 3
	vecs     = 4 // vectors of eight columns in a panel
	ahead    = 2048
)

// operands are those of a kernel. Strides are in bytes.
type operands struct{ a, rs, b, k, c, ldc, add reg.Register }

// product generates the kernel of one format: the weights are widened in
// registers, each element of c is one chain of fused multiply-adds. load has 16
// columns at m become two vectors, one after the other for use.
func product(name string, load func(m Mem, use func(v int, w reg.VecVirtual))) {
	TEXT(name, NOSPLIT, "func(rows, k int, a *float32, rs int, b *uint16, c *float32, ldc int, add bool)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s sets or adds to c [rows, %d] the product of rows <= %d of a [rows, k] and a panel b [k, %[2]d], k >= 1.", name, 8*vecs, mostRows),
		"Bytes: rs from row to row of a, ldc of c.")
	x := operands{Load(Param("a"), GP64()), Load(Param("rs"), GP64()), Load(Param("b"), GP64()), Load(Param("k"), GP64()),
		Load(Param("c"), GP64()), Load(Param("ldc"), GP64()), Load(Param("add"), GP8())}
	rows := Load(Param("rows"), GP64())
	for r := mostRows; r > 1; r-- {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := 1; r <= mostRows; r++ {
		Label(fmt.Sprintf("rows%d", r))
		some(r, x, load)
	}
}

// at is the address of vector v of row i of what starts at base.
func at(base, stride reg.Register, i, v int) Mem {
	m := Mem{Base: base, Disp: 32 * v}
	if i > 0 {
		m.Index, m.Scale = stride, uint8(i)
	}
	return m
}

// some generates the code for one row count.
func some(rows int, x operands, load func(m Mem, use func(v int, w reg.VecVirtual))) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	acc, a := make([][vecs]reg.VecVirtual, rows), make([]reg.VecVirtual, rows)
	each := func(f func(i, v int)) {
		for i := range acc {
			for v := range vecs {
				f(i, v)
			}
		}
	}
	each(func(i, v int) {
		acc[i][v] = YMM()
		zero(acc[i][v])
	})
	TESTB(x.add, x.add)
	JZ(LabelRef(label("step")))
	each(func(i, v int) { VMOVUPS(at(x.c, x.ldc, i, v), acc[i][v]) })
	Label(label("step"))
	PREFETCHT0(Mem{Base: x.b, Disp: ahead})
	for i := range a {
		a[i] = YMM()
		VBROADCASTSS(at(x.a, x.rs, i, 0), a[i])
	}
	for half := range vecs / 2 {
		load(Mem{Base: x.b, Disp: 32 * half}, func(v int, w reg.VecVirtual) {
			for i := range acc {
				VFMADD231PS(w, a[i], acc[i][2*half+v])
			}
		})
	}
	ADDQ(Imm(4), x.a)
	ADDQ(Imm(16*vecs), x.b)
	DECQ(x.k)
	JNZ(LabelRef(label("step")))
	each(func(i, v int) { VMOVUPS(acc[i][v], at(x.c, x.ldc, i, v)) })
	VZEROUPPER()
	RET()
}

// zero clears a vector register without reading it, so that it is not live
// before.
func zero(z reg.Register) {
	Instruction(&ir.Instruction{Opcode: "VPXOR", Operands: []Op{z, z, z}, Outputs: []Op{z}})
}
