// Command vector writes ../../vector_amd64.s, the elementwise and row kernels.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"weft/compute/kernel/_asm/vector/isa"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, s := range isa.Both() {
		dot(s)
		axpy(s)
		add(s)
		scale(s)
		sumSquares(s)
		rmsNorm(s)
		rmsNormBackward(s)
		swiGLU(s)
		swiGLUBackward(s)
		rope(s)
		maximum(s)
		expSum(s)
		adamW(s)
	}
	Generate()
}

// at is the address of an operand in the current step of a loop.
type at = func(p reg.Register) Mem

func ptr(name string) reg.Register { return Load(Param(name), GP64()) }

func count() reg.GPVirtual { return Load(Param("n"), GP64()).(reg.GPVirtual) }

func scalar(s *isa.ISA, name string) reg.VecVirtual {
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return s.Broadcast(m.Addr)
}

func dot(s *isa.ISA) {
	s.Func("dot", "func(x, y *float32, n int) float32", "sum of x*y")
	x, y, n := ptr("x"), ptr("y"), count()
	acc := s.Zeros(4)
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		a := s.Get(m(x), k)
		if k.All() {
			VFMADD231PS(m(y), a, acc[u])
		} else {
			VFMADD231PS(s.Get(m(y), k), a, acc[u])
		}
	})
	result(s.Sum(acc))
	s.Ret()
}

func axpy(s *isa.ISA) {
	s.Func("axpy", "func(a float32, x, y *float32, n int)", "y += a*x")
	x, y, n := ptr("x"), ptr("y"), count()
	a := scalar(s, "a")
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(y), k)
		VFMADD231PS(s.Get(m(x), k), a, v)
		s.Put(v, m(y), k)
	})
	s.Ret()
}

func add(s *isa.ISA) {
	s.Func("add", "func(dst, x, y *float32, n int)", "dst = x + y")
	dst, x, y, n := ptr("dst"), ptr("x"), ptr("y"), count()
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(x), k)
		VADDPS(s.Get(m(y), k), v, v)
		s.Put(v, m(dst), k)
	})
	s.Ret()
}

func scale(s *isa.ISA) {
	s.Func("scale", "func(a float32, x *float32, n int)", "x *= a")
	x, n := ptr("x"), count()
	a := scalar(s, "a")
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(x), k)
		VMULPS(a, v, v)
		s.Put(v, m(x), k)
	})
	s.Ret()
}

// sumSquares works on vectors of L/2 doubles; the caller adds the rest.
func sumSquares(s *isa.ISA) {
	s.Func("sumSquares", "func(x *float32, n int) float64", "sum of x*x in float64; n is a multiple of 16")
	x, n := ptr("x"), count()
	h := s.L / 2
	u := 16 / h
	acc := s.Zeros(u)
	Label("loop")
	TESTQ(n, n)
	JE(LabelRef("done"))
	for i, a := range acc {
		v := s.Vec()
		VCVTPS2PD(Mem{Base: x, Disp: 4 * h * i}, v)
		VFMADD231PD(v, v, a)
	}
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JMP(LabelRef("loop"))
	Label("done")
	for len(acc) > 1 {
		for i := range len(acc) / 2 {
			VADDPD(acc[i+len(acc)/2], acc[i], acc[i])
		}
		acc = acc[:len(acc)/2]
	}
	a := acc[0]
	if s.Wide {
		t := YMM()
		VEXTRACTF64X4(U8(1), a, t)
		VADDPD(a.AsY(), t, a.AsY())
	}
	t := XMM()
	VEXTRACTF128(U8(1), a.AsY(), t)
	VADDPD(a.AsX(), t, a.AsX())
	VPERMILPD(U8(1), a.AsX(), t)
	VADDPD(a.AsX(), t, a.AsX())
	resultWide(a.AsX())
	s.Ret()
}

// lengthAsFloat returns float32(n) before a loop destroys n.
func lengthAsFloat(n reg.GPVirtual) reg.VecVirtual {
	f := XMM()
	VXORPS(f, f, f)
	VCVTSI2SSQ(n, f, f)
	return f
}

// result and resultWide write the result, a float32 and a float64. Store would use an
// instruction without VEX: beside full vector registers each costs some processors
// (Zen 3) more than 100 cycles.
func result(x reg.Register)     { VMOVSS(x, address(ReturnIndex(0))) }
func resultWide(x reg.Register) { VMOVSD(x, address(ReturnIndex(0))) }

func address(c gotypes.Component) Mem {
	at, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return at.Addr
}

