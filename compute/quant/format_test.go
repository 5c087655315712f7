package quant_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"weft/compute/quant"
)

func TestFormatsByNameAndID(t *testing.T) {
	for _, f := range quant.Formats() {
		for _, name := range []string{f.Name(), strings.ToLower(f.Name())} {
			if got, err := quant.Parse(name); got != f || err != nil {
				t.Errorf("Parse(%q) is %v, %v", name, got, err)
			}
		}
		if got, err := quant.FromID(uint32(f)); got != f || err != nil {
			t.Errorf("FromID(%d) is %v, %v", f, got, err)
		}
		if want := float64(8*f.BlockBytes()) / float64(f.BlockLen()); f.Bits() != want || !f.Valid() || f.String() != f.Name() {
			t.Errorf("%v: %g bits, valid %v", f, f.Bits(), f.Valid())
		}
	}
	for id, want := range map[uint32]string{17: "IQ2_XS", 9: "Q8_1", 4: "Q4_2", 38: "type id 38", 99: "type id 99", 1 << 31: "type id 2147483648"} {
		if _, err := quant.FromID(id); !errors.Is(err, quant.ErrFormat) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Q4_K") {
			t.Errorf("FromID(%d): error is %v, want one with %q and what is known", id, err, want)
		}
	}
	if _, err := quant.Parse("Q4_K_M"); !errors.Is(err, quant.ErrFormat) {
		t.Errorf("Q4_K_M is a mixture; the error is %v", err)
	}
	if f := quant.Format(5); f.Valid() || f.String() != "format(5)" {
		t.Errorf("format 5 is %v, valid %v", f, f.Valid())
	}
}

func TestRowBytes(t *testing.T) {
	if n, err := quant.Q4_K.RowBytes(2048); n != 1152 || err != nil {
		t.Errorf("2048 values of Q4_K: %d bytes, %v; want 1152", n, err)
	}
	for f, n := range map[quant.Format]int{quant.Q4_K: 896, quant.Q8_0: 33, quant.F32: -1, quant.Q6_K: -256, quant.F16: math.MaxInt} {
		if _, err := f.RowBytes(n); !errors.Is(err, quant.ErrShape) || !strings.Contains(err.Error(), f.Name()) {
			t.Errorf("%d values of %v: error is %v", n, f, err)
		}
	}
}

// panics reports what a function panics with.
func panics(f func()) (what any) {
	defer func() { what = recover() }()
	f()
	return nil
}

func TestWrongSizesPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"too few bytes":       func() { quant.Q4_K.Decode(make([]float32, 256), make([]byte, 143)) },
		"too many bytes":      func() { quant.Q4_K.Decode(make([]float32, 256), make([]byte, 288)) },
		"half a block":        func() { quant.Q8_0.Decode(make([]float32, 16), make([]byte, 34)) },
		"no format":           func() { quant.Format(5).Decode(nil, nil) },
		"encoded bytes":       func() { _ = quant.Q8_0.Encode(make([]byte, 33), make([]float32, 32), nil) },
		"importance of a row": func() { _ = quant.Q8_0.Encode(make([]byte, 68), make([]float32, 64), make([]float32, 48)) },
		"no importance":       func() { _ = quant.Q8_0.Encode(make([]byte, 34), make([]float32, 32), []float32{}) },
	} {
		if s, ok := panics(f).(string); !ok || !strings.HasPrefix(s, "quant: ") {
			t.Errorf("%s: panicked with %v", name, s)
		}
	}
	if err := quant.Q4_K.Encode(nil, nil, nil); err != nil {
		t.Errorf("no values: %v", err)
	}
}

