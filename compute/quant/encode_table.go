package quant

import "encoding/binary"

// below has for each integer n from -128 to 127 the code of the largest value
// of table4 that is not above it, at most 14, at index n+128.
var below = func() (cells [256]uint8) {
	for code, v := range table4[:15] {
		for n := int(v); n < 128; n++ {
			cells[n+128] = uint8(code)
		}
	}
	return cells
}()

// nearestInTable is the code of the value of table4 nearest to v, of equals
// the larger.
func nearestInTable(v float32) uint8 {
	v = float32(v) // a product in the caller is rounded before anything is added
	if v <= table4[0] {
		return 0
	}
	if v >= table4[15] {
		return 15
	}
	low := below[uint8(int32(v+128))] & 15
	up := uint8(1) // which of two is a coin's toss: no branch to mispredict
	if v-table4[low] < table4[(low+1)&15]-v {
		up = 0
	}
	return low + up
}

// fitTable finds the scale d with x near d*table4[q]. Importance nil stands
// for x^2. Source: quantize_row_iq4_nl_impl.
func fitTable(x, importance []float32, spread float32) float32 {
	var w [32]float32
	if importance != nil {
		emphasis(w[:], importance, x, spread)
	} else {
		for i, v := range x {
			w[i] = v * v
		}
	}
	far := farthest(x)
	if abs(far) < tinyGroup {
		return 0
	}
	d := -far / table4[0]
	xq, qq := momentsTable(x, &w, 1/d)
	if d = 0; qq > 0 {
		d = xq / qq
	}
	best := d * xq
	for step := -7; step <= 7; step++ {
		xq, qq = momentsTable(x, &w, (float32(step)+table4[0])/far)
		if qq > 0 && xq*xq > best*qq {
			d = xq / qq
			best = d * xq
		}
	}
	return d
}

func momentsTable(x []float32, w *[32]float32, inverse float32) (xq, qq float32) {
	for i, v := range x {
		q := table4[nearestInTable(inverse*v)&15]
		wq := w[i%32] * q
		xq += float32(wq * v)
		qq += float32(wq * q)
	}
	return xq, qq
}

func codeTable(b []byte, x []float32, inverse float32) {
	var q [32]uint8
	for i, v := range x {
		q[i] = nearestInTable(inverse * v)
	}
	putNibbles(b, &q)
}

func encodeIQ4_NL(b []byte, x, importance []float32, _ float32) bool {
	d := fitTable(x, importance, squares(x)*(2.0/32))
	codeTable(b[2:], x, inverse(d))
	return putHalf(b, d)
}

func encodeIQ4_XS(b []byte, x, importance []float32, _ float32) bool {
	var scales [8]float32
	spread := squares(x) * (2.0 / 256)
	for g := range scales {
		var w []float32
		if importance != nil {
			w = importance[32*g : 32*g+32]
		}
		scales[g] = fitTable(x[32*g:32*g+32], w, spread)
	}
	d := -farthest(scales[:]) / 32
	id := inverse(d)
	var high uint16
	clear(b[4:8])
	for g, s := range scales {
		a := max(-32, min(31, nearest(id*s)))
		codeTable(b[8+16*g:], x[32*g:32*g+32], inverse(d*float32(a)))
		b[4+g/2] |= byte(a+32) & 15 << (g % 2 * 4)
		high |= uint16(a+32) >> 4 << (2 * g)
	}
	binary.LittleEndian.PutUint16(b[2:], high)
	return putHalf(b, d)
}
