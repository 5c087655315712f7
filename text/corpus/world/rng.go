package world

// rng is a stream of dice (SplitMix64): the same on every machine, and cheap to
// fork, so that the n-th item needs none of those before it.
type rng struct{ state uint64 }

// mix is the finaliser of SplitMix64: a good hash of 64 bits.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash mixes a string into h.
func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = mix(h ^ uint64(s[i]))
	}
	return mix(h ^ uint64(len(s))<<32)
}

// rng returns the world's dice for a purpose.
func (w *World) rng(purpose ...string) *rng {
	h := mix(w.seed)
	for _, s := range purpose {
		h = hash(h, s)
	}
	return &rng{h}
}

// fork returns independent dice for the n-th of something.
func (r *rng) fork(n int) *rng { return &rng{mix(r.state ^ mix(uint64(n)+1))} }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// IntN draws from [0, n).
func (r *rng) IntN(n int) int { return int(r.next() % uint64(n)) }

// between draws from [lo, hi].
func (r *rng) between(lo, hi int) int { return lo + r.IntN(hi-lo+1) }

// chance is true in percent of 100 cases.
func (r *rng) chance(percent int) bool { return r.IntN(100) < percent }

// shuffle puts the elements into a random order.
func shuffle[T any](r *rng, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}

// one draws one of several.
func one[T any](r *rng, from ...T) T { return pick(r, from) }