func TestEncodeErrors(t *testing.T) {
	nan := float32(math.NaN())
	for _, f := range quant.Formats() {
		x := make([]float32, 1024)
		b := make([]byte, len(x)/f.BlockLen()*f.BlockBytes())
		fails := func(at int, v float32, weights []float32, want string) {
			t.Helper()
			old := x[at]
			x[at] = v
			err := f.Encode(b, x, weights)
			if x[at] = old; !errors.Is(err, quant.ErrRange) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), f.Name()) {
				t.Errorf("%v, value %d is %g: error is %v, want one with %q", f, at, v, err, want)
			}
		}
		fails(700, nan, nil, "value 700 is NaN")
		fails(1023, float32(math.Inf(-1)), nil, "value 1023 is -Inf")
		weights := make([]float32, 512)
		fails(700, nan, weights, "row 1: ")
		fails(700, nan, weights, "value 188 is NaN")
		if f != quant.F32 && f != quant.BF16 && f != quant.MXFP4 {
			fails(700, -3e9, nil, "reach 3e+09")
			fails(700, 1e38, nil, "reach 1e+38")
			fails(700, 3e8, nil, "reach 3e+08") // not past the first check, but the float16 has no room
		}
		for _, w := range []float32{nan, -1, float32(math.Inf(1))} {
			weights[7] = w
			fails(0, 0, weights, "importance of column 7")
		}
	}
	x := []float32{math.MaxFloat32}
	if err := quant.BF16.Encode(make([]byte, 2), x, nil); !errors.Is(err, quant.ErrRange) {
		t.Errorf("the largest float32 in BF16: error is %v, though it rounds to infinity", err)
	}
	if err := quant.F16.Encode(make([]byte, 2), []float32{65520}, nil); !errors.Is(err, quant.ErrRange) {
		t.Errorf("65520 in F16: error is %v, though it rounds to infinity", err)
	}
}

// At every magnitude a block is either refused or comes back finite, and near
// where its scale is an ordinary float16.
func TestEncodeAtEveryMagnitude(t *testing.T) {
	bell := values("bell")[:512]
	for _, f := range quant.Formats() {
		b, x, y := make([]byte, len(bell)/f.BlockLen()*f.BlockBytes()), make([]float32, len(bell)), make([]float32, len(bell))
		for exp := -148; exp <= 128; exp += 4 {
			for i, v := range bell {
				x[i] = float32(math.Ldexp(float64(v), exp))
			}
			for _, weights := range [][]float32{nil, importance()[:512]} {
				if err := f.Encode(b, x, weights); err != nil {
					if !errors.Is(err, quant.ErrRange) || exp < 12 {
						t.Fatalf("%v, 2^%d: %v", f, exp, err)
					}
					continue
				}
				f.Decode(y, b)
				for i, v := range y {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						t.Fatalf("%v, 2^%d: value %d, %g, became %g", f, exp, i, x[i], v)
					}
				}
				if e := relative(x, y); exp >= 0 && e > 0.4 {
					t.Errorf("%v, 2^%d, weighted %v: error %g", f, exp, weights != nil, e)
				}
			}
		}
	}
}

// Decoded values are points of the grid that they were rounded to. Formats
// that take the scale from the largest value find the same again; those that
// search find one not far from it.
func TestEncodingDecodedValues(t *testing.T) {
	for _, f := range quant.Formats() {
		var searches bool
		switch f {
		case quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_NL, quant.IQ4_XS:
			searches = true
		}
		for kind := range kinds {
			if kind == "tiny" && f != quant.F32 && f != quant.BF16 { // a scale that float16 rounds to zero
				continue
			}
			x := values(kind)
			b, y := make([]byte, len(x)/f.BlockLen()*f.BlockBytes()), make([]float32, len(x))
			again, z := bytes.Clone(b), make([]float32, len(x))
			if err := f.Encode(b, x, nil); err != nil {
				t.Fatal(err)
			}
			f.Decode(y, b)
			if err := f.Encode(again, y, nil); err != nil {
				t.Fatal(err)
			}
			f.Decode(z, again)
			if first, second := relative(x, y), relative(y, z); searches && !(second < 0.5*first) || !searches && !bytes.Equal(b, again) {
				t.Errorf("%v, %s: error %g, and %g when encoded again", f, kind, first, second)
			}
		}
	}
}

