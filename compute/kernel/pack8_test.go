package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"weft/compute/par"
)

// random8 returns a matrix [k, n] in 8 bits and its values, as a weight [n, k].
// Scales have 11 bits, as a float16 has; some are zero.
func random8(r *rand.Rand, k, n int) (*Packed8, Matrix) {
	blocks := ceilDiv(k, Block8)
	q, d := make([]int8, k*n), make([]float32, blocks*n)
	for i := range q {
		q[i] = int8(r.IntN(256) - 128)
	}
	for i := range d {
		d[i] = float32(r.IntN(2048)) / (1 << 18)
	}
	w := Matrix{Data: make([]float32, k*n), Stride: k, T: true}
	for i, x := range q {
		w.Data[i] = float32(x) * d[i/k*blocks+i%k/Block8]
	}
	return Pack8(q, d, k, n), w
}

// check8 compares a product with a Packed8 with that of its values, bit for bit,
// on every tier and by both ways.
func check8(t *testing.T, r *rand.Rand, p *par.Pool, m, n, k int, transposed, add bool) {
	t.Helper()
	b, w := random8(r, k, n)
	a, c := random(r, m, k, transposed), random(r, m, n, false)
	for _, tr := range tiers() {
		want := append([]float32(nil), c.Data...)
		gemmWith(tr, nil, want, c.Stride, a, w, m, n, k, add, inPlace)
		for _, few := range []int{0, m} {
			g, got := newGemm(tr), append([]float32(nil), c.Data...)
			g.shape.few8 = few
			g.run(p, gemmCall{c: got, ldc: c.Stride, a: a, packed8: b, m: m, n: n, k: k, add: add})
			for i, x := range got {
				if !equalBits(x, want[i]) {
					t.Fatalf("%v [%d, %d, %d] aT %v add %v few %d: c[%d, %d] = %v, in float32 %v",
						tr, m, n, k, transposed, add, few, i/c.Stride, i%c.Stride, x, want[i])
				}
			}
		}
	}
}

// A matrix in 8 bits gives the bits of its float32 values, whatever the number
// of rows, threads and the tier.
func TestPacked8IsItsValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	pools := []*par.Pool{nil, par.New(2), par.New(5)}
	defer pools[1].Close()
	defer pools[2].Close()
	shapes := [][3]int{{1, 32, 32}, {1, 1, 1}, {3, 33, 31}, {4, 64, 33}, {16, 96, 192}, {17, 40, 1100}, {25, 33, 600}, {2, 70, 8500}, {100, 300, 70}}
	for m := 1; m <= 13; m++ {
		shapes = append(shapes, [3]int{m, 1 + r.IntN(100), 1 + r.IntN(100)})
	}
	for range 10 {
		shapes = append(shapes, [3]int{1 + r.IntN(60), 1 + r.IntN(90), 1 + r.IntN(90)})
	}
	for i, s := range shapes {
		check8(t, r, pools[i%3], s[0], s[1], s[2], i%4 == 3, r.IntN(2) > 0)
	}
}

// Larger than one round of scratch, in n and k, by the call that others use.
func TestPacked8Large(t *testing.T) {
	const m, n, k = 60, 700, 4500
	r := rand.New(rand.NewPCG(2, 8))
	p := par.New(2)
	defer p.Close()
	b, w := random8(r, k, n)
	a, want := random(r, m, k, false), make([]float32, m*n)
	Gemm(p, want, n, a, w, m, n, k, false)
	for _, rows := range []int{1, 3, 16, 24, 25, m} {
		got := make([]float32, rows*n)
		GemmPacked8(p, got, n, a, b, rows, false)
		for i, x := range got {
			if !equalBits(x, want[i]) {
				t.Fatalf("%d rows: c[%d, %d] = %v, in float32 %v", rows, i/n, i%n, x, want[i])
			}
		}
	}
	column := make([]float32, k)
	for _, j := range []int{0, 31, 32, n - 1} {
		b.Column(column, j)
		for l, x := range column {
			if !equalBits(x, w.at(l, j)) {
				t.Fatalf("column %d, value %d is %v, want %v", j, l, x, w.at(l, j))
			}
		}
	}
	if got := b.Bytes(); got < n*k || got > n*k*5/4 {
		t.Errorf("%d bytes for %d values", got, n*k)
	}
}

