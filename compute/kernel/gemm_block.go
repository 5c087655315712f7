package kernel

import (
	"sync"

	"weft/compute/par"
)

const (
	// Limits of one round. Packed a and b, in floats: 8 MiB each, so that both
	// stay in L3.
	maxK     = 4096
	maxPackA = 2 << 20
	maxPackB = 2 << 20

	// A block is what one thread computes at a time: not less than minWork rows
	// times panels times k (about 1 us; an empty fork takes 0.2), and at most what
	// the tier's shape says.
	minWork = 1536

	// The micro-kernel reads an operand where it is when packing would not pay:
	// when the other side has at most directOther rows or columns and, if each
	// step of k is a stride away, the whole is not too large for the tier.
	directOther = 1024
)

// shape is how a tier goes through a block, so that of each step of k the
// slivers, the panel at hand and the next one stay in L2.
type shape struct {
	rows, cols int  // most slivers and panels of a block
	width      int  // columns of a micro-kernel call: tileCols or half of it
	strided    int  // most floats of an operand that is read in place across its rows
	tall       bool // a call takes any number of rows that are evenly spaced
}

// shapeOf: at blockK ten slivers are 240 KiB, for the 1 MiB of L2 or more that
// processors with AVX-512 have; the others have half of that or less. Read in
// place, a panel spreads over few sets of L1, and over a page each few steps of
// k: wide tiles stream it from L2 anyway, and packing wins from 2 MiB on; half
// tiles read it again from L1, and packing wins from 32 KiB on.
func shapeOf(t tier) shape {
	if t == avx2 {
		return shape{rows: 5, cols: 8, width: tileCols / 2, strided: 1 << 13, tall: true}
	}
	return shape{rows: 10, cols: 4, width: tileCols, strided: 1 << 19}
}

// gemmCall is what a call of Gemm computes.
type gemmCall struct {
	c       []float32
	ldc     int
	a, b    Matrix
	packed  *Packed // instead of b
	m, n, k int
	add     bool
}

// strips is how the micro-kernel finds a matrix that is cut into slivers of
// rows or panels of columns: element (r, k) of strip s is at
// data[s*step + r*unit + k*along].
type strips struct {
	data              []float32
	step, unit, along int
}

// packedStrips is the packed form of strips of the given width and depth k.
func packedStrips(data []float32, width, k int) strips {
	return strips{data: data, step: width * k, unit: 1, along: width}
}

// at returns the address of the first element of a strip from k on.
func (s strips) at(strip, k int) *float32 { return &s.data[strip*s.step+k*s.along] }

// gemm is a product in progress, as a sequence of rounds. Gemms are reused,
// with their two functions bound once, so that a product allocates nothing.
type gemm struct {
	gemmCall
	tier                tier
	shape               shape
	inPlace             int  // directOther, or 0 for tests
	directA, directB    bool // read where it is
	stepM, stepN, stepK int  // most of a round
	bufA, bufB          []float32

	// This round.
	rm, rn, rk     int
	rc             []float32
	radd           bool
	srcA, srcB     Matrix
	strA, strB     strips
	packsA, packsB int // strips to pack
	group          int // strips per packing chunk
	rows, cols     int // slivers and panels of a block
	across         int // blocks side by side
	deep           int // k of a micro-kernel call

	// In a group.
	blocks int  // of the round
	tail   bool // adds to the c of the product before, block by block

	pack, multiply func(chunk int)
}

var gemmPool = sync.Pool{New: func() any { return newGemm(level()) }}

func newGemm(t tier) *gemm {
	g := &gemm{tier: t, shape: shapeOf(t), inPlace: directOther}
	g.pack, g.multiply = g.packChunk, g.multiplyBlock
	return g
}

// run computes x in rounds whose packed operands fit the scratch memory.
func (g *gemm) run(p *par.Pool, x gemmCall) {
	g.gemmCall = x
	needA, needB := g.plan()
	buf := getScratch(needA + needB)
	g.bufA, g.bufB = buf.data[:needA], buf.data[needA:]
	for k0 := 0; k0 < g.k; k0 += g.stepK {
		g.rk, g.radd = min(g.stepK, g.k-k0), g.add || k0 > 0
		for i0 := 0; i0 < g.m; i0 += g.stepM {
			g.takeA(i0, k0)
			for j0 := 0; j0 < g.n; j0 += g.stepN {
				g.takeB(k0, j0)
				g.rc = g.c[i0*g.ldc+j0:]
				g.round(p)
				g.packsA = 0
			}
		}
	}
	putScratch(buf)
	g.forget()
}

