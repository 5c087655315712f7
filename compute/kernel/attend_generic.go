package kernel

import "math"

// attendGeneric is the oracle of Attend. Blocks of other types than float32 are
// widened first, all of them.
func attendGeneric(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
	h := s.Heads
	t := blocks[(pos+n-1)/BlockLen].Type
	if t == KVF32 {
		attendFloats(out, q, lse, blocks, n, pos, kv, kv*h.Dim*BlockLen, s)
		return
	}
	first, width, words := 0, t.width(h.Dim), t.headWords(h.Dim)
	if sink, lo, _ := s.sees(pos); sink == 0 {
		first = lo / BlockLen
	}
	count := (pos+n+BlockLen-1)/BlockLen - first
	size := (h.Dim + width) * BlockLen
	mem := getScratch(count*size + n*h.Q*h.Dim)
	defer putScratch(mem)
	wide := make([]Block, first+count)
	for i := range count {
		b := blocks[first+i]
		if b.K == nil { // between sinks and window
			continue
		}
		at := mem.data[i*size : (i+1)*size]
		k, v := b.K[kv*words:(kv+1)*words], b.V[kv*words:(kv+1)*words]
		wide[first+i] = t.widenHead(at, k, v, h.Dim)
	}
	if t.coded() {
		turned := mem.data[count*size:][:n*h.Q*h.Dim]
		for i := 0; i < len(turned); i += h.Dim {
			copy(turned[i:i+h.Dim], q[i:])
			rotate(turned[i : i+h.Dim])
		}
		q = turned
	}
	attendFloats(out, q, lse, wide, n, pos, kv, 0, s)
}

// widenHead lays one head of a block out in mem as a float32 block.
func (t KVType) widenHead(mem, kw, vw []float32, dim int) Block {
	width := t.width(dim)
	k, v := mem[:dim*BlockLen], mem[dim*BlockLen:(dim+width)*BlockLen]
	t.widenGeneric(k, kw, width, true)
	t.widenGeneric(v, vw, width, false)
	for i := range BlockLen {
		copy(v[i*dim:(i+1)*dim], v[i*width:])
	}
	return Block{K: k, V: v[:dim*BlockLen]}
}

// attendFloats computes whole rows of scores, no tiles; at is where the head
// begins in a block. A row's arithmetic does not depend on the other rows.
func attendFloats(out, q, lse []float32, blocks []Block, n, pos, kv, at int, s AttnSpec) {
	h := s.Heads
	group := h.Q / h.KV
	mem := getScratch(pos + n)
	defer putScratch(mem)
	for i := range n {
		sink, lo, hi := s.sees(pos + i)
		score := mem.data[:sink+hi-lo]
		position := func(i int) int {
			if i < sink {
				return i
			}
			return lo + i - sink
		}
		for head := kv * group; head < (kv+1)*group; head++ {
			o := (i*h.Q + head) * h.Dim
			for x := range score {
				j := position(x)
				kb := blocks[j/BlockLen].K[at:]
				var sum float32
				for d, x := range q[o : o+h.Dim] {
					sum += x * kb[d*BlockLen+j%BlockLen]
				}
				score[x] = sum * s.Scale
			}
			top := maximumGeneric(score)
			l := top + float32(math.Log(expSumGeneric(score, top)))
			if lse != nil {
				lse[i*h.Q+head] = l
			}
			dst := out[o : o+h.Dim]
			clear(dst)
			for x, v := range score {
				j := position(x)
				w := float32(math.Exp(float64(v - l)))
				axpyGeneric(w, blocks[j/BlockLen].V[at+j%BlockLen*h.Dim:][:h.Dim], dst)
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
		sink, lo, hi := s.sees(i)
		for head := kv * group; head < (kv+1)*group; head++ {
			o := i*qs + head*h.Dim
			qi, di := q[o:o+h.Dim], dout[o:o+h.Dim]
			delta := dotGeneric(di, out[o:o+h.Dim])
			for j := range hi {
				if j >= sink && j < lo {
					continue
				}
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
