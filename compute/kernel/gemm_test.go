package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"weft/compute/par"
)

// tiers lists what this build and processor can run.
func tiers() (list []tier) {
	for t := generic; t <= best(); t++ {
		list = append(list, t)
	}
	return list
}

// layout is where the micro-kernel reads from.
type layout int

const (
	inPlace layout = iota // a and b themselves, where that pays
	packing               // packed copies
	packed                // a Packed
	layouts
)

// gemmWith is Gemm, or GemmPacked, on a given tier.
func gemmWith(t tier, p *par.Pool, c []float32, ldc int, a, b Matrix, m, n, k int, add bool, from layout) {
	g, x := newGemm(t), gemmCall{c: c, ldc: ldc, a: a, b: b, m: m, n: n, k: k, add: add}
	switch from {
	case packing:
		g.inPlace = 0
	case packed:
		x.packed = Pack(b, k, n)
	}
	g.run(p, x)
}

// random returns a view of a matrix [rows, cols], with a stride up to 4 larger
// than it must be. Everything outside of the view is NaN.
func random(r *rand.Rand, rows, cols int, transposed bool) Matrix {
	if transposed {
		rows, cols = cols, rows
	}
	m := Matrix{Stride: cols + r.IntN(5), T: transposed}
	m.Data = make([]float32, rows*m.Stride)
	for i := range m.Data {
		m.Data[i] = float32(math.NaN())
		if i%m.Stride < cols {
			m.Data[i] = r.Float32()*2 - 1
		}
	}
	return m
}

func (m Matrix) at(i, j int) float32 {
	if m.T {
		i, j = j, i
	}
	return m.Data[i*m.Stride+j]
}

// fma32 is a*b + c rounded once: the product is exact in float64, and the sum
// is rounded to odd there so that the second rounding cannot go wrong.
func fma32(a, b, c float32) float32 {
	x, y := float64(a)*float64(b), float64(c)
	s := x + y
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return float32(s)
	}
	t := s - x
	if rest := (x - (s - t)) + (y - t); rest != 0 && math.Float64bits(s)&1 == 0 {
		s = math.Nextafter(s, math.Inf(int(math.Copysign(1, rest))))
	}
	return float32(s)
}

// chain is the definition of an element of the product, for each tier.
func chain(t tier, a, b Matrix, i, j, k int, c float32) float32 {
	for l := range k {
		if t == generic {
			c += float32(a.at(i, l) * b.at(l, j))
		} else {
			c = fma32(a.at(i, l), b.at(l, j), c)
		}
	}
	return c
}

func equalBits(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

// checkExact compares a product with its definition, bit for bit, and the
// surroundings of c with what they were.
func checkExact(t *testing.T, tr tier, c, before []float32, ldc int, a, b Matrix, m, n, k int, add bool) {
	t.Helper()
	for at, got := range c {
		i, j, want := at/ldc, at%ldc, before[at]
		if j < n {
			start := float32(0)
			if add {
				start = want
			}
			want = chain(tr, a, b, i, j, k, start)
		}
		if !equalBits(got, want) {
			t.Fatalf("%v [%d, %d, %d] aT %v bT %v add %v: c[%d, %d] = %v, want %v",
				tr, m, n, k, a.T, b.T, add, i, j, got, want)
		}
	}
}

// Every tier, transpose, thread count and packing gives the bits of one chain
// of multiply-adds, so they also give each other's.
func TestGemmIsOneChain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pools := []*par.Pool{nil, par.New(2), par.New(5)}
	defer pools[1].Close()
	defer pools[2].Close()
	shapes := [][3]int{{1, 1, 1}, {1, 300, 40}, {1, 33, 9000}, {12, 32, 8}, {13, 33, 9}, {5, 4, 1100}, {100, 130, 70}, {300, 20, 33}, {25, 290, 12}}
	for range 20 {
		shapes = append(shapes, [3]int{1 + r.IntN(60), 1 + r.IntN(90), 1 + r.IntN(90)})
	}
	for at, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		for kind := range 4 {
			a, b := random(r, m, k, kind&1 > 0), random(r, k, n, kind&2 > 0)
			c := random(r, m, n, false)
			for _, tr := range tiers() {
				add, from, p := r.IntN(2) > 0, layout(r.IntN(int(layouts))), pools[(at+kind)%3]
				got := append([]float32(nil), c.Data...)
				gemmWith(tr, p, got, c.Stride, a, b, m, n, k, add, from)
				checkExact(t, tr, got, c.Data, c.Stride, a, b, m, n, k, add)
			}
		}
	}
}

