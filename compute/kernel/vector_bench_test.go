package kernel

import (
	"fmt"
	"testing"
	"time"
)

// benchTiers runs fn for each tier with assembly, the best last.
func benchTiers(b *testing.B, fn func(b *testing.B)) {
	was := active
	defer func() { active = was }()
	for tier := avx2; tier <= best(); tier++ {
		active = tier
		b.Run(tier.String(), fn)
	}
}

// BenchmarkVector reports ns per element and GB/s of the bytes that the
// operation must move, for rows that lie in the first-level cache or the second.
func BenchmarkVector(b *testing.B) {
	r := newRand(30)
	const n = 2048
	x, y, z, u, v := floats(r, n, 1), floats(r, n, 1), floats(r, n, 1), floats(r, n, 1), make([]float32, n)
	o := AdamWParams{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Correct1: 0.1, Correct2: 0.05, GradScale: 1}
	cos, sin := floats(r, 32, 1), floats(r, 32, 1)
	for _, op := range []struct {
		name   string
		arrays int // read or written
		fn     func()
	}{
		{"Dot", 2, func() { Dot(x, y) }},
		{"Axpy", 3, func() { Axpy(1e-9, x, y) }},
		{"Add", 3, func() { Add(z, x, y) }},
		{"Scale", 2, func() { Scale(1, x) }},
		{"SumSquares", 1, func() { SumSquares(x) }},
		{"RMSNorm", 3, func() { RMSNorm(z, x, y, 1e-5) }},
		{"RMSNormBackward", 7, func() { RMSNormBackward(z, u, v, x, y, 1) }},
		{"SwiGLU", 3, func() { SwiGLU(z, x, y) }},
		{"SwiGLUBackward", 7, func() { SwiGLUBackward(z, u, v, x, y) }},
		{"RoPE", 2, func() { RoPE(x, cos, sin, false); RoPE(x, cos, sin, true) }},
		{"LogSumExp", 1, func() { LogSumExp(x) }},
		{"CrossEntropy", 2, func() { CrossEntropy(z, x, 7, 1) }},
		{"AdamW", 7, func() { AdamW(x, y, z, v, o) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			benchTiers(b, func(b *testing.B) {
				for b.Loop() {
					op.fn()
				}
				ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / n
				if op.name == "RoPE" {
					ns /= 2
				}
				b.ReportMetric(ns, "ns/element")
				b.ReportMetric(4*float64(op.arrays)/ns, "GB/s")
			})
		})
	}
}

// reportAttend reports GFLOP/s and the share of the FMA peak of one thread,
// measured now.
func reportAttend(b *testing.B, flops float64) {
	got := flops * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(got/1e9, "GFLOP/s")
	b.ReportMetric(100*got/Peak(nil, 30*time.Millisecond), "%peak")
}

// attendShapes are training shapes, one key/value head's worth of work.
var attendShapes = []struct {
	h Heads
	n int
}{
	{Heads{1, 1, 32}, 64}, {Heads{1, 1, 32}, 256}, {Heads{1, 1, 64}, 64}, {Heads{1, 1, 64}, 256}, {Heads{6, 6, 64}, 256},
	{Heads{1, 1, 64}, 1024}, {Heads{4, 1, 64}, 256}, {Heads{1, 1, 128}, 1024},
}

// BenchmarkAttend counts the causal half alone as work: 4*Dim operations for
// each pair of query and key.
func BenchmarkAttend(b *testing.B) {
	for _, s := range attendShapes {
		b.Run(fmt.Sprintf("Q%dKV%dD%d/n%d", s.h.Q, s.h.KV, s.h.Dim, s.n), func(b *testing.B) {
			c := newAttendCase(newRand(31), s.h, s.n, 0, 1)
			out, lse := make([]float32, len(c.q)), make([]float32, s.n*s.h.Q)
			benchTiers(b, func(b *testing.B) {
				for b.Loop() {
					Attend(out, c.q, lse, c.blocks, s.n, 0, 0, c.spec)
				}
				reportAttend(b, 4*float64(s.h.Dim)*float64(s.n*(s.n+1)/2)*float64(s.h.Q/s.h.KV))
			})
		})
	}
}

// BenchmarkAttendBackward counts five products, 10*Dim operations a pair.
func BenchmarkAttendBackward(b *testing.B) {
	for _, s := range attendShapes {
		b.Run(fmt.Sprintf("Q%dKV%dD%d/n%d", s.h.Q, s.h.KV, s.h.Dim, s.n), func(b *testing.B) {
			c := newAttendCase(newRand(32), s.h, s.n, 0, 1)
			dout := floats(newRand(33), len(c.q), 1)
			out, lse := c.run(Attend, 0, s.n)
			dq, dk, dv := make([]float32, len(c.q)), make([]float32, len(c.k)), make([]float32, len(c.v))
			benchTiers(b, func(b *testing.B) {
				for b.Loop() {
					AttendBackward(dq, dk, dv, dout, c.q, c.k, c.v, out, lse, s.n, 0, c.spec)
				}
				reportAttend(b, 10*float64(s.h.Dim)*float64(s.n*(s.n+1)/2)*float64(s.h.Q/s.h.KV))
			})
		})
	}
}

// BenchmarkAttendDecode reports GB/s of cache read for one new position.
func BenchmarkAttendDecode(b *testing.B) {
	for _, s := range []struct {
		h   Heads
		ctx int
	}{{Heads{1, 1, 64}, 256}, {Heads{1, 1, 64}, 1024}, {Heads{1, 1, 64}, 8192}, {Heads{4, 1, 64}, 1024}, {Heads{1, 1, 128}, 8192}, {Heads{4, 1, 128}, 8192}} {
		b.Run(fmt.Sprintf("Q%dD%d/ctx%d", s.h.Q, s.h.Dim, s.ctx), func(b *testing.B) {
			c := newAttendCase(newRand(34), s.h, s.ctx, 0, 1)
			w := s.h.Q * s.h.Dim
			out := make([]float32, w)
			benchTiers(b, func(b *testing.B) {
				for b.Loop() {
					Attend(out, c.q[:w], nil, c.blocks, 1, s.ctx-1, 0, c.spec)
				}
				b.ReportMetric(8*float64(s.ctx*s.h.Dim)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		})
	}
}

func BenchmarkStoreRows(b *testing.B) {
	h := Heads{6, 6, 64}
	c := newAttendCase(newRand(35), h, 256, 0, 1)
	w := h.KV * h.Dim
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			StoreRows(c.blocks, 0, c.k, c.v, 256, h)
		}
		b.SetBytes(int64(8 * len(c.k)))
	})
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for i := range 256 {
				c.blocks[i/BlockLen].Store(i%BlockLen, c.k[i*w:(i+1)*w], c.v[i*w:(i+1)*w], h)
			}
		}
		b.SetBytes(int64(8 * len(c.k)))
	})
}
