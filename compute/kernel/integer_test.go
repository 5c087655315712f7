package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
)

var intFormats = []IntFormat{IntQ8_0, IntQ4_0, IntQ4_1, IntQ5_0, IntQ5_1, IntQ4_K, IntQ5_K, IntQ6_K}

// randomInt returns a weight [n, k] packed, and its values as a matrix [k, n].
func randomInt(r *rand.Rand, f IntFormat, k, n int) (*PackedInt, Matrix) {
	file, w := randomFile(r, f, k, n)
	return mustPack(f, k, n, columnsOf(file, n)), w
}

// randomFile returns a weight [n, k] in blocks of a file, and its values. All
// bits are random but scales, which are small; some are zero, some negative.
func randomFile(r *rand.Rand, f IntFormat, k, n int) ([]byte, Matrix) {
	form := f.form()
	file := make([]byte, k/form.values*form.bytes*n)
	for i := range file {
		file[i] = byte(r.Uint32())
	}
	for b := 0; b < len(file); b += form.bytes {
		for _, at := range form.halves {
			binary.LittleEndian.PutUint16(file[b+at:], quant.ToHalf(float32(r.IntN(200)-40)/(1<<12)))
		}
	}
	w := Matrix{Data: make([]float32, k*n), Stride: k, T: true}
	quant.Format(f).Decode(w.Data, file)
	return file, w
}

func mustPack(f IntFormat, k, n int, column func(j int) []byte) *PackedInt {
	w, err := PackInt(nil, f, k, n, column)
	if err != nil {
		panic(err)
	}
	return w
}

// columnsOf cuts a file into n columns.
func columnsOf(file []byte, n int) func(j int) []byte {
	return func(j int) []byte { return file[len(file)/n*j : len(file)/n*(j+1)] }
}

// intWith is GemmInt on a given tier.
func intWith(t tier, p *par.Pool, c []float32, ldc int, a Matrix, b *PackedInt, m int) {
	newIntGemm(t).run(p, a, m, []IntProduct{{c, ldc, b}})
}

// plainInt is the contract by its formulas: row i of c, from one row of a.
func plainInt(c []float32, a []float32, b *PackedInt) {
	records := make([]byte, ceilDiv(b.K, intBlock)*b.form.record())
	roundRow(generic, b.form.wide, records, a)
	x := intArgs{rows: 1, panels: 1, deep: b.blocks(), x: &records[0], xs: len(records), ws: b.stride(), ldc: intCols}
	for p := range ceilDiv(b.N, intCols) {
		var buf [intCols]float32
		x.w, x.c = &b.data[p*b.stride()], buf[:]
		intTileGeneric(b.form, &x)
		copy(c[p*intCols:], buf[:])
	}
}

// checkInt compares products with that of single rows in plain Go, bit for bit.
func checkInt(t *testing.T, a Matrix, b *PackedInt, m int, pools ...*par.Pool) {
	t.Helper()
	want := make([]float32, m*b.N)
	for i := range m {
		plainInt(want[i*b.N:(i+1)*b.N], a.Data[i*a.Stride:][:b.K], b)
	}
	for _, tr := range tiers() {
		for _, p := range pools {
			ldc := b.N + 3
			c := make([]float32, m*ldc)
			for i := range c {
				c[i] = 7
			}
			intWith(tr, p, c, ldc, a, b, m)
			for i, x := range c {
				y := float32(7)
				if i%ldc < b.N {
					y = want[i/ldc*b.N+i%ldc]
				}
				if !equalBits(x, y) {
					t.Fatalf("%s, %v [%d, %d, %d] on %d threads: c[%d, %d] = %v, want %v", b.form.name, tr, m, b.N, b.K, p.Size(), i/ldc, i%ldc, x, y)
				}
			}
		}
	}
}

// A row's results have the same bits for any number of rows, threads, columns
// and every tier.
func TestIntIsItsRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	pool := par.New(2)
	defer pool.Close()
	for _, f := range intFormats {
		for m := 1; m <= 20; m++ {
			k := 256 * (1 + r.IntN(3))
			if f.form().values == intBlock {
				k = 32 * (1 + r.IntN(30))
			}
			b, _ := randomInt(r, f, k, 1+r.IntN(100))
			checkInt(t, random(r, m, k, false), b, m, nil, pool)
		}
		b, _ := randomInt(r, f, 1792, 50) // several steps of k, two groups of rows
		checkInt(t, random(r, 300, 1792, false), b, 300, pool)
	}
}