// A product larger than one round of scratch, in m, n and k, against the rows
// computed one by one: m=1 is the decode, the whole is the prefill.
func TestGemmRowsAlone(t *testing.T) {
	const m, n, k = 530, 561, 4200
	r := rand.New(rand.NewPCG(3, 4))
	p := par.New(2)
	defer p.Close()
	a, b := random(r, m, k, false), random(r, k, n, true)
	w := Pack(b, k, n)
	whole, row := make([]float32, m*n), make([]float32, n)
	Gemm(p, whole, n, a, b, m, n, k, false)
	again := make([]float32, m*n)
	gemmWith(level(), p, again, n, a, b, m, n, k, false, packing)
	for i, x := range again {
		if !equalBits(x, whole[i]) {
			t.Fatalf("c[%d, %d]: %v with a packed, %v in place", i/n, i%n, x, whole[i])
		}
	}
	for _, i := range []int{0, 1, 11, 12, 517, 529} {
		GemmPacked(nil, row, n, a.from(i, 0), w, 1, false)
		for j, x := range row {
			if !equalBits(x, whole[i*n+j]) {
				t.Fatalf("c[%d, %d]: %v alone, %v among %d rows", i, j, x, whole[i*n+j], m)
			}
		}
	}
	for _, some := range []int{2, 7, 12, 40} {
		part := make([]float32, some*n)
		GemmPacked(p, part, n, a, w, some, false)
		for i, x := range part {
			if !equalBits(x, whole[i]) {
				t.Fatalf("c[%d, %d]: %v among %d rows, %v among %d", i/n, i%n, x, some, whole[i], m)
			}
		}
	}
	if level() == generic {
		return
	}
	for _, at := range [][2]int{{0, 0}, {529, 560}, {511, 512}, {250, 33}} {
		if got, want := whole[at[0]*n+at[1]], chain(level(), a, b, at[0], at[1], k, 0); !equalBits(got, want) {
			t.Errorf("c%v = %v, want %v", at, got, want)
		}
	}
}

// c += a1*b1 and then c += a2*b2 is the product of the wider matrices: a chain
// may be cut anywhere in k.
func TestGemmAddContinuesChain(t *testing.T) {
	const m, n, k = 30, 70, 700
	r := rand.New(rand.NewPCG(5, 6))
	a, b := random(r, m, k, false), random(r, k, n, false)
	for _, tr := range tiers() {
		whole, parts := make([]float32, m*n), make([]float32, m*n)
		gemmWith(tr, nil, whole, n, a, b, m, n, k, false, inPlace)
		for from := 0; from < k; {
			step := min(1+r.IntN(300), k-from)
			gemmWith(tr, nil, parts, n, a.from(0, from), b.from(from, 0), m, n, step, from > 0, inPlace)
			from += step
		}
		for i, x := range parts {
			if !equalBits(x, whole[i]) {
				t.Fatalf("%v: element %d is %v in parts, %v whole", tr, i, x, whole[i])
			}
		}
	}
}

// The bound of the house: at most twice the error that plain float32 makes.
func TestGemmAccuracy(t *testing.T) {
	const m, n, k = 40, 50, 2000
	r := rand.New(rand.NewPCG(7, 8))
	a, b := random(r, m, k, false), random(r, k, n, true)
	for _, tr := range tiers() {
		c := make([]float32, m*n)
		gemmWith(tr, nil, c, n, a, b, m, n, k, false, inPlace)
		var fast, plain float64
		for i := range m {
			for j := range n {
				var want float64
				for l := range k {
					want += float64(a.at(i, l)) * float64(b.at(l, j))
				}
				fast = max(fast, math.Abs(float64(c[i*n+j])-want))
				plain = max(plain, math.Abs(float64(chain(generic, a, b, i, j, k, 0))-want))
			}
		}
		if fast > 2*plain {
			t.Errorf("%v: error %g, want at most twice plain float32's %g", tr, fast, plain)
		}
	}
}

func TestGemmSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tr := range tiers() {
		// NaN and infinity reach exactly their row and column.
		a, b := make([]float32, 20*10), make([]float32, 10*40)
		for i := range a {
			a[i] = 1
		}
		for i := range b {
			b[i] = 1
		}
		a[7*10+3], b[4*40+33] = nan, inf
		c := make([]float32, 20*40)
		c[0] = nan // overwritten, since add is not set
		gemmWith(tr, nil, c, 40, Matrix{Data: a, Stride: 10}, Matrix{Data: b, Stride: 40}, 20, 40, 10, false, inPlace)
		for i, x := range c {
			want := float32(10)
			switch {
			case i/40 == 7:
				want = nan
			case i%40 == 33:
				want = inf
			}
			if !equalBits(x, want) {
				t.Fatalf("%v: c[%d, %d] = %v, want %v", tr, i/40, i%40, x, want)
			}
		}
	}
}

func TestGemmEmpty(t *testing.T) {
	c := []float32{1, 2, 3, 4}
	b := Matrix{Data: make([]float32, 10), Stride: 2}
	Gemm(nil, c, 2, Matrix{}, b, 0, 2, 5, false)
	Gemm(nil, c, 2, b, Matrix{}, 5, 0, 2, false)
	Gemm(nil, c, 2, Matrix{}, Matrix{}, 2, 2, 0, true)
	GemmPacked(nil, c, 2, Matrix{}, Pack(Matrix{}, 0, 2), 2, true)
	if c[0] != 1 || c[3] != 4 {
		t.Errorf("an empty product that adds changed c to %v", c)
	}
	Gemm(nil, c, 2, Matrix{}, Matrix{}, 2, 2, 0, false)
	if c[0] != 0 || c[3] != 0 {
		t.Errorf("an empty product left c at %v, want zeros", c)
	}
}

