package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weft/compute/par"
)

// gemmShapes are [m, n, k]: squares, a prefill of a 1.1B model, and the linear
// layers of a small model in training.
var gemmShapes = [][3]int{
	{512, 512, 512}, {1024, 1024, 1024}, {512, 5632, 2048},
	{768, 128, 128}, {768, 512, 128}, {768, 128, 512}, {128, 512, 768},
}

// eachPool runs f on one and two threads, with the FMA peak of each measured
// just before.
func eachPool(b *testing.B, f func(b *testing.B, p *par.Pool, peak float64)) {
	for _, threads := range []int{1, 2} {
		p := par.New(threads)
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) { f(b, p, Peak(p, 200*time.Millisecond)) })
		p.Close()
	}
}

// medianTime runs f until the benchmark has enough and returns the median of
// its times in seconds: what others do on the machine moves the mean.
func medianTime(b *testing.B, f func(i int)) float64 {
	times := make([]float64, 0, 1<<14)
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		f(i)
		if len(times) < cap(times) {
			times = append(times, time.Since(start).Seconds())
		}
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	eachPool(b, func(b *testing.B, p *par.Pool, peak float64) {
		for _, s := range gemmShapes {
			m, n, k := s[0], s[1], s[2]
			c := make([]float32, m*n)
			for _, kind := range []struct {
				name           string
				ta, tb, packed bool
			}{{"x*w^T", false, true, false}, {"packed", false, true, true}, {"dy*w", false, false, false}, {"dy^T*x", true, false, false}} {
				x, w := random(r, m, k, kind.ta), random(r, k, n, kind.tb)
				pw := Pack(w, k, n)
				b.Run(fmt.Sprintf("%dx%dx%d/%s", m, n, k, kind.name), func(b *testing.B) {
					t := medianTime(b, func(int) {
						if kind.packed {
							GemmPacked(p, c, n, x, pw, m, false)
						} else {
							Gemm(p, c, n, x, w, m, n, k, false)
						}
					})
					rate := 2 * float64(m) * float64(n) * float64(k) / t
					b.ReportMetric(rate/1e9, "GFLOP/s")
					b.ReportMetric(100*rate/peak, "%peak")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	})
}

// BenchmarkMatVec reports how fast the weights go by in decoding, for one row
// and for a few.
func BenchmarkMatVec(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	eachPool(b, func(b *testing.B, p *par.Pool, _ float64) {
		roof := Bandwidth(p, 200*time.Millisecond)
		for _, s := range [][3]int{{1, 288, 288}, {1, 5632, 2048}, {1, 32000, 2048}, {4, 32000, 2048}, {8, 32000, 2048}} {
			m, n, k := s[0], s[1], s[2]
			x, c := random(r, m, k, false), make([]float32, m*n)
			// The large ones come in so many copies that none is still in the
			// cache at its next turn.
			ws := []*Packed{Pack(random(r, k, n, true), k, n)}
			for n > 512 && len(ws)*ws[0].Bytes() < 128<<20 {
				ws = append(ws, Pack(random(r, k, n, true), k, n))
			}
			b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
				t := medianTime(b, func(i int) { GemmPacked(p, c, n, x, ws[i%len(ws)], m, false) })
				rate := 4 * float64(n) * float64(k) / t
				b.ReportMetric(rate/1e9, "GB/s")
				b.ReportMetric(100*rate/roof, "%read")
				b.ReportMetric(t*1e6, "us/op")
				b.ReportMetric(0, "ns/op")
			})
		}
	})
}

func BenchmarkPack(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, transposed := range []bool{true, false} {
		w := random(r, 2048, 2048, transposed)
		b.Run(fmt.Sprintf("2048x2048/T=%v", transposed), func(b *testing.B) {
			t := medianTime(b, func(int) { Pack(w, 2048, 2048) })
			b.ReportMetric(4*2048*2048/t/1e9, "GB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func BenchmarkPeak(b *testing.B) {
	eachPool(b, func(b *testing.B, p *par.Pool, peak float64) {
		var read float64
		for b.Loop() {
			read = max(read, Bandwidth(p, 100*time.Millisecond))
		}
		b.ReportMetric(peak/1e9, "GFLOP/s")
		b.ReportMetric(read/1e9, "GB/s")
		b.ReportMetric(0, "ns/op")
	})
}
