package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

// tile is the width of a tile of scores, in positions; rows are 4*tile bytes
// apart.
const tile = 64

// Offsets in the Go struct tileJob.
const (
	tS, tD, tAcc                  = 0, 8, 16
	tMax, tSum, tLse, tDelta      = 24, 32, 40, 48
	tLo, tWidth                   = 56, 64
	tM, tFrom, tVecs, tLda, tCols = 72, 80, 88, 96, 104
	tC, tScale                    = 112, 116
)

// seen computes which lanes of a row's vectors are visible.
type seen struct {
	s           *isa.ISA
	first       reg.VecVirtual
	sign, inf   Op
	from, width reg.VecVirtual // of this row: tile start - lo, hi - lo
}

// newSeen loads what all rows share. The numbers of the tile's positions
// relative to lo are compared, without sign, with hi-lo; AVX2 knows only
// signed comparison, so there both sides carry a flipped sign bit.
func newSeen(s *isa.ISA, job reg.Register) *seen {
	x := &seen{s: s, first: s.Vec(), inf: s.Bits(0xff800000)}
	iota := s.Vec()
	VMOVUPS(isa.Iota(), iota)
	VPBROADCASTD(mem(job, tFrom), x.first)
	VPADDD(iota, x.first, x.first)
	if !s.Wide {
		x.sign = s.Bits(1 << 31)
		VPXOR(x.sign, x.first, x.first)
	}
	return x
}

// row loads the limits of the row whose number is r.
func (x *seen) row(lo, width, r reg.Register) {
	x.from, x.width = x.s.Vec(), x.s.Vec()
	VPBROADCASTD(Mem{Base: lo, Index: r, Scale: 4}, x.from)
	VPSUBD(x.from, x.first, x.from)
	VPBROADCASTD(Mem{Base: width, Index: r, Scale: 4}, x.width)
	if !x.s.Wide {
		VPXOR(x.sign, x.width, x.width)
	}
}

// mask compares and steps to the next vector.
func (x *seen) mask() reg.Register {
	var k reg.Register
	if x.s.Wide {
		k = K()
		VPCMPUD(U8(1), x.width, x.from, k)
	} else {
		k = YMM()
		VPCMPGTD(x.from, x.width, k)
	}
	VPADDD(x.s.Bits(uint32(x.s.L)), x.from, x.from)
	return k
}

// load reads scores, minus infinity where the mask is off.
func (x *seen) load(m Mem, k reg.Register) reg.VecVirtual {
	z := x.s.Vec()
	VMOVUPS(x.inf, z)
	if x.s.Wide {
		VMOVUPS(m, k, z)
	} else {
		VBLENDVPS(k, m, z, z)
	}
	return z
}

// softmaxTile turns a tile of scores into weights and carries each row's
// maximum, sum and accumulated output to the new maximum.
func softmaxTile(s *isa.ISA) {
	s.Func("softmaxTile", "func(job *byte)", "one online-softmax step of the rows of a tile")
	job := Load(Param("job"), GP64()).(reg.GPVirtual)
	sp, lo, width := get(job, tS), get(job, tLo), get(job, tWidth)
	mx, sum, acc := get(job, tMax), get(job, tSum), get(job, tAcc)
	r := GP64()
	XORQ(r, r)
	x := newSeen(s, job)
	s.Exp2Consts()
	s.Bits(uint32(s.L))
	Label("row")
	vecs := tile / s.L
	var z []reg.VecVirtual
	top := s.Vec()
	if !s.Wide { // scores rest where they are: a row that sees all of them has only their maximum to find
		begin, end := GP32(), GP32()
		MOVL(mem(job, tFrom), begin)
		SUBL(Mem{Base: lo, Index: r, Scale: 4}, begin)
		JS(LabelRef("part"))
		MOVL(Mem{Base: width, Index: r, Scale: 4}, end)
		SUBL(begin, end)
		CMPL(end, Imm(tile))
		JL(LabelRef("part"))
		VMOVUPS(mem(sp, 0), top)
		for v := 1; v < vecs; v++ {
			VMAXPS(mem(sp, 4*s.L*v), top, top)
		}
		JMP(LabelRef("best"))
		Label("part")
	}
	x.row(lo, width, r)
	for v := range vecs {
		m := mem(sp, 4*s.L*v)
		y := x.load(m, x.mask())
		if s.Wide {
			z = append(z, y)
		} else {
			VMOVUPS(y, m)
		}
		if v == 0 {
			VMOVAPS(y, top)
		} else {
			VMAXPS(y, top, top)
		}
	}
	Label("best")
	best := s.Max([]reg.VecVirtual{top})
	VMULSS(mem(job, tC), best, best)
	old := XMM()
	VMOVSS(Mem{Base: mx, Index: r, Scale: 4}, old)
	VMAXSS(old, best, best)
	VMOVSS(best, Mem{Base: mx, Index: r, Scale: 4})
	row := GP64()
	MOVQ(r, row)
	SHLQ(Imm(6), row)
	ADDQ(sum, row)
	VUCOMISS(old, best)
	JE(LabelRef("same"))
	rescale(s, job, acc, row, old, best)
	Label("same")
	m := s.Broadcast(Mem{Base: mx, Index: r, Scale: 4})
	var part []reg.VecVirtual
	const batch = 4 // vectors whose exponentials are computed side by side
	for from := 0; from < vecs; from += batch {
		y := make([]reg.VecVirtual, batch)
		c := s.Broadcast(mem(job, tC)) // read again: registers are short
		for i := range y {
			if s.Wide {
				y[i] = z[from+i]
			} else {
				y[i] = s.Get(mem(sp, 4*s.L*(from+i)), isa.Mask{})
			}
			VFMSUB213PS(m, c, y[i])
		}
		for i, e := range s.Exp2s(y) {
			VMOVUPS(e, mem(sp, 4*s.L*(from+i)))
			part = treeAdd(part, e, from+i)
		}
	}
	total := part[0]
	VADDPS(mem(row, 0), total, total)
	VMOVUPS(total, mem(row, 0))
	ADDQ(I32(4*tile), sp)
	ADDQ(mem(job, tLda), acc)
	INCQ(r)
	CMPQ(r, mem(job, tM))
	JLT(LabelRef("row"))
	s.Ret()
}