// Importance pays where it says: the weighted error is smaller than without.
func TestImportancePays(t *testing.T) {
	x, weights := values("bell"), importance()
	for _, f := range quant.Formats() {
		b, y := make([]byte, len(x)/f.BlockLen()*f.BlockBytes()), make([]float32, len(x))
		cost := func(w []float32) (sum float64) {
			if err := f.Encode(b, x, w); err != nil {
				t.Fatal(err)
			}
			f.Decode(y, b)
			for i, v := range x {
				e := float64(v) - float64(y[i])
				sum += float64(weights[i%len(weights)]) * e * e
			}
			return sum
		}
		plain, weighted := cost(nil), cost(weights)
		switch f {
		case quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.MXFP4: // no choice
			if weighted != plain {
				t.Errorf("%v: weighted error %g with importance, %g without", f, weighted, plain)
			}
		default:
			if !(weighted < 0.97*plain) {
				t.Errorf("%v: weighted error %g with importance, %g without", f, weighted, plain)
			}
		}
		if zero := cost(make([]float32, len(weights))); zero != plain {
			t.Errorf("%v: importance 0 everywhere is not as none: error %g, want %g", f, zero, plain)
		}
	}
}

// scalesAt is where in a block a format has its float16 numbers.
var scalesAt = map[quant.Format][]int{
	quant.F16: {0}, quant.Q4_0: {0}, quant.Q4_1: {0, 2}, quant.Q5_0: {0}, quant.Q5_1: {0, 2}, quant.Q8_0: {0},
	quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2}, quant.Q6_K: {208}, quant.IQ4_NL: {0}, quant.IQ4_XS: {0},
}

// Any bytes decode, and to finite values where the scales are finite.
func FuzzDecode(f *testing.F) {
	for _, format := range quant.Formats() {
		f.Add(uint8(format), randomBlocks(format, 2))
	}
	f.Fuzz(func(t *testing.T, id uint8, data []byte) {
		format, err := quant.FromID(uint32(id))
		if err != nil {
			return
		}
		n := len(data) / format.BlockBytes()
		y := make([]float32, n*format.BlockLen())
		format.Decode(y, data[:n*format.BlockBytes()])
		for i := range n {
			finite := true
			block := data[i*format.BlockBytes():]
			for _, at := range scalesAt[format] {
				finite = finite && binary.LittleEndian.Uint16(block[at:])&0x7c00 != 0x7c00
			}
			switch format {
			case quant.F32:
				finite = binary.LittleEndian.Uint32(block)&0x7f800000 != 0x7f800000
			case quant.BF16:
				finite = binary.LittleEndian.Uint16(block)&0x7f80 != 0x7f80
			case quant.MXFP4: // 12 times the power of two
				finite = block[0] < 253
			}
			for j, v := range y[i*format.BlockLen() : (i+1)*format.BlockLen()] {
				if finite && (math.IsNaN(float64(v)) || math.IsInf(float64(v), 0)) {
					t.Fatalf("%v: finite scales, but value %d of block %d is %g", format, j, i, v)
				}
			}
		}
	})
}

func Example() {
	f, err := quant.Parse("Q4_K")
	if err != nil {
		fmt.Println(err)
		return
	}
	row := make([]float32, 256)
	for i := range row {
		row[i] = float32(i-128) / 64
	}
	size, _ := f.RowBytes(len(row))
	blocks := make([]byte, size)
	if err := f.Encode(blocks, row, nil); err != nil {
		fmt.Println(err)
		return
	}
	back := make([]float32, len(row))
	f.Decode(back, blocks)
	fmt.Printf("%d bytes, %g bits a value: %g came back as %.3f\n", size, f.Bits(), row[200], back[200])
	// Output: 144 bytes, 4.5 bits a value: 1.125 came back as 1.082
}
