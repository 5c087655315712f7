package tensor

import "math"

// RNG is a small counter-based generator (SplitMix64): two words of state,
// the same stream on every machine, stored in checkpoints as JSON.
type RNG struct {
	Seed uint64 `json:"seed"`
	N    uint64 `json:"n"` // numbers drawn so far
}

// NewRNG returns the generator of a seed.
func NewRNG(seed uint64) *RNG { return &RNG{Seed: seed} }

// Uint64 draws 64 bits.
func (r *RNG) Uint64() uint64 {
	r.N++
	z := r.Seed*0xd1342543de82ef95 + r.N*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Float64 draws a uniform value in [0, 1) with 53 bits.
func (r *RNG) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// IntN draws a uniform integer in [0, n).
func (r *RNG) IntN(n int) int { return int(r.Uint64() % uint64(n)) }

// Normal draws a standard normal value (Box-Muller, one of the pair).
func (r *RNG) Normal() float64 {
	u := 1 - r.Float64()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Float64())
}

// FillNormal sets x to normal values of the given standard deviation.
func (r *RNG) FillNormal(x []float32, std float64) {
	for i := range x {
		x[i] = float32(std * r.Normal())
	}
}
