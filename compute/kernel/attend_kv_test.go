package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// typedShapes are heads whose widths are whole groups of 4-bit values, pieces of
// other sizes, odd, and one.
var typedShapes = []Heads{{8, 2, 16}, {2, 1, 64}, {6, 2, 37}, {2, 2, 100}, {1, 1, 1}}

// newTypedCase is newAttendCase with blocks of another type; slots that hold no
// position have all bits set.
func newTypedCase(r *rand.Rand, t KVType, h Heads, total, window, sinks int, std float64) *attendCase {
	c := newAttendCase(r, h, total, window, std)
	c.spec.Sinks = sinks
	for i := range c.blocks {
		b := Block{Type: t, K: make([]float32, t.BlockWords(h)), V: make([]float32, t.BlockWords(h))}
		for i := range b.K {
			b.K[i], b.V[i] = math.Float32frombits(math.MaxUint32), math.Float32frombits(math.MaxUint32)
		}
		c.blocks[i] = b
	}
	for i := range total {
		c.store(i)
	}
	return c
}

// read gives back what a block keeps of one position: the rows that attention
// computes with.
func (c *attendCase) read(pos int) (k, v []float32) {
	h, b := c.spec.Heads, c.blocks[pos/BlockLen]
	words := b.Type.headWords(h.Dim)
	for kv := range h.KV {
		kw, vw := b.K[kv*words:(kv+1)*words], b.V[kv*words:(kv+1)*words]
		one := Block{K: kw, V: vw}
		if b.Type != KVF32 {
			one = b.Type.widenHead(make([]float32, (h.Dim+b.Type.width(h.Dim))*BlockLen), kw, vw, h.Dim)
		}
		key := make([]float32, h.Dim)
		for d := range key {
			key[d] = one.K[d*BlockLen+pos%BlockLen]
		}
		if b.Type.coded() { // the matrix is its own inverse, but for its size, which is in the key
			rotate(key)
		}
		k, v = append(k, key...), append(v, one.V[pos%BlockLen*h.Dim:][:h.Dim]...)
	}
	return k, v
}

// TestKVTypesRound: what is kept is within half a step of what was stored, and
// the nearest value for the types that have no steps.
func TestKVTypesRound(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(40)
		for _, h := range typedShapes {
			for _, kind := range KVTypes() {
				c := newTypedCase(r, kind, h, 37, 0, 0, 3)
				w := h.KV * h.Dim
				for i := range c.total {
					k, v := c.read(i)
					for kv := range h.KV {
						at := kv * h.Dim
						near(t, kind, "key", k[at:at+h.Dim], c.k[i*w+at:][:h.Dim], true)
						near(t, kind, "value", v[at:at+h.Dim], c.v[i*w+at:][:h.Dim], false)
					}
				}
			}
		}
	})
}

func near(t *testing.T, kind KVType, what string, got, want []float32, turned bool) {
	t.Helper()
	top, squares := 0.0, 0.0
	for _, x := range want {
		top, squares = max(top, math.Abs(float64(x))), squares+float64(x)*float64(x)
	}
	if turned { // an upper bound of the largest turned value, over the root of the piece
		top = math.Sqrt(squares)
	}
	for i, x := range want {
		step := 0.0
		switch kind {
		case KVF16:
			step = math.Abs(float64(x)) * 0x1p-11
		case KVBF16:
			step = math.Abs(float64(x)) * 0x1p-8
		case KVQ8:
			step = 2 * top / 255 / 2 * 1.01 // steps and lowest values are of 8 bits, rounded outwards
		case KVQ4:
			step = 2 * top / 15 / 2 * 1.01
		}
		if turned && kind.coded() { // errors of the piece add up, signs and all
			step *= math.Sqrt(float64(len(want)))
		}
		if d := math.Abs(float64(got[i] - x)); !(d <= step*1.001+1e-7) {
			t.Fatalf("%v: %s %d is kept as %v, want %v within %.3g", kind, what, i, got[i], x, step)
		}
	}
}

