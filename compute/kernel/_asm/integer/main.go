// Command integer generates the products with integer weights for amd64:
//
//	go run ./integer -out ../integer_amd64.s -stubs ../integer_stubs_amd64.go -pkg kernel
//
// All of it is AVX2. Every kernel is the same walk over panels of 16 columns,
// blocks of 32 k and up to six rows; a form says how weights become vectors
// and how the integer sum of a block is scaled.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, f := range []form{q8{}, q4{}, q41{}, q5{}, q51{}, k4{}, k5{}, k6{}} {
		product(f, 1)
	}
	for _, f := range []spreadable{q5{}, q51{}, k5{}, k6{}} {
		spreading(f)
	}
	for _, f := range spreads {
		product(f, leastSpread)
	}
	quantize16()
	quantize8()
	peak("peak16", "VPMADDWD", "VPADDD")
	peak("peak8", "VPMADDUBSW", "VPADDW")
	Generate()
}

const (
	mostRows = 6
	vecs     = 2    // vectors of eight columns in a panel
	ahead    = 2048 // bytes; at 1024 and 4096 weights from memory go by 5 to 15 % slower
)

// form is one kind of weights.
type form interface {
	name() string
	record() int  // bytes of a block of activations
	scaleAt() int // where their scale is
	bytes() int   // of a block of weights
	groups() int  // blocks of 32 k that share a head; 1: there is none
	head() int    // bytes of that
	masks() []Mem
	held() int // vectors that serve more than once while weights are decoded
	// start sets the sums of a block to a bias, or says that they are fresh.
	start(t *tile)
	// multiply adds up the products of a block, scale adds them to t.c.
	multiply(t *tile)
	scale(t *tile)
}

// tile is the code for one row count. Pointers move on with the blocks.
type tile struct {
	rows   int
	x      [2]reg.Register // activations of rows 0 and 3
	xs     reg.Register    // bytes from row to row
	w      reg.Register
	head   reg.Register    // of a group of blocks
	c      [2]reg.Register // rows 0 and 3
	ldc    reg.Register
	sum    [][vecs]reg.VecVirtual // of this block, by row
	fresh  bool                   // the sums are nothing yet: the first products are they
	v      [vecs]reg.VecVirtual   // weights, then scales
	a, tmp reg.VecVirtual
	kept   map[Mem]Op         // constants in registers
	raw    [vecs]reg.Register // bytes of weights, to decode twice
	high   [vecs]reg.Register // bits of a block above its nibbles
	to     reg.Register       // where spread weights go, if that is what is made
	f      form
}

// product generates the kernel of one form, for least to mostRows rows.
func product(f form, least int) {
	TEXT(f.name(), NOSPLIT, "func(rows, panels, blocks int, x *byte, xs int, w *byte, ws int, c *float32, ldc int, add bool)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s sets or adds to c [rows, 16*panels] the product of rows <= %d of activations and panels of weights,", f.name(), mostRows),
		fmt.Sprintf("%d*blocks deep. Bytes: xs from row to row of x, ws from panel to panel of w, ldc from row to row of c.", 32*f.groups()))
	t := tile{f: f, xs: Load(Param("xs"), GP64()), ldc: Load(Param("ldc"), GP64()), w: GP64(), head: GP64()}
	for i := range t.x {
		t.x[i], t.c[i] = GP64(), GP64()
	}
	Load(Param("c"), t.c[0])
	LEAQ(Mem{Base: t.c[0], Index: t.ldc, Scale: 2}, t.c[1])
	ADDQ(t.ldc, t.c[1])
	rows := Load(Param("rows"), GP64())
	for r := mostRows; r > least; r-- {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := least; r <= mostRows; r++ {
		t.rows = r
		t.panels()
	}
}

