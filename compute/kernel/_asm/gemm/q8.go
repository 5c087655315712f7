package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Panels in 8 bits are [k][32] integers with scales [k/32][32]. Both tiers read
// them with 256-bit vectors: few rows wait for memory and for the conversion,
// not for arithmetic.
const (
	q8Block = 32 // k of a scale
	q8Wide  = 3  // rows up to which the tile is 32 columns wide, not 16
	q8Most  = 6
)

// q8 are the operands of the 8-bit kernels.
type q8 struct {
	k, q, d, n reg.Register // n: steps left of this block
}

func newQ8() q8 {
	return q8{k: Load(Param("k"), GP64()), q: Load(Param("q"), GP64()), d: Load(Param("d"), GP64()), n: GP64()}
}

// blocks emits the walk over k: start once per block, step once per k.
func (p q8) blocks(label func(string) string, start, step func()) {
	Label(label("block"))
	MOVQ(U32(q8Block), p.n)
	CMPQ(p.k, p.n)
	CMOVQLT(p.k, p.n)
	SUBQ(p.n, p.k)
	start()
	Label(label("loop"))
	step()
	ADDQ(Imm(32), p.q)
	DECQ(p.n)
	JNZ(LabelRef(label("loop")))
	ADDQ(U32(4*q8Block), p.d)
	TESTQ(p.k, p.k)
	JNZ(LabelRef(label("block")))
}

// weights emits the eight values of vector j of this step of k: q*d, exact.
func (p q8) weights(j int, scale Op, x reg.VecVirtual) {
	VPMOVSXBD(Mem{Base: p.q, Disp: 8 * j}, x)
	VCVTDQ2PS(x, x)
	VMULPS(scale, x, x)
}

// scales loads the scales of vecs vectors.
func (p q8) scales(d []reg.VecVirtual) {
	for j, x := range d {
		VMOVUPS(Mem{Base: p.d, Disp: 32 * j}, x)
	}
}

// q8Tile generates the micro-kernel for a right side in 8 bits. The values are
// widened in registers; the chain of an element is that of the other tiles.
func q8Tile() {
	TEXT("q8tile", NOSPLIT, "func(rows, k int, a *float32, rs, cs int, q *int8, d *float32, c *float32, ldc int, add bool)")
	Doc(fmt.Sprintf("q8tile sets or adds to c [rows, 32] the product of a [rows, k] and q*d [k, 32] for rows <= %d,", q8Wide),
		fmt.Sprintf("to c [rows, 16] that with the first 16 columns for rows <= %d; k >= 1. Strides are in bytes,", q8Most),
		"32 from k to k in q; d moves on by 128 every 32 k.")
	t := pointers{rs: Load(Param("rs"), GP64()), cs: Load(Param("cs"), GP64()), c: Load(Param("c"), GP64()), ldc: Load(Param("ldc"), GP64())}
	p := newQ8()
	t.a[0], t.a[1] = Load(Param("a"), GP64()), GP64()
	LEAQ(Mem{Base: t.a[0], Index: t.rs, Scale: 2}, t.a[1])
	ADDQ(t.rs, t.a[1])
	t.add = Load(Param("add"), GP8())
	rows := Load(Param("rows"), GP64())
	for r := q8Most; r > 1; r-- {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := 1; r <= q8Most; r++ {
		Label(fmt.Sprintf("rows%d", r))
		q8TileRows(t, p, r)
	}
}

// q8TileRows generates the code for one row count.
func q8TileRows(t pointers, p q8, rows int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	vecs, held := 2, 0 // vectors of a row, and of scales in registers
	if rows <= q8Wide {
		vecs = 4
	}
	if rows < q8Wide || rows < q8Most-1 && vecs == 2 { // 16 registers in all
		held = vecs
	}
	acc, d := make([][]reg.VecVirtual, rows), isa2.vecs(held)
	for i := range acc {
		acc[i] = isa2.vecs(vecs)
	}
	q8Start(t, acc, label)
	p.blocks(label, func() { p.scales(d) }, func() {
		x := make([]reg.VecVirtual, rows)
		broadcast := func(i int) {
			m := Mem{Base: t.a[i/3]}
			if i%3 > 0 {
				m.Index, m.Scale = t.rs, uint8(i%3)
			}
			x[i] = YMM()
			VBROADCASTSS(m, x[i])
		}
		scale := func(j int) Op {
			if held > 0 {
				return d[j]
			}
			return Mem{Base: p.d, Disp: 32 * j}
		}
		w := isa2.vecs(vecs)
		if vecs == 4 { // all of a in registers, one vector of b at a time
			for i := range acc {
				broadcast(i)
			}
			for j := range w {
				p.weights(j, scale(j), w[j])
				for i := range acc {
					VFMADD231PS(x[i], w[j], acc[i][j])
				}
			}
		} else {
			for j := range w {
				p.weights(j, scale(j), w[j])
			}
			for i := range acc {
				broadcast(i)
				for j := range w {
					VFMADD231PS(x[i], w[j], acc[i][j])
				}
			}
		}
		for i := 0; i < rows; i += 3 {
			ADDQ(t.cs, t.a[i/3])
		}
	})
	eachRow(t, t.c, rows, func(i int) {
		for j, z := range acc[i] {
			VMOVUPS(z, Mem{Base: t.c, Disp: 32 * j})
		}
	})
	VZEROUPPER()
	RET()
}

// q8Start starts the accumulators at c or at zero.
func q8Start(t pointers, acc [][]reg.VecVirtual, label func(string) string) {
	c := GP64()
	TESTB(t.add, t.add)
	JZ(LabelRef(label("zero")))
	eachRow(t, c, len(acc), func(i int) {
		for j, z := range acc[i] {
			VMOVUPS(Mem{Base: c, Disp: 32 * j}, z)
		}
	})
	JMP(LabelRef(label("block")))
	Label(label("zero"))
	for _, row := range acc {
		for _, z := range row {
			zero(z)
		}
	}
}

// q8Widen generates the writing of a panel in float32.
func q8Widen() {
	TEXT("q8widen", NOSPLIT, "func(dst *float32, q *int8, d *float32, k int)")
	Doc("q8widen writes dst [k, 32] = q*d, the scales moving on every 32 k; k >= 1.")
	dst := Load(Param("dst"), GP64())
	p, d := newQ8(), isa2.vecs(4)
	p.blocks(func(s string) string { return s }, func() { p.scales(d) }, func() {
		for j, x := range isa2.vecs(4) {
			p.weights(j, d[j], x)
			VMOVUPS(x, Mem{Base: dst, Disp: 32 * j})
		}
		ADDQ(U32(128), dst)
	})
	VZEROUPPER()
	RET()
}
