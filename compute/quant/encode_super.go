package quant

// affineK says how a format of 256 values with a scale and a minimum per group
// is searched.
type affineK struct {
	group    int   // values in a group
	top      int32 // largest code
	scaleTop int32 // largest code of a scale
	grid     grid  // without importance
	spread   float32
}

var (
	searchQ2 = affineK{16, 3, 15, grid{-0.5, 0.1, 15, true}, 1}
	searchQ4 = affineK{32, 15, 63, grid{-1, 0.1, 20, false}, 2}
	searchQ5 = affineK{32, 31, 63, grid{-0.5, 0.1, 15, false}, 2}
)

// affineBlock is a block of 256 values before packing: (d*a)q - (m*b), with d
// and m as float16 holds them.
type affineBlock struct {
	q    [256]uint8
	a, b [16]uint8 // one per group
	d, m float32
}

// encode finds scales and minima of the groups, rounds those to codes, and then
// the values to codes once more with the scales that were kept. Sources:
// quantize_row_q2_K_ref and quantize_row_q2_K_impl, and those of Q4_K and Q5_K.
func (s *affineK) encode(x, importance []float32) (k affineBlock) {
	var scales, lows, sums [16]float32
	n := 256 / s.group
	spread := squares(x) * (s.spread / 256)
	for g := range n {
		var buf [32]float32
		at, w := g*s.group, buf[:s.group]
		xs, grid := x[at:at+s.group], s.grid
		if importance != nil {
			emphasis(w, importance[at:], xs, spread)
			sums[g], grid = total(w), weightedGrid
		} else {
			s.plainWeights(w, xs)
		}
		scales[g], lows[g] = fitAffine(k.q[at:at+s.group], xs, w, s.top, grid)
	}
	if importance != nil {
		k.d = fitPositive(k.a[:n], scales[:n], sums[:n], s.scaleTop)
		k.m = fitPositive(k.b[:n], lows[:n], sums[:n], s.scaleTop)
	} else {
		k.d = roundScales(k.a[:n], scales[:n], s.scaleTop)
		k.m = roundScales(k.b[:n], lows[:n], s.scaleTop)
	}
	k.d, k.m = FromHalf(ToHalf(k.d)), FromHalf(ToHalf(k.m))
	for g := range n {
		d, m := k.d*float32(k.a[g]), float32(k.m*float32(k.b[g]))
		if d == 0 {
			continue // nothing but -m can come out
		}
		for i := g * s.group; i < (g+1)*s.group; i++ {
			k.q[i] = uint8(max(0, min(s.top, nearest((x[i]+m)/d))))
		}
	}
	return k
}

// plainWeights are those without importance: |x|, with 32 values in a group
// plus the root of their mean square.
func (s *affineK) plainWeights(w, x []float32) {
	var floor float32
	if s.group == 32 {
		floor = sqrt(squares(x) / 32)
	}
	for i, v := range x {
		w[i] = floor + abs(v)
	}
}

// roundScales finds the codes of scales that are not negative by the largest.
func roundScales(q []uint8, scales []float32, top int32) float32 {
	var peak float32
	for _, v := range scales {
		if v > peak {
			peak = v
		}
	}
	if peak == 0 {
		clear(q)
		return 0
	}
	inverse := float32(top) / peak
	for i, v := range scales {
		q[i] = uint8(min(top, int32(uint8(nearest(inverse*v)))))
	}
	return peak / float32(top)
}

func encodeQ2_K(b []byte, x, importance []float32, _ float32) bool {
	k := searchQ2.encode(x, importance)
	for g := range 16 {
		b[g] = k.a[g] | k.b[g]<<4
	}
	putQuads(b[16:], &k.q)
	return putHalf(b[80:], k.d) && putHalf(b[82:], k.m)
}

// putQuads writes 256 codes of 2 bits: of each half of 128, byte l holds codes
// l, l+32, l+64 and l+96.
func putQuads(b []byte, q *[256]uint8) {
	for h := range 2 {
		for l := range 32 {
			v := q[128*h+l:]
			b[32*h+l] = v[0]&3 | v[32]&3<<2 | v[64]&3<<4 | v[96]&3<<6
		}
	}
}

// putHigh writes one bit of each of 256 codes: that of code v is bit v/32 of
// byte v%32.
func putHigh(b []byte, q *[256]uint8, bit int) {
	clear(b[:32])
	for i, v := range q {
		b[i%32] |= v >> bit & 1 << (i / 32)
	}
}

// putPairs writes the low 4 bits of 256 codes: 32 bytes hold a group of 32
// below and the next one above.
func putPairs(b []byte, q *[256]uint8) {
	for p := range 4 {
		for l := range 32 {
			b[32*p+l] = q[64*p+l]&15 | q[64*p+l+32]<<4
		}
	}
}

