package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var nan = float32(math.NaN())

// attendCase is one sequence's queries, keys and values.
type attendCase struct {
	spec    AttnSpec
	total   int       // positions
	q, k, v []float32 // [total, Q*Dim], [total, KV*Dim]
	blocks  []Block
}

// newAttendCase draws a case; slots that hold no position are NaN.
func newAttendCase(r *rand.Rand, h Heads, total, window int, std float64) *attendCase {
	c := &attendCase{spec: AttnSpec{Heads: h, Window: window}, total: total}
	c.q, c.k, c.v = floats(r, total*h.Q*h.Dim, std), floats(r, total*h.KV*h.Dim, std), floats(r, total*h.KV*h.Dim, 1)
	for range (total + BlockLen - 1) / BlockLen {
		b := Block{K: floats(r, h.BlockFloats(), 1), V: floats(r, h.BlockFloats(), 1)}
		for i := range b.K {
			b.K[i], b.V[i] = nan, nan
		}
		c.blocks = append(c.blocks, b)
	}
	for i := range total {
		c.store(i)
	}
	return c
}

func (c *attendCase) store(i int) {
	w := c.spec.Heads.KV * c.spec.Heads.Dim
	c.blocks[i/BlockLen].Store(i%BlockLen, c.k[i*w:(i+1)*w], c.v[i*w:(i+1)*w], c.spec.Heads)
}

// run attends positions from..to as one call per key/value head.
func (c *attendCase) run(attend func(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec), from, to int) (out, lse []float32) {
	h := c.spec.Heads
	w := h.Q * h.Dim
	out, lse = make([]float32, (to-from)*w), make([]float32, (to-from)*h.Q)
	for kv := range h.KV {
		attend(out, c.q[from*w:to*w], lse, c.blocks[:(to+BlockLen-1)/BlockLen], to-from, from, kv, c.spec)
	}
	return out, lse
}

func TestStoreRows(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(28)
		for _, h := range shapes {
			for _, total := range []int{1, 16, 50} {
				c := newAttendCase(r, h, total, 0, 1)
				w := h.KV * h.Dim
				var blocks []Block
				for range c.blocks {
					blocks = append(blocks, Block{K: make([]float32, h.BlockFloats()), V: make([]float32, h.BlockFloats())})
				}
				for from := 0; from < total; {
					n := min(total-from, 1+r.IntN(40))
					StoreRows(blocks, from, c.k[from*w:], c.v[from*w:], n, h)
					from += n
				}
				for i := range blocks { // slots past the end: zero here, NaN there
					for j := range blocks[i].K {
						if c.blocks[i].K[j] != c.blocks[i].K[j] {
							c.blocks[i].K[j] = 0
						}
						if c.blocks[i].V[j] != c.blocks[i].V[j] {
							c.blocks[i].V[j] = 0
						}
					}
					sameBits(t, "keys", blocks[i].K, c.blocks[i].K)
					sameBits(t, "values", blocks[i].V, c.blocks[i].V)
				}
			}
		}
	})
}

// visible is the mask as its description says it.
func visible(s AttnSpec, i, j int) bool {
	return j <= i && (s.Window == 0 || i-j < s.Window || j < s.Sinks)
}

// attend64 is the definition, in float64.
func attend64(q, k, v []float64, total int, s AttnSpec) (out, lse []float64) {
	h := s.Heads
	scale := float64(s.withScale().Scale)
	out, lse = make([]float64, total*h.Q*h.Dim), make([]float64, total*h.Q)
	for i := range total {
		for head := range h.Q {
			row := (i*h.Q + head) * h.Dim
			score, top := make([]float64, i+1), math.Inf(-1)
			for j := range score {
				if !visible(s, i, j) {
					score[j] = math.Inf(-1)
					continue
				}
				key := (j*h.KV + head/(h.Q/h.KV)) * h.Dim
				for d := range h.Dim {
					score[j] += q[row+d] * k[key+d] * scale
				}
				top = max(top, score[j])
			}
			sum := 0.0
			for j := range score {
				score[j] = math.Exp(score[j] - top)
				sum += score[j]
			}
			lse[i*h.Q+head] = top + math.Log(sum)
			for j := range score {
				val := (j*h.KV + head/(h.Q/h.KV)) * h.Dim
				for d := range h.Dim {
					out[row+d] += score[j] / sum * v[val+d]
				}
			}
		}
	}
	return out, lse
}

