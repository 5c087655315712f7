// Command attend writes ../../attend_amd64.s: the micro-kernel of attention's
// matrix products, the passes over tiles of scores between them, and what reads
// keys and values that are kept in fewer bits.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, s := range isa.Both() {
		product(s)
		softmaxTile(s)
		softmaxEnd(s)
		gradTile(s)
		transpose(s)
	}
	widen("widenF16", "binary16", 32, func(src reg.Register, i int, y reg.VecVirtual) {
		VCVTPH2PS(mem(src, 16*i), y)
	})
	widen("widenBF16", "bfloat16", 32, func(src reg.Register, i int, y reg.VecVirtual) {
		VPMOVZXWD(mem(src, 16*i), y)
		VPSLLD(U8(16), y, y)
	})
	widenCodes("widenQ8", 16, codes8)
	widenCodes("widenQ4", 32, codes4)
	hadamard()
	Generate()
}

// mem is a byte offset from a register.
func mem(p reg.Register, disp int) Mem { return Mem{Base: p, Disp: disp} }

// get loads a 64-bit word of a struct.
func get(p reg.Register, disp int) reg.GPVirtual {
	r := GP64()
	MOVQ(mem(p, disp), r)
	return r
}
