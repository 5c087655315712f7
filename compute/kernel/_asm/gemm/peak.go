package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// peak generates the loop that measures how many fused multiply-adds a core
// can do: n times one on each of width registers that do not wait for another.
func peak(v *isa, width int) {
	TEXT("fma"+v.name, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("fma%s runs n times %d independent fused multiply-adds of %d lanes.", v.name, width, v.bytes/4))
	n := Load(Param("n"), GP64())
	acc, x := v.vecs(width), v.vec()
	zero(x)
	for _, z := range acc {
		zero(z)
	}
	Label("loop")
	for _, z := range acc {
		VFMADD231PS(x, x, z)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// stream generates the loop that measures how fast a core can read. On the
// processors without AVX-512 that were measured, asking ahead slows a loop that
// does nothing else (19 GB/s, 24 without), on those with it it helps.
func stream(v *isa) {
	const lines, ahead = 8, 4096
	TEXT("stream"+v.name, NOSPLIT, "func(p *float32, n int)")
	Doc(fmt.Sprintf("stream%s reads n times %d bytes from p.", v.name, 64*lines))
	p, n := Load(Param("p"), GP64()), Load(Param("n"), GP64())
	acc := v.vecs(4)
	for _, z := range acc {
		zero(z)
	}
	Label("loop")
	for at := 0; at < 64*lines; at += v.bytes {
		if v == isa512 && at%64 == 0 {
			PREFETCHT0(Mem{Base: p, Disp: at + ahead})
		}
		z := acc[at/v.bytes%len(acc)]
		VORPS(Mem{Base: p, Disp: at}, z, z)
	}
	ADDQ(U32(64*lines), p)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
