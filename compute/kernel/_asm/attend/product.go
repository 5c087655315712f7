package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

// Offsets in the Go struct product; strides are in bytes.
const (
	pC, pA, pSeg, pUnit    = 0, 8, 16, 48
	pLdc, pArs, pAks, pLdb = 80, 88, 96, 104
	pM, pN, pK, pSegs      = 112, 120, 128, 136
	pAdd, pEdge            = 144, 152
)

// rowBlocks are the numbers of rows that the micro-kernel takes at once.
var rowBlocks = []int{6, 4, 2, 1}

// mul holds the registers of one product.
type mul struct {
	s             *isa.ISA
	job, aks, ldb reg.GPVirtual
	odd           map[int]reg.GPVirtual // 1, 3, 5 times the row stride of a
	unit          []reg.GPVirtual       // AVX-512: byte offsets of units 1..3 of b
	units         Mem                   // the same in memory, from unit 0

	// Stack slots: rows left, row of a, of c, of edge; column, its offset in b.
	m, arow, crow, erow, col, boff Mem
}

// product is c (+)= a*b, each element one chain of FMAs in ascending k.
func product(s *isa.ISA) {
	s.Func("product", "func(job *byte)", "c = a*b or c += a*b for one tile")
	x := &mul{s: s, odd: map[int]reg.GPVirtual{}}
	x.job = Load(Param("job"), GP64()).(reg.GPVirtual)
	x.aks, x.ldb = get(x.job, pAks), get(x.job, pLdb)
	s1 := get(x.job, pArs)
	s3, s5 := GP64(), GP64()
	LEAQ(Mem{Base: s1, Index: s1, Scale: 2}, s3)
	LEAQ(Mem{Base: s1, Index: s1, Scale: 4}, s5)
	x.odd[1], x.odd[3], x.odd[5] = s1, s3, s5
	for _, slot := range []*Mem{&x.m, &x.arow, &x.crow, &x.boff, &x.col, &x.erow} {
		*slot = AllocLocal(8)
	}
	zero := GP64()
	XORQ(zero, zero)
	MOVQ(zero, x.col)
	x.findUnits(zero)
	if s.Wide {
		x.columns512()
	} else {
		x.columns256()
	}
	Label("done")
	s.Ret()
}

// findUnits works out where units 1..3 of b lie from unit 0: where the job's
// pointers say, or one after the other.
func (x *mul) findUnits(zero reg.GPVirtual) {
	x.units = AllocLocal(32)
	MOVQ(zero, x.units)
	first, next := get(x.job, pUnit), GP64()
	for i := 1; i < 4; i++ {
		d := GP64()
		MOVQ(mem(x.job, pUnit+8*i), d)
		SUBQ(first, d)
		MOVQ(U32(uint32(64*i)), next)
		TESTQ(first, first)
		CMOVQEQ(next, d)
		if x.s.Wide {
			x.unit = append(x.unit, d)
		} else {
			MOVQ(d, x.units.Offset(8*i))
		}
	}
}

// columns512 takes up to 64 columns at once, the last vector under a mask.
func (x *mul) columns512() {
	Label("columns")
	left := get(x.job, pN)
	SUBQ(x.col, left)
	JLE(LabelRef("done"))
	off := GP64()
	MOVQ(x.col, off)
	SHLQ(Imm(2), off)
	MOVQ(off, x.boff)
	for nv := 1; nv <= 4; nv++ {
		if nv < 4 {
			CMPQ(left, I32(int32(16*nv)))
			JGT(LabelRef(fmt.Sprintf("wider%d", nv)))
		}
		lanes := GP64()
		LEAQ(mem(left, -16*(nv-1)), lanes)
		if nv == 4 {
			sixteen := GP64()
			MOVQ(U32(16), sixteen)
			CMPQ(lanes, sixteen)
			CMOVQGT(sixteen, lanes)
		}
		x.rows(nv, x.s.First(lanes), fmt.Sprint(nv))
		ADDQ(Imm(64), x.col)
		JMP(LabelRef("columns"))
		Label(fmt.Sprintf("wider%d", nv))
	}
}

