package kernel

import (
	"math"
	"runtime"
	"unsafe"
)

// record16 and record8 are 32 rounded activations, as the assembly reads them.
type record16 struct {
	q     [intBlock]int16
	scale float32
}

type record8 struct {
	q     [intBlock]int8
	bias  [2]int16    // -8 times the sum of the even pairs of q, and of the odd ones
	half  [2][2]int16 // -32 times those of its halves
	scale float32
	sum   float32 // of q, times scale
}

// record is the bytes of a block of activations.
func (f *intForm) record() int {
	if f.wide {
		return int(unsafe.Sizeof(record16{}))
	}
	return int(unsafe.Sizeof(record8{}))
}

// roundRow rounds a row of activations to records; the last block may be short.
func roundRow(t tier, wide bool, dst []byte, x []float32) {
	if whole := len(x) / intBlock; whole > 0 {
		roundBlocks(t, wide, dst, x[:whole*intBlock])
	}
	if rest := len(x) % intBlock; rest > 0 {
		var last [intBlock]float32
		copy(last[:], x[len(x)-rest:])
		size := len(dst) / ceilDiv(len(x), intBlock)
		roundBlocks(t, wide, dst[len(dst)-size:], last[:])
	}
}

func roundGeneric(wide bool, dst []byte, x []float32) {
	for ; len(x) > 0; x = x[intBlock:] {
		block := (*[intBlock]float32)(x)
		if wide {
			r := (*record16)(unsafe.Pointer(&dst[0]))
			scale, inverse := reach(block, math.MaxInt16)
			*r = record16{scale: scale}
			for i := range block {
				r.q[i] = int16(integer(block[i] * inverse))
			}
			dst = dst[unsafe.Sizeof(*r):]
			continue
		}
		r := (*record8)(unsafe.Pointer(&dst[0]))
		scale, inverse := reach(block, math.MaxInt8)
		*r = record8{scale: scale}
		for i := range block {
			r.q[i] = int8(integer(block[i] * inverse))
			r.bias[i/2%2] -= 8 * int16(r.q[i])
			r.half[i/16][i/2%2] -= 32 * int16(r.q[i])
		}
		r.sum = float32(-(int32(r.bias[0])+int32(r.bias[1]))/8) * scale
		dst = dst[unsafe.Sizeof(*r):]
	}
}

// reach is the scale of a block whose largest magnitude becomes most, and the
// factor to get there. The scale is NaN where a value is NaN or infinite.
func reach(x *[intBlock]float32, most float32) (scale, inverse float32) {
	top := math.Float32bits(0x1p-100) // less counts as zero
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31)) // NaN and infinity are above all others
	}
	m := math.Float32frombits(top)
	return float32(m*(1/most)) + (m - m), most / m
}

// integer rounds to the nearest integer, ties to even; what is no number is 0,
// beside a scale of NaN.
func integer(x float32) int32 {
	if !(x > -0x1p30 && x < 0x1p30) {
		return 0
	}
	return int32(math.RoundToEven(float64(x)))
}

// intTileGeneric is the kernel's contract in plain Go.
func intTileGeneric(f *intForm, x *intArgs) {
	records := f.values / intBlock * f.record()
	for p := range x.panels {
		w := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(x.w), p*x.ws)), x.deep*f.panel)
		for i := range x.rows {
			c := (*[intCols]float32)(x.c[i*x.ldc+p*intCols:])
			if !x.add {
				clear(c[:])
			}
			for b := range x.deep {
				f.sum(c, w[b*f.panel:][:f.panel], unsafe.Add(unsafe.Pointer(x.x), i*x.xs+b*records))
			}
		}
	}
}

func sumQ8(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	r := (*record16)(x)
	for j := range c {
		var sum int32
		for l, a := range r.q {
			sum += int32(a) * int32(int8(w[32+32*(l/2)+2*j+l%2]))
		}
		c[j] = fma(float32(sum), half(w[2*j:])*r.scale, c[j])
	}
}

func sumQ4(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	r := (*record8)(x)
	for j := range c {
		sum := int32(r.bias[0]) + int32(r.bias[1]) + nibbleSum(w[32:], j, r)
		c[j] = fma(float32(sum), half(w[2*j:])*r.scale, c[j])
	}
}

