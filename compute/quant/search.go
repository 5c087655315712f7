package quant

import "math"

// The searches for the scale of a group of values. Each tries several scales,
// rounds the values to integers with each, and keeps the one whose best linear
// fit has the smallest weighted error. They are those of ggml's ggml-quants.c
// in the same order of float32 operations, which is what makes our bytes equal
// to its: every product is rounded (float32(a*b)) before it is added.

// tinyGroup is the magnitude below which a group counts as zero.
const tinyGroup = 1e-15

// nearest rounds to an integer, halves to even, for |v| < 2^22. The conversion
// keeps a product in the caller from being fused with the sum.
func nearest(v float32) int32 {
	return int32(math.Float32bits(float32(v)+3<<22)&0x7fffff) - 1<<22
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }

// squares is the sum of the squares of x, in order.
func squares(x []float32) (sum float32) {
	for _, v := range x {
		sum += float32(v * v)
	}
	return sum
}

func total(x []float32) (sum float32) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// emphasis writes weights for the errors of x: the importance of a column
// times sqrt(spread + x^2), so that large values count more.
func emphasis(w, importance, x []float32, spread float32) {
	for i, v := range x {
		w[i] = importance[i] * sqrt(float32(spread)+float32(v*v))
	}
}

// farthest is the value of the largest magnitude, the first of equals, with
// its sign.
func farthest(x []float32) (v float32) {
	var top float32
	for _, c := range x {
		if a := abs(c); a > top {
			top, v = a, c
		}
	}
	return v
}

// fitSymmetric finds a scale and codes q from 0 to 2*half-1 with x near
// scale*(q-half), for weights w; nil stands for x^2. Source: make_qx_quants.
func fitSymmetric(q []uint8, x, w []float32, half int32) float32 {
	far := farthest(x)
	if abs(far) < tinyGroup {
		clear(q)
		return 0
	}
	inverse := float32(-half) / far
	xl, ll := momentsSymmetric(x, w, inverse, half)
	codeSymmetric(q, x, inverse, half)
	var scale float32
	if ll != 0 {
		scale = xl / ll
	}
	best := scale * xl
	for step := int32(-9); step <= 9; step++ {
		if step == 0 {
			continue
		}
		inverse = -(float32(half) + float32(0.1*float32(step))) / far
		xl, ll = momentsSymmetric(x, w, inverse, half)
		if ll > 0 && xl*xl > best*ll {
			codeSymmetric(q, x, inverse, half)
			scale = xl / ll
			best = scale * xl
		}
	}
	return scale
}

// momentsSymmetric is the weighted sum of x*l and of l*l for the integers l
// that x*inverse rounds to.
func momentsSymmetric(x, w []float32, inverse float32, half int32) (xl, ll float32) {
	for i, v := range x {
		l := float32(max(-half, min(half-1, nearest(inverse*v))))
		weight := v * v
		if w != nil {
			weight = w[i]
		}
		xl += float32(float32(weight*v) * l)
		ll += float32(float32(weight*l) * l)
	}
	return xl, ll
}

func codeSymmetric(q []uint8, x []float32, inverse float32, half int32) {
	for i, v := range x {
		q[i] = uint8(half + max(-half, min(half-1, nearest(inverse*v))))
	}
}

// fitByTurns finds a scale and codes q from 0 to 2*half-1 for weights x^2 by
// moving one code at a time while that helps. Source: make_q3_quants.
func fitByTurns(q []uint8, x []float32, half int32) float32 {
	far := farthest(x)
	if abs(far) < tinyGroup {
		clear(q)
		return 0
	}
	inverse := float32(-half) / far
	xl, ll := momentsSymmetric(x, nil, inverse, half)
	codeSymmetric(q, x, inverse, half)
	for range 5 {
		moved := false
		for i, v := range x {
			w, l := v*v, int32(q[i])-half
			xrest := xl - float32(float32(w*v)*float32(l))
			if !(xrest > 0) {
				continue
			}
			lrest := ll - float32(float32(w*float32(l))*float32(l))
			to := max(-half, min(half-1, nearest(float32(v*lrest)/xrest)))
			if to == l {
				continue
			}
			xrest += float32(float32(w*v) * float32(to))
			lrest += float32(float32(w*float32(to)) * float32(to))
			if lrest > 0 && float32(xrest*xrest)*ll > float32(xl*xl)*lrest {
				q[i], xl, ll, moved = uint8(to+half), xrest, lrest, true
			}
		}
		if !moved {
			break
		}
	}
	if ll > 0 {
		return xl / ll
	}
	return 0
}

