package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weft/compute/par"
)

// readRoof is how fast the pool reads so many bytes again and again, from
// whichever cache they fit in.
func readRoof(p *par.Pool, bytes int) float64 {
	const piece = 8 << 10 // floats
	w := struct{}{}
	x := alloc(&w, roundUp(bytes/4, piece))
	p.Run(len(x)/piece, func(i int) { clear(x[i*piece : (i+1)*piece]) })
	runs := 1 + 4<<20/bytes
	return bestOf(100*time.Millisecond, func() float64 {
		for range runs {
			p.Run(len(x)/piece, func(i int) { readPiece(level(), x[i*piece:(i+1)*piece]) })
		}
		return float64(runs) * 4 * float64(len(x))
	})
}

// repeated returns a packed weight of few random columns: fast to make.
func repeated(r *rand.Rand, f IntFormat, k, n int) *PackedInt {
	file, _ := randomFile(r, f, k, intCols)
	column := columnsOf(file, intCols)
	return mustPack(f, k, n, func(j int) []byte { return column(j % intCols) })
}

// BenchmarkIntVec reports how fast the weights go by in decoding, and the share
// of the speed at which the same threads read as much: from memory, or from the
// caches.
func BenchmarkIntVec(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	eachPool(b, func(b *testing.B, p *par.Pool, _ float64) {
		for _, f := range intFormats {
			for _, s := range [][3]int{{1, 32000, 2048}, {2, 32000, 2048}, {4, 32000, 2048}, {8, 32000, 2048}, {16, 32000, 2048}, {1, 4096, 1024}, {4, 4096, 1024}, {1, 512, 512}, {1, 640, 256}, {4, 640, 256}, {16, 640, 256}} {
				m, n, k := s[0], s[1], s[2]
				ws := []*PackedInt{}
				size := 0
				for size == 0 || n == 32000 && size < 128<<20 {
					w := repeated(r, f, k, n)
					ws, size = append(ws, w), size+w.Bytes()
				}
				roof := readRoof(p, size)
				x, c := random(r, m, k, false), make([]float32, m*n)
				b.Run(fmt.Sprintf("%s/%dx%dx%d", f.form().name, m, n, k), func(b *testing.B) {
					t := medianTime(b, func(i int) { GemmInt(p, c, n, x, ws[i%len(ws)], m) })
					b.ReportMetric(float64(ws[0].Bytes())/t/1e9, "GB/s")
					b.ReportMetric(100*float64(ws[0].Bytes())/t/roof, "%read")
					b.ReportMetric(2*float64(m)*float64(n)*float64(k)/t/1e9, "GOP/s")
					b.ReportMetric(t*1e6, "us/op")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	})
}

// BenchmarkIntGemm is the speed of prefill and the share of the peak of the
// instructions that its integer part consists of.
func BenchmarkIntGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	eachPool(b, func(b *testing.B, p *par.Pool, _ float64) {
		for _, f := range intFormats {
			for _, s := range [][3]int{{512, 5632, 2048}, {512, 2048, 5632}, {512, 896, 768}, {512, 640, 256}, {512, 256, 256}, {16, 5632, 2048}} {
				m, n, k := s[0], s[1], s[2]
				w := repeated(r, f, k, n)
				x, c := random(r, m, k, false), make([]float32, m*n)
				b.Run(fmt.Sprintf("%s/%dx%dx%d", f.form().name, m, n, k), func(b *testing.B) {
					peak := IntPeak(p, f, 20*time.Millisecond)
					t := medianTime(b, func(int) { GemmInt(p, c, n, x, w, m) })
					rate := 2 * float64(m) * float64(n) * float64(k) / t
					b.ReportMetric(rate/1e9, "GOP/s")
					b.ReportMetric(100*rate/max(peak, IntPeak(p, f, 20*time.Millisecond)), "%peak")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	})
}

// bestTime is the shortest of many times of f.
func bestTime(b *testing.B, f func()) float64 {
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(0, "ns/op")
	return best.Seconds()
}

// BenchmarkPackInt is how fast weights are laid out, in bytes of the file.
func BenchmarkPackInt(b *testing.B) {
	eachPool(b, func(b *testing.B, p *par.Pool, _ float64) {
		for _, f := range intFormats {
			const k, n = 2048, 1024
			file := make([]byte, k/f.form().values*f.form().bytes*n)
			b.Run(f.form().name, func(b *testing.B) {
				t := bestTime(b, func() { _, _ = PackInt(p, f, k, n, columnsOf(file, n)) })
				b.ReportMetric(float64(len(file))/t/1e9, "GB/s")
			})
		}
	})
}

// BenchmarkIntRound is the price of rounding activations.
func BenchmarkIntRound(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x := random(r, 1, 2048, false).Data[:2048]
	for _, f := range []IntFormat{IntQ8_0, IntQ4_0} {
		form := f.form()
		dst := make([]byte, 64*form.record())
		b.Run(form.name, func(b *testing.B) {
			t := bestTime(b, func() {
				for range 10 {
					roundRow(level(), form.wide, dst, x)
				}
			})
			b.ReportMetric(t*1e9/10/2048, "ns/value")
		})
	}
}

// BenchmarkIntTile is the kernel alone, everything in L1, best of many samples.
func BenchmarkIntTile(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range intFormats {
		form := f.form()
		w, _ := randomInt(r, f, 512, intCols)
		a := random(r, intRows, 512, false)
		x := intArgs{panels: 1, deep: w.blocks(), xs: 512 / intBlock * form.record(), w: &w.data[0], c: make([]float32, intRows*intCols), ldc: intCols}
		records := make([]byte, intRows*x.xs)
		for i := range intRows {
			roundRow(level(), form.wide, records[i*x.xs:(i+1)*x.xs], a.Data[i*a.Stride:][:512])
		}
		x.x = &records[0]
		for x.rows = 1; x.rows <= intRows; x.rows++ {
			b.Run(fmt.Sprintf("%s/rows=%d", form.name, x.rows), func(b *testing.B) {
				t := bestTime(b, func() {
					for range 50 {
						runInt(level(), form, &x, intCols)
					}
				}) / 50
				rate := 2 * float64(x.rows) * 512 * intCols / t
				b.ReportMetric(rate/1e9, "GOP/s")
				b.ReportMetric(100*rate/IntPeak(nil, f, 20*time.Millisecond), "%peak")
				b.ReportMetric(float64(w.Bytes())/t/1e9, "GB/s")
			})
		}
	}
}