func sumQ4_1(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	r := (*record8)(x)
	for j := range c {
		c[j] = fma(float32(nibbleSum(w[64:], j, r)), half(w[2*j:])*r.scale, c[j])
		c[j] = fma(half(w[32+2*j:]), r.sum, c[j])
	}
}

func sumQ5(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	r := (*record8)(x)
	for j := range c {
		c[j] = fma(float32(fiveSum(w[32:], j, r)), half(w[2*j:])*r.scale, c[j])
	}
}

func sumQ5_1(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	r := (*record8)(x)
	for j := range c {
		d := half(w[2*j:])
		c[j] = fma(float32(fiveSum(w[64:], j, r)), d*r.scale, c[j])
		c[j] = fma(half(w[32+2*j:])+float32(16*d), r.sum, c[j])
	}
}

// groupOf is block g of 32 values of a superblock in a panel, with the
// activations that it meets.
func groupOf(w []byte, x unsafe.Pointer, g, head, size int) (group []byte, r *record8) {
	return w[head+size*g:][:size], (*record8)(unsafe.Add(x, g*int(unsafe.Sizeof(record8{}))))
}

func sumK4(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	for g := range 8 {
		group, r := groupOf(w, x, g, 64, 288)
		for j := range c {
			scale := half(w[2*j:]) * float32(group[j])
			low := half(w[32+2*j:]) * float32(group[16+j])
			c[j] = fma(float32(nibbleSum(group[32:], j, r)), scale*r.scale, c[j])
			c[j] = fma(-low, r.sum, c[j])
		}
	}
}

func sumK5(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	for g := range 8 {
		group, r := groupOf(w, x, g, 64, 352)
		for j := range c {
			scale := half(w[2*j:]) * float32(group[j])
			low := float32(half(w[32+2*j:])*float32(group[16+j])) - float32(16*scale)
			c[j] = fma(float32(fiveSum(group[32:], j, r)), scale*r.scale, c[j])
			c[j] = fma(-low, r.sum, c[j])
		}
	}
}

func sumK6(c *[intCols]float32, w []byte, x unsafe.Pointer) {
	for g := range 8 {
		group, r := groupOf(w, x, g, 32, 416)
		for j := range c {
			for h, bias := range r.half {
				sum := int32(bias[0]) + int32(bias[1])
				for l, a := range r.q[16*h : 16*h+16] {
					sum += int32(a) * int32(six(group[32+192*h:], j, l))
				}
				scale := half(w[2*j:]) * float32(int8(group[16*h+j]))
				c[j] = fma(float32(sum), scale*r.scale, c[j])
			}
		}
	}
}

func nibbleSum(w []byte, col int, r *record8) (sum int32) {
	for l, a := range r.q {
		sum += int32(a) * int32(nibble(w, col, l))
	}
	return sum
}

// fiveSum is the sum of weights of 5 bits less 16.
func fiveSum(w []byte, col int, r *record8) int32 {
	sum := 2 * (int32(r.bias[0]) + int32(r.bias[1]))
	for l, a := range r.q {
		sum += int32(a) * int32(five(w, col, l))
	}
	return sum
}

// fma is a*b+c rounded once. The product is exact in float64; the sum is
// rounded there to odd, which a second rounding cannot spoil (Boldo and
// Melquiond 2008).
func fma(a, b, c float32) float32 {
	p, z := float64(a)*float64(b), float64(c)
	s := p + z
	t := s - p
	if e := (p - (s - t)) + (z - t); e > 0 || e < 0 {
		if bits := math.Float64bits(s); bits&1 == 0 {
			if (e > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}

// intBurstGeneric is intBurst without assembly.
func intBurstGeneric() int64 {
	const n = 4000
	var a, b, c, d int32
	x := int32(int8(runtime.NumCPU()))
	for range n {
		a, b, c, d = a+x*a, b+x*b, c+x*c, d+x*d
	}
	runtime.KeepAlive(a + b + c + d)
	return n * 4 * 2
}
