package quant

import (
	"fmt"
	"math"
	"strings"
)

// Format is a way to keep float32 values in blocks of bytes. The number is the
// type id that GGUF files store (enum ggml_type), so that a Format can be
// written as it is; ids that are no constant here are no formats.
type Format uint8

// The formats. "d" and "m" are float16 unless said; "q" is an integer of the
// bits in the name, without sign.
const (
	F32    Format = 0  // float32
	F16    Format = 1  // float16
	Q4_0   Format = 2  // d(q-8), 32 values
	Q4_1   Format = 3  // dq+m, 32 values
	Q5_0   Format = 6  // d(q-16), 32 values
	Q5_1   Format = 7  // dq+m, 32 values
	Q8_0   Format = 8  // dq, q signed, 32 values
	Q2_K   Format = 10 // (d*a)q-(m*b), a and b of 4 bits per 16 values, 256 values
	Q3_K   Format = 11 // (d*a)(q-4), a of 6 bits per 16 values, 256 values
	Q4_K   Format = 12 // (d*a)q-(m*b), a and b of 6 bits per 32 values, 256 values
	Q5_K   Format = 13 // as Q4_K with a fifth bit
	Q6_K   Format = 14 // (d*a)(q-32), a of 8 bits per 16 values, 256 values
	IQ4_NL Format = 20 // d*table[q], 32 values; the table is finer near zero
	IQ4_XS Format = 23 // (d*a)table[q], a of 6 bits per 32 values, 256 values
	BF16   Format = 30 // the upper half of a float32
	MXFP4  Format = 39 // 2^e*f, f a float of 4 bits, e of 8 bits per 32 values
)

// layout is what a format is made of: how many values and bytes a block has,
// and the code for them.
type layout struct {
	name          string
	values, bytes int
	most          float32 // larger magnitudes are an error before encoding
	decode        func(dst []float32, src []byte)
	// encode writes one block, or any number of values where a block is one;
	// importance is nil or that of its values, spread the mean square of its row
	// where there is importance. False: a float16 came out infinite.
	encode func(b []byte, x, importance []float32, spread float32) bool
}

// maxScaled is beyond what any block with a float16 scale holds (Q6_K reaches
// 128*32 times 65504), and small enough for the sums of the searches to stay
// finite. maxBF16 is the last value that does not round to infinity.
const (
	maxScaled = 1 << 29
	maxBF16   = 0x1.fefffep127
)

// layouts is indexed by Format; what is no format has no name.
var layouts = [...]layout{
	F32:    {"F32", 1, 4, math.MaxFloat32, decodeF32, encodeF32},
	F16:    {"F16", 1, 2, maxScaled, decodeF16, encodeF16},
	Q4_0:   {"Q4_0", 32, 18, maxScaled, decodeQ4_0, encodeQ4_0},
	Q4_1:   {"Q4_1", 32, 20, maxScaled, decodeQ4_1, encodeQ4_1},
	Q5_0:   {"Q5_0", 32, 22, maxScaled, decodeQ5_0, encodeQ5_0},
	Q5_1:   {"Q5_1", 32, 24, maxScaled, decodeQ5_1, encodeQ5_1},
	Q8_0:   {"Q8_0", 32, 34, maxScaled, decodeQ8_0, encodeQ8_0},
	Q2_K:   {"Q2_K", 256, 84, maxScaled, decodeQ2_K, encodeQ2_K},
	Q3_K:   {"Q3_K", 256, 110, maxScaled, decodeQ3_K, encodeQ3_K},
	Q4_K:   {"Q4_K", 256, 144, maxScaled, decodeQ4_K, encodeQ4_K},
	Q5_K:   {"Q5_K", 256, 176, maxScaled, decodeQ5_K, encodeQ5_K},
	Q6_K:   {"Q6_K", 256, 210, maxScaled, decodeQ6_K, encodeQ6_K},
	IQ4_NL: {"IQ4_NL", 32, 18, maxScaled, decodeIQ4_NL, encodeIQ4_NL},
	IQ4_XS: {"IQ4_XS", 256, 136, maxScaled, decodeIQ4_XS, encodeIQ4_XS},
	BF16:   {"BF16", 1, 2, maxBF16, decodeBF16, encodeBF16},
	MXFP4:  {"MXFP4", 32, 17, math.MaxFloat32, decodeMXFP4, encodeMXFP4},
}