// TestHalves holds the roundings to the definition, over all exponents.
func TestHalves(t *testing.T) {
	r := newRand(41)
	for i := range 200000 {
		f := math.Float32frombits(r.Uint32())
		if i < 65536 { // what is a half already stays, also the middle to the next goes to the even one
			raw := uint16(i)
			exact := half([]byte{byte(raw), byte(raw >> 8)})
			if exact == exact && roundHalf(exact) != raw {
				t.Fatalf("%v is the half %#x, but is rounded to %#x", exact, raw, roundHalf(exact))
			}
			if raw&0x7fff < 0x7bff {
				next := half([]byte{byte(raw + 1), byte((raw + 1) >> 8)})
				if got, want := roundHalf((exact+next)/2), (raw+1)&^1; got != want {
					t.Fatalf("the middle of %v and %v is rounded to %#x, want %#x", exact, next, got, want)
				}
			}
		}
		h, b := roundHalf(f), roundBrain(f)
		if f != f {
			if h&0x7c00 != 0x7c00 || h&0x3ff == 0 || b&0x7f80 != 0x7f80 || b&0x7f == 0 {
				t.Fatalf("NaN %#x is kept as %#x and %#x", math.Float32bits(f), h, b)
			}
			continue
		}
		if wide := math.Float32frombits(uint32(b) << 16); math.Abs(float64(f)) < 3e38 && math.Abs(float64(wide)-float64(f)) > math.Abs(float64(f))*0x1p-8+0x1p-134 {
			t.Fatalf("%v is kept as bfloat16 %v", f, wide)
		}
		if wide := half([]byte{byte(h), byte(h >> 8)}); math.Abs(float64(f)) < 65504 && math.Abs(float64(wide)-float64(f)) > math.Abs(float64(f))*0x1p-11+0x1p-25 {
			t.Fatalf("%v is kept as binary16 %v", f, wide)
		}
	}
}

// TestHadamard: the assembly has the bits of plain Go, and turning twice
// multiplies by the length.
func TestHadamard(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(42)
		for n := 1; n <= 1024; n *= 2 {
			x := floats(r, n, 1)
			got, want := clone(x), clone(x)
			hadamard(got)
			hadamardGeneric(want)
			sameBits(t, fmt.Sprint(n), got, want)
			hadamard(got)
			for i := range x {
				if math.Abs(float64(got[i]/float32(n)-x[i])) > 1e-5 {
					t.Fatalf("%d values, turned twice: %v at %d, want %v times as much", n, got[i], i, x[i])
				}
			}
		}
	})
}

// TestAttendTypesAgainstFloat64: attention over blocks of any type is that over
// what the blocks keep, as near as float32 is.
func TestAttendTypesAgainstFloat64(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(43)
		for i, h := range typedShapes {
			for _, kind := range KVTypes() {
				for _, mask := range [][2]int{{0, 0}, {30, 0}, {30, 5}, {1, 20}} {
					total := []int{1, 17, 64, 131 + i}[r.IntN(4)]
					c := newTypedCase(r, kind, h, total, mask[0], mask[1], 1)
					out, lse := c.run(Attend, 0, total)
					plain, plainLSE := c.run(func(out, q, lse []float32, blocks []Block, n, pos, kv int, s AttnSpec) {
						attendGeneric(out, q, lse, blocks, n, pos, kv, s.withScale())
					}, 0, total)
					var k, v []float32
					for i := range total {
						ki, vi := c.read(i)
						k, v = append(k, ki...), append(v, vi...)
					}
					want, wantLSE := attend64(wide(c.q), wide(k), wide(v), total, c.spec)
					what := fmt.Sprintf("%v %+v window %d sinks %d", kind, h, mask[0], mask[1])
					checkBound(t, what, out, plain, want, 4)
					checkBound(t, what+" lse", lse, plainLSE, wantLSE, 4)
				}
			}
		}
	})
}

// TestAttendTypesRowsAreIndependent is the rule for blocks of any type, with
// windows and sinks: the bits of a row do not depend on how a prompt is cut, nor
// on what stands in slots that it does not see.
func TestAttendTypesRowsAreIndependent(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		r := newRand(44)
		for _, h := range typedShapes {
			for _, kind := range KVTypes() {
				for _, mask := range [][2]int{{0, 0}, {40, 0}, {25, 3}, {33, 70}} {
					total := 100 + r.IntN(100)
					c := newTypedCase(r, kind, h, total, mask[0], mask[1], 2)
					what := fmt.Sprintf("%v %+v window %d sinks %d", kind, h, mask[0], mask[1])
					want, wantLSE := c.run(Attend, 0, total)
					w, from := h.Q*h.Dim, 0
					for from < total {
						to := min(total, from+1+r.IntN(1+r.IntN(50)))
						if mask[0] > 0 { // what no row from here on sees has no memory
							for i := range max(0, from-mask[0]+1) / BlockLen {
								if i*BlockLen >= mask[1] {
									c.blocks[i] = Block{}
								}
							}
						}
						out, lse := c.run(Attend, from, to)
						sameBits(t, fmt.Sprintf("%s rows %d..%d", what, from, to), out, want[from*w:to*w])
						sameBits(t, what+" lse", lse, wantLSE[from*h.Q:to*h.Q])
						from = to
					}
				}
			}
		}
	})
}

