package kernel

import (
	"unsafe"

	"weft/compute/par"
)

func newIntGemm(t tier) *intGemm {
	g := &intGemm{tier: t}
	g.round, g.multiply, g.spread = g.roundChunk, g.multiplyBlock, g.multiplySpread
	return g
}

// maxIntRound is the most bytes of rounded activations at a time.
const maxIntRound = 8 << 20

// run computes products in rounds whose activations fit the scratch memory.
func (g *intGemm) run(p *par.Pool, a Matrix, m int, products []IntProduct) {
	b := products[0].B
	g.xs = ceilDiv(b.K, intBlock) * b.form.record()
	step := min(m, max(intGroup, maxIntRound/g.xs))
	buf := getScratch(step * g.xs / 4)
	g.x = bytesOf(buf.data)
	g.each = ceilDiv(2048, b.K)
	for i := 0; i < m; i += step {
		g.b, g.m, g.a = b, min(step, m-i), a.from(i, 0)
		p.Run(ceilDiv(g.m, g.each), g.round)
		for _, x := range products {
			if x.B.N == 0 {
				continue
			}
			g.b, g.c, g.ldc = x.B, x.C[i*x.LDC:], x.LDC
			multiply := g.multiply
			if g.many() {
				multiply = g.spread
			}
			p.Run(g.split(p.Size()), multiply)
		}
	}
	putScratch(buf)
	*g = intGemm{tier: g.tier, round: g.round, multiply: g.multiply, spread: g.spread} // hold on to no memory
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// roundChunk rounds some rows of activations.
func (g *intGemm) roundChunk(i int) {
	for r := i * g.each; r < min((i+1)*g.each, g.m); r++ {
		roundRow(g.tier, g.b.form.wide, g.x[r*g.xs:(r+1)*g.xs], g.a.Data[r*g.a.Stride:][:g.b.K])
	}
}

// many says whether panels are spread.
func (g *intGemm) many() bool {
	return g.m >= intMany && g.b.form.spread > 0 && g.tier != generic
}

// split cuts the tiles into blocks and returns their number. Blocks are wide
// enough in rows to read a panel once for many, and few enough in panels for
// the threads to end together.
func (g *intGemm) split(threads int) int {
	b := g.b
	panels := ceilDiv(b.N, intCols)
	g.slivers, g.deep = ceilDiv(g.m, intRows), b.blocks()
	if g.slivers > 4 || g.many() {
		g.deep = min(g.deep, intDeep/b.form.values)
	}
	g.rows, g.cols = ceilDiv(g.slivers, ceilDiv(g.m, intGroup)), max(1, min(panels, intCall/b.stride()))
	work := b.K * (min(g.m, intRows) + 1)
	for threads > 1 && g.rows*g.cols > 1 && g.rows*g.cols*work >= 2*intWork &&
		ceilDiv(g.slivers, g.rows)*ceilDiv(panels, g.cols) < 16*threads {
		if g.cols > 1 {
			g.cols = ceilDiv(g.cols, 2)
		} else {
			g.rows = ceilDiv(g.rows, 2)
		}
	}
	g.across = ceilDiv(panels, g.cols)
	return ceilDiv(g.slivers, g.rows) * g.across
}

// row is where sliver s begins: slivers differ by one row at most.
func (g *intGemm) row(s int) int { return s * g.m / g.slivers }

// multiplyBlock computes one block of tiles. A call takes all panels of a step
// of k: they stay in L2 for the slivers after the first.
func (g *intGemm) multiplyBlock(i int) {
	s0, p0 := i/g.across*g.rows, i%g.across*g.cols
	s1, cols := min(s0+g.rows, g.slivers), g.b.N-p0*intCols
	f, all := g.b.form, g.b.blocks()
	x := intArgs{xs: g.xs, ws: g.b.stride(), ldc: g.ldc, panels: min(g.cols, ceilDiv(cols, intCols))}
	for k := 0; k < all; k += g.deep {
		x.deep, x.add, x.w = min(g.deep, all-k), k > 0, &g.b.data[p0*x.ws+k*f.panel]
		for s := s0; s < s1; s++ {
			r := g.row(s)
			x.rows = g.row(s+1) - r
			x.x = &g.x[r*g.xs+k*f.values/intBlock*f.record()]
			x.c = g.c[r*g.ldc+p0*intCols:]
			runInt(g.tier, f, &x, cols)
		}
	}
}

// multiplySpread computes one block of tiles for many rows: each step of some
// panels is decoded once, and read from L2 for all slivers.
func (g *intGemm) multiplySpread(i int) {
	s0, p0 := i/g.across*g.rows, i%g.across*g.cols
	s1, p1 := min(s0+g.rows, g.slivers), min(p0+g.cols, ceilDiv(g.b.N, intCols))
	f, all := g.b.form, g.b.blocks()
	x := intArgs{spread: true, xs: g.xs, ldc: g.ldc, ws: g.deep * f.values / intBlock * f.spread}
	buf := getScratch(intSpread * x.ws / 4)
	w := bytesOf(buf.data)
	x.w = &w[0]
	for k := 0; k < all; k += g.deep {
		deep := min(g.deep, all-k)
		x.deep, x.add = deep*f.values/intBlock, k > 0
		for p := p0; p < p1; p += intSpread {
			x.panels = min(intSpread, p1-p)
			for j := range x.panels {
				spreadPanel(f, w[j*x.ws:], g.b.data[(p+j)*g.b.stride()+k*f.panel:], deep)
			}
			for s := s0; s < s1; s++ {
				r := g.row(s)
				x.rows = g.row(s+1) - r
				x.x = &g.x[r*g.xs+k*f.values/intBlock*f.record()]
				x.c = g.c[r*g.ldc+p*intCols:]
				runInt(g.tier, f, &x, g.b.N-p*intCols)
			}
		}
	}
	putScratch(buf)
}

// runInt computes some tiles, of which only the first cols columns are there.
// It is not inlined for the reason given at runTile.
//
//go:noinline
func runInt(t tier, f *intForm, x *intArgs, cols int) {
	if cols >= x.panels*intCols {
		intTile(t, f, x)
		return
	}
	if x.panels > 1 {
		y := *x
		y.panels--
		intTile(t, f, &y)
	}
	// The last panel: whole in a buffer, as its padding has no place in c.
	y, done := *x, (x.panels-1)*intCols
	y.panels, y.w = 1, (*byte)(unsafe.Add(unsafe.Pointer(x.w), (x.panels-1)*x.ws))
	buf := getScratch(intRows * intCols)
	y.c, y.ldc = buf.data, intCols
	for i := range x.rows {
		copy(y.c[i*intCols:], x.c[i*x.ldc+done:][:cols-done])
	}
	intTile(t, f, &y)
	for i := range x.rows {
		copy(x.c[i*x.ldc+done:][:cols-done], y.c[i*intCols:])
	}
	putScratch(buf)
}