func TestPack8ChecksSizes(t *testing.T) {
	w := Pack8(make([]int8, 33*2), make([]float32, 4), 33, 2)
	for want, f := range map[string]func(){
		"kernel: 66 integers and 3 scales for a matrix [33, 2], want 66 and 4": func() { Pack8(make([]int8, 66), make([]float32, 3), 33, 2) },
		"kernel: column 2 into 33 values of a matrix [33, 2]":                  func() { w.Column(make([]float32, 33), 2) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != want {
					t.Errorf("panic is %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
	c := []float32{1, 2}
	GemmPacked8(nil, c, 2, Matrix{}, Pack8(nil, nil, 0, 2), 1, false)
	if c[0] != 0 || c[1] != 0 {
		t.Errorf("an empty product left c at %v, want zeros", c)
	}
}

func TestPacked8DoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8))
	b, _ := random8(r, 128, 96)
	a, c := random(r, 64, 128, false), make([]float32, 64*96)
	p := par.New(2)
	defer p.Close()
	got := testing.AllocsPerRun(200, func() {
		GemmPacked8(p, c, 96, a, b, 64, false)
		GemmPacked8(p, c, 96, a, b, 1, false)
	})
	if got >= 1 && !raceEnabled {
		t.Errorf("%v allocations per two products, want 0", got)
	}
}

func FuzzPacked8(f *testing.F) {
	f.Add(uint64(1), uint16(12), uint16(32), uint16(64), uint8(0))
	f.Add(uint64(2), uint16(1), uint16(65), uint16(513), uint8(3))
	p := par.New(3)
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, seed uint64, mm, nn, kk uint16, flags uint8) {
		m, n, k := 1+int(mm%50), 1+int(nn%200), 1+int(kk%600)
		if m*n*k > 1<<20 {
			k = 1 + k%40
		}
		check8(t, rand.New(rand.NewPCG(seed, 8)), p, m, n, k, flags&1 > 0, flags&2 > 0)
	})
}

// BenchmarkPacked8 compares a product with weights in 8 bits and in float32,
// both taken in turn from more copies than the caches hold, or from one.
func BenchmarkPacked8(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, threads := range []int{1, 2} {
		p := par.New(threads)
		for _, s := range [][3]int{{1, 640, 192}, {1, 4096, 192}, {2, 4096, 192}, {3, 4096, 192}, {4, 4096, 192}, {6, 4096, 192}, {1, 8192, 2048}, {4, 8192, 2048}, {16, 640, 192}, {16, 4096, 192}, {24, 4096, 192}, {32, 4096, 192}, {256, 4096, 192}} {
			m, n, k := s[0], s[1], s[2]
			x, c := random(r, m, k, false), make([]float32, m*n)
			w8, w := random8(r, k, n)
			w32 := Pack(w, k, n)
			run := map[string]func(){
				"float32": func() { GemmPacked(p, c, n, x, w32, m, false) },
				"8 bits":  func() { GemmPacked8(p, c, n, x, w8, m, false) },
			}
			for _, kind := range []string{"float32", "8 bits"} {
				b.Run(fmt.Sprintf("threads=%d/%dx%dx%d/%s", threads, m, n, k, kind), func(b *testing.B) {
					t := medianTime(b, func(int) { run[kind]() })
					b.ReportMetric(float64(n)*float64(k)/t/1e9, "Gweight/s")
					b.ReportMetric(t*1e6, "us/op")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
		p.Close()
	}
}
