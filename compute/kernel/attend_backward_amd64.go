//go:build amd64 && !purego

package kernel

import "math"

// grader is the backward of one key/value head. Keys and values are laid out
// once as blocks [Dim][BlockLen] for the products with queries, keys also as
// contiguous rows for the product with score gradients.
type grader struct {
	*attendScratch
	spec           AttnSpec
	n, kv          int
	dq, dk, dv     []float32
	kt, vt, k      []float32 // [blocks][Dim][BlockLen], again, [n, Dim]
	q, dout        []float32 // [queryRows, Dim]: the query rows at hand
	qStride, qFrom int       // floats
	kStride, kFrom int
}

func attendBackward(dq, dk, dv, dout, q, k, v, out, lse []float32, n, kv int, s AttnSpec) {
	if level() == generic || !(s.Scale > 0) {
		attendBackwardGeneric(dq, dk, dv, dout, q, k, v, out, lse, n, kv, s)
		return
	}
	h := s.Heads
	g := grader{attendScratch: attendPool.Get().(*attendScratch), spec: s, n: n, kv: kv, dq: dq, dk: dk, dv: dv}
	defer attendPool.Put(g.attendScratch)
	g.qStride, g.kStride, g.kFrom = h.Q*h.Dim, h.KV*h.Dim, kv*h.Dim
	g.layOut(k, v)
	group := h.Q / h.KV
	for head := kv * group; head < (kv+1)*group; head++ {
		g.qFrom = head * h.Dim
		for first := 0; first < n; first += queryRows {
			m := min(queryRows, n-first)
			for r := range m {
				at := (first+r)*g.qStride + g.qFrom
				copy(g.q[r*h.Dim:(r+1)*h.Dim], q[at:])
				copy(g.dout[r*h.Dim:(r+1)*h.Dim], dout[at:])
				g.lse[r] = lse[(first+r)*h.Q+head] * math.Log2E
				g.delta[r] = Dot(dout[at:at+h.Dim], out[at:at+h.Dim])
			}
			one := AttnSpec{Heads: Heads{1, 1, h.Dim}, Window: s.Window, Sinks: s.Sinks}
			if one.split() {
				g.limits(one, 0, first, m, true)
				g.walk(first, m)
			}
			g.limits(one, 0, first, m, false)
			g.walk(first, m)
		}
	}
}

// layOut copies the head's keys and values; positions past n are zero.
func (g *grader) layOut(k, v []float32) {
	dim, blocks := g.spec.Heads.Dim, (g.n+BlockLen-1)/BlockLen
	size := blocks * BlockLen * dim
	mem := g.floats(3*size + 2*queryRows*dim)
	g.kt, g.vt, g.k = mem[:size], mem[size:2*size], mem[2*size:3*size]
	mem = mem[3*size:]
	g.q, g.dout = mem[:queryRows*dim], mem[queryRows*dim:]
	for b := range blocks {
		from, to := b*BlockLen, min((b+1)*BlockLen, g.n)
		for i, src := range [][]float32{k, v} {
			dst := [][]float32{g.kt, g.vt}[i][from*dim : (from+BlockLen)*dim]
			transposeBlock(dst, src[from*g.kStride+g.kFrom:], g.kStride, to-from, dim)
		}
	}
	for i := range g.n {
		copy(g.k[i*dim:(i+1)*dim], k[i*g.kStride+g.kFrom:])
	}
}

// walk visits the tiles of keys that query rows first..first+m see. Runs of
// rows that see the same blocks of a tile go together.
func (g *grader) walk(first, m int) {
	for from := int(g.lo[0]) / tileLen * tileLen; from < g.hi(m-1); from += tileLen {
		for r := 0; r < m; {
			nb := g.blocks(from, r)
			e := r + 1
			for e < m && g.blocks(from, e) == nb {
				e++
			}
			if nb > 0 {
				g.scores(from, r, e, nb, first+r)
			}
			r = e
		}
		g.keys(from, m)
	}
}

// blocks is how many blocks of the tile at from row r sees some of, counted
// from the tile's start.
func (g *grader) blocks(from, r int) int {
	if int(g.lo[r]) >= from+tileLen {
		return 0
	}
	return max(0, min(tileLen/BlockLen, (g.hi(r)-from+BlockLen-1)/BlockLen))
}

// scores leaves the probabilities of rows r..e and the gradients of their
// scores in the tile, and adds to dq, where they begin at row.
func (g *grader) scores(from, r, e, nb, row int) {
	dim := g.spec.Heads.Dim
	p := product{
		c: &g.score[r*tileLen], ldc: 4 * tileLen, a: &g.q[r*dim], ars: 4 * dim, aks: 4,
		ldb: 4 * BlockLen, m: e - r, n: nb * BlockLen, k: dim, segs: 1,
	}
	g.against(&p, g.kt, from, nb)
	p.c, p.a = &g.dscore[r*tileLen], &g.dout[r*dim]
	g.against(&p, g.vt, from, nb)
	j := tileJob{
		s: &g.score[r*tileLen], d: &g.dscore[r*tileLen], lse: &g.lse[r], delta: &g.delta[r],
		lo: &g.lo[r], width: &g.width[r], m: e - r, from: from, vecs: nb,
		c: float32(float64(g.spec.Scale) * math.Log2E), scale: g.spec.Scale,
	}
	j.grad()
	d := product{
		c: &g.dq[row*g.qStride+g.qFrom], ldc: 4 * g.qStride, a: &g.dscore[r*tileLen], ars: 4 * tileLen, aks: 4,
		ldb: 4 * dim, m: e - r, n: dim, k: min(nb*BlockLen, g.n-from), segs: 1, add: 1,
	}
	d.seg[0] = &g.k[from*dim]
	d.run()
}

// against runs p with nb blocks of kt or vt on the right.
func (g *grader) against(p *product, blocks []float32, from, nb int) {
	dim := g.spec.Heads.Dim
	for i := range nb {
		p.unit[i] = &blocks[(from+i*BlockLen)*dim]
	}
	p.seg[0] = p.unit[0]
	p.run()
}

// keys adds to dk and dv what the tile's rows give them, block by block:
// the rows that see some of a block are a run.
func (g *grader) keys(from, m int) {
	dim := g.spec.Heads.Dim
	for b := 0; b < tileLen; {
		r, e := g.rowsOf(from+b, m)
		to := b + BlockLen
		for to < tileLen {
			if r2, e2 := g.rowsOf(from+to, m); r2 != r || e2 != e {
				break
			}
			to += BlockLen
		}
		if cols := min(to, g.n-from) - b; r < e && cols > 0 {
			c := (from+b)*g.kStride + g.kFrom
			p := product{
				c: &g.dk[c], ldc: 4 * g.kStride, a: &g.dscore[r*tileLen+b], ars: 4, aks: 4 * tileLen,
				ldb: 4 * dim, m: cols, n: dim, k: e - r, segs: 1, add: 1,
			}
			p.seg[0] = &g.q[r*dim]
			p.run()
			p.c, p.a, p.seg[0] = &g.dv[c], &g.score[r*tileLen+b], &g.dout[r*dim]
			p.run()
		}
		b = to
	}
}

// rowsOf returns the rows, of m, that see some of the block at position at.
func (g *grader) rowsOf(at, m int) (r, e int) {
	for r < m && g.hi(r) <= at {
		r++
	}
	e = m
	for e > r && int(g.lo[e-1]) >= at+BlockLen {
		e--
	}
	return r, e
}
