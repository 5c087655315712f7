package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/internal/mapfile"
	"weft/model/weights/safetensors"
)

// file joins a header and data as the format wants them.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestRoundTrip(t *testing.T) {
	big := make([]float32, 1<<17+3) // more than one write
	for i := range big {
		big[i] = float32(i) * 0.5
	}
	in := []safetensors.Tensor{
		{Name: "b", Shape: []int{2, 3}, Data: []float32{1, -2, 3.5, float32(math.Inf(1)), 0, 1e-40}},
		{Name: "a \"quoted\" <name>", Shape: []int{len(big)}, Data: big},
		{Name: "scalar", Shape: nil, Data: []float32{7}},
		{Name: "empty", Shape: []int{0, 4}, Data: nil},
	}
	meta := map[string]string{"format": "pt", "step": "12"}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	var buf bytes.Buffer
	if err := safetensors.Write(&buf, in, meta); err != nil {
		t.Fatal(err)
	}
	if head := binary.LittleEndian.Uint64(buf.Bytes()); (head+8)%64 != 0 {
		t.Errorf("the data starts at byte %d, want a multiple of 64", head+8)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata["step"] != "12" || len(f.Metadata) != 2 {
		t.Errorf("metadata is %v, want %v", f.Metadata, meta)
	}
	if len(f.Names()) != len(in) {
		t.Errorf("names are %q, want %d of them", f.Names(), len(in))
	}
	for _, want := range in {
		info, ok := f.Info(want.Name)
		if !ok || info.DType != "F32" || !slices.Equal(info.Shape, want.Shape) {
			t.Errorf("%s: got %v, %v, want shape %v", want.Name, info, ok, want.Shape)
		}
		got := make([]float32, len(want.Data))
		if err := f.Read(want.Name, got); err != nil {
			t.Error(err)
		}
		if !slices.Equal(got, want.Data) {
			t.Errorf("%s: values changed", want.Name)
		}
	}
}

func TestHalfPrecision(t *testing.T) {
	data := file(`{"h":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]}}`, 0)
	for _, bits := range []uint16{0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0x03ff, 0x3f80, 0xc2f7} {
		data = binary.LittleEndian.AppendUint16(data, bits)
	}
	f, err := safetensors.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	half, bf := make([]float32, 7), make([]float32, 2)
	if err := errors.Join(f.Read("h", half), f.Read("b", bf)); err != nil {
		t.Fatal(err)
	}
	want := []float32{1, -2, 65504, 1.0 / (1 << 24), float32(math.Copysign(0, -1)), float32(math.Inf(1)), 1023.0 / (1 << 24)}
	for i, v := range want {
		if math.Float32bits(half[i]) != math.Float32bits(v) {
			t.Errorf("half %d is %v, want %v", i, half[i], v)
		}
	}
	if bf[0] != 1 || bf[1] != -123.5 {
		t.Errorf("bfloat16 values are %v, want [1 -123.5]", bf)
	}
}