// columns256 takes 16 columns, then 8, then the rest under a mask.
func (x *mul) columns256() {
	Label("columns")
	left, off, unit := get(x.job, pN), GP64(), GP64()
	SUBQ(x.col, left)
	JLE(LabelRef("done"))
	MOVQ(x.col, off)
	MOVQ(off, unit)
	SHRQ(Imm(4), unit)
	ANDQ(Imm(3), unit)
	MOVQ(x.units.Idx(unit, 8), unit)
	half := GP64()
	MOVQ(off, half)
	ANDQ(Imm(8), half)
	LEAQ(Mem{Base: unit, Index: half, Scale: 4}, unit)
	SHRQ(Imm(6), off)
	SHLQ(Imm(8), off)
	ADDQ(unit, off)
	MOVQ(off, x.boff)
	for _, nv := range []int{2, 1} {
		next := fmt.Sprintf("narrower%d", nv)
		CMPQ(left, I32(int32(8*nv)))
		JLT(LabelRef(next))
		x.rows(nv, isa.Mask{}, fmt.Sprint(nv))
		ADDQ(I32(int32(8*nv)), x.col)
		JMP(LabelRef("columns"))
		Label(next)
	}
	x.rows(1, x.s.First(left), "masked")
	ADDQ(Imm(8), x.col)
	JMP(LabelRef("columns"))
}

// rows walks all rows for nv vectors of columns.
func (x *mul) rows(nv int, last isa.Mask, name string) {
	c := GP64()
	MOVQ(mem(x.job, pM), c)
	MOVQ(c, x.m)
	MOVQ(mem(x.job, pA), c)
	MOVQ(c, x.arow)
	MOVQ(x.col, c)
	SHLQ(Imm(2), c)
	ADDQ(mem(x.job, pC), c)
	MOVQ(c, x.crow)
	MOVQ(mem(x.job, pEdge), c)
	MOVQ(c, x.erow)
	for _, r := range rowBlocks {
		label, next := fmt.Sprintf("n%s_rows%d", name, r), fmt.Sprintf("n%s_below%d", name, r)
		Label(label)
		CMPQ(x.m, Imm(uint64(r)))
		JLT(LabelRef(next))
		x.block(nv, r, last, label)
		SUBQ(Imm(uint64(r)), x.m)
		JMP(LabelRef(label))
		Label(next)
	}
}

// block is r rows of nv vectors of c, in registers.
type block struct {
	*mul
	acc         [][]reg.VecVirtual
	last        isa.Mask // of each row's last vector
	label       string
	a, b, k, at reg.GPVirtual // addresses in a and b, steps left, segment
}

// block computes r rows of nv vectors and steps to the rows below.
func (x *mul) block(nv, r int, last isa.Mask, label string) {
	y := &block{mul: x, last: last, label: label, a: GP64(), b: GP64(), k: GP64(), at: GP64()}
	for range r {
		y.acc = append(y.acc, x.s.Zeros(nv))
	}
	CMPQ(mem(x.job, pAdd), Imm(0))
	JE(LabelRef(label + "_zero"))
	y.each(func(m Mem, k isa.Mask, z reg.Register) { x.s.Load(m, k, z) })
	Label(label + "_zero")
	y.segments()
	y.edge()
	Label(label + "_store")
	p := y.each(func(m Mem, k isa.Mask, z reg.Register) { x.s.Put(z, m, k) })
	ADDQ(mem(x.job, pLdc), p)
	MOVQ(p, x.crow)
	x.advance(r)
}

// mask is the mask of vector v of a row.
func (y *block) mask(v int) isa.Mask {
	if v == len(y.acc[0])-1 {
		return y.last
	}
	return isa.Mask{}
}

// each walks the block's vectors in memory; it returns the last row's address.
func (y *block) each(fn func(m Mem, k isa.Mask, z reg.Register)) reg.Register {
	p := GP64()
	MOVQ(y.crow, p)
	for i, row := range y.acc {
		if i > 0 {
			ADDQ(mem(y.job, pLdc), p)
		}
		for v, z := range row {
			fn(mem(p, 4*y.s.L*v), y.mask(v), z)
		}
	}
	return p
}