// putScalesQ4 is the inverse of scalesQ4.
func putScalesQ4(s []byte, a, b *[16]uint8) {
	for g := range 4 {
		s[g] = a[g]&63 | a[g+4]>>4<<6
		s[g+4] = b[g]&63 | b[g+4]>>4<<6
		s[g+8] = a[g+4]&15 | b[g+4]<<4
	}
}

func encodeQ4_K(b []byte, x, importance []float32, _ float32) bool {
	k := searchQ4.encode(x, importance)
	putScalesQ4(b[4:], &k.a, &k.b)
	putPairs(b[16:], &k.q)
	return putHalf(b, k.d) && putHalf(b[2:], k.m)
}

func encodeQ5_K(b []byte, x, importance []float32, _ float32) bool {
	k := searchQ5.encode(x, importance)
	putScalesQ4(b[4:], &k.a, &k.b)
	putHigh(b[16:], &k.q, 4)
	putPairs(b[48:], &k.q)
	return putHalf(b, k.d) && putHalf(b[2:], k.m)
}

// recode rounds x to codes from 0 to 2*half-1 with the scales d*a that were
// kept, groups of 16 values. Groups whose scale is zero keep their codes.
func recode(q *[256]uint8, x []float32, d float32, a *[16]int8, half int32) {
	for g, s := range a {
		scale := d * float32(s)
		if scale == 0 {
			continue
		}
		for i := 16 * g; i < 16*g+16; i++ {
			q[i] = uint8(half + max(-half, min(half-1, nearest(x[i]/scale))))
		}
	}
}

// Source: quantize_row_q3_K_ref and quantize_row_q3_K_impl.
func encodeQ3_K(b []byte, x, importance []float32, _ float32) bool {
	var q [256]uint8
	var scales, sums [16]float32
	spread := squares(x) * (2.0 / 256)
	for g := range 16 {
		xs, qs := x[16*g:16*g+16], q[16*g:16*g+16]
		if importance == nil {
			scales[g] = fitByTurns(qs, xs, 4)
			continue
		}
		var w [16]float32
		emphasis(w[:], importance[16*g:], xs, spread)
		sums[g] = total(w[:])
		scales[g] = fitSymmetric(qs, xs, w[:], 4)
	}
	var codes [16]uint8
	var d float32
	if importance != nil {
		d = fitSymmetric(codes[:], scales[:], sums[:], 32)
	} else if far := farthest(scales[:]); far != 0 {
		inverse := -32 / far
		codeSymmetric(codes[:], scales[:], inverse, 32)
		d = 1 / inverse
	}
	ok := putHalf(b[108:], d)
	putScalesQ3(b[96:108], &codes)
	a := scalesQ3((*[12]byte)(b[96:]))
	recode(&q, x, half(b[108:]), &a, 4)
	putHigh(b, &q, 2)
	putQuads(b[32:], &q)
	return ok
}

// putScalesQ3 is the inverse of scalesQ3, for codes of which 32 is zero.
func putScalesQ3(s []byte, codes *[16]uint8) {
	clear(s)
	for g, c := range codes {
		s[g%8] |= c & 15 << (g / 8 * 4)
		s[8+g%4] |= c >> 4 << (g / 4 * 2)
	}
}

// Source: quantize_row_q6_K_ref and quantize_row_q6_K_impl. Here importance is
// the weight as it is.
func encodeQ6_K(b []byte, x, importance []float32, _ float32) bool {
	var q [256]uint8
	var scales [16]float32
	for g := range 16 {
		var w []float32
		if importance != nil {
			w = importance[16*g : 16*g+16]
		}
		scales[g] = fitSymmetric(q[16*g:16*g+16], x[16*g:16*g+16], w, 32)
	}
	far := farthest(scales[:])
	if abs(far) < tinyGroup {
		clear(b)
		return true
	}
	inverse := -128 / far
	ok := putHalf(b[208:], 1/inverse)
	var a [16]int8
	for g, s := range scales {
		a[g] = int8(min(127, nearest(inverse*s)))
		b[192+g] = byte(a[g])
	}
	recode(&q, x, half(b[208:]), &a, 32)
	putSixes(b, &q)
	return ok
}

// putSixes writes 256 codes of 6 bits: of each half of 128, 64 bytes of low
// nibbles and 32 bytes of the 2 bits above them.
func putSixes(b []byte, q *[256]uint8) {
	for h := range 2 {
		for l := range 32 {
			v := q[128*h+l:]
			b[64*h+l] = v[0]&15 | v[64]<<4
			b[64*h+l+32] = v[32]&15 | v[96]<<4
			b[128+32*h+l] = v[0]>>4 | v[32]>>4<<2 | v[64]>>4<<4 | v[96]>>4<<6
		}
	}
}