// spreading generates the conversion of a panel to what its product with many
// rows begins with, so that no row decodes it again.
func spreading(f spreadable) {
	TEXT(f.name()+"Spread", NOSPLIT, "func(dst, w *byte, blocks int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%sSpread lays out a panel, %d*blocks deep, for %s.", f.name(), 32*f.groups(), f.spread().name()))
	t := tile{f: f, to: Load(Param("dst"), GP64()), w: Load(Param("w"), GP64()), head: GP64()}
	blocks := Load(Param("blocks"), GP64())
	t.keep()
	t.superblocks(blocks)
	VZEROUPPER()
	RET()
}

func argument(name string) Mem {
	at, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return at.Addr
}

func (t *tile) label(s string) string { return fmt.Sprintf("%s%d", s, t.rows) }

// at is the address of row i's part of what the pointers p and stride walk.
func at(p [2]reg.Register, stride reg.Register, i, disp int) Mem {
	m := Mem{Base: p[i/3], Disp: disp}
	if i%3 > 0 {
		m.Index, m.Scale = stride, uint8(i%3)
	}
	return m
}

// X is at disp in the activations of row i, C vector v of its results.
func (t *tile) X(i, disp int) Mem { return at(t.x, t.xs, i, disp) }
func (t *tile) C(i, v int) Mem    { return at(t.c, t.ldc, i, 32*v) }

// both moves a pair of pointers, of which few rows use one.
func (t *tile) both(p [2]reg.Register, by int) {
	ADDQ(Imm(uint64(by)), p[0])
	if t.rows > 3 {
		ADDQ(Imm(uint64(by)), p[1])
	}
}

// keep gives the registers that few rows leave to what else would be read from
// memory for every vector of weights: constants first, then bytes of weights.
func (t *tile) keep() {
	left := 16 - vecs*t.rows - vecs - 2
	t.kept = map[Mem]Op{}
	constant := func(m Mem) {
		if left > 0 {
			r := YMM()
			VMOVDQU(m, r)
			t.kept[m] = r
			left--
		}
	}
	for _, m := range t.f.masks() {
		constant(m)
	}
	t.raw, t.high = [vecs]reg.Register{}, [vecs]reg.Register{}
	for i, to := range []*[vecs]reg.Register{&t.raw, &t.high} {
		if i < t.f.held()/vecs && left >= vecs {
			*to = [vecs]reg.Register{YMM(), YMM()}
			left -= vecs
		}
	}
	if _, short := t.f.(q8); !short && t.to == nil { // sums become integers of 32 bits
		constant(ones())
	}
}

// constant is m, or the register that keeps it.
func (t *tile) constant(m Mem) Op {
	if r, ok := t.kept[m]; ok {
		return r
	}
	return m
}

// panels emits the loops over panels and blocks.
func (t *tile) panels() {
	blocks := GP64()
	Label(t.label("rows"))
	t.keep()
	Label(t.label("panel"))
	Load(Param("x"), t.x[0])
	if t.rows > 3 {
		LEAQ(Mem{Base: t.x[0], Index: t.xs, Scale: 2}, t.x[1])
		ADDQ(t.xs, t.x[1])
	}
	Load(Param("w"), t.w)
	Load(Param("blocks"), blocks)
	more := GP8()
	Load(Param("add"), more)
	TESTB(more, more)
	JNZ(LabelRef(t.label("sums")))
	z := YMM()
	zero(z)
	for i := range t.rows {
		for v := range vecs {
			VMOVUPS(z, t.C(i, v))
		}
	}
	Label(t.label("sums"))
	t.superblocks(blocks)
	t.both(t.c, 32*vecs)
	ws := Load(Param("ws"), GP64())
	ADDQ(ws, argument("w"))
	DECQ(argument("panels"))
	JNZ(LabelRef(t.label("panel")))
	VZEROUPPER()
	RET()
}

