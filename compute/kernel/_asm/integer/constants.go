package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

var constants = map[string]Mem{}

// constant is 32 bytes of a repeated 32-bit pattern in memory.
func constant(name string, v uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(4*i, U32(v))
	}
	constants[name] = m
	return m
}

func low() Mem       { return constant("intLow", 0x0f0f0f0f) }
func ones() Mem      { return constant("intOnes", 0x00010001) }
func oneBytes() Mem  { return constant("intOneBytes", 0x01010101) }
func bit4() Mem      { return constant("intBit4", 0x10101010) }
func bits45() Mem    { return constant("intBits45", 0x30303030) }
func sign() Mem      { return constant("intSign", 1<<31) }
func sixteen() Mem   { return constant("intSixteen", math.Float32bits(16)) }
func magnitude() Mem { return constant("intMagnitude", 0x7fffffff) }