// others names the type ids of GGUF that are no formats here, so that an error
// can say what a file holds.
var others = map[uint32]string{
	4: "Q4_2, which GGUF has dropped", 5: "Q4_3, which GGUF has dropped", 9: "Q8_1", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 40: "NVFP4", 41: "Q1_0",
}

// Formats lists all formats in the order of their ids.
func Formats() []Format {
	var all []Format
	for f := range layouts {
		if layouts[f].name != "" {
			all = append(all, Format(f))
		}
	}
	return all
}

// FromID is the format with a GGUF type id. The error wraps ErrFormat and
// names the type where it is a known one.
func FromID(id uint32) (Format, error) {
	if id < uint32(len(layouts)) && layouts[id].name != "" {
		return Format(id), nil
	}
	if name, ok := others[id]; ok {
		return 0, fmt.Errorf("%w: type id %d is %s; known are %s", ErrFormat, id, name, names())
	}
	return 0, fmt.Errorf("%w: type id %d; known are %s", ErrFormat, id, names())
}

// Parse is the format with a name, in upper or lower case. The error wraps
// ErrFormat.
func Parse(name string) (Format, error) {
	for f, l := range layouts {
		if l.name != "" && strings.EqualFold(l.name, name) {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("%w: %q; known are %s", ErrFormat, name, names())
}

func names() string {
	var list []string
	for _, f := range Formats() {
		list = append(list, f.Name())
	}
	return strings.Join(list, " ")
}

func (f Format) layout() *layout {
	if int(f) >= len(layouts) || layouts[f].name == "" {
		panic(fmt.Sprintf("quant: %d is no block format", uint8(f)))
	}
	return &layouts[f]
}

// Valid reports whether f is one of the constants. All other methods but
// String panic where it is not.
func (f Format) Valid() bool { return int(f) < len(layouts) && layouts[f].name != "" }

// Name is the name that files and tools use: "Q4_K".
func (f Format) Name() string { return f.layout().name }

// String is Name, or a number for what is no format.
func (f Format) String() string {
	if !f.Valid() {
		return fmt.Sprintf("format(%d)", uint8(f))
	}
	return f.Name()
}

// BlockLen is how many values a block holds.
func (f Format) BlockLen() int { return f.layout().values }

// BlockBytes is how many bytes a block takes.
func (f Format) BlockBytes() int { return f.layout().bytes }

// Bits is the size of a value in bits, its share of the scales included.
func (f Format) Bits() float64 { return 8 * float64(f.BlockBytes()) / float64(f.BlockLen()) }

// RowBytes is how many bytes a row of n values takes. Rows start at a block's
// start, so n must be a multiple of BlockLen; the error wraps ErrShape.
func (f Format) RowBytes(n int) (int, error) {
	l := f.layout()
	if n < 0 || n%l.values != 0 {
		return 0, fmt.Errorf("%w: %d values in blocks of %d (%s)", ErrShape, n, l.values, l.name)
	}
	if n/l.values > int(^uint(0)>>1)/l.bytes {
		return 0, fmt.Errorf("%w: %d values of %s are more bytes than an int counts", ErrShape, n, l.name)
	}
	return n / l.values * l.bytes, nil
}

// Decode writes the values of whole blocks in src into dst, bit for bit those
// of ggml's dequantize_row functions: each product and sum is rounded to
// float32, none is fused. len(dst) must be a multiple of BlockLen and src hold
// exactly its bytes; anything else is a mistake in the caller and panics. A
// NaN comes out as some NaN.
func (f Format) Decode(dst []float32, src []byte) {
	f.sizes(len(dst), len(src))
	f.layout().decode(dst, src)
}

func (f Format) sizes(values, bytes int) {
	if want, err := f.RowBytes(values); err != nil || bytes != want {
		panic(fmt.Sprintf("quant: %d bytes of %s for %d values, want a block of %d for every %d", bytes, f, values, f.BlockBytes(), f.BlockLen()))
	}
}