// treeAdd keeps the sums of a binary tree over 2^k vectors, as a counter
// keeps its bits; after the last vector one register is left.
func treeAdd(part []reg.VecVirtual, e reg.VecVirtual, v int) []reg.VecVirtual {
	for ; v&1 == 1; v >>= 1 {
		p := part[len(part)-1]
		part = part[:len(part)-1]
		VADDPS(e, p, p)
		e = p
	}
	return append(part, e)
}

// rescale multiplies the row's sums and outputs by 2^(old-new).
func rescale(s *isa.ISA, job, acc, row reg.Register, old, best reg.Register) {
	d := XMM()
	VSUBSS(best, old, d)
	f := s.Exp2(s.Broadcast(d))
	t := s.Vec()
	VMULPS(mem(row, 0), f, t)
	VMOVUPS(t, mem(row, 0))
	n, p := get(job, tCols), GP64()
	MOVQ(acc, p)
	s.Loop(n, 1, func(at func(reg.Register) Mem, u int, k isa.Mask) {
		o := s.Get(at(p), k)
		VMULPS(f, o, o)
		s.Put(o, at(p), k)
	})
}

// softmaxEnd adds up the lanes of each row's sum and divides the outputs.
func softmaxEnd(s *isa.ISA) {
	s.Func("softmaxEnd", "func(job *byte)", "divides each row of acc by its sum, and leaves the sum in the first lane")
	job := Load(Param("job"), GP64()).(reg.GPVirtual)
	sum, acc, m := get(job, tSum), get(job, tAcc), get(job, tM)
	Label("row")
	t := s.Get(mem(sum, 0), isa.Mask{})
	total := s.Sum([]reg.VecVirtual{t})
	VMOVSS(total, mem(sum, 0))
	inv := XMM()
	VMOVSS(isa.Lanes(1), inv)
	VDIVSS(total, inv, inv)
	f := s.Broadcast(inv)
	s.Loop(get(job, tCols), 1, func(at func(reg.Register) Mem, u int, k isa.Mask) {
		o := s.Get(at(acc), k)
		VMULPS(f, o, o)
		s.Put(o, at(acc), k)
	})
	ADDQ(Imm(64), sum)
	ADDQ(mem(job, tLda), acc)
	DECQ(m)
	JNZ(LabelRef("row"))
	s.Ret()
}

// gradTile is the backward's pass over a tile: scores become probabilities,
// their gradients become gradients of the scores.
func gradTile(s *isa.ISA) {
	s.Func("gradTile", "func(job *byte)", "s = p = 2^(s*c - lse), d = (d - delta)*p*scale; 0 where masked")
	job := Load(Param("job"), GP64()).(reg.GPVirtual)
	sp, dp, lo, width := get(job, tS), get(job, tD), get(job, tLo), get(job, tWidth)
	lse, delta := get(job, tLse), get(job, tDelta)
	r := GP64()
	XORQ(r, r)
	x := newSeen(s, job)
	s.Exp2Consts()
	s.Bits(uint32(s.L))
	var c, scale Op = mem(job, tC), mem(job, tScale)
	if s.Wide {
		c, scale = s.Broadcast(c), s.Broadcast(scale)
	}
	Label("row")
	x.row(lo, width, r)
	l := s.Broadcast(Mem{Base: lse, Index: r, Scale: 4})
	dl := s.Broadcast(Mem{Base: delta, Index: r, Scale: 4})
	n, off := get(job, tVecs), GP64()
	XORQ(off, off)
	Label("vector")
	for range 16 / s.L {
		sm, dm := Mem{Base: sp, Index: off, Scale: 1}, Mem{Base: dp, Index: off, Scale: 1}
		k := x.mask()
		y := x.load(sm, k)
		f := c
		if !s.Wide {
			f = s.Broadcast(c)
		}
		VFMSUB213PS(l, f, y)
		p := s.Exp2(y)
		VMOVUPS(p, sm)
		d := s.Vec()
		VMOVUPS(dm, d)
		VSUBPS(dl, d, d)
		VMULPS(p, d, d)
		f = scale
		if !s.Wide {
			f = s.Broadcast(scale)
		}
		if s.Wide {
			VMULPS_Z(f, d, k, d)
		} else {
			VMULPS(f, d, d)
			VANDPS(k, d, d)
		}
		VMOVUPS(d, dm)
		ADDQ(I32(int32(4*s.L)), off)
	}
	DECQ(n)
	JNZ(LabelRef("vector"))
	ADDQ(I32(4*tile), sp)
	ADDQ(I32(4*tile), dp)
	INCQ(r)
	CMPQ(r, mem(job, tM))
	JLT(LabelRef("row"))
	s.Ret()
}
