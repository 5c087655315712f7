package train

import (
	"time"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/model"
	"weft/model/nn"
)

// FlopsPerToken counts the floating-point operations that training spends on
// one token of sequences of n positions, forward and backward: 6 per weight of
// a matrix (Kaplan 2020; looking up an embedding costs none, projecting to the
// vocabulary does), and 6*n*heads*headDim per layer for attention, of which a
// causal mask needs only half of the full square. Work done twice to save
// memory is not counted.
func FlopsPerToken(m model.Model, n int) float64 {
	var weights float64
	m.Walk(func(l nn.Leaf) {
		if l.Linear != nil {
			weights += float64((*l.Linear).In()) * float64((*l.Linear).Out())
		}
	})
	i := m.Info()
	return 6*weights + 6*float64(i.Layers)*float64(n)*float64(i.Heads*i.HeadDim)
}

// peakTime is how long the peak is measured at the start of a run and at each
// evaluation. The largest value counts: other work on the machine only ever
// makes it look smaller.
const peakTime = 60 * time.Millisecond

// measurePeak measures the FMA peak of the run's threads again.
func (l *Loop) measurePeak() { l.peak = max(l.peak, kernel.Peak(l.pool, peakTime)) }

// Peak measures the FMA peak of so many threads now, in FLOP/s; 0 threads are
// GOMAXPROCS.
func Peak(threads int) float64 {
	pool := par.New(threads)
	defer pool.Close()
	return kernel.Peak(pool, peakTime)
}