// Scales and integers that lie apart, k that ends within a block.
func TestPackInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 4))
	pool := par.New(2)
	defer pool.Close()
	for _, s := range [][3]int{{1, 32, 16}, {1, 1, 1}, {3, 33, 31}, {17, 40, 1100}, {25, 33, 600}, {100, 300, 70}} {
		m, n, k := s[0], s[1], s[2]
		q, d := make([]int8, k*n), make([]float32, ceilDiv(k, 32)*n)
		for i := range q {
			q[i] = int8(r.IntN(256) - 128)
		}
		for i := range d {
			d[i] = float32(r.IntN(2048)) / (1 << 18)
		}
		b := PackInt8(q, d, k, n)
		checkInt(t, random(r, m, k, false), b, m, pool)
		column := make([]float32, k)
		for j := range n {
			b.Column(column, j)
			for l, x := range column {
				if want := float32(q[j*k+l]) * d[j*ceilDiv(k, 32)+l/32]; x != want {
					t.Fatalf("column %d, value %d is %v, want %v", j, l, x, want)
				}
			}
		}
	}
}

// Columns are the values that package quant decodes, their blocks come back as
// they were, and memory is what the file takes.
func TestPackedIntColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range intFormats {
		const n, k = 37, 512
		file, w := randomFile(r, f, k, n)
		b := mustPack(f, k, n, columnsOf(file, n))
		column, blocks := make([]float32, k), make([]byte, k/b.form.values*b.form.bytes)
		for j := range n {
			b.Column(column, j)
			for l, x := range column {
				if !equalBits(x, w.at(l, j)) {
					t.Fatalf("%s: column %d, value %d is %v, want %v", b.form.name, j, l, x, w.at(l, j))
				}
			}
			b.Blocks(blocks, j)
			if want := columnsOf(file, n)(j); !bytes.Equal(blocks, want) {
				t.Fatalf("%s: column %d comes back as %x, want %x", b.form.name, j, blocks, want)
			}
		}
		size := roundUp(n, intCols) * len(blocks)
		if got := b.Bytes(); got < size || got > size*103/100 {
			t.Errorf("%s: %d bytes, in a file %d", b.form.name, got, size)
		}
	}
}

// errorOf is the root mean square distance of c [m, n] to a*w in float64, and
// that of the plain low-precision path, float32 sums of the weights' values
// times activations in 8 bits per block as ggml has them.
func errorOf(c []float32, a, w Matrix, m, n, k int) (got, plain float64) {
	x := make([]float32, k)
	for i := range m {
		q, d := make([]int8, k), make([]uint16, quant.Q8Scales(k))
		if err := quant.Q8Encode(q, d, a.Data[i*a.Stride:][:k]); err != nil {
			panic(err)
		}
		quant.Q8Decode(x, q, d)
		for j := range n {
			var want float64
			var low float32
			for l := range k {
				want += float64(a.at(i, l)) * float64(w.at(l, j))
				low += float32(x[l] * w.at(l, j))
			}
			got += math.Pow(float64(c[i*n+j])-want, 2)
			plain += math.Pow(float64(low)-want, 2)
		}
	}
	return math.Sqrt(got / float64(m*n)), math.Sqrt(plain / float64(m*n))
}

// The error is at most twice that of the plain path with 8-bit activations; with
// 8-bit weights, whose activations have 16, a hundredth of it.
func TestIntError(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, f := range intFormats {
		const m, n, k = 5, 40, 1024
		b, w := randomInt(r, f, k, n)
		a := random(r, m, k, false)
		for i := range a.Data {
			if r.IntN(200) == 0 {
				a.Data[i] *= 50 // outliers, as activations have them
			}
		}
		c := make([]float32, m*n)
		GemmInt(nil, c, n, a, b, m)
		got, plain := errorOf(c, a, w, m, n, k)
		bound := 2 * plain
		if f == IntQ8_0 {
			bound = plain / 100
		}
		t.Logf("%s: error %.3g, plain 8-bit activations %.3g", b.form.name, got, plain)
		if got > bound {
			t.Errorf("%s: error %g, plain %g", b.form.name, got, plain)
		}
	}
}

// Activations of every size: zeros and what is too small count as zero, large
// ones do not overflow, NaN and infinity make their row NaN and no other.
func TestIntOddActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 4))
	for _, f := range intFormats {
		const m, n, k = 8, 20, 512
		b, _ := randomInt(r, f, k, n)
		a := random(r, m, k, false)
		row := func(i int) []float32 { return a.Data[i*a.Stride:][:k] }
		clear(row(0))
		for l := range k {
			row(1)[l] *= 1e30
			row(2)[l] *= 1e-43
			row(3)[l] = float32(math.Copysign(0, -1))
		}
		row(4)[33] = float32(math.NaN())
		row(5)[500] = float32(math.Inf(-1))
		row(6)[7] = math.MaxFloat32
		checkInt(t, a, b, m, nil)
		c := make([]float32, m*n)
		GemmInt(nil, c, n, a, b, m)
		for i := range m {
			for _, x := range c[i*n : (i+1)*n] {
				if bad := i == 4 || i == 5; math.IsNaN(float64(x)) != bad || (i == 0 || i == 2 || i == 3) && x != 0 {
					t.Fatalf("%s: row %d holds %v", b.form.name, i, x)
				}
			}
		}
	}
}

