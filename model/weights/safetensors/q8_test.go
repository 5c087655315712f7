package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/weights/safetensors"
)

// A matrix in 8 bits comes back as quant decodes it, beside vectors that keep
// every bit; writing what was read gives the same file.
func TestQ8RoundTrip(t *testing.T) {
	const rows, cols = 7, 75 // the last block of a row is short
	rng := tensor.NewRNG(1)
	matrix, gain := make([]float32, rows*cols), make([]float32, 5)
	rng.FillNormal(matrix, 0.1)
	rng.FillNormal(gain, 1)
	write := func(m []float32) []byte {
		var b bytes.Buffer
		err := safetensors.Write(&b, []safetensors.Tensor{
			{Name: "m.weight", Shape: []int{rows, cols}, Data: m, DType: safetensors.Q8},
			{Name: "gain", Shape: []int{5}, Data: gain},
		}, map[string]string{"format": "pt"})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	data := write(matrix)
	f, err := safetensors.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Names(), []string{"gain", "m.weight"}; !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q: scales belong to their matrix", got, want)
	}
	if info, ok := f.Info("m.weight"); !ok || info.DType != safetensors.Q8 || !slices.Equal(info.Shape, []int{rows, cols}) {
		t.Errorf("info is %+v", info)
	}
	if _, ok := f.Info("m.weight.scales"); ok || f.Read("m.weight.scales", make([]float32, rows*3)) == nil {
		t.Error("scales are shown as a tensor of their own")
	}
	if q, d, err := f.ReadQ8("m.weight"); err != nil || len(q) != rows*cols || len(d) != rows*3 {
		t.Errorf("as stored: %d integers, %d scales, %v", len(q), len(d), err)
	}
	if _, _, err := f.ReadQ8("gain"); err == nil || !strings.Contains(err.Error(), "no tensor gain in 8 bits") {
		t.Errorf("a vector as 8 bits: %v", err)
	}
	got, gains := make([]float32, rows*cols), make([]float32, 5)
	if err := errors.Join(f.Read("m.weight", got), f.Read("gain", gains)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gains, gain) {
		t.Error("the vector changed")
	}
	for row := range rows {
		q, d, want := make([]int8, cols), make([]uint16, quant.Q8Scales(cols)), make([]float32, cols)
		if err := quant.Q8Encode(q, d, matrix[row*cols:(row+1)*cols]); err != nil {
			t.Fatal(err)
		}
		quant.Q8Decode(want, q, d)
		if !slices.Equal(got[row*cols:(row+1)*cols], want) {
			t.Fatalf("row %d is not what quant gives", row)
		}
	}
	if !bytes.Equal(write(got), data) {
		t.Error("writing what was read gives another file")
	}
	// To a reader that knows nothing of blocks it is still an ordinary file,
	// every tensor aligned to its type.
	plain, err := safetensors.Parse(bytes.Replace(data, []byte("weft.quantization"), []byte("else.quantization"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := plain.Names(), []string{"gain", "m.weight", "m.weight.scales"}; !slices.Equal(got, want) {
		t.Errorf("plain names are %q, want %q", got, want)
	}
	if !strings.Contains(string(data), `"gain":{"dtype":"F32","shape":[5],"data_offsets":[0,20]},"m.weight.scales":{"dtype":"F16","shape":[7,3],"data_offsets":[20,62]},"m.weight":{"dtype":"I8","shape":[7,75],"data_offsets":[62,587]}`) {
		t.Errorf("the header is %s", data[8:400])
	}
}

func TestQ8Hostile(t *testing.T) {
	const meta = `"__metadata__":{"weft.quantization":"q8_0/1"},`
	pair := func(dtype, shape, sdtype, sshape string, n, s int) string {
		return `"a":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":[` + strconv.Itoa(s) + `,` + strconv.Itoa(s+n) + `]},"a.scales":{"dtype":"` + sdtype + `","shape":` + sshape + `,"data_offsets":[0,` + strconv.Itoa(s) + `]}`
	}
	bad := func(bits uint16) []byte {
		data := file("{"+meta+pair("I8", "[1,33]", "F16", "[1,2]", 33, 4)+"}", 37)
		binary.LittleEndian.PutUint16(data[len(data)-37+2:], bits)
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"good":           {bad(0x3c00), ""},
		"scheme":         {file(`{"__metadata__":{"weft.quantization":"q3_k/9"}}`, 0), `weft.quantization is "q3_k/9", but only "q8_0/1"`},
		"no scales":      {file(`{`+meta+`"a":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]}}`, 2), `8-bit tensor "a" lacks its scales`},
		"vector":         {file("{"+meta+pair("I8", "[33]", "F16", "[1,2]", 33, 4)+"}", 37), "want [rows, cols]"},
		"scales' shape":  {file("{"+meta+pair("I8", "[1,33]", "F16", "[2,1]", 33, 4)+"}", 37), "of shape [2 1], want F16 of [1 2]"},
		"scales' dtype":  {file("{"+meta+pair("I8", "[1,33]", "BF16", "[1,2]", 33, 4)+"}", 37), "are BF16"},
		"NaN scale":      {bad(0x7e00), `scale 1 of tensor "a" is NaN`},
		"infinite scale": {bad(0x7c00), "+Inf"},
		"negative scale": {bad(0xbc00), "is -1"},
	} {
		_, err := safetensors.Parse(c.data)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != "" && (!errors.Is(err, safetensors.ErrFormat) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error is %v, want a format error with %q", name, err, c.want)
		}
	}
}

func TestQ8WriteErrors(t *testing.T) {
	for want, in := range map[string]safetensors.Tensor{
		"only matrices":            {Name: "v", Shape: []int{2}, Data: make([]float32, 2), DType: safetensors.Q8},
		"cannot write Q4_K":        {Name: "v", Shape: []int{1, 2}, Data: make([]float32, 2), DType: "Q4_K"},
		"tensor v.scales: row 1: ": {Name: "v", Shape: []int{2, 1}, Data: []float32{0, 1e30}, DType: safetensors.Q8},
		"value 0 of the row":       {Name: "v", Shape: []int{1, 1}, Data: []float32{float32(math.NaN())}, DType: safetensors.Q8},
	} {
		err := safetensors.Write(&bytes.Buffer{}, []safetensors.Tensor{in}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}