// superblocks emits the loop over blocks and the groups that share a head.
func (t *tile) superblocks(blocks reg.Register) {
	f := t.f
	Label(t.label("block"))
	if f.groups() > 1 {
		MOVQ(t.w, t.head)
		ADDQ(Imm(uint64(f.head())), t.w)
		groups := GP64()
		MOVQ(U32(uint32(f.groups())), groups)
		Label(t.label("group"))
		t.block()
		DECQ(groups)
		JNZ(LabelRef(t.label("group")))
	} else {
		t.block()
	}
	DECQ(blocks)
	JNZ(LabelRef(t.label("block")))
}

// block emits the work on 32 k.
func (t *tile) block() {
	t.sum = make([][vecs]reg.VecVirtual, t.rows)
	for i := range t.sum {
		t.sum[i] = [vecs]reg.VecVirtual{YMM(), YMM()}
	}
	t.v, t.a, t.tmp = [vecs]reg.VecVirtual{YMM(), YMM()}, YMM(), YMM()
	t.fresh = false
	t.f.start(t)
	t.f.multiply(t)
	t.f.scale(t)
	ADDQ(U32(uint32(t.f.bytes())), t.w)
	if t.to != nil {
		ADDQ(U32(uint32(t.f.(spreadable).spread().bytes())), t.to)
		return
	}
	t.both(t.x, t.f.record())
}

// keepSpread stores v at disp of the spread weights, if those are made.
func (t *tile) keepSpread(disp int) {
	for v := 0; v < vecs && t.to != nil; v++ {
		VMOVDQU(t.v[v], Mem{Base: t.to, Disp: disp + 32*v})
	}
}

// step emits sum += v*a for all rows, a the four bytes at disp.
func (t *tile) step(disp int, multiply, add func(a, b Op, to reg.VecVirtual)) {
	t.keepSpread(32 * vecs / 4 * disp)
	for i := range t.rows {
		VPBROADCASTD(t.X(i, disp), t.a)
		for v := range vecs {
			to := t.tmp
			switch {
			case t.fresh:
				to = t.sum[i][v]
			case v == vecs-1:
				to = t.a
			}
			multiply(t.a, t.v[v], to)
			if !t.fresh {
				add(to, t.sum[i][v], t.sum[i][v])
			}
		}
	}
	t.fresh = false
}

// scaled emits c + sum * v * the activations' scale, into the sums, which
// prepare makes 32-bit integers first. In spread weights v is at keep.
func (t *tile) scaled(keep int, prepare func(t *tile, sum reg.VecVirtual)) {
	t.keepSpread(keep)
	for i := range t.rows {
		VBROADCASTSS(t.X(i, t.f.scaleAt()), t.a)
		for v, s := range t.sum[i] {
			prepare(t, s)
			VCVTDQ2PS(s, s)
			VMULPS(t.weight(v, keep), t.a, t.tmp)
			VFMADD213PS(t.C(i, v), t.tmp, s)
		}
	}
}

// weight is v, or where it is kept in the spread weights that are read.
func (t *tile) weight(v, keep int) Op {
	if _, ok := t.f.(spread); ok {
		return Mem{Base: t.w, Disp: keep + 32*v}
	}
	return t.v[v]
}

func (t *tile) store() {
	for i := range t.rows {
		for v, s := range t.sum[i] {
			VMOVUPS(s, t.C(i, v))
		}
	}
}

func maddwd(a, b Op, to reg.VecVirtual)   { VPMADDWD(a, b, to) }
func maddubsw(a, b Op, to reg.VecVirtual) { VPMADDUBSW(a, b, to) } // b is the unsigned one
func addd(a, b Op, to reg.VecVirtual)     { VPADDD(a, b, to) }
func addw(a, b Op, to reg.VecVirtual)     { VPADDW(a, b, to) }

// zero clears a vector register without reading it, so that it is not live
// before.
func zero(z reg.Register) {
	Instruction(&ir.Instruction{Opcode: "VPXOR", Operands: []Op{z, z, z}, Outputs: []Op{z}})
}
