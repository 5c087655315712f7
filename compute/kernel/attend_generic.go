package kernel

import "math"

// attendGeneric is the oracle of Attend: whole rows of scores, no tiles. A
// row's arithmetic does not depend on the other rows.
func attendGeneric(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
	h := s.Heads
	group := h.Q / h.KV
	mem := getScratch(pos + n)
	defer putScratch(mem)
	score := mem.data[:pos+n]
	for i := range n {
		lo, hi := s.sees(pos + i)
		for head := kv * group; head < (kv+1)*group; head++ {
			o := (i*h.Q + head) * h.Dim
			for j := lo; j < hi; j++ {
				kb := blocks[j/BlockLen].K[kv*h.Dim*BlockLen:]
				var sum float32
				for d, x := range q[o : o+h.Dim] {
					sum += x * kb[d*BlockLen+j%BlockLen]
				}
				score[j] = sum * s.Scale
			}
			top := maximumGeneric(score[lo:hi])
			l := top + float32(math.Log(expSumGeneric(score[lo:hi], top)))
			if lse != nil {
				lse[i*h.Q+head] = l
			}
			dst := out[o : o+h.Dim]
			clear(dst)
			for j := lo; j < hi; j++ {
				w := float32(math.Exp(float64(score[j] - l)))
				axpyGeneric(w, blocks[j/BlockLen].V[(kv*BlockLen+j%BlockLen)*h.Dim:][:h.Dim], dst)
			}
		}
	}
}

// attendBackwardGeneric is the oracle of AttendBackward: one pair of query and
// key at a time.
func attendBackwardGeneric(dq, dk, dv, dout, q, k, v, out, lse []float32, n, kv int, s AttnSpec) {
	h := s.Heads
	group, qs, ks := h.Q/h.KV, h.Q*h.Dim, h.KV*h.Dim
	for i := range n {
		lo, hi := s.sees(i)
		for head := kv * group; head < (kv+1)*group; head++ {
			o := i*qs + head*h.Dim
			qi, di := q[o:o+h.Dim], dout[o:o+h.Dim]
			delta := dotGeneric(di, out[o:o+h.Dim])
			for j := lo; j < hi; j++ {
				c := j*ks + kv*h.Dim
				p := float32(math.Exp(float64(dotGeneric(qi, k[c:c+h.Dim])*s.Scale - lse[i*h.Q+head])))
				axpyGeneric(p, di, dv[c:c+h.Dim])
				ds := p * (dotGeneric(di, v[c:c+h.Dim]) - delta) * s.Scale
				axpyGeneric(ds, k[c:c+h.Dim], dq[o:o+h.Dim])
				axpyGeneric(ds, qi, dk[c:c+h.Dim])
			}
		}
	}
}