// fitPositive finds a scale and codes q from 0 to top with x near scale*q, for
// values that are not negative. Source: make_qp_quants.
func fitPositive(q []uint8, x, w []float32, top int32) float32 {
	var peak float32
	for _, v := range x {
		if v > peak {
			peak = v
		}
	}
	if peak < tinyGroup {
		clear(q)
		return 0
	}
	inverse, best := float32(top)/peak, float32(0)
	scale := 1 / inverse
	for i, v := range x {
		diff := v - float32(scale*float32(uint8(nearest(inverse*v))))
		best += float32(float32(w[i]*diff) * diff)
	}
	for step := -4; step <= 4; step++ {
		if step == 0 {
			continue
		}
		try, sum := (float32(0.1*float32(step))+float32(top))/peak, float32(0)
		scale := 1 / try
		for i, v := range x {
			diff := v - float32(scale*float32(min(top, nearest(try*v))))
			sum += float32(float32(w[i]*diff) * diff)
		}
		if sum < best {
			best, inverse = sum, try
		}
	}
	return settlePositive(q, x, w, inverse, top)
}

// settlePositive is the second half of fitPositive: codes from the best
// inverse scale, moved one at a time while that helps.
func settlePositive(q []uint8, x, w []float32, inverse float32, top int32) float32 {
	var xl, ll float32
	for i, v := range x {
		l := min(top, nearest(inverse*v))
		q[i] = uint8(l)
		xl += float32(float32(w[i]*v) * float32(l))
		ll += float32(float32(w[i]*float32(l)) * float32(l))
	}
	for range 5 {
		moved := false
		for i, v := range x {
			l := float32(q[i])
			xrest := xl - float32(float32(w[i]*v)*l)
			lrest := ll - float32(float32(w[i]*l)*l)
			if !(xrest > 0 && lrest > 0) {
				continue
			}
			to := min(top, nearest(float32(v*lrest)/xrest))
			if to == int32(q[i]) {
				continue
			}
			xrest += float32(float32(w[i]*v) * float32(to))
			lrest += float32(float32(w[i]*float32(to)) * float32(to))
			if float32(xrest*xrest)*ll > float32(xl*xl)*lrest {
				q[i], xl, ll, moved = uint8(to), xrest, lrest, true
			}
		}
		if !moved {
			break
		}
	}
	if ll > 0 {
		return xl / ll
	}
	return 0
}

// grid says which scales fitAffine tries: (max-min)/(top+from+step*i) for i
// from 0 to steps, and by which error it judges them.
type grid struct {
	from, step float32
	steps      int
	absolute   bool // |error| instead of its square
}

// weightedGrid is the one for weights that come from calibration.
var weightedGrid = grid{from: -0.9, step: 0.05, steps: 36}

// fitAffine finds scale, low >= 0 and codes q from 0 to top with x near
// scale*q - low. Source: make_qkx2_quants and make_qkx3_quants.
func fitAffine(q []uint8, x, w []float32, top int32, g grid) (scale, low float32) {
	base, most := x[0], x[0]
	sumw, sumx := w[0], w[0]*x[0]
	for i := 1; i < len(x); i++ {
		if x[i] < base {
			base = x[i]
		}
		if x[i] > most {
			most = x[i]
		}
		sumw += w[i]
		sumx += float32(w[i] * x[i])
	}
	if base > 0 {
		base = 0
	}
	if most <= base {
		clear(q)
		return 0, -base
	}
	inverse := float32(top) / (most - base)
	scale = 1 / inverse
	momentsAffine(q, x, w, inverse, base, top)
	best := errorAffine(q, x, w, scale, base, g.absolute)
	var buf [32]uint8
	try := buf[:len(q)]
	for step := range g.steps + 1 {
		inverse = (g.from + float32(g.step*float32(step)) + float32(top)) / (most - base)
		l, ll, xl := momentsAffine(try, x, w, inverse, base, top)
		det := float32(sumw*ll) - float32(l*l)
		if !(det > 0) {
			continue
		}
		s := (float32(sumw*xl) - float32(sumx*l)) / det
		b := (float32(ll*sumx) - float32(l*xl)) / det
		if b > 0 {
			b, s = 0, xl/ll
		}
		if e := errorAffine(try, x, w, s, b, g.absolute); e < best {
			copy(q, try)
			best, scale, base = e, s, b
		}
	}
	return scale, -base
}

// momentsAffine writes the codes that (x-base)*inverse rounds to and returns
// the weighted sums of l, l*l and x*l over them.
func momentsAffine(q []uint8, x, w []float32, inverse, base float32, top int32) (sl, sll, sxl float32) {
	w, q = w[:len(x)], q[:len(x)]
	for i, v := range x {
		n := max(0, min(top, nearest(inverse*(v-base))))
		q[i] = uint8(n)
		l := float32(n)
		wl := w[i] * l
		sl += float32(wl)
		sll += float32(wl * l)
		sxl += float32(wl * v)
	}
	return sl, sll, sxl
}

// errorAffine is the weighted error of scale*q + base.
func errorAffine(q []uint8, x, w []float32, scale, base float32, absolute bool) (sum float32) {
	w, q = w[:len(x)], q[:len(x)]
	for i, v := range x {
		diff := float32(scale*float32(int32(q[i]))) + base - v
		if absolute {
			diff = abs(diff)
		} else {
			diff = float32(diff * diff)
		}
		sum += float32(w[i] * diff)
	}
	return sum
}
