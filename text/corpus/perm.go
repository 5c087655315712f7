package corpus

import (
	"math/bits"
)

// mix is the finaliser of SplitMix64: a good hash of 64 bits.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// perm is a pseudo-random permutation of [0, n) that needs no memory: a
// Feistel network over the next even number of bits, walked until it lands
// inside. Any position can be asked for at once, which is what makes resuming
// a shuffled epoch exact and free.
type perm struct {
	n    uint64
	half uint // bits of each half
	keys [6]uint64
}

// newPerm returns the permutation of [0, n) for a seed and an epoch.
func newPerm(n int64, seed, epoch uint64) perm {
	p := perm{n: uint64(n), half: max(1, uint(bits.Len64(uint64(n-1))+1)/2)}
	key := mix(seed) ^ epoch
	for i := range p.keys {
		key = mix(key)
		p.keys[i] = key
	}
	return p
}

// at returns the i-th element. A walk takes fewer than 4 steps on average,
// since the network's domain is less than 4n.
func (p perm) at(i int64) int64 {
	mask := uint64(1)<<p.half - 1
	x := uint64(i)
	for {
		l, r := x>>p.half, x&mask
		for _, k := range p.keys {
			l, r = r, l^(mix(r^k)&mask)
		}
		if x = l<<p.half | r; x < p.n {
			return int64(x)
		}
	}
}
