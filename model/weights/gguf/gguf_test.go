package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weft/model/weights/gguf"
)

// file writes a GGUF by hand: parts are numbers, strings (with their length in
// front) and raw bytes.
func file(parts ...any) []byte {
	b := []byte("GGUF")
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			b = append(binary.LittleEndian.AppendUint64(b, uint64(len(v))), v...)
		case int:
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		default:
			var w bytes.Buffer
			if err := binary.Write(&w, binary.LittleEndian, v); err != nil {
				panic(err)
			}
			b = append(b, w.Bytes()...)
		}
	}
	return b
}

// pad fills a file up to a multiple of n and adds size bytes of a tensor.
func pad(b []byte, n, size int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	for i := range size {
		b = append(b, byte(i))
	}
	return b
}

const (
	u8, u32, i32, f32, boolean, str, array, f64 = uint32(0), uint32(4), uint32(5), uint32(6), uint32(7), uint32(8), uint32(9), uint32(12)
)

func TestValues(t *testing.T) {
	data := file(uint32(3), 0, 9,
		"a", u8, uint8(200),
		"b", i32, int32(-5),
		"c", f32, float32(1.5),
		"d", boolean, uint8(1),
		"e", str, "text",
		"f", array, str, 2, "x", "",
		"g", array, i32, 3, int32(1), int32(-2), int32(3),
		"h", array, array, 2, u8, 1, uint8(7), str, 1, "deep",
		"i", f64, float64(0.1))
	f, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": uint8(200), "b": int32(-5), "c": float32(1.5), "d": true, "e": "text", "f": []string{"x", ""},
		"g": []int32{1, -2, 3}, "h": []any{[]uint8{7}, []string{"deep"}}, "i": 0.1}
	if got := strings.Join(f.Keys(), ""); got != "abcdefghi" {
		t.Errorf("keys are %q", got)
	}
	for key, v := range want {
		if got, ok := f.Value(key); !ok || !reflect.DeepEqual(got, v) {
			t.Errorf("%s is %#v, want %#v", key, got, v)
		}
	}
	if _, ok := f.Value("none"); ok {
		t.Error("a key that is not there has a value")
	}
}

// two is a file of two tensors, an F32 of [2, 3] and a Q8_0 of [32], aligned
// to 64 bytes.
func two() []byte {
	return pad(file(uint32(2), 2, 1, "general.alignment", u32, uint32(64),
		"m", uint32(2), 2, 3, uint32(gguf.F32), 0,
		"q", uint32(1), 32, uint32(gguf.Q8_0), 64), 64, 64+34)
}

func TestTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two.gguf")
	if err := os.WriteFile(path, two(), 0o644); err != nil {
		t.Fatal(err)
	}
	if !gguf.Is(path) || gguf.Is(filepath.Dir(path)) || gguf.Is(path+"x") {
		t.Error("Is does not tell the file from others")
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Version != 2 || f.Alignment != 64 || len(f.Tensors()) != 2 {
		t.Fatalf("version %d, alignment %d, %d tensors", f.Version, f.Alignment, len(f.Tensors()))
	}
	m, _ := f.Tensor("m")
	q, ok := f.Tensor("q")
	if !ok || m.Len() != 6 || fmt.Sprint(m.Shape, m.Type, q.Type) != "[2 3] F32 Q8_0" {
		t.Errorf("got %v and %v", m, q)
	}
	if b := f.Bytes(m); len(b) != 24 || b[5] != 5 || cap(b) != 24 {
		t.Errorf("m has bytes %v", b)
	}
	if b := f.Bytes(q); len(b) != 34 || b[0] != 64 {
		t.Errorf("q has bytes %v", b)
	}
	if _, ok := f.Tensor("none"); ok {
		t.Error("a tensor that is not there is found")
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if f.Bytes(m) != nil {
		t.Error("bytes of a closed file")
	}
}

func TestRefuses(t *testing.T) {
	tensor := func(parts ...any) []byte { return pad(file(append([]any{uint32(3), 1, 0}, parts...)...), 32, 64) }
	for want, data := range map[string][]byte{
		"begin with GGUF":      []byte("GGML rest"),
		"version 1":            file(uint32(1), 0, 0),
		"big-endian":           file(uint32(3<<24), 0, 0),
		"metadata 0 of 7":      file(uint32(3), 0, 7),
		"occurs twice":         file(uint32(3), 0, 2, "a", u8, uint8(0), "a", u8, uint8(0)),
		"key of 0 bytes":       file(uint32(3), 0, 1, "", u8, uint8(0)),
		"value type 13":        file(uint32(3), 0, 1, "a", uint32(13), 0),
		"array of 4611686018":  file(uint32(3), 0, 1, "a", array, u32, 1<<62, 0),
		"a bool is 2":          file(uint32(3), 0, 1, "a", boolean, uint8(2)),
		"more than 4 deep":     file(uint32(3), 0, 1, "a", array, array, 1, array, 1, array, 1, array, 1, array, 1, u8, 0),
		"general.alignment is": file(uint32(3), 0, 1, "general.alignment", u32, uint32(24)),
		"5 dimensions":         tensor("t", uint32(5), 1, 1, 1, 1, 1, uint32(0), 0),
		"is impossible":        tensor("t", uint32(4), 1<<31-1, 1<<31-1, 1<<31-1, 1<<31-1, uint32(0), 0),
		"type 4 is not known":  tensor("t", uint32(1), 1, uint32(4), 0),
		"rows of 33 values":    tensor("t", uint32(1), 33, uint32(8), 0),
		"not aligned to 32":    tensor("t", uint32(1), 1, uint32(0), 4),
		"takes 68 bytes":       tensor("t", uint32(1), 17, uint32(0), 0),
		"offset 1844674407370": tensor("t", uint32(1), 1, uint32(0), -32),
		"overlap": pad(file(uint32(3), 2, 0, "t", uint32(1), 9, uint32(0), 0,
			"u", uint32(1), 1, uint32(0), 32), 32, 64),
	} {
		_, err := gguf.Parse(data)
		if !errors.Is(err, gguf.ErrFormat) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
	whole := two()
	for n := range whole {
		if _, err := gguf.Parse(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are read as a whole file", n, len(whole))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(two())
	f.Add(file(uint32(3), 0, 2, "h", array, array, 2, u8, 1, uint8(7), str, 1, "deep", "d", boolean, uint8(1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := gguf.Parse(data)
		if err != nil {
			return
		}
		for _, x := range g.Tensors() {
			values, size := x.Type.Block()
			if got := len(g.Bytes(x)); got != x.Len()/values*size {
				t.Errorf("tensor %q of %v %v has %d bytes", x.Name, x.Shape, x.Type, got)
			}
		}
		for _, k := range g.Keys() {
			if v, ok := g.Value(k); !ok || v == nil {
				t.Errorf("key %q has no value", k)
			}
		}
	})
}

func ExampleParse() {
	f, err := gguf.Parse(two())
	if err != nil {
		panic(err)
	}
	for _, t := range f.Tensors() {
		fmt.Println(t.Name, t.Type, t.Shape, len(f.Bytes(t)), "bytes")
	}
	// Output:
	// m F32 [2 3] 24 bytes
	// q Q8_0 [32] 34 bytes
}