// forget holds on to no memory.
func (g *gemm) forget() {
	*g = gemm{tier: g.tier, shape: g.shape, inPlace: g.inPlace, pack: g.pack, multiply: g.multiply}
}

// plan sets the steps and returns the floats of scratch that a and b need.
func (g *gemm) plan() (needA, needB int) {
	a, b := g.a, g.b
	if a.T {
		g.directA = g.n <= g.inPlace && g.k*a.Stride <= g.shape.strided
	} else {
		// Twelve lines that lie whole pages apart share the eight ways of one L1 set.
		far := a.Stride%1024 == 0 && g.m > 4
		g.directA = g.m == 1 || g.n <= g.inPlace && !far
	}
	g.directB = g.packed != nil || !b.T && g.n%tileCols == 0 && g.m <= g.inPlace && g.k*b.Stride <= g.shape.strided
	g.stepM, g.stepN, g.stepK = g.m, g.n, g.k
	if !g.directA || !g.directB {
		g.stepK = min(g.k, maxK)
	}
	if !g.directA {
		g.stepM = min(g.m, roundDown(maxPackA/g.stepK, tileRows))
		needA = roundUp(g.stepM, tileRows) * g.stepK
	}
	if !g.directB {
		g.stepN = min(g.n, roundDown(maxPackB/g.stepK, tileCols))
		needB = roundUp(g.stepN, tileCols) * g.stepK
	}
	return needA, needB
}

// takeA points the round at the rows from i on and their columns from k on.
func (g *gemm) takeA(i, k int) {
	g.rm, g.srcA = min(g.stepM, g.m-i), g.a.from(i, k)
	if g.directA {
		l := g.srcA.rows(0)
		g.strA, g.packsA = strips{l.data, tileRows * l.unit, l.unit, l.along}, 0
		return
	}
	g.strA, g.packsA = packedStrips(g.bufA, tileRows, g.rk), ceilDiv(g.rm, tileRows)
}

// takeB points the round at the columns from j on and their rows from k on.
func (g *gemm) takeB(k, j int) {
	g.rn, g.packsB = min(g.stepN, g.n-j), 0
	switch {
	case g.packed != nil: // all columns are in one round
		g.strB = packedStrips(g.packed.data, tileCols, g.k)
		g.strB.data = g.strB.data[k*tileCols:]
		return
	case g.directB:
		g.strB = strips{g.b.from(k, j).Data, tileCols, 1, g.b.Stride}
		return
	default:
		g.srcB = g.b.from(k, j)
	}
	g.strB, g.packsB = packedStrips(g.bufB, tileCols, g.rk), ceilDiv(g.rn, tileCols)
}

// round packs what is not packed yet and multiplies.
func (g *gemm) round(p *par.Pool) {
	if n := g.packsA + g.packsB; n > 0 {
		g.group = ceilDiv(n, 8*p.Size())
		p.Run(g.packs(), g.pack)
	}
	p.Run(g.split(p.Size()), g.multiply)
}

// packs is the number of chunks to pack.
func (g *gemm) packs() int { return ceilDiv(g.packsA, g.group) + ceilDiv(g.packsB, g.group) }

// packChunk packs a group of slivers of a or of panels of b.
func (g *gemm) packChunk(i int) {
	dst, width, all, n := g.strA, tileRows, g.packsA, g.rm
	chunksA := ceilDiv(g.packsA, g.group)
	if i >= chunksA {
		i -= chunksA
		dst, width, all, n = g.strB, tileCols, g.packsB, g.rn
	}
	for s := i * g.group; s < min((i+1)*g.group, all); s++ {
		var src lanes
		if width == tileRows {
			src = g.srcA.rows(s * width)
		} else {
			src = g.srcB.columns(s * width)
		}
		packStrip(g.tier, dst.data[s*dst.step:], width, src, min(width, n-s*width), g.rk)
	}
}

