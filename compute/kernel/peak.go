package kernel

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"weft/compute/par"
)

// peakSlice is the time of one measurement of Peak.
const peakSlice = 2 * time.Millisecond

// Peak measures for about d how many floating-point operations per second the
// pool's workers do in fused multiply-adds that wait for nothing: the roof of
// every matrix product. The best of many slices of time is returned, since
// whatever else runs on the machine can only lower it.
func Peak(p *par.Pool, d time.Duration) float64 {
	t := level()
	return peak(p, d, func() int64 { return burst(t) })
}

// IntPeak is Peak for the integer multiplications and additions that GemmInt
// consists of with weights of a format, counted as two operations per weight.
func IntPeak(p *par.Pool, f IntFormat, d time.Duration) float64 {
	t, wide := level(), f.form().wide
	return peak(p, d, func() int64 { return burstInt(t, wide) })
}

func peak(p *par.Pool, d time.Duration, burst func() int64) float64 {
	return bestOf(d, func() float64 {
		until := time.Now().Add(peakSlice)
		var total atomic.Int64
		p.Run(p.Size(), func(int) {
			var sum int64
			for time.Now().Before(until) {
				sum += burst()
			}
			total.Add(sum)
		})
		return float64(total.Load())
	})
}

// burst is where a goroutine in Peak can be stopped, as assembly cannot be.
//
//go:noinline
func burst(t tier) int64 { return fmaBurst(t) }

//go:noinline
func burstInt(t tier, wide bool) int64 { return intBurst(t, wide) }

// Bandwidth measures for about d how many bytes per second the pool's workers
// read from memory, the roof of a matrix-vector product: the best of several
// passes over a block of 256 MiB, larger than the usual last-level cache. The
// block is allocated for the time.
func Bandwidth(p *par.Pool, d time.Duration) float64 {
	t := level()
	return overMemory(p, d, 4, func(x []float32) { readPiece(t, x) })
}

// UpdateBandwidth is the same for work that reads and writes, the roof of an
// optimiser's step: y += a*x over the halves of the block, two values read and
// one written. It is above Bandwidth, since writes do not wait for memory.
func UpdateBandwidth(p *par.Pool, d time.Duration) float64 {
	return overMemory(p, d, 6, func(x []float32) { Axpy(0, x[:len(x)/2], x[len(x)/2:]) })
}

// overMemory is the highest speed, in bytes per second, of passes of fn over a
// large block in pieces; a pass moves so many bytes per float of it.
func overMemory(p *par.Pool, d time.Duration, bytes float64, fn func(piece []float32)) float64 {
	const size, chunk = 64 << 20, 64 << 10 // floats: 256 MiB, 256 KiB
	x := mapFloats(size)
	if x != nil {
		defer unmapFloats(x)
	} else {
		x = make([]float32, size)
	}
	// Pages that nobody has written to are all the same page of zeros.
	p.Run(size/chunk, func(i int) { clear(x[i*chunk : (i+1)*chunk]) })
	return bestOf(d, func() float64 {
		p.Run(size/chunk, func(i int) { fn(x[i*chunk : (i+1)*chunk]) })
		return bytes * size
	})
}

//go:noinline
func readPiece(t tier, x []float32) { readBurst(t, x) }

// bestOf calls f for about d, at least once, and returns the highest amount
// that it did per second.
func bestOf(d time.Duration, f func() float64) (best float64) {
	for end := time.Now().Add(d); ; {
		start := time.Now()
		amount := f()
		best = max(best, amount/time.Since(start).Seconds())
		if time.Now().After(end) {
			return best
		}
	}
}

// fmaGeneric is fmaBurst without assembly: what compiled Go reaches in twelve
// chains, as many as it has registers for.
func fmaGeneric() int64 {
	const n = 4000
	var a, b, c, d, e, f, g, h, i, j, k, l float32
	x, y := float32(runtime.NumCPU()), float32(0)
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
		i, j, k, l = i*x+y, j*x+y, k*x+y, l*x+y
	}
	runtime.KeepAlive(a + b + c + d + e + f + g + h + i + j + k + l)
	return n * 12 * 2
}

// readGeneric is readBurst without assembly.
func readGeneric(x []float32) {
	var a, b, c, d uint32
	for ; len(x) >= 4; x = x[4:] {
		a |= math.Float32bits(x[0])
		b |= math.Float32bits(x[1])
		c |= math.Float32bits(x[2])
		d |= math.Float32bits(x[3])
	}
	runtime.KeepAlive(a | b | c | d)
}
