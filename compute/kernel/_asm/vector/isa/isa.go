// Package isa lets one generator write a kernel for 256-bit and 512-bit
// vectors: registers, constants, tails, horizontal sums and exp are spelled
// once here, in the terms of each instruction set.
package isa

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ISA is one instruction set. Vectors hold L float32 lanes.
type ISA struct {
	Suffix string // ends every function's name
	L      int
	Wide   bool // AVX-512: 32 registers, opmasks
	consts map[uint32]Op
}

// Both returns the two instruction sets that kernels are written for.
func Both() []*ISA {
	return []*ISA{{Suffix: "AVX512", L: 16, Wide: true}, {Suffix: "AVX2", L: 8}}
}

// Func starts a function. Its constants are loaded once if registers are many.
func (s *ISA) Func(name, signature, doc string) {
	s.consts = map[uint32]Op{}
	TEXT(name+s.Suffix, attr.NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

// Ret ends a function.
func (s *ISA) Ret() {
	VZEROUPPER()
	RET()
}

// Vec returns a fresh vector register.
func (s *ISA) Vec() reg.VecVirtual {
	if s.Wide {
		return ZMM()
	}
	return YMM()
}

// Zero clears z without reading it, so that z is not live before.
func (s *ISA) Zero(z reg.Register) {
	op := "VXORPS"
	if s.Wide {
		op = "VPXORD"
	}
	Instruction(&ir.Instruction{Opcode: op, Operands: []Op{z, z, z}, Outputs: []Op{z}})
}

// Zeros returns n cleared registers.
func (s *ISA) Zeros(n int) []reg.VecVirtual {
	z := make([]reg.VecVirtual, n)
	for i := range z {
		z[i] = s.Vec()
		s.Zero(z[i])
	}
	return z
}

var globals = map[uint32]Mem{}

// bits returns the address of 16 copies of a 32-bit pattern.
func bits(v uint32) Mem {
	if m, ok := globals[v]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("lanes_%08x", v), attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(v))
	}
	globals[v] = m
	return m
}

// Lanes returns the address of 16 copies of a float.
func Lanes(v float32) Mem { return bits(math.Float32bits(v)) }

// Word returns the address of 16 copies of a 32-bit pattern.
func Word(v uint32) Mem { return bits(v) }

var iota16 Mem

// Iota returns the address of the integers 0 to 15.
func Iota() Mem {
	if iota16.Symbol.Name == "" {
		iota16 = GLOBL("iota", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			DATA(4*i, U32(uint32(i)))
		}
	}
	return iota16
}

// Bits returns every lane = v: a register on AVX-512, memory on AVX2. Its
// first use in a function must lie outside loops. It may be read only.
func (s *ISA) Bits(v uint32) Op {
	if !s.Wide {
		return bits(v)
	}
	if op, ok := s.consts[v]; ok {
		return op
	}
	z := ZMM()
	VMOVUPS(bits(v), z)
	s.consts[v] = z
	return z
}

// F is Bits of a float.
func (s *ISA) F(v float64) Op { return s.Bits(math.Float32bits(float32(v))) }

// Neg sets x = -v.
func (s *ISA) Neg(v, x reg.Register) { VXORPS(s.Bits(1<<31), v, x) }

// Broadcast fills a register with the float at m.
func (s *ISA) Broadcast(m Op) reg.VecVirtual {
	z := s.Vec()
	VBROADCASTSS(m, z)
	return z
}

// Mask selects the first lanes of a vector; the zero Mask selects all.
type Mask struct{ r reg.Register }

// All tells whether m selects every lane.
func (m Mask) All() bool { return m.r == nil }

var tail Mem

// First returns the mask of the first n lanes, 0 <= n <= L. n is destroyed.
func (s *ISA) First(n reg.GPVirtual) Mask {
	if s.Wide {
		k, one, r := K(), GP64(), GP64()
		MOVQ(n, reg.RCX)
		MOVQ(U32(1), one)
		SHLQ(reg.CL, one)
		LEAQ(Mem{Base: one, Disp: -1}, r)
		KMOVW(r.As32(), k)
		return Mask{k}
	}
	if tail.Symbol.Name == "" {
		tail = GLOBL("tail_mask", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			v := uint32(0)
			if i < 8 {
				v = 0xffffffff
			}
			DATA(4*i, U32(v))
		}
	}
	y, p := YMM(), GP64()
	LEAQ(tail, p)
	NEGQ(n)
	VMOVUPS(Mem{Base: p, Index: n, Scale: 4, Disp: 32}, y)
	return Mask{y}
}

// Load reads a vector; lanes off the mask are zero and not touched in memory.
func (s *ISA) Load(m Mem, k Mask, z reg.Register) {
	switch {
	case k.All():
		VMOVUPS(m, z)
	case s.Wide:
		VMOVUPS_Z(m, k.r, z)
	default:
		VMASKMOVPS(m, k.r, z)
	}
}

