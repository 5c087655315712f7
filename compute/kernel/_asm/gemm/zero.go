package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// zero clears a vector register. Built by hand so that the register counts as
// written only: with VPXORD's own constructor it would also be read, and so be
// live from the start of the function.
func zero(z reg.Register) {
	op := "VPXOR"
	if z.Size() == 64 {
		op = "VPXORD"
	}
	build.Instruction(&ir.Instruction{Opcode: op, Operands: []operand.Op{z, z, z}, Outputs: []operand.Op{z}})
}
