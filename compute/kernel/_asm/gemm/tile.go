package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const halves = 2 // vectors in a row of the tile

// pointers are the operands of a tile kernel. Strides are in bytes.
type pointers struct {
	k           reg.Register
	rows        reg.Register
	a           [4]reg.Register // rows 0, 3, 6, 9
	rs, cs      reg.Register    // a: from row to row, from k to k
	b, bs       reg.Register
	c, ldc      reg.Register
	masks       [halves]reg.Register // AVX-512: the columns to touch
	mask        reg.Register         // AVX2: address of the same, as lanes of 0 and -1
	add         reg.Register
	ahead, pace reg.Register // what to fetch meanwhile
}

// tile generates the micro-kernel: c[rows, cols] (+)= a[rows, k] * b[k, cols],
// one fused multiply-add chain per element in ascending k.
func tile(v *isa, most int) {
	mask := "mask uint32"
	if v == isa2 {
		mask = "mask *int32, full bool"
	}
	TEXT("tile"+v.name, NOSPLIT, "func(rows, k int, a *float32, rs, cs int, b *float32, bs int, c *float32, ldc int, "+mask+", add bool, ahead uintptr, pace int)")
	Doc(fmt.Sprintf("tile%s sets or adds to c [rows, %d] the product of a [rows, k] and b [k, %[2]d],", v.name, halves*v.bytes/4),
		fmt.Sprintf("%d rows at a time, k >= 1. Strides are in bytes; only the columns in mask are touched in c.", most),
		"Meanwhile each step of k fetches the line at ahead into L2 and moves on by pace bytes.")
	p := pointers{k: Load(Param("k"), GP64()), rs: Load(Param("rs"), GP64()), cs: Load(Param("cs"), GP64()),
		b: Load(Param("b"), GP64()), bs: Load(Param("bs"), GP64()), c: Load(Param("c"), GP64()), ldc: Load(Param("ldc"), GP64())}
	p.a[0] = Load(Param("a"), GP64())
	if v == isa2 {
		p.mask = Load(Param("mask"), GP64())
	} else {
		m := Load(Param("mask"), GP32())
		p.masks = [halves]reg.Register{K(), K()}
		KMOVW(m, p.masks[0])
		SHRL(U8(16), m)
		KMOVW(m, p.masks[1])
	}
	p.add = Load(Param("add"), GP8())
	p.ahead, p.pace = Load(Param("ahead"), GP64()), Load(Param("pace"), GP64())
	for i := 1; i < (most+2)/3; i++ {
		p.a[i] = GP64()
	}
	p.rows = Load(Param("rows"), GP64())
	Label("rows")
	for i := 1; i < (most+2)/3; i++ {
		LEAQ(Mem{Base: p.a[i-1], Index: p.rs, Scale: 2}, p.a[i])
		ADDQ(p.rs, p.a[i])
	}
	for r := most - 1; r > 0; r-- {
		CMPQ(p.rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := most; r > 0; r-- {
		Label(fmt.Sprintf("rows%d", r))
		tileRows(v, p, r)
		if v == isa2 && r == most {
			more(p, most)
		}
		VZEROUPPER()
		RET()
	}
}

// more goes on with the rows behind the first most, if there are any. What the
// loop has used up is in the arguments.
func more(p pointers, most int) {
	argument := func(name string) Mem {
		at, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return at.Addr
	}
	Load(Param("rows"), p.rows)
	SUBQ(U8(most), p.rows)
	JLE(LabelRef("done"))
	MOVQ(p.rows, argument("rows"))
	Load(Param("a"), p.a[0])
	for range most {
		ADDQ(p.rs, p.a[0])
	}
	MOVQ(p.a[0], argument("a"))
	ADDQ(p.ldc, p.c) // from the last row stored
	Load(Param("b"), p.b)
	Load(Param("k"), p.k)
	JMP(LabelRef("rows"))
	Label("done")
}

// tileRows generates the code for one row count.
func tileRows(v *isa, p pointers, rows int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = v.vecs(halves)
	}
	tileLoad(v, p, acc, label)

	Label(label("loop"))
	b, x := v.vecs(halves), v.vec()
	for j := range b {
		VMOVUPS(Mem{Base: p.b, Disp: v.bytes * j}, b[j])
	}
	for i := range acc {
		m := Mem{Base: p.a[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = p.rs, uint8(i%3)
		}
		VBROADCASTSS(m, x)
		for j := range b {
			VFMADD231PS(x, b[j], acc[i][j])
		}
	}
	PREFETCHT1(Mem{Base: p.ahead})
	ADDQ(p.pace, p.ahead)
	for i := 0; i < rows; i += 3 {
		ADDQ(p.cs, p.a[i/3])
	}
	ADDQ(p.bs, p.b)
	DECQ(p.k)
	JNZ(LabelRef(label("loop")))
	tileStore(v, p, acc, label)
}

// tileLoad starts the accumulators at c or at zero.
func tileLoad(v *isa, p pointers, acc [][]reg.VecVirtual, label func(string) string) {
	c := GP64()
	TESTB(p.add, p.add)
	JZ(LabelRef(label("zero")))
	var masks []reg.VecVirtual
	if v == isa2 {
		masks = loadMasks(v, p)
	}
	eachRow(p, c, len(acc), func(i int) {
		for j, z := range acc[i] {
			if v == isa2 {
				VMASKMOVPS(Mem{Base: c, Disp: v.bytes * j}, masks[j], z)
			} else {
				VMOVUPS_Z(Mem{Base: c, Disp: v.bytes * j}, p.masks[j], z)
			}
		}
	})
	if v == isa2 { // the rows below are next, and not in L1; AVX-512 does not gain
		for range acc {
			ADDQ(p.ldc, c)
			PREFETCHT0(Mem{Base: c})
		}
	}
	JMP(LabelRef(label("loop")))

	Label(label("zero"))
	eachRow(p, c, len(acc), func(i int) {
		PREFETCHT0(Mem{Base: c})
		if v == isa512 {
			PREFETCHT0(Mem{Base: c, Disp: 64})
		}
		for _, z := range acc[i] {
			zero(z)
		}
	})
}

// tileStore writes the accumulators; c is at the last row then.
func tileStore(v *isa, p pointers, acc [][]reg.VecVirtual, label func(string) string) {
	if v == isa2 {
		full := Load(Param("full"), GP8())
		TESTB(full, full)
		JZ(LabelRef(label("edge")))
		eachRow(p, p.c, len(acc), func(i int) {
			for j, z := range acc[i] {
				VMOVUPS(z, Mem{Base: p.c, Disp: v.bytes * j})
			}
		})
		JMP(LabelRef(label("stored")))
		Label(label("edge"))
	}
	var masks []reg.VecVirtual
	if v == isa2 {
		masks = loadMasks(v, p)
	}
	eachRow(p, p.c, len(acc), func(i int) {
		for j, z := range acc[i] {
			if v == isa2 {
				VMASKMOVPS(z, masks[j], Mem{Base: p.c, Disp: v.bytes * j})
			} else {
				VMOVUPS(z, p.masks[j], Mem{Base: p.c, Disp: v.bytes * j})
			}
		}
	})
	if v == isa2 {
		Label(label("stored"))
	}
}

// eachRow emits f for every row of c, with at pointing to it.
func eachRow(p pointers, at reg.Register, rows int, f func(i int)) {
	if at != p.c {
		MOVQ(p.c, at)
	}
	for i := range rows {
		f(i)
		if i < rows-1 {
			ADDQ(p.ldc, at)
		}
	}
}

// loadMasks loads the column masks of the AVX2 kernel.
func loadMasks(v *isa, p pointers) []reg.VecVirtual {
	masks := v.vecs(halves)
	for j, m := range masks {
		VMOVUPS(Mem{Base: p.mask, Disp: v.bytes * j}, m)
	}
	return masks
}
