package kernel

import (
	"sync"

	"weft/compute/par"
)

// Product is c = a*b, or c += a*b when Add is set, as Gemm takes it: a [M, K],
// b [K, N], c [M, N] with row stride LDC.
type Product struct {
	C       []float32
	LDC     int
	A, B    Matrix
	M, N, K int
	Add     bool
}

// GemmAll computes products, each with the bits that Gemm gives. Small ones are
// done side by side: the threads wait for each other twice for all of them, and
// an operand that several have in common is packed once.
//
//	packing:      a0 | b | a1 | a2        b is that of all three
//	multiplying:  blocks of c0 | of c1, and of what adds to it | ...
//
// A product may have the c of the one before it and add to it; else no c
// overlaps anything.
func GemmAll(p *par.Pool, all ...Product) {
	for _, x := range all {
		Matrix{Data: x.C, Stride: x.LDC}.check("c", x.M, x.N)
		x.A.check("a", x.M, x.K)
		x.B.check("b", x.K, x.N)
	}
	g := groupPool.Get().(*group)
	if g.plan(all) {
		g.run(p)
	} else {
		for _, x := range all {
			Gemm(p, x.C, x.LDC, x.A, x.B, x.M, x.N, x.K, x.Add)
		}
	}
	g.clear()
	groupPool.Put(g)
}

// maxGroup is the most packed operands of a group, in floats: 4 MiB. What is
// larger is better used while it is in the cache.
const maxGroup = 1 << 20

// group is several products in progress, each of one round.
type group struct {
	gemms          []*gemm
	needA, needB   []int // floats of scratch
	need           int   // of all
	pack, multiply func(chunk int)
}

var groupPool = sync.Pool{New: func() any {
	g := new(group)
	g.pack, g.multiply = g.packChunk, g.multiplyBlock
	return g
}}

// plan takes the products on, and reports whether each fits one round.
func (g *group) plan(all []Product) bool {
	for _, x := range all {
		if x.M <= 0 || x.N <= 0 || x.K <= 0 {
			return false
		}
		m := gemmPool.Get().(*gemm)
		m.gemmCall = gemmCall{c: x.C, ldc: x.LDC, a: x.A, b: x.B, m: x.M, n: x.N, k: x.K, add: x.Add}
		needA, needB := m.plan()
		g.gemms, g.needA, g.needB = append(g.gemms, m), append(g.needA, needA), append(g.needB, needB)
		g.need += needA + needB
		if m.stepM < m.m || m.stepN < m.n || m.stepK < m.k {
			return false
		}
	}
	return g.need <= maxGroup
}

// clear holds on to no memory.
func (g *group) clear() {
	for _, m := range g.gemms {
		m.forget()
		gemmPool.Put(m)
	}
	clear(g.gemms)
	g.gemms, g.needA, g.needB, g.need = g.gemms[:0], g.needA[:0], g.needB[:0], 0
}

func (g *group) run(p *par.Pool) {
	buf := getScratch(g.need)
	rest, strips := buf.data, 0
	for i, m := range g.gemms {
		m.rk, m.radd, m.rc = m.k, m.add, m.c
		m.bufA, rest = rest[:g.needA[i]], rest[g.needA[i]:]
		m.bufB, rest = rest[:g.needB[i]], rest[g.needB[i]:]
		g.share(i)
		strips += m.packsA + m.packsB
	}
	packs, blocks := 0, 0
	for i, m := range g.gemms {
		m.group = max(1, ceilDiv(strips, 8*p.Size()))
		packs += m.packs()
		if m.tail = i > 0 && &m.c[0] == &g.gemms[i-1].c[0]; m.tail { // the same blocks
			head := g.gemms[i-1]
			m.rows, m.cols, m.across, m.deep = head.rows, head.cols, head.across, head.deep
			continue
		}
		m.blocks = m.split(p.Size())
		blocks += m.blocks
	}
	if packs > 0 {
		p.Run(packs, g.pack)
	}
	p.Run(blocks, g.multiply)
	putScratch(buf)
}

// share points product i at its operands, packed by one before it or to be packed.
func (g *group) share(i int) {
	m := g.gemms[i]
	var a, b *gemm
	for _, o := range g.gemms[:i] {
		if !m.directA && !o.directA && m.a.same(o.a) && m.m == o.m && m.k == o.k {
			a = o
		}
		if !m.directB && !o.directB && m.b.same(o.b) && m.n == o.n && m.k == o.k {
			b = o
		}
	}
	if a != nil {
		m.bufA = a.bufA
	}
	if b != nil {
		m.bufB = b.bufB
	}
	m.takeA(0, 0)
	m.takeB(0, 0)
	if a != nil {
		m.packsA = 0
	}
	if b != nil {
		m.packsB = 0
	}
}

// same says whether both are views of the same data.
func (m Matrix) same(o Matrix) bool {
	return &m.Data[0] == &o.Data[0] && m.Stride == o.Stride && m.T == o.T
}

func (g *group) packChunk(i int) {
	for _, m := range g.gemms {
		n := m.packs()
		if i < n {
			m.packChunk(i)
			return
		}
		i -= n
	}
}

// multiplyBlock computes a block of one product, and of those that add to it.
func (g *group) multiplyBlock(i int) {
	for at, m := range g.gemms {
		if m.tail {
			continue
		}
		if i >= m.blocks {
			i -= m.blocks
			continue
		}
		m.multiplyBlock(i)
		for at++; at < len(g.gemms) && g.gemms[at].tail; at++ {
			g.gemms[at].multiplyBlock(i)
		}
		return
	}
}