func rmsNorm(s *isa.ISA) {
	s.Func("rmsNorm", "func(dst, x, gain *float32, n int, eps float32) float32",
		"dst = x*inv*gain, returns inv = 1/sqrt(mean(x*x) + eps)")
	x, n := ptr("x"), count()
	size := lengthAsFloat(n)
	acc := s.Zeros(4)
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(x), k)
		VFMADD231PS(v, v, acc[u])
	})
	sum := s.Sum(acc)
	VDIVSS(size, sum, sum)
	VADDSS(address(Param("eps")), sum, sum)
	VSQRTSS(sum, sum, sum)
	one := XMM()
	VMOVSS(isa.Lanes(1), one)
	VDIVSS(sum, one, sum)
	result(sum)
	inv := s.Broadcast(sum)
	dst, gain, n2 := ptr("dst"), ptr("gain"), count()
	s.Loop(n2, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(x), k)
		VMULPS(inv, v, v)
		VMULPS(s.Get(m(gain), k), v, v)
		s.Put(v, m(dst), k)
	})
	s.Ret()
}

func rmsNormBackward(s *isa.ISA) {
	s.Func("rmsNormBackward", "func(dx, dgain, dy, x, gain *float32, n int, inv float32)",
		"dgain += dy*x*inv, dx += dy*gain*inv - x*sum(dy*gain*x)*inv^3/n")
	dx, dgain, dy, x, gain, n := ptr("dx"), ptr("dgain"), ptr("dy"), ptr("x"), ptr("gain"), count()
	size := lengthAsFloat(n)
	inv := scalar(s, "inv")
	acc := s.Zeros(4)
	s.Loop(n, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(dy), k)
		VMULPS(s.Get(m(x), k), v, v)
		VFMADD231PS(s.Get(m(gain), k), v, acc[u])
		d := s.Get(m(dgain), k)
		VFMADD231PS(inv, v, d)
		s.Put(d, m(dgain), k)
	})
	sum := s.Sum(acc)
	for range 3 {
		VMULSS(inv.AsX(), sum, sum)
	}
	VDIVSS(size, sum, sum)
	c := s.Broadcast(sum)
	n2 := count()
	s.Loop(n2, 4, func(m at, u int, k isa.Mask) {
		v := s.Get(m(dy), k)
		VMULPS(s.Get(m(gain), k), v, v)
		d := s.Get(m(dx), k)
		VFMADD231PS(inv, v, d)
		VFNMADD231PS(s.Get(m(x), k), c, d)
		s.Put(d, m(dx), k)
	})
	s.Ret()
}

// sigmoids returns 1/(1 + e^-v) of several vectors, which are kept.
func sigmoids(s *isa.ISA, v ...reg.VecVirtual) []reg.VecVirtual {
	x := make([]reg.VecVirtual, len(v))
	for i := range v {
		x[i] = s.Vec()
		s.Neg(v[i], x[i])
	}
	e := s.Exps(x)
	r := make([]reg.VecVirtual, len(e))
	for i := range e {
		VADDPS(s.F(1), e[i], e[i])
		r[i] = s.Vec()
		VMOVUPS(s.F(1), r[i])
		VDIVPS(e[i], r[i], r[i])
	}
	return r
}

func swiGLU(s *isa.ISA) {
	s.Func("swiGLU", "func(dst, gate, up *float32, n int)", "dst = gate*sigmoid(gate)*up")
	dst, gate, up, n := ptr("dst"), ptr("gate"), ptr("up"), count()
	s.ExpConsts()
	s.Bits(1 << 31)
	s.Batches(n, 3, func(m []at, k isa.Mask) {
		v := make([]reg.VecVirtual, len(m))
		for i := range v {
			v[i] = s.Get(m[i](gate), k)
		}
		g := sigmoids(s, v...)
		for i := range v { // read again: registers are short
			v[i] = s.Get(m[i](gate), k)
			VMULPS(g[i], v[i], v[i])
			VMULPS(s.Get(m[i](up), k), v[i], v[i])
			s.Put(v[i], m[i](dst), k)
		}
	})
	s.Ret()
}

func swiGLUBackward(s *isa.ISA) {
	s.Func("swiGLUBackward", "func(dgate, dup, dy, gate, up *float32, n int)",
		"dup = dy*silu(gate), dgate = dy*up*silu'(gate); dgate may be gate, and dup up")
	dgate, dup, dy, gate, up, n := ptr("dgate"), ptr("dup"), ptr("dy"), ptr("gate"), ptr("up"), count()
	s.ExpConsts()
	s.Bits(1 << 31)
	s.Loop(n, 2, func(m at, u int, k isa.Mask) {
		v := s.Get(m(gate), k)
		sg := sigmoids(s, v)[0]
		d := s.Get(m(dy), k)
		silu, t := s.Vec(), s.Vec()
		VMULPS(sg, v, silu)
		VMULPS(silu, d, t)
		VMULPS(s.Get(m(up), k), d, d)
		s.Put(t, m(dup), k)
		// silu' = s*(1 + g*(1-s)) = s + silu*(1-s)
		VMOVUPS(s.F(1), v)
		VSUBPS(sg, v, v)
		VFMADD213PS(sg, silu, v)
		VMULPS(v, d, d)
		s.Put(d, m(dgate), k)
	})
	s.Ret()
}