// TestKeysThatStandOut: channels far above the others, as keys of real models have
// them, cost 4 bits a sixth of what they would cost without turning. Steps per
// channel over the block, of two bits more per value, would lose less yet.
func TestKeysThatStandOut(t *testing.T) {
	r := newRand(45)
	h := Heads{1, 1, 64}
	c := newAttendCase(r, h, BlockLen, 0, 1)
	for i := range c.total {
		c.k[i*h.Dim+5] += 20
		c.k[i*h.Dim+37] -= 12
	}
	kept := newTypedCase(r, KVQ4, h, BlockLen, 0, 0, 1)
	copy(kept.k, c.k)
	square := func(got func(i int) []float32) (sum float64) {
		for i := range c.total {
			for d, x := range got(i) {
				e := float64(x - c.k[i*h.Dim+d])
				sum += e * e
			}
		}
		return sum
	}
	for i := range c.total {
		kept.store(i)
	}
	turned := square(func(i int) []float32 { k, _ := kept.read(i); return k })
	plain := square(func(i int) []float32 { return fourBits(c.k[i*h.Dim:][:h.Dim]) })
	channels := make([][]float32, h.Dim)
	for d := range channels {
		for i := range c.total {
			channels[d] = append(channels[d], c.k[i*h.Dim+d])
		}
		channels[d] = fourBits(channels[d])
	}
	perChannel := square(func(i int) (k []float32) {
		for d := range channels {
			k = append(k, channels[d][i])
		}
		return k
	})
	t.Logf("squared error of keys: turned %.3g, per channel %.3g, as they are %.3g", turned, perChannel, plain)
	if turned > plain/6 {
		t.Errorf("turned keys lose %.3g, want at most a sixth of %.3g (not turned)", turned, plain)
	}
}

// fourBits rounds x as 4-bit codes of one step do.
func fourBits(x []float32) []float32 {
	codes := make([]uint8, len(x))
	word := math.Float32bits(KVQ4.encode(codes, x))
	y := make([]float32, len(x))
	for i, c := range codes {
		y[i] = float32(c)*math.Float32frombits(word<<16) + math.Float32frombits(word&^0xffff)
	}
	return y
}

// TestBadKeysAreNotHidden: what is not finite comes out so, of all types.
func TestBadKeysAreNotHidden(t *testing.T) {
	forTiers(t, func(t *testing.T) {
		h := Heads{1, 1, 32}
		for _, kind := range KVTypes() {
			for _, bad := range []float32{nan, float32(math.Inf(1))} {
				c := newTypedCase(newRand(46), kind, h, 20, 0, 0, 1)
				c.v[7*h.Dim+3] = bad
				c.store(7)
				out, _ := c.run(Attend, 0, 20)
				finite := func(x []float32) bool {
					for _, v := range x {
						if v-v != 0 {
							return false
						}
					}
					return true
				}
				if !finite(out[:7*h.Dim]) || finite(out[7*h.Dim:8*h.Dim]) {
					t.Errorf("%v: %v in position 7: finite before %v, there %v", kind, bad, finite(out[:7*h.Dim]), finite(out[7*h.Dim:8*h.Dim]))
				}
			}
		}
	})
}

func TestKVTypeNames(t *testing.T) {
	for _, want := range KVTypes() {
		var got KVType
		text, _ := want.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != want || !got.Valid() {
			t.Errorf("%s is read as %v: %v", text, got, err)
		}
	}
	var k KVType
	if err := k.UnmarshalText([]byte("int8")); err == nil || !strings.Contains(err.Error(), `"int8", want one of f32, f16`) {
		t.Errorf("int8: %v", err)
	}
	for _, c := range []struct {
		kind KVType
		dim  int
		want int
	}{{KVF32, 64, 256}, {KVF16, 64, 128}, {KVBF16, 80, 160}, {KVQ8, 64, 68}, {KVQ4, 64, 36}, {KVQ4, 80, 52}, {KVQ4, 128, 68}} {
		if got := c.kind.RowBytes(c.dim); got != c.want {
			t.Errorf("a row of %d as %v takes %d bytes, want %d", c.dim, c.kind, got, c.want)
		}
	}
}

func TestAttendTypesAllocateNothing(t *testing.T) {
	if level() == generic {
		t.Skip("plain Go widens all blocks of a call at once")
	}
	for _, kind := range KVTypes() {
		c := newTypedCase(newRand(47), kind, Heads{4, 2, 32}, 100, 50, 4, 1)
		out := make([]float32, len(c.q))
		all := func() {
			c.store(99)
			Attend(out, c.q, nil, c.blocks, 100, 0, 1, c.spec)
		}
		all()
		if n := testing.AllocsPerRun(20, all); n > 0.5 {
			t.Errorf("%v: storing and attention make %v allocations, want none", kind, n)
		}
	}
}