// fma is rounded once, whatever the sizes, and where all but the product's last bits cancel.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 4))
	for range 200000 {
		a, b := float32(r.NormFloat64()), float32(r.NormFloat64())
		c := float32(r.NormFloat64()) * float32(math.Ldexp(1, r.IntN(60)-40))
		if r.IntN(4) == 0 {
			c = -a * b
		}
		exact := new(big.Float).SetPrec(300).SetFloat64(float64(a) * float64(b))
		want, _ := exact.Add(exact, big.NewFloat(float64(c))).Float32()
		if got := fma(a, b, c); got != want {
			t.Fatalf("%b*%b+%b = %b, want %b", a, b, c, got, want)
		}
	}
}

func TestIntChecksSizes(t *testing.T) {
	w := mustPack(IntQ8_0, 32, 2, columnsOf(make([]byte, 34*2), 2))
	for want, f := range map[string]func(){
		"kernel: 66 integers and 3 scales for a matrix [33, 2], want 66 and 4":                       func() { PackInt8(make([]int8, 66), make([]float32, 3), 33, 2) },
		"kernel: column 2 into 32 values of a matrix [32, 2]":                                        func() { w.Column(make([]float32, 32), 2) },
		"kernel: 17 bytes of Q4_0 for column 0 of a matrix [32, 1], want 18":                         func() { mustPack(IntQ4_0, 32, 1, columnsOf(make([]byte, 17), 1)) },
		"kernel: a matrix [128, 1] of Q4_K, whose columns are blocks of 256":                         func() { mustPack(IntQ4_K, 128, 1, nil) },
		"kernel: column 0 into 33 bytes of a matrix [32, 2] of Q8_0":                                 func() { w.Blocks(make([]byte, 33), 0) },
		"kernel: products with integer weights know no format of type id 1":                          func() { mustPack(1, 32, 1, nil) },
		"kernel: a scale of 0.1 is no float16":                                                       func() { PackInt8([]int8{1}, []float32{0.1}, 1, 1) },
		"kernel: a transposed left side beside integer weights: its rows are rounded where they lie": func() { GemmInt(nil, make([]float32, 2), 2, Matrix{make([]float32, 32), 1, true}, w, 1) },
		"kernel: products of one left side whose right sides round it differently": func() {
			four := mustPack(IntQ4_0, 32, 2, columnsOf(make([]byte, 18*2), 2))
			c := make([]float32, 2)
			GemmInts(nil, Matrix{Data: make([]float32, 32), Stride: 32}, 1, IntProduct{c, 2, w}, IntProduct{c, 2, four})
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != want {
					t.Errorf("panic is %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
	if _, err := PackInt(nil, IntQ4_K, 256, 1, func(int) []byte { return append([]byte{0, 0, 0, 0xfc}, make([]byte, 140)...) }); err == nil || err.Error() != "kernel: column 0 of a matrix [256, 1]: a scale of Q4_K is -Inf, want a finite number" {
		t.Errorf("an infinite scale: error is %v", err)
	}
	c := []float32{1, 2}
	GemmInt(nil, c, 2, Matrix{}, PackInt8(nil, nil, 0, 2), 1)
	if c[0] != 0 || c[1] != 0 {
		t.Errorf("an empty product left c at %v, want zeros", c)
	}
}

func TestIntDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 4))
	b, _ := randomInt(r, IntQ5_0, 128, 100)
	a, c := random(r, 64, 128, false), make([]float32, 64*100)
	p := par.New(2)
	defer p.Close()
	got := testing.AllocsPerRun(200, func() {
		GemmInt(p, c, 100, a, b, 64)
		GemmInt(p, c, 100, a, b, 1)
	})
	if got >= 1 && !raceEnabled {
		t.Errorf("%v allocations per two products, want 0", got)
	}
}

func TestExactHalf(t *testing.T) {
	for h := range 1 << 16 {
		if h&0x7c00 == 0x7c00 { // infinite or NaN
			continue
		}
		var b [2]byte
		binary.LittleEndian.PutUint16(b[:], uint16(h))
		if f := half(b[:]); exactHalf(f) != uint16(h) || f != quant.FromHalf(uint16(h)) {
			t.Fatalf("%#x is %v and back %#x", h, f, exactHalf(f))
		}
	}
}

func FuzzInt(f *testing.F) {
	f.Add(uint64(1), uint8(0), uint8(12), uint8(32), uint8(64))
	f.Add(uint64(2), uint8(1), uint8(1), uint8(65), uint8(3))
	f.Add(uint64(3), uint8(2), uint8(7), uint8(5), uint8(1))
	p := par.New(3)
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, seed uint64, format, mm, nn, kk uint8) {
		r := rand.New(rand.NewPCG(seed, 4))
		form := intFormats[int(format)%len(intFormats)]
		m, n, k := 1+int(mm%30), 1+int(nn%70), form.form().values*(1+int(kk)%(1024/form.form().values))
		b, _ := randomInt(r, form, k, n)
		a := random(r, m, k, false)
		for i := range a.Data {
			if r.IntN(50) == 0 {
				a.Data[i] *= float32(math.Ldexp(1, r.IntN(250)-120))
			}
		}
		checkInt(t, a, b, m, p)
	})
}