// shapes are heads with fast and odd dimensions, alone and in groups.
var shapes = []Heads{{4, 4, 32}, {2, 1, 64}, {8, 2, 16}, {1, 1, 128}, {3, 3, 8}, {5, 1, 24}, {2, 2, 80}, {1, 1, 1}, {6, 2, 37}, {2, 2, 100}}

func TestAttendAgainstFloat64(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(20)
		for i, h := range shapes {
			for _, total := range []int{1, 2, 16, 17, 64, 65, 130 + i} {
				for _, window := range []int{0, 1, 10, 70} {
					c := newAttendCase(r, h, total, window, 1)
					out, lse := c.run(Attend, 0, total)
					plain, plainLSE := c.run(func(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
						attendGeneric(out, q, lse, blocks, n, pos, kv, s.withScale())
					}, 0, total)
					want, wantLSE := attend64(wide(c.q), wide(c.k), wide(c.v), total, c.spec)
					what := fmt.Sprintf("%+v window %d", h, window)
					checkBound(t, what, out, plain, want, 1)
					checkBound(t, what+" lse", lse, plainLSE, wantLSE, 1)
				}
			}
		}
	})
}

// TestAttendRowsAreIndependent is the rule that serving rests on: a row's bits
// do not depend on the rows beside it, nor on how a prompt is cut.
func TestAttendRowsAreIndependent(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(21)
		for _, h := range shapes {
			for _, window := range []int{0, 40} {
				total := 60 + r.IntN(120)
				c := newAttendCase(r, h, total, window, 2)
				want, wantLSE := c.run(Attend, 0, total)
				cuts := [][]int{{}, {}, {}}
				for i := range total {
					cuts[0] = append(cuts[0], i+1) // one by one
				}
				for at := 0; at < total; { // random chunks
					at = min(total, at+1+r.IntN(30))
					cuts[1] = append(cuts[1], at)
				}
				cuts[2] = append(cuts[2], total/2, total/2+1, total)
				for _, cut := range cuts {
					from := 0
					for _, to := range cut {
						out, lse := c.run(Attend, from, to)
						w := h.Q * h.Dim
						sameBits(t, fmt.Sprintf("%+v window %d rows %d..%d", h, window, from, to), out, want[from*w:to*w])
						sameBits(t, "lse", lse, wantLSE[from*h.Q:to*h.Q])
						from = to
					}
				}
			}
		}
	})
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, want the bits of %v", what, i, got[i], want[i])
		}
	}
}

// TestAttendIgnoresWhatIsMasked fills slots that a row must not see with NaN:
// later positions, and blocks that a window has left behind.
func TestAttendIgnoresWhatIsMasked(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(22)
		for _, h := range shapes {
			for _, window := range []int{0, 20} {
				const total = 150
				c := newAttendCase(r, h, total, window, 1)
				want, _ := c.run(Attend, 0, total)
				w := h.Q * h.Dim
				poison := 64 + r.IntN(60)
				for i := poison; i < total; i++ { // written, but NaN
					for d := range h.KV * h.Dim {
						c.k[i*h.KV*h.Dim+d], c.v[i*h.KV*h.Dim+d] = nan, nan
					}
					c.store(i)
				}
				out, _ := c.run(Attend, 0, total)
				sameBits(t, fmt.Sprintf("%+v window %d", h, window), out[:poison*w], want[:poison*w])
				if window > 0 { // evicted blocks have no memory at all
					from := poison - 1
					for i := range (from - window + 1) / BlockLen {
						c.blocks[i] = Block{}
					}
					out, _ = c.run(Attend, from, poison)
					sameBits(t, "after eviction", out, want[from*w:poison*w])
				}
			}
		}
	})
}