// Get is Load into a fresh register.
func (s *ISA) Get(m Mem, k Mask) reg.VecVirtual {
	z := s.Vec()
	s.Load(m, k, z)
	return z
}

// Put writes the lanes of the mask.
func (s *ISA) Put(z reg.Register, m Mem, k Mask) {
	switch {
	case k.All():
		VMOVUPS(z, m)
	case s.Wide:
		VMOVUPS(z, k.r, m)
	default:
		VMASKMOVPS(z, k.r, m)
	}
}

// Keep clears the lanes of z that are off the mask.
func (s *ISA) Keep(z reg.Register, k Mask) {
	switch {
	case k.All():
	case s.Wide:
		VMOVAPS_Z(z, k.r, z)
	default:
		VANDPS(z, k.r, z)
	}
}

// Sum adds the lanes of the registers z, pairwise in a fixed tree, into the
// lowest lane of the result. The registers are destroyed.
func (s *ISA) Sum(z []reg.VecVirtual) reg.Register { return s.fold(z, VADDPS) }

// Max is Sum with the maximum.
func (s *ISA) Max(z []reg.VecVirtual) reg.Register { return s.fold(z, VMAXPS) }

func (s *ISA) fold(z []reg.VecVirtual, op func(...Op)) reg.Register {
	for len(z) > 1 {
		h := len(z) / 2
		for i := range h {
			op(z[i+h], z[i], z[i])
		}
		z = z[:h]
	}
	x := z[0]
	if s.Wide {
		t := YMM()
		VEXTRACTF64X4(U8(1), x, t)
		op(x.AsY(), t, x.AsY())
	}
	t := XMM()
	VEXTRACTF128(U8(1), x.AsY(), t)
	op(x.AsX(), t, x.AsX())
	VPERMILPS(U8(0x4e), x.AsX(), t)
	op(x.AsX(), t, x.AsX())
	VPERMILPS(U8(0xb1), x.AsX(), t)
	op(x.AsX(), t, x.AsX())
	return x.AsX()
}

// exp2Poly is 2^r on [0, 1) with relative error 2e-9, exact at 0 (minimax,
// found by Remez exchange on (2^r-1)/r); coefficients of r^1 and on.
var exp2Poly = [...]float64{0.6931470444, 0.2402293056, 0.05548528062, 0.009675451567, 0.001246784645, 0.0002161291495}

// Exp2Consts loads what Exp2 needs; call it before the loop.
func (s *ISA) Exp2Consts() {
	for _, c := range exp2Poly {
		s.F(c)
	}
	s.F(1)
	if !s.Wide {
		s.F(-127)
		s.F(128)
	}
}

// Exp2 returns 2^t, with error below 1 ulp, 0 below -127 (AVX2) and infinity
// from 128. NaN stays NaN. t is destroyed.
func (s *ISA) Exp2(t reg.VecVirtual) reg.VecVirtual { return s.Exp2s([]reg.VecVirtual{t})[0] }

// Exp2s is Exp2 of several vectors, step by step for all of them: one after the
// other, their chains would fill the scheduler with operations that wait.
func (s *ISA) Exp2s(t []reg.VecVirtual) []reg.VecVirtual {
	n := s.vecs(len(t))
	if s.Wide {
		for i := range t {
			VREDUCEPS(U8(1), t[i], n[i]) // t - floor(t)
		}
		return s.scale(s.poly(n), t)
	}
	s.Clamp(t, -127, 128)
	for i := range t {
		VROUNDPS(U8(1), t[i], n[i])
	}
	for i := range t {
		VSUBPS(n[i], t[i], t[i])
	}
	return s.scale(s.poly(t), n)
}

// vecs returns n registers of any content.
func (s *ISA) vecs(n int) []reg.VecVirtual {
	z := make([]reg.VecVirtual, n)
	for i := range z {
		z[i] = s.Vec()
	}
	return z
}

// Clamp limits each t to [lo, hi] and keeps NaN: of two operands MINPS and MAXPS
// return the second source when either is NaN.
func (s *ISA) Clamp(t []reg.VecVirtual, lo, hi float64) {
	c := s.Vec()
	VMOVUPS(s.F(lo), c)
	for _, t := range t {
		VMAXPS(t, c, t)
	}
	VMOVUPS(s.F(hi), c)
	for _, t := range t {
		VMINPS(t, c, t)
	}
}

// poly is the polynomial of 2^r by Horner's rule.
func (s *ISA) poly(r []reg.VecVirtual) []reg.VecVirtual {
	p, last := s.vecs(len(r)), len(exp2Poly)-1
	for i := range p {
		VMOVUPS(s.F(exp2Poly[last]), p[i])
	}
	for c := last - 1; c >= -1; c-- {
		factor := 1.0
		if c >= 0 {
			factor = exp2Poly[c]
		}
		for i := range p {
			VFMADD213PS(s.F(factor), r[i], p[i])
		}
	}
	return p
}