// segments runs all whole segments, and of the edge segment, if there is one,
// the steps that every row takes: those of the first.
func (y *block) segments() {
	label, edge := y.label, GP64()
	MOVQ(y.arow, y.a)
	XORQ(y.at, y.at)
	Label(label + "_segment")
	MOVQ(Mem{Base: y.job, Index: y.at, Scale: 8, Disp: pSeg}, y.b)
	ADDQ(y.boff, y.b)
	MOVQ(mem(y.job, pK), y.k)
	CMPQ(y.at, mem(y.job, pSegs))
	JNE(LabelRef(label + "_k"))
	MOVQ(y.erow, edge)
	MOVLQSX(mem(edge, 0), y.k)
	TESTQ(y.k, y.k)
	JZ(LabelRef(label + "_edge"))
	Label(label + "_k")
	y.step(nil)
	DECQ(y.k)
	JNZ(LabelRef(label + "_k"))
	INCQ(y.at)
	CMPQ(y.at, mem(y.job, pSegs))
	JLT(LabelRef(label + "_segment"))
	JGT(LabelRef(label + "_edge"))
	CMPQ(y.erow, Imm(0))
	JNE(LabelRef(label + "_segment"))
	JMP(LabelRef(label + "_store"))
}

// edge runs the steps that only later rows take.
func (y *block) edge() {
	label, r, edge, n := y.label, len(y.acc), GP64(), GP64()
	Label(label + "_edge")
	MOVQ(y.erow, edge)
	if r > 1 {
		MOVLQSX(mem(edge, 0), n)
		Label(label + "_more")
		MOVLQSX(mem(edge, 4*(r-1)), y.k)
		CMPQ(n, y.k)
		JGE(LabelRef(label + "_end"))
		INCQ(n)
		y.step(func(i int) {
			CMPL(n.As32(), mem(edge, 4*i))
			JGT(LabelRef(fmt.Sprintf("%s_skip%d", label, i)))
		})
		JMP(LabelRef(label + "_more"))
		Label(label + "_end")
	}
	ADDQ(Imm(uint64(4*r)), edge)
	MOVQ(edge, y.erow)
}

// advance moves the row pointer of a down by r rows.
func (x *mul) advance(r int) {
	p := GP64()
	MOVQ(x.arow, p)
	if r == 6 {
		LEAQ(Mem{Base: p, Index: x.odd[3], Scale: 2}, p)
	} else {
		LEAQ(Mem{Base: p, Index: x.odd[1], Scale: uint8(r)}, p)
	}
	MOVQ(p, x.arow)
}

// step is one k: nv loads of b, r broadcasts of a, r*nv FMAs. unless, when not
// nil, may jump over row i, to the label skip<i>; the last row is never spared.
func (y *block) step(unless func(i int)) {
	s, row := y.s, make([]reg.VecVirtual, len(y.acc[0]))
	for v := range row {
		m := mem(y.b, 4*s.L*v)
		if s.Wide && v > 0 {
			m = Mem{Base: y.b, Index: y.unit[v-1], Scale: 1}
		}
		row[v] = s.Get(m, y.mask(v))
	}
	for i, acc := range y.acc {
		spare := unless != nil && i < len(y.acc)-1
		if spare {
			unless(i)
		}
		if m := y.below(i); s.Wide && len(row) == 1 {
			VFMADD231PS_BCST(m, row[0], acc[0])
		} else {
			p := s.Broadcast(m)
			for v := range row {
				VFMADD231PS(p, row[v], acc[v])
			}
		}
		if spare {
			Label(fmt.Sprintf("%s_skip%d", y.label, i))
		}
	}
	ADDQ(y.aks, y.a)
	ADDQ(y.ldb, y.b)
}

// below is the element of a that lies i rows down.
func (y *block) below(i int) Mem {
	if i == 0 {
		return Mem{Base: y.a}
	}
	scale := 1
	for i/scale%2 == 0 {
		scale *= 2
	}
	return Mem{Base: y.a, Index: y.odd[i/scale], Scale: uint8(scale)}
}
