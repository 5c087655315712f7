package par

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// spin keeps a core busy for d, in steps that the scheduler could interrupt.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// BenchmarkRun reports the median time of a fork and join whose two chunks
// take the given time each; what is above it is the price of the fork.
func BenchmarkRun(b *testing.B) {
	for _, work := range []time.Duration{0, 20 * time.Microsecond, 100 * time.Microsecond} {
		b.Run(fmt.Sprintf("chunk=%v", work), func(b *testing.B) {
			p := New(2)
			defer p.Close()
			fn := func(int) { spin(work) }
			times := make([]time.Duration, 0, 1<<16)
			for b.Loop() {
				start := time.Now()
				p.Run(2, fn)
				if len(times) < cap(times) {
					times = append(times, time.Since(start))
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "us/median")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "us/p99")
			b.ReportMetric(0, "ns/op")
		})
	}
}
