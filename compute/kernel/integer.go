package kernel

import (
	"fmt"
	"runtime"
	"sync"

	"weft/compute/par"
)

// IntFormat is a block format of GGUF whose weights take part in products as
// the integers that they are stored as. The number is the type id in files.
type IntFormat uint8

// The formats; package quant says what their blocks hold.
const (
	IntQ4_0 IntFormat = 2
	IntQ4_1 IntFormat = 3
	IntQ5_0 IntFormat = 6
	IntQ5_1 IntFormat = 7
	IntQ8_0 IntFormat = 8
	IntQ4_K IntFormat = 12
	IntQ5_K IntFormat = 13
	IntQ6_K IntFormat = 14
)

// Valid reports whether f is one of the constants.
func (f IntFormat) Valid() bool { return int(f) < len(intForms) && intForms[f].name != "" }

func (f IntFormat) form() *intForm {
	if !f.Valid() {
		panic(fmt.Sprintf("kernel: products with integer weights know no format of type id %d", uint8(f)))
	}
	return &intForms[f]
}

// GemmInt computes c = a*b for a [m, k], not transposed, b [k, n] of integers
// and c [m, n] with row stride ldc. The rows of a are rounded, 32 values at a
// time, to integers with a float32 scale: of 16 bits beside weights of 8, of 8
// bits beside smaller ones.
//
// The products of a block add up exactly, as integers. Block after block, in
// ascending k, each element of c is one chain of
//
//	c = fma(sum, (scale of the weights)*(scale of the activations), c)
//	c = fma(minimum of the weights, sum of the activations, c)   where there is one
//
// so its bits depend on its row of a and its column of b alone: not on m, n,
// threads or blocking, nor, unlike those of Gemm, on the tier. A block of a
// that holds NaN or an infinity makes its row of c NaN. Nothing is allocated
// once the scratch memory has its size.
func GemmInt(p *par.Pool, c []float32, ldc int, a Matrix, b *PackedInt, m int) {
	GemmInts(p, a, m, IntProduct{c, ldc, b})
}

// IntProduct is one of several products of one left side.
type IntProduct struct {
	C   []float32
	LDC int
	B   *PackedInt
}

// Alike says whether products with b and o round their left side alike.
func (b *PackedInt) Alike(o *PackedInt) bool { return b.K == o.K && b.form.wide == o.form.wide }

// GemmInts is GemmInt for several right sides, all Alike: a is rounded once.
func GemmInts(p *par.Pool, a Matrix, m int, products ...IntProduct) {
	if a.T {
		panic("kernel: a transposed left side beside integer weights: its rows are rounded where they lie")
	}
	n := 0 // columns of all, where there is something to multiply
	for _, x := range products {
		Matrix{Data: x.C, Stride: x.LDC}.check("c", m, x.B.N)
		a.check("a", m, x.B.K)
		if !x.B.Alike(products[0].B) {
			panic("kernel: products of one left side whose right sides round it differently")
		}
		if !empty(x.C, x.LDC, m, x.B.N, x.B.K) {
			n += x.B.N
		}
	}
	if n == 0 {
		return
	}
	g := intPool.Get().(*intGemm)
	g.run(p, a, m, products)
	intPool.Put(g)
	for _, x := range products {
		runtime.KeepAlive(x.B)
	}
}

// A product with integer weights walks panels of intCols columns, and in them
// slivers of at most intRows rows, whose integer sums of one block stay in
// registers. Sums over blocks rest in c, which a tile reads and writes once per
// block; so k can be cut anywhere between blocks.
const (
	intBlock = 32 // values of a row that share a scale
	intCols  = 16
	intRows  = 6

	intDeep   = 512       // k of a step where rows are many: a step of a panel stays in L1
	intGroup  = 240       // rows of a block, so that a step of theirs stays in L2
	intWork   = 4096      // least panels * k * (rows+1) of a block: about 0.7 us
	intMany   = 16        // rows from which panels are spread
	intSpread = 8         // panels that are spread at a time: they stay in L2
	intCall   = 128 << 10 // bytes of weights of a block: a call ends within microseconds
)

// intArgs are the operands of a call of the kernel: at most intRows rows and
// whole panels, deep blocks of the format. Strides of x and w are in bytes. A
// panel that is spread has its weights as the multiplication takes them and no
// groups: deep is in blocks of intBlock then.
type intArgs struct {
	spread             bool
	rows, panels, deep int
	x                  *byte // rounded activations
	xs                 int   // from row to row
	w                  *byte
	ws                 int // from panel to panel
	c                  []float32
	ldc                int
	add                bool
}

// intGemm is a product in progress. As gemm it is reused, so that a product
// allocates nothing.
type intGemm struct {
	tier tier
	a    Matrix
	b    *PackedInt
	c    []float32
	ldc  int

	x          []byte // rounded activations of the rows of this round
	xs         int
	m          int // rows of this round
	each       int // rows that are rounded in a chunk
	slivers    int
	rows, cols int // slivers and panels of a block
	across     int // blocks side by side
	deep       int // blocks of the format in a call

	round, multiply, spread func(chunk int)
}

var intPool = sync.Pool{New: func() any { return newIntGemm(level()) }}