func TestAttendExtremes(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(23)
		h := Heads{2, 1, 32}
		for _, std := range []float64{0, 1e-20, 60, 1e4} { // logits up to about 1e9
			c := newAttendCase(r, h, 100, 0, std)
			out, lse := c.run(Attend, 0, 100)
			want, wantLSE := attend64(wide(c.q), wide(c.k), wide(c.v), 100, c.spec)
			// Scores carry a float32 rounding of their own size; only where
			// the largest stands clear of the rest is the output sharp.
			if std <= 1 {
				if e := worst(out, want, 1); e > 1e-6 {
					t.Errorf("std %g: error %.3g", std, e)
				}
			}
			for i, v := range out {
				if !(math.Abs(float64(v)) < 10) {
					t.Fatalf("std %g: value %d is %v", std, i, v)
				}
			}
			if e := worst(lse, wantLSE, 1); e > 1e-5 {
				t.Errorf("std %g: lse error %.3g", std, e)
			}
		}
	})
}

// backward runs both passes and returns dq, dk, dv, started at start.
func (c *attendCase) backward(fn func(dq, dk, dv, dout, q, k, v, out, lse []float32, n, kv int, s AttnSpec), dout []float32, start float32) [][]float32 {
	out, lse := c.run(Attend, 0, c.total)
	grads := [][]float32{make([]float32, len(c.q)), make([]float32, len(c.k)), make([]float32, len(c.v))}
	for _, g := range grads {
		for i := range g {
			g[i] = start
		}
	}
	for kv := range c.spec.Heads.KV {
		fn(grads[0], grads[1], grads[2], dout, c.q, c.k, c.v, out, lse, c.total, kv, c.spec.withScale())
	}
	return grads
}

// backward64 is the gradient of sum(out*dout), in float64.
func (c *attendCase) backward64(dout []float32) [][]float64 {
	h := c.spec.Heads
	q, k, v := wide(c.q), wide(c.k), wide(c.v)
	out, lse := attend64(q, k, v, c.total, c.spec)
	scale := float64(c.spec.withScale().Scale)
	grads := [][]float64{make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))}
	for i := range c.total {
		for head := range h.Q {
			row := (i*h.Q + head) * h.Dim
			delta := 0.0
			for d := range h.Dim {
				delta += out[row+d] * float64(dout[row+d])
			}
			for j := range i + 1 {
				if !visible(c.spec, i, j) {
					continue
				}
				key := (j*h.KV + head/(h.Q/h.KV)) * h.Dim
				s, dp := 0.0, 0.0
				for d := range h.Dim {
					s += q[row+d] * k[key+d]
					dp += v[key+d] * float64(dout[row+d])
				}
				p := math.Exp(s*scale - lse[i*h.Q+head])
				ds := p * (dp - delta) * scale
				for d := range h.Dim {
					grads[0][row+d] += ds * k[key+d]
					grads[1][key+d] += ds * q[row+d]
					grads[2][key+d] += p * float64(dout[row+d])
				}
			}
		}
	}
	return grads
}

func TestAttendBackwardAgainstFloat64(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(24)
		for i, h := range shapes {
			for _, total := range []int{1, 17, 64, 65, 120 + i} {
				for _, window := range []int{0, 1, 30} {
					c := newAttendCase(r, h, total, window, 1)
					c.spec.Sinks = []int{0, 5, 20}[r.IntN(3)]
					dout := floats(r, len(c.q), 1)
					got := c.backward(AttendBackward, dout, 0)
					plain := c.backward(attendBackwardGeneric, dout, 0)
					// Where dp and delta cancel, the rounding of their sums remains.
					floor := 2 * math.Sqrt(float64(h.Dim))
					for g, want := range c.backward64(dout) {
						what := fmt.Sprintf("%+v window %d n %d gradient of %c", h, window, total, "qkv"[g])
						checkBound(t, what, got[g], plain[g], want, floor)
					}
				}
			}
		}
	})
}

