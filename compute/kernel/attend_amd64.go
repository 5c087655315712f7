//go:build amd64 && !purego

package kernel

import (
	"math"
	"sync"
	"unsafe"
)

//go:generate go run -C _asm ./attend -out ../attend_amd64.s -stubs ../attend_stubs_amd64.go -pkg kernel

const (
	tileLen   = 4 * BlockLen // positions in a tile of scores
	queryRows = 64           // query rows that share a walk over the keys
	laneFloat = 16           // float32 lanes kept per row sum: those of AVX-512
)

// product is one call of the micro-kernel c (+)= a*b, with a [m, segs*k] and
// b in segments of k rows, each element one chain of FMAs in ascending k. The
// columns of b come in units of 16, one after the other; or, if unit is set, b
// has one segment and at most four units, each at its own address. If edge is
// set there is one more segment, seg[segs], of which row i takes the first
// edge[i] rows only; edge never falls. Strides are in bytes. The assembly
// knows these offsets.
type product struct {
	c, a               *float32
	seg                [4]*float32
	unit               [4]*float32
	ldc, ars, aks, ldb int
	m, n, k, segs, add int
	edge               *int32
}

func (p *product) run() {
	if level() == avx512 {
		productAVX512((*byte)(unsafe.Pointer(p)))
	} else {
		productAVX2((*byte)(unsafe.Pointer(p)))
	}
}

// tileJob is one pass over a tile: rows of tileLen scores s, for the backward
// with the gradients d of the probabilities. lo and width say which positions
// a row sees. Everything is per row; exponents are base 2, so c is
// scale*log2(e). The assembly knows these offsets.
type tileJob struct {
	s, d, acc            *float32
	max, sum, lse, delta *float32
	lo, width            *int32
	m, from, vecs        int // rows, first position, vectors of 16 to visit
	ldacc, cols          int // bytes from row to row of acc, floats in a row
	c, scale             float32
}

func (j *tileJob) softmax() {
	if level() == avx512 {
		softmaxTileAVX512((*byte)(unsafe.Pointer(j)))
	} else {
		softmaxTileAVX2((*byte)(unsafe.Pointer(j)))
	}
}

func (j *tileJob) end() {
	if level() == avx512 {
		softmaxEndAVX512((*byte)(unsafe.Pointer(j)))
	} else {
		softmaxEndAVX2((*byte)(unsafe.Pointer(j)))
	}
}

func (j *tileJob) grad() {
	if level() == avx512 {
		gradTileAVX512((*byte)(unsafe.Pointer(j)))
	} else {
		gradTileAVX2((*byte)(unsafe.Pointer(j)))
	}
}

// transpose sets dst [dim][BlockLen] to the transpose of BlockLen rows of src;
// dim is a multiple of 8.
func transpose(dst, src []float32, stride, dim int) {
	if level() == generic {
		transposeGeneric(dst, src, stride, BlockLen, dim)
	} else {
		transposeAVX2(at(dst), at(src), 4*stride, dim)
	}
}

// hadamard turns a piece of 2^n values in place.
func hadamard(x []float32) {
	if level() == generic || len(x) < 8 {
		hadamardGeneric(x)
	} else {
		hadamardAVX2(at(x), len(x))
	}
}

// widen is widenGeneric: keys and values of whole blocks.
func (t KVType) widen(dst, words []float32, width int, keys bool) {
	position := words[max(0, len(words)-BlockLen):] // of integers
	switch {
	case t == KVF16:
		widenF16AVX2(at(dst), at(words), len(dst))
	case t == KVBF16:
		widenBF16AVX2(at(dst), at(words), len(dst))
	case t == KVQ8 && keys:
		widenQ8KeysAVX2(at(dst), at(words), at(position), len(dst))
	case t == KVQ8:
		widenQ8ValuesAVX2(at(dst), at(words), at(position), width)
	case keys:
		widenQ4KeysAVX2(at(dst), at(words), at(position), len(dst))
	default:
		widenQ4ValuesAVX2(at(dst), at(words), at(position), width)
	}
}

// attendScratch is the memory of one attention call.
type attendScratch struct {
	score, dscore   [queryRows * tileLen]float32
	sum             [queryRows * laneFloat]float32
	max, lse, delta [queryRows]float32
	lo, width, edge [queryRows]int32
	mem             []float32
}

var attendPool = sync.Pool{New: func() any { return new(attendScratch) }}

// floats returns n floats of undefined content.
func (s *attendScratch) floats(n int) []float32 {
	if cap(s.mem) < n {
		s.mem = make([]float32, n)
	}
	return s.mem[:n]
}

