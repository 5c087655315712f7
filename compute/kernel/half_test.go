package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
)

var halfFormats = []HalfFormat{HalfF16, HalfBF16}

// randomHalf returns a weight [n, k] as a file holds it and packed, and its
// values as a matrix [k, n]. All numbers come up, but no NaN and no infinity.
func randomHalf(r *rand.Rand, p *par.Pool, f HalfFormat, k, n int) ([]byte, *PackedHalf, Matrix) {
	file := make([]byte, 2*k*n)
	for i := 0; i < len(file); i += 2 {
		h := uint16(r.Uint32())
		if f == HalfBF16 { // sizes that float32 sums hold
			h = h&0x807f | uint16(64+r.IntN(100))<<7
		} else if h&0x7c00 == 0x7c00 {
			h &^= 0x4000
		}
		binary.LittleEndian.PutUint16(file[i:], h)
	}
	w := Matrix{Data: make([]float32, k*n), Stride: k, T: true}
	quant.Format(f).Decode(w.Data, file)
	return file, PackHalf(p, f, k, n, func(j int) []byte { return file[2*k*j : 2*k*(j+1)] }), w
}

// checkHalf compares products on all tiers with those of the values, bit for bit.
func checkHalf(t *testing.T, b *PackedHalf, a, w Matrix, m int, pools ...*par.Pool) {
	t.Helper()
	n, k := b.N, b.K
	for _, tr := range tiers() {
		want := make([]float32, m*n)
		newGemm(tr).run(nil, gemmCall{c: want, ldc: n, a: a, b: w, m: m, n: n, k: k})
		for _, p := range pools {
			ldc := n + 3
			c := make([]float32, m*ldc)
			for i := range c {
				c[i] = 7
			}
			newHalfGemm(tr).run(p, c, ldc, a, b, m)
			for i, x := range c {
				y := float32(7)
				if i%ldc < n {
					y = want[i/ldc*n+i%ldc]
				}
				if !equalBits(x, y) {
					t.Fatalf("type %d, %v [%d, %d, %d] on %d threads: c[%d, %d] = %v, want %v", b.format, tr, m, n, k, p.Size(), i/ldc, i%ldc, x, y)
				}
			}
		}
	}
}

// Products have the bits of those with the values, for any number of rows,
// columns, threads, in several steps of k, on every tier.
func TestHalfIsItsValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	pool := par.New(2)
	defer pool.Close()
	for _, f := range halfFormats {
		for m := 1; m <= 30; m++ {
			k, n := 1+r.IntN(600), 1+r.IntN(100)
			_, b, w := randomHalf(r, pool, f, k, n)
			checkHalf(t, b, random(r, m, k, false), w, m, nil, pool)
		}
		const k = halfDeep + 100
		_, b, w := randomHalf(r, pool, f, k, 100)
		checkHalf(t, b, random(r, 40, k, false), w, 40, pool)
	}
}

// One chain of fused multiply-adds in ascending k, whichever way it is taken.
func TestHalfOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	for _, f := range halfFormats {
		const m, n, k = 5, 40, 333
		_, b, w := randomHalf(r, nil, f, k, n)
		a, c := random(r, m, k, false), make([]float32, m*n)
		for _, tr := range tiers() {
			if tr == generic { // rounds twice, as Gemm says
				continue
			}
			newHalfGemm(tr).run(nil, c, n, a, b, m)
			for i := range m {
				for j := range n {
					var want float32
					for l := range k {
						want = fma(a.at(i, l), w.at(l, j), want)
					}
					if c[i*n+j] != want {
						t.Fatalf("type %d, %v: c[%d, %d] = %v, want %v", f, tr, i, j, c[i*n+j], want)
					}
				}
			}
		}
	}
}

// Every number of both formats has its value, in products too, columns come back as they
// were, and memory is that of the file.
func TestPackedHalfColumns(t *testing.T) {
	const k, n = 2048, 32
	file := make([]byte, 2*k*n)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(file[2*i:], uint16(i))
	}
	column := func(j int) []byte { return file[2*k*j : 2*k*(j+1)] }
	for _, f := range halfFormats {
		b := PackHalf(nil, f, k, n, column)
		if b.Bytes() != len(file) {
			t.Errorf("type %d: %d bytes, in a file %d", f, b.Bytes(), len(file))
		}
		got, want, back := make([]float32, k), make([]float32, k), make([]byte, 2*k)
		for j := range n {
			quant.Format(f).Decode(want, column(j))
			b.Column(got, j)
			for l, x := range want {
				if !sameNumber(got[l], x) {
					t.Fatalf("type %d: %#x is %v, want %v", f, j*k+l, got[l], x)
				}
			}
			for _, tr := range tiers() { // each number by itself
				for _, l := range []int{0, 1, 1000, k - 1} {
					c := make([]float32, n)
					one := PackHalf(nil, f, 1, n, func(j int) []byte { return column(j)[2*l:][:2] })
					newHalfGemm(tr).run(nil, c, n, Matrix{Data: []float32{1}, Stride: 1}, one, 1)
					if !sameNumber(c[j]+0, got[l]+0) {
						t.Fatalf("type %d, %v: 1 times %#x is %v, want %v", f, tr, j*k+l, c[j], got[l])
					}
				}
			}
			if b.Blocks(back, j); !bytes.Equal(back, column(j)) {
				t.Fatalf("type %d: column %d comes back otherwise", f, j)
			}
		}
	}
}