func rope(s *isa.ISA) {
	s.Func("rope", "func(x, cos, sin *float32, half, heads int, flip uint32)",
		"turns the pairs (x[i], x[i+half]) of each head; flip is the sign bit when inverse")
	x, cos, sin := ptr("x"), ptr("cos"), ptr("sin")
	half, heads := ptr("half").(reg.GPVirtual), ptr("heads").(reg.GPVirtual)
	flip := scalar(s, "flip")
	b := GP64()
	Label("head")
	LEAQ(Mem{Base: x, Index: half, Scale: 4}, b)
	n := GP64()
	MOVQ(half, n)
	s.Loop(n, 1, func(m at, u int, k isa.Mask) {
		c, sn := s.Get(m(cos), k), s.Get(m(sin), k)
		VXORPS(flip, sn, sn)
		p, q := s.Get(m(x), k), s.Get(m(b), k)
		t, r := s.Vec(), s.Vec()
		VMULPS(sn, q, t)
		VFMSUB231PS(c, p, t)
		VMULPS(sn, p, r)
		VFMADD231PS(c, q, r)
		s.Put(t, m(x), k)
		s.Put(r, m(b), k)
	})
	LEAQ(Mem{Base: b, Index: half, Scale: 4}, x)
	DECQ(heads)
	JNZ(LabelRef("head"))
	s.Ret()
}

// maximum may read elements twice, which a maximum forgives: no masks.
func maximum(s *isa.ISA) {
	s.Func("maximum", "func(x *float32, n int) float32", "largest of x; n is at least 16")
	x, n := ptr("x"), count()
	acc := make([]reg.VecVirtual, 4)
	for i := range acc {
		acc[i] = s.Get(Mem{Base: x}, isa.Mask{})
	}
	end := GP64()
	LEAQ(Mem{Base: x, Index: n, Scale: 4, Disp: -4 * s.L}, end)
	Label("loop")
	CMPQ(n, I32(int32(4*s.L)))
	JLT(LabelRef("single"))
	for i := range acc {
		VMAXPS(Mem{Base: x, Disp: 4 * s.L * i}, acc[i], acc[i])
	}
	ADDQ(I32(int32(16*s.L)), x)
	SUBQ(I32(int32(4*s.L)), n)
	JMP(LabelRef("loop"))
	Label("single")
	CMPQ(n, I32(int32(s.L)))
	JLT(LabelRef("rest"))
	VMAXPS(Mem{Base: x}, acc[0], acc[0])
	ADDQ(I32(int32(4*s.L)), x)
	SUBQ(I32(int32(s.L)), n)
	JMP(LabelRef("single"))
	Label("rest")
	VMAXPS(Mem{Base: end}, acc[1], acc[1])
	result(s.Max(acc))
	s.Ret()
}

func expSum(s *isa.ISA) {
	for _, put := range []bool{false, true} {
		if put {
			s.Func("expSumTo", "func(dst, x *float32, n int, shift float32) float32", "dst = exp(x - shift), returns the sum")
		} else {
			s.Func("expSum", "func(x *float32, n int, shift float32) float32", "sum of exp(x - shift)")
		}
		x, n := ptr("x"), count()
		var dst reg.Register
		if put {
			dst = ptr("dst")
		}
		shift := scalar(s, "shift")
		acc := s.Zeros(4)
		s.ExpConsts()
		s.Loop(n, 4, func(m at, u int, k isa.Mask) {
			v := s.Get(m(x), k)
			VSUBPS(shift, v, v)
			e := s.Exp(v)
			s.Keep(e, k)
			if put {
				s.Put(e, m(dst), k)
			}
			VADDPS(e, acc[u], acc[u])
		})
		result(s.Sum(acc))
		s.Ret()
	}
}

// adamW takes the step as nine floats, in the order of its comment.
func adamW(s *isa.ISA) {
	s.Func("adamW", "func(w, grad, m, v *float32, n int, o *[9]float32)",
		"one AdamW step; o = gradient scale, beta1, 1-beta1, beta2, 1-beta2, 1/correct2, eps, lr/correct1, lr*decay")
	w, grad, mo, vo, n, o := ptr("w"), ptr("grad"), ptr("m"), ptr("v"), count(), ptr("o")
	arg := make([]Op, 9)
	for i := range arg {
		arg[i] = s.Broadcast(Mem{Base: o, Disp: 4 * i})
	}
	s.Loop(n, 2, func(at at, u int, k isa.Mask) {
		x := s.Get(at(grad), k)
		VMULPS(arg[0], x, x)
		m, v := s.Get(at(mo), k), s.Get(at(vo), k)
		t := s.Vec()
		VMULPS(arg[1], m, m)
		VFMADD231PS(arg[2], x, m)
		s.Put(m, at(mo), k)
		VMULPS(arg[3], v, v)
		VMULPS(arg[4], x, t)
		VFMADD231PS(x, t, v)
		s.Put(v, at(vo), k)
		VMULPS(arg[5], v, v)
		VSQRTPS(v, v)
		VADDPS(arg[6], v, v)
		VDIVPS(v, m, m)
		c := s.Get(at(w), k)
		VFNMADD231PS(arg[8], c, c)
		VFNMADD231PS(arg[7], m, c)
		s.Put(c, at(w), k)
	})
	s.Ret()
}