// TestAttendGradient checks the float64 backward, and through it the kernels,
// against finite differences.
func TestAttendGradient(t *testing.T) {
	r := newRand(25)
	for _, h := range []Heads{{2, 1, 8}, {2, 2, 5}} {
		for _, window := range []int{0, 5} {
			c := newAttendCase(r, h, 19, window, 1)
			dout := floats(r, len(c.q), 1)
			var v []float64
			var grad []float32
			for i, g := range c.backward64(dout) {
				v = append(v, wide([][]float32{c.q, c.k, c.v}[i])...)
				for _, x := range g {
					grad = append(grad, float32(x))
				}
			}
			nq, nk := len(c.q), len(c.k)
			loss := func(v []float64) (sum float64) {
				out, _ := attend64(v[:nq], v[nq:nq+nk], v[nq+nk:], c.total, c.spec)
				for i, o := range out {
					sum += o * float64(dout[i])
				}
				return sum
			}
			checkGradient(t, loss, v, grad, 1e-6)
		}
	}
}

func TestAttendBackwardAddsAndRepeats(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(26)
		c := newAttendCase(r, Heads{4, 2, 32}, 100, 0, 1)
		dout := floats(r, len(c.q), 1)
		once, again := c.backward(AttendBackward, dout, 0), c.backward(AttendBackward, dout, 0)
		plus := c.backward(AttendBackward, dout, 100)
		for g := range once {
			sameBits(t, "second run", again[g], once[g])
			for i, v := range plus[g] {
				if math.Abs(float64(v-once[g][i]-100)) > 1e-3 {
					t.Fatalf("gradient %d, value %d: %v added to 100 gives %v", g, i, once[g][i], v)
				}
			}
		}
	})
}

func TestAttendAllocatesNothing(t *testing.T) {
	c := newAttendCase(newRand(27), Heads{4, 2, 32}, 100, 0, 1)
	w := 4 * 32
	out, lse, dout := make([]float32, len(c.q)), make([]float32, 400), make([]float32, len(c.q))
	dq, dk, dv := make([]float32, len(c.q)), make([]float32, len(c.k)), make([]float32, len(c.v))
	all := func() {
		Attend(out, c.q, lse, c.blocks, 100, 0, 1, c.spec)
		Attend(out[:w], c.q[99*w:], nil, c.blocks, 1, 99, 0, c.spec)
		AttendBackward(dq, dk, dv, dout, c.q, c.k, c.v, out, lse, 100, 0, c.spec)
	}
	all()
	if n := testing.AllocsPerRun(20, all); n > 0.5 { // a collection may empty the pool
		t.Errorf("attention makes %v allocations, want none", n)
	}
}

// FuzzAttend cuts random cases at random places.
func FuzzAttend(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(2), uint8(33), uint16(100), uint8(0), uint16(70))
	f.Add(uint64(2), uint8(1), uint8(4), uint8(64), uint16(64), uint8(17), uint16(1))
	f.Fuzz(func(t *testing.T, seed uint64, kv, group, dim uint8, total uint16, window uint8, cut uint16) {
		h := Heads{KV: int(kv%3) + 1, Dim: int(dim%130) + 1}
		h.Q = h.KV * (int(group%5) + 1)
		n := int(total%200) + 1
		c := newAttendCase(newRand(seed), h, n, int(window%100), 1)
		out, _ := c.run(Attend, 0, n)
		want, _ := attend64(wide(c.q), wide(c.k), wide(c.v), n, c.spec)
		if e := worst(out, want, 1); e > 1e-5 {
			t.Fatalf("error %.3g", e)
		}
		at, w := int(cut)%n, h.Q*h.Dim
		part, _ := c.run(Attend, at, n)
		sameBits(t, "second chunk", part, out[at*w:])
	})
}