// sameNumber takes every NaN for the same.
func sameNumber(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

func TestHalfChecksSizes(t *testing.T) {
	w := PackHalf(nil, HalfF16, 3, 2, func(int) []byte { return make([]byte, 6) })
	for want, f := range map[string]func(){
		"kernel: a matrix [1, 1] of 16-bit floats of type id 0, want 1 or 30":             func() { PackHalf(nil, 0, 1, 1, nil) },
		"kernel: 5 bytes of 16-bit floats for column 0 of a matrix [3, 1], want 6":        func() { PackHalf(nil, HalfF16, 3, 1, func(int) []byte { return make([]byte, 5) }) },
		"kernel: column 2 into 3 values of a matrix [3, 2]":                               func() { w.Column(make([]float32, 3), 2) },
		"kernel: column 0 into 5 bytes of a matrix [3, 2]":                                func() { w.Blocks(make([]byte, 5), 0) },
		"kernel: matrix a [1, 3] with stride 2 needs 3 values, got 2":                     func() { GemmHalf(nil, make([]float32, 2), 2, Matrix{make([]float32, 2), 2, false}, w, 1) },
		"kernel: a transposed left side beside 16-bit floats: its rows are read in order": func() { GemmHalf(nil, make([]float32, 2), 2, Matrix{make([]float32, 6), 1, true}, w, 1) },
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
	if GemmHalf(nil, c, 2, Matrix{}, PackHalf(nil, HalfBF16, 0, 2, func(int) []byte { return nil }), 1); c[0] != 0 || c[1] != 0 {
		t.Errorf("an empty product left c at %v, want zeros", c)
	}
}

func TestHalfDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 6))
	_, b, _ := randomHalf(r, nil, HalfF16, 128, 100)
	a, c := random(r, 64, 128, false), make([]float32, 64*100)
	p := par.New(2)
	defer p.Close()
	got := testing.AllocsPerRun(200, func() {
		GemmHalf(p, c, 100, a, b, 64)
		GemmHalf(p, c, 100, a, b, 1)
	})
	if got >= 1 && !raceEnabled {
		t.Errorf("%v allocations per two products, want 0", got)
	}
}

func FuzzHalf(f *testing.F) {
	f.Add(uint64(1), false, uint8(1), uint8(32), uint16(64))
	f.Add(uint64(2), true, uint8(30), uint8(33), uint16(1))
	p := par.New(3)
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, seed uint64, bf bool, mm, nn uint8, kk uint16) {
		r := rand.New(rand.NewPCG(seed, 6))
		form := HalfF16
		if bf {
			form = HalfBF16
		}
		m, n, k := 1+int(mm%30), 1+int(nn%100), 1+int(kk%700)
		_, b, w := randomHalf(r, p, form, k, n)
		checkHalf(t, b, random(r, m, k, false), w, m, p)
	})
}

// BenchmarkHalf reports how fast the weights go by for few rows, with the share
// of the speed at which the same threads read as much, and the operations of many.
func BenchmarkHalf(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	eachPool(b, func(b *testing.B, p *par.Pool, peak float64) {
		for _, f := range halfFormats {
			for _, s := range [][3]int{{1, 32000, 2048}, {4, 32000, 2048}, {16, 32000, 2048}, {24, 5632, 2048}, {25, 5632, 2048}, {1, 1024, 512}, {512, 5632, 2048}} {
				m, n, k := s[0], s[1], s[2]
				column := make([]byte, 2*k)
				w := PackHalf(p, f, k, n, func(int) []byte { return column })
				roof := readRoof(p, w.Bytes())
				x, c := random(r, m, k, false), make([]float32, m*n)
				b.Run(fmt.Sprintf("%d/%dx%dx%d", f, m, n, k), func(b *testing.B) {
					t := medianTime(b, func(int) { GemmHalf(p, c, n, x, w, m) })
					rate := 2 * float64(m) * float64(n) * float64(k) / t
					b.ReportMetric(float64(w.Bytes())/t/1e9, "GB/s")
					b.ReportMetric(100*float64(w.Bytes())/t/roof, "%read")
					b.ReportMetric(rate/1e9, "GFLOP/s")
					b.ReportMetric(100*rate/peak, "%peak")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	})
}
