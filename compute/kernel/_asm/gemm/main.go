// Command gemm generates the matrix product's assembly for amd64:
//
//	go run ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel
//
// A generator rather than hand-written text, because a kernel is one pattern
// repeated for many row counts and two vector widths, and because avo
// allocates registers and knows each instruction's operands.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	tile(isa512, 12)
	tile(isa2, 6)
	peak(isa512, 24)
	peak(isa2, 12)
	stream(isa512)
	stream(isa2)
	transpose(4)
	transpose(8)
	copyLanes(12)
	copyLanes(32)
	Generate()
}

// isa is a vector width: the suffix of its functions, the bytes of a vector
// and how to name a new one.
type isa struct {
	name  string
	bytes int
	vec   func() reg.VecVirtual
}

var (
	isa512 = &isa{"512", 64, ZMM}
	isa2   = &isa{"2", 32, YMM}
)

// vecs names n new vectors.
func (v *isa) vecs(n int) []reg.VecVirtual {
	list := make([]reg.VecVirtual, n)
	for i := range list {
		list[i] = v.vec()
	}
	return list
}