func TestGemmChecksSizes(t *testing.T) {
	x := make([]float32, 100)
	ok := Matrix{Data: x, Stride: 10}
	for name, f := range map[string]func(){
		"matrix c [11, 10]": func() { Gemm(nil, x, 10, ok, ok, 11, 10, 10, false) },
		"matrix a [10, 10]": func() { Gemm(nil, x, 10, Matrix{Data: x[:99], Stride: 10}, ok, 10, 10, 10, false) },
		"matrix b [10, 10]": func() { Gemm(nil, x, 10, ok, Matrix{Data: x, Stride: 9}, 10, 10, 10, false) },
		"matrix b [6, 20]":  func() { Pack(Matrix{Data: x, Stride: 20, T: true}, 20, 6) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, "kernel: "+name) {
					t.Errorf("got panic %q, want one that names %s", got, name)
				}
			}()
			f()
		})
	}
}

func TestGemmDoesNotAllocate(t *testing.T) {
	const m, n, k = 64, 96, 128
	r := rand.New(rand.NewPCG(9, 10))
	a, b, c := random(r, m, k, false), random(r, k, n, true), make([]float32, m*n)
	w := Pack(b, k, n)
	p := par.New(2)
	defer p.Close()
	got := testing.AllocsPerRun(200, func() {
		Gemm(p, c, n, a, b, m, n, k, false)
		GemmPacked(p, c, n, a, w, m, true)
		GemmPacked(p, c, n, a, w, 1, false)
	})
	if got >= 1 && !raceEnabled { // the race detector empties pools at random
		t.Errorf("%v allocations per three products, want 0", got)
	}
}

func TestPackedBytes(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {7, 32}, {100, 33}, {600, 1000}} {
		w := Pack(Matrix{Data: make([]float32, s[0]*s[1]), Stride: s[1]}, s[0], s[1])
		if got, want := w.Bytes(), 4*s[0]*roundUp(s[1], tileCols); got != want || got < 4*s[0]*s[1] {
			t.Errorf("[%d, %d]: packed in %d bytes, want %d", s[0], s[1], got, want)
		}
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint16(12), uint16(32), uint16(16), uint8(0))
	f.Add(uint64(2), uint16(1), uint16(65), uint16(513), uint8(7))
	f.Add(uint64(3), uint16(77), uint16(3), uint16(1), uint8(30))
	p := par.New(3)
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, seed uint64, mm, nn, kk uint16, flags uint8) {
		m, n, k := 1+int(mm%80), 1+int(nn%300), 1+int(kk%600)
		if m*n*k > 1<<20 {
			k = 1 + k%8
		}
		r := rand.New(rand.NewPCG(seed, 0))
		a, b, c := random(r, m, k, flags&1 > 0), random(r, k, n, flags&2 > 0), random(r, m, n, false)
		for _, tr := range tiers() {
			got := append([]float32(nil), c.Data...)
			gemmWith(tr, p, got, c.Stride, a, b, m, n, k, flags&4 > 0, layout(flags>>3)%layouts)
			checkExact(t, tr, got, c.Data, c.Stride, a, b, m, n, k, flags&4 > 0)
		}
	})
}

// A group gives each product the bits that it has alone, packed or not, with
// operands in common, sums in one c, and products too large for one round.
func TestGemmAll(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	p := par.New(2)
	defer p.Close()
	for _, s := range [][3]int{{768, 128, 128}, {40, 96, 352}, {7, 5, 3}, {130, 70, 1100}, {3000, 40, 1500}} {
		m, n, k := s[0], s[1], s[2]
		for kind := range 4 {
			var all []Product
			var want [][]float32
			b := random(r, k, n, kind&2 > 0)
			for i := range 4 {
				c := random(r, m, n, false)
				x := Product{C: c.Data, LDC: c.Stride, A: random(r, m, k, kind&1 > 0), B: b, M: m, N: n, K: k, Add: i%2 > 0}
				y := append([]float32(nil), x.C...)
				if i == 3 { // adds to the one before, with a smaller k
					x.C, x.LDC, x.K, y = all[2].C, all[2].LDC, (k+1)/2, want[2]
				}
				Gemm(nil, y, x.LDC, x.A, x.B, m, n, x.K, x.Add)
				all, want = append(all, x), append(want, y)
			}
			GemmAll(p, all...)
			for i, x := range all {
				for at, got := range x.C {
					if !equalBits(got, want[i][at]) {
						t.Fatalf("%v kind %d, product %d: c[%d] = %v, want %v", s, kind, i, at, got, want[i][at])
					}
				}
			}
		}
	}
	GemmAll(p)
	GemmAll(p, Product{})
}