// scale returns p * 2^floor(n); on AVX2 n is a whole number in [-127, 128].
func (s *ISA) scale(p, n []reg.VecVirtual) []reg.VecVirtual {
	for i := range p {
		if s.Wide {
			VSCALEFPS(n[i], p[i], p[i])
			continue
		}
		VCVTPS2DQ(n[i], n[i])
		VPSLLD(U8(23), n[i], n[i])
		VPADDD(n[i], p[i], p[i])
	}
	return p
}

const (
	log2e   = 1.44269502162933349609375 // float32(log2(e))
	log2eLo = 1.925963033500963e-08     // log2(e) - log2e
)

// expLow is where exp leaves the normal range: 0 below it. On AVX2 exp stops
// growing at expHigh, 3.4e38, for want of a scaling that can overflow.
const expLow, expHigh = -87.33, 88.72

// ExpConsts loads what Exp needs; call it before the loop.
func (s *ISA) ExpConsts() {
	s.Exp2Consts()
	s.F(log2e)
	s.F(log2eLo)
	if s.Wide {
		s.F(-120)
		s.F(120)
	}
}

// Exp returns e^x with relative error about 1e-7; NaN stays NaN. x is
// destroyed.
func (s *ISA) Exp(x reg.VecVirtual) reg.VecVirtual { return s.Exps([]reg.VecVirtual{x})[0] }

// Exps is Exp of several vectors, step by step for all of them, as Exp2s.
func (s *ISA) Exps(x []reg.VecVirtual) []reg.VecVirtual {
	n, r, normal := s.vecs(len(x)), s.vecs(len(x)), s.vecs(len(x))
	for i := range x {
		if !s.Wide {
			VCMPPS(U8(5), s.F(expLow), x[i], normal[i]) // not less than
		}
	}
	if s.Wide {
		s.Clamp(x, -120, 120)
	} else {
		s.Clamp(x, expLow, expHigh)
	}
	for i := range x {
		VMULPS(s.F(log2e), x[i], n[i])
		if s.Wide {
			VRNDSCALEPS(U8(1), n[i], n[i])
		} else {
			VROUNDPS(U8(1), n[i], n[i])
		}
	}
	for i := range x {
		VMOVAPS(x[i], r[i])
		VFMSUB132PS(s.F(log2e), n[i], r[i]) // x*log2e - n, rounded once
	}
	for i := range x {
		VFMADD231PS(s.F(log2eLo), x[i], r[i])
	}
	e := s.scale(s.poly(r), n)
	for i := range e {
		if !s.Wide {
			VANDPS(normal[i], e[i], e[i])
		}
	}
	return e
}

// Loop walks n elements: body gets the byte offset register's address part,
// the number of the copy (0..unroll-1) and the mask of the last, partial
// vector. n is destroyed.
func (s *ISA) Loop(n reg.GPVirtual, unroll int, body func(at func(p reg.Register) Mem, copy int, k Mask)) {
	s.Batches(n, unroll, func(at []func(p reg.Register) Mem, k Mask) {
		for u := range at {
			body(at[u], u, k)
		}
	})
}

// Batches is Loop whose body does all copies at once.
func (s *ISA) Batches(n reg.GPVirtual, unroll int, body func(at []func(p reg.Register) Mem, k Mask)) {
	loops++
	label := func(part string) string { return fmt.Sprintf("%s%d", part, loops) }
	idx, l := GP64(), s.L
	XORQ(idx, idx)
	main, single, rest, done := label("main"), label("single"), label("rest"), label("done")
	step := func(copies int, k Mask) {
		at := make([]func(p reg.Register) Mem, copies)
		for u := range at {
			at[u] = func(p reg.Register) Mem { return Mem{Base: p, Index: idx, Scale: 1, Disp: 4 * l * u} }
		}
		body(at, k)
	}
	if unroll > 1 {
		Label(main)
		CMPQ(n, I32(int32(unroll*l)))
		JLT(LabelRef(single))
		step(unroll, Mask{})
		ADDQ(I32(int32(4*unroll*l)), idx)
		SUBQ(I32(int32(unroll*l)), n)
		JMP(LabelRef(main))
	}
	Label(single)
	CMPQ(n, I32(int32(l)))
	JLT(LabelRef(rest))
	step(1, Mask{})
	ADDQ(I32(int32(4*l)), idx)
	SUBQ(I32(int32(l)), n)
	JMP(LabelRef(single))
	Label(rest)
	TESTQ(n, n)
	JE(LabelRef(done))
	step(1, s.First(n))
	Label(done)
}

var loops int