// limits fills in what rows first.. of the call see, m of them; a row is a
// query head of a position. It is the sinks alone, or all the rest.
func (s *attendScratch) limits(spec AttnSpec, pos, first, m int, sinks bool) {
	group := spec.Heads.Q / spec.Heads.KV
	for r := range m {
		sink, lo, hi := spec.sees(pos + (first+r)/group)
		if sinks {
			lo, hi = 0, sink
		}
		s.lo[r], s.width[r] = int32(lo), int32(hi-lo)
	}
}

// split reports whether sinks are seen apart from the rest.
func (s AttnSpec) split() bool { return s.Window > 0 && s.Sinks > 0 }

// hi is the position after the last that row r sees.
func (s *attendScratch) hi(r int) int { return int(s.lo[r] + s.width[r]) }

// attender is the forward of up to queryRows rows: query heads of positions,
// position-major, so that lo and hi never fall from row to row.
type attender struct {
	*attendScratch
	blocks []Block
	kv     int
	spec   AttnSpec
	q, acc []float32 // [m, Dim]
	m      int

	kind         KVType // of the blocks
	stride       int    // floats from value to value of a block
	tileMem      []float32
	first        int // block that the tile at hand begins with
	keys, values [tileLen / BlockLen][]float32
}

func attend(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
	if level() == generic || !(s.Scale > 0) {
		attendGeneric(out, q, lse, blocks, n, pos, kv, s)
		return
	}
	h := s.Heads
	a := attender{attendScratch: attendPool.Get().(*attendScratch), blocks: blocks, kv: kv, spec: s}
	defer attendPool.Put(a.attendScratch)
	a.kind = blocks[(pos+n-1)/BlockLen].Type
	a.stride = a.kind.width(h.Dim)
	group := h.Q / h.KV
	mem := a.floats(2*queryRows*h.Dim + 2*tileLen*a.stride)
	a.tileMem = mem[2*queryRows*h.Dim:]
	for first := 0; first < n*group; first += queryRows {
		a.m = min(queryRows, n*group-first)
		size := a.m * h.Dim
		a.q, a.acc = mem[:size], mem[size:2*size]
		clear(a.acc)
		for r, n := 0, 0; r < a.m; r += n { // the heads of a position lie together
			n = min(group-(first+r)%group, a.m-r)
			copy(a.q[r*h.Dim:(r+n)*h.Dim], q[rowStart(first+r, group, kv, h):])
		}
		if a.kind.coded() {
			for r := range a.m {
				rotate(a.q[r*h.Dim : (r+1)*h.Dim])
			}
		}
		a.walk(pos, first)
		for r, n := 0, 0; r < a.m; r += n {
			n = min(group-(first+r)%group, a.m-r)
			copy(out[rowStart(first+r, group, kv, h):], a.acc[r*h.Dim:(r+n)*h.Dim])
		}
		if lse != nil {
			for r := range a.m {
				lse[rowStart(first+r, group, kv, h)/h.Dim] = a.max[r]*math.Ln2 + float32(math.Log(float64(a.sum[r*laneFloat])))
			}
		}
	}
}

// rowStart is where row r of a call begins in q and out.
func rowStart(r, group, kv int, h Heads) int {
	return (r/group*h.Q + kv*group + r%group) * h.Dim
}

// walk visits the tiles that any row sees, sinks first, from the lowest position up.
func (a *attender) walk(pos, first int) {
	clear(a.sum[:a.m*laneFloat])
	for r := range a.m {
		a.max[r] = -math.MaxFloat32 // finite, so that no difference is NaN
	}
	if a.spec.split() {
		a.limits(a.spec, pos, first, a.m, true)
		a.tiles()
	}
	a.limits(a.spec, pos, first, a.m, false)
	a.tiles()
	j := tileJob{acc: at(a.acc), sum: &a.sum[0], m: a.m, ldacc: 4 * a.spec.Heads.Dim, cols: a.spec.Heads.Dim}
	j.end()
}

// tiles visits those within limits. Runs of rows that see the same blocks of a
// tile go together.
func (a *attender) tiles() {
	end := a.hi(a.m - 1)
	for from := int(a.lo[0]) / tileLen * tileLen; from < end; from += tileLen {
		a.open(from)
		for r := 0; r < a.m; {
			b0, b1 := a.span(from, r)
			e := a.m
			if l0, l1 := a.span(from, a.m-1); l0 != b0 || l1 != b1 {
				for e = r + 1; ; e++ {
					if l0, l1 := a.span(from, e); l0 != b0 || l1 != b1 {
						break
					}
				}
			}
			if b0 < b1 {
				a.tile(from, r, e, b0, b1)
			}
			r = e
		}
	}
}

