package eval

import "math"

const (
	z95 = 1.959963984540054  // 97.5 % point of the normal distribution: two-sided 5 %
	z80 = 0.8416212335729143 // 80 % point: the power of Detectable
)

// Interval is a confidence interval of a share, both ends in 0..1.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Contains says whether the share p lies in the interval, ends included.
func (i Interval) Contains(p float64) bool { return i.Low <= p && p <= i.High }

// Wilson is the 95 % score interval of right answers out of n (Wilson 1927;
// Newcombe 1998, method 3). Unlike the usual p ± 1.96 SE it stays inside 0..1
// and keeps its width at p = 1. Nothing measured is 0..1.
func Wilson(right, n int) Interval {
	if n <= 0 {
		return Interval{0, 1}
	}
	k, p, zz := float64(n), float64(right)/float64(n), z95*z95
	mid := (p + zz/(2*k)) / (1 + zz/k)
	half := z95 / (1 + zz/k) * math.Sqrt(p*(1-p)/k+zz/(4*k*k))
	i := Interval{max(0, mid-half), min(1, mid+half)}
	switch right { // exact at the ends, where rounding leaves 1e-17
	case 0:
		i.Low = 0
	case n:
		i.High = 1
	}
	return i
}

// McNemar is the exact two-sided p value of a paired comparison (McNemar 1947,
// exact form): b items only the first got right, c only the second. Where both
// were right or both wrong says nothing. Under "no difference" b is binomial
// with n = b+c and 1/2; the value is twice the smaller tail, at most 1.
func McNemar(b, c int) float64 {
	n, tail := b+c, 0.0
	for i := range min(b, c) + 1 {
		tail += math.Exp(logChoose(n, i) - float64(n)*math.Ln2)
	}
	return min(1, 2*tail)
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// Detectable is the smallest difference between the shares of two models, on n
// items each, that a test at 5 % finds four times out of five:
// d = (1.960 + 0.842) sqrt(2 p (1-p) / n), which is n = 16 p (1-p) / d² solved
// for d (Lehr 1992, with 15.7 for 16). Near p = 0 and 1 the normal
// approximation is too kind, so p is kept 1/n away from them.
func Detectable(p float64, n int) float64 {
	if n <= 0 {
		return 1
	}
	k := float64(n)
	p = min(max(p, 1/k), 1-1/k)
	return min(1, (z95+z80)*math.Sqrt(max(0, 2*p*(1-p)/k)))
}

// DetectablePaired is Detectable for two models on the same n items, of which
// they disagree on the share psi: the root d of
// n = (1.960 sqrt(psi) + 0.842 sqrt(psi - d²))² / d² (Connor 1987), but at least
// six items: five that all fall to one side still have p = 0.0625.
func DetectablePaired(psi float64, n int) float64 {
	if n <= 0 {
		return 1
	}
	low, high := 0.0, psi // d cannot be larger than the disagreement
	for range 60 {
		d := (low + high) / 2
		root := z95*math.Sqrt(psi) + z80*math.Sqrt(max(0, psi-d*d))
		if root*root > float64(n)*d*d {
			low = d
		} else {
			high = d
		}
	}
	return min(1, max(high, 6/float64(n)))
}