func TestHostile(t *testing.T) {
	const ok = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "0 bytes"},
		"long header":     {binary.LittleEndian.AppendUint64(nil, 1<<60), "truncated"},
		"cut header":      {file("{"+ok+"}", 8)[:30], "truncated"},
		"cut data":        {file("{"+ok+"}", 7), "outside the 7 bytes"},
		"spare data":      {file("{"+ok+"}", 9), "take 8 bytes, but the file holds 9"},
		"no object":       {file(`[1]`, 0), "no JSON object"},
		"bad json":        {file(`{"a":`, 0), "tensor \"a\""},
		"after object":    {file("{"+ok+"} {}", 8), "follows"},
		"duplicate":       {file("{"+ok+","+ok+"}", 8), "occurs twice"},
		"dtype":           {file(`{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}`, 8), `unknown dtype "F33"`},
		"shape":           {file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "takes 12 bytes"},
		"negative shape":  {file(`{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, 8), "impossible"},
		"huge shape":      {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8), "impossible"},
		"offsets swapped": {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), "outside"},
		"offset negative": {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8), "outside"},
		"one offset":      {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, 8), "outside"},
		"overlap":         {file("{"+ok+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "inside the tensor before"},
		"hole":            {file("{"+ok+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16), "belong to no tensor"},
		"unknown field":   {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), "unknown field"},
		"metadata":        {file(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
	} {
		_, err := safetensors.Parse(c.data)
		if !errors.Is(err, safetensors.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	f, err := safetensors.Parse(file(`{"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 8))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"no tensor x":                  f.Read("x", nil),
		"want 2 values":                f.Read("n", make([]float32, 2)),
		"only F32, F16, BF16 and Q8_0": f.Read("n", make([]float32, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	for want, in := range map[string][]safetensors.Tensor{
		"for shape":        {{Name: "a", Shape: []int{3}, Data: make([]float32, 2)}},
		"two tensors":      {{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}},
		`"__metadata__"`:   {{Name: "__metadata__", Shape: []int{0}}},
		"tensor a: no way": {{Name: "a", Shape: []int{2}, Data: make([]float32, 2)}},
	} {
		err := safetensors.Write(&failing{after: 1}, in, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

// failing refuses every write but the first few.
type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("no way")
	}
	return len(b), nil
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, tensors ...safetensors.Tensor) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(safetensors.Write(f, tensors, nil), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	index := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, safetensors.IndexFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open := func() error {
		f, err := safetensors.OpenFS(mapfile.Dir(dir))
		if err == nil {
			err = f.Close()
		}
		return err
	}
	if err := open(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: error is %v, want not exist", err)
	}
	write("1.safetensors", safetensors.Tensor{Name: "a", Shape: []int{1}, Data: []float32{1}})
	write("2.safetensors", safetensors.Tensor{Name: "b", Shape: []int{1}, Data: []float32{2}})
	index(`{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`)
	f, err := safetensors.OpenFS(mapfile.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	var v [1]float32
	if err := f.Read("b", v[:]); err != nil || v[0] != 2 {
		t.Errorf("b is %v, error %v, want 2", v, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{"weight_map":{}}`: "empty",
		`{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}`:                     "tensor b is not in 1.safetensors",
		`{"weight_map":{"b":"2.safetensors","c":"1.safetensors"}}`:                     "holds tensor a",
		`{"weight_map":{"a":"../1.safetensors"}}`:                                      "no plain file name",
		`{"weight_map":{"a":"1.safetensors","b":"2.safetensors","x":"3.safetensors"}}`: "3.safetensors",
		`{"weight_map":`: "unexpected end",
	} {
		index(text)
		if err := open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("index %s: error is %v, want one with %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(file(`{"__metadata__":{"k":"v"},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},"e":{"dtype":"F16","shape":[0],"data_offsets":[8,8]}}`, 8))
	f.Add(file(`{}`, 0))
	f.Add(file(`{"__metadata__":{"weft.quantization":"q8_0/1"},"a":{"dtype":"I8","shape":[2,40],"data_offsets":[8,88]},"a.scales":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}`, 88))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := safetensors.Parse(data)
		if err != nil {
			if !errors.Is(err, safetensors.ErrFormat) {
				t.Fatalf("error %v does not wrap ErrFormat", err)
			}
			return
		}
		// What parses reads without a panic, and takes no more than the file.
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			if n := info.Len(); n > len(data) {
				t.Fatalf("tensor %q has %d values in a file of %d bytes", name, n, len(data))
			} else if err := file.Read(name, make([]float32, n)); err != nil && !strings.Contains(err.Error(), "only F32") {
				t.Fatal(err)
			}
		}
	})
}

func ExampleWrite() {
	var buf bytes.Buffer
	err := safetensors.Write(&buf, []safetensors.Tensor{{Name: "w", Shape: []int{1, 2}, Data: []float32{3, 4}}}, nil)
	if err != nil {
		panic(err)
	}
	f, err := safetensors.Parse(buf.Bytes())
	if err != nil {
		panic(err)
	}
	info, _ := f.Info("w")
	fmt.Println(f.Names(), info.DType, info.Shape)
	// Output: [w] F32 [1 2]
}