// open lays out the blocks of the tile at from that any row sees: float32 ones
// where they are, others widened once for all rows.
func (a *attender) open(from int) {
	a.first = from / BlockLen
	b0, _ := a.span(from, 0)
	_, b1 := a.span(from, a.m-1)
	dim := a.spec.Heads.Dim
	words := a.kind.headWords(dim)
	size := a.stride * BlockLen
	for b := b0; b < b1; b++ {
		i := b - a.first
		k, v := a.blocks[b].K[a.kv*words:(a.kv+1)*words], a.blocks[b].V[a.kv*words:(a.kv+1)*words]
		if a.kind == KVF32 {
			a.keys[i], a.values[i] = k, v
			continue
		}
		mem := a.tileMem[2*i*size : 2*(i+1)*size]
		a.keys[i], a.values[i] = mem[:size], mem[size:]
		a.kind.widen(a.keys[i], k, a.stride, true)
		a.kind.widen(a.values[i], v, a.stride, false)
	}
}

// span returns the blocks of the tile at from that row r sees some of.
func (a *attender) span(from, r int) (b0, b1 int) {
	b := from / BlockLen
	return max(b, int(a.lo[r])/BlockLen), min(b+tileLen/BlockLen, (a.hi(r)+BlockLen-1)/BlockLen)
}

// tile carries rows r..e over the blocks b0..b1 of the tile at from.
func (a *attender) tile(from, r, e, b0, b1 int) {
	h := a.spec.Heads
	dim, col := h.Dim, b0*BlockLen-from
	p := product{
		c: &a.score[r*tileLen+col], ldc: 4 * tileLen,
		a: &a.q[r*dim], ars: 4 * dim, aks: 4, ldb: 4 * BlockLen,
		m: e - r, n: (b1 - b0) * BlockLen, k: dim, segs: 1,
	}
	for i := range b1 - b0 {
		p.unit[i] = at(a.keys[b0+i-a.first])
	}
	p.seg[0] = p.unit[0]
	p.run()
	j := tileJob{
		s: &a.score[r*tileLen], acc: &a.acc[r*dim], max: &a.max[r], sum: &a.sum[r*laneFloat],
		lo: &a.lo[r], width: &a.width[r], m: e - r, from: from, ldacc: 4 * dim, cols: dim,
		c: float32(float64(a.spec.Scale) * math.Log2E),
	}
	j.softmax()
	a.weigh(from, r, e, b0, b1)
}

// weigh adds the weighted values of the tile to rows r..e. A row touches only
// what it sees, other slots may hold anything: blocks that all rows see whole
// go together, of the last each row takes its own part.
func (a *attender) weigh(from, r, e, b0, b1 int) {
	whole0, whole1 := (int(a.lo[e-1])+BlockLen-1)/BlockLen, a.hi(r)/BlockLen
	for ; b0 < min(whole0, b1); b0++ { // blocks that a window cuts
		for x := r; x < e; x++ {
			lo, hi := max(int(a.lo[x]), b0*BlockLen), min(a.hi(x), (b0+1)*BlockLen)
			if lo < hi {
				p := a.weights(x, x+1, lo-from)
				p.segs, p.k = 1, hi-lo
				p.seg[0] = a.value(lo)
				p.run()
			}
		}
	}
	if b0 == b1 {
		return
	}
	p := a.weights(r, e, b0*BlockLen-from)
	p.segs, p.k = min(whole1, b1)-b0, BlockLen
	for i := range b1 - b0 {
		p.seg[i] = a.value((b0 + i) * BlockLen)
	}
	if b0+p.segs < b1 {
		for x := r; x < e; x++ {
			a.edge[x] = int32(min(a.hi(x)-(b0+p.segs)*BlockLen, BlockLen))
		}
		p.edge = &a.edge[r]
	}
	p.run()
}

// weights is the product of the weights of rows r..e, from a column of the tile
// on, with values.
func (a *attender) weights(r, e, col int) product {
	dim := a.spec.Heads.Dim
	return product{
		c: &a.acc[r*dim], ldc: 4 * dim, a: &a.score[r*tileLen+col], ars: 4 * tileLen, aks: 4,
		ldb: 4 * a.stride, m: e - r, n: dim, add: 1,
	}
}

// value is the address of a position's value.
func (a *attender) value(pos int) *float32 {
	return &a.values[pos/BlockLen-a.first][pos%BlockLen*a.stride]
}