// split cuts the tiles into blocks and returns their number: small enough that
// the threads end together, large enough to be worth a turn at the counter.
func (g *gemm) split(threads int) int {
	slivers, panels := ceilDiv(g.rm, tileRows), ceilDiv(g.rn, tileCols)
	g.deep = blockK
	if slivers == 1 {
		g.deep = maxK // nothing is read twice: stream each panel in one go
	}
	g.rows, g.cols = g.shape.rows, min(panels, g.shape.cols)
	if g.directA && g.shape.tall {
		g.rows *= max(1, blockK/g.rk) // a panel in L1 is used for longer
	}
	g.rows = min(slivers, g.rows)
	depth := g.rk * min(max(g.rm, 3), tileRows) // reading a panel takes as long as three rows
	for threads > 1 && g.rows*g.cols > 1 && g.rows*g.cols*depth >= 2*minWork &&
		ceilDiv(slivers, g.rows)*ceilDiv(panels, g.cols) < 16*threads {
		if g.cols == 1 || g.rows > 1 && g.rows*tileRows >= g.cols*tileCols {
			g.rows = ceilDiv(g.rows, 2)
		} else {
			g.cols = ceilDiv(g.cols, 2)
		}
	}
	g.across = ceilDiv(panels, g.cols)
	return ceilDiv(slivers, g.rows) * g.across
}

// multiplyBlock computes one block of tiles for all k of the round. While it
// works on a panel it fetches the next one: without, the first sliver of each
// panel runs at the speed of the memory (12 to 17 % at 512x5632x2048). At the
// first panel it fetches the rows of an a that is read where it is and lies in
// one piece, and then those of the next block (6 to 17 % at 768x128x128).
func (g *gemm) multiplyBlock(i int) {
	s0, p0 := i/g.across*g.rows, i%g.across*g.cols
	s1, p1 := min(s0+g.rows, ceilDiv(g.rm, tileRows)), min(p0+g.cols, ceilDiv(g.rn, tileCols))
	x := tileArgs{rs: g.strA.unit, cs: g.strA.along, bs: g.strB.along, ldc: g.ldc}
	tall := 1 // slivers of a call
	if g.directA && g.shape.tall {
		tall = s1 - s0
	}
	for k0 := 0; k0 < g.rk; k0 += g.deep {
		x.k, x.add = min(g.deep, g.rk-k0), g.radd || k0 > 0
		for p := p0; p < p1; p++ {
			panel, cols := g.strB.at(p, k0), min(tileCols, g.rn-p*tileCols)
			x.ahead, x.fetch = address(panel), 0
			if next, k := g.next(p, p0, p1, k0); p == p0 && g.strA.unit == x.k { // rows of a one behind the other
				x.ahead, x.fetch = address(g.strA.at(s0, k0))+4*tileRows*uintptr(x.k), 4*tileRows*tall*x.k
			} else if k > 0 && s1-s0 > 1 {
				calls := ceilDiv(s1-s0, tall) * ceilDiv(cols, g.shape.width)
				x.ahead, x.fetch = address(next), roundUp(4*tileCols*k/calls, 64)
			}
			for j := 0; j < cols; j += g.shape.width {
				x.cols, x.b = min(g.shape.width, cols-j), offset(panel, j)
				for s := s0; s < s1; s += tall {
					x.rows, x.a = min(tall*tileRows, g.rm-s*tileRows), g.strA.at(s, k0)
					x.c = &g.rc[s*tileRows*g.ldc+p*tileCols+j]
					runTile(g.tier, &x)
					x.ahead += uintptr(x.fetch)
				}
			}
		}
	}
}

// next is the panel after panel p at depth k0 of a block, and the k of it that
// is needed; 0 behind the last, and of a b that is read where it is.
func (g *gemm) next(p, p0, p1, k0 int) (*float32, int) {
	switch k1 := k0 + g.deep; {
	case g.strB.along != tileCols:
		return nil, 0
	case p+1 < p1:
		return g.strB.at(p+1, k0), min(g.deep, g.rk-k0)
	case k1 < g.rk:
		return g.strB.at(p0, k1), min(g.deep, g.rk-k1)
	}
	return nil, 0
}
