package gguf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"weft/model/weights/gguf"
)

// blob is a tensor of bytes that count up from first.
func blob(name string, kind gguf.Type, first int, shape ...int) gguf.Source {
	return gguf.Source{Name: name, Type: kind, Shape: shape, Write: func(w io.Writer) error {
		values, size := kind.Block()
		n := size
		for i, d := range shape {
			if i == 0 {
				d /= values
			}
			n *= d
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(first + i)
		}
		_, err := w.Write(b)
		return err
	}}
}

// every is metadata of every type that there is.
func every() []gguf.KV {
	return []gguf.KV{
		{"u8", uint8(200)}, {"i8", int8(-3)}, {"u16", uint16(60000)}, {"i16", int16(-300)}, {"u32", uint32(1 << 31)}, {"i32", int32(-5)},
		{"f32", float32(1.5)}, {"bool", true}, {"text", "täxt"}, {"u64", uint64(1 << 63)}, {"i64", int64(-1 << 62)}, {"f64", 0.1},
		{"u8s", []uint8{1, 2}}, {"i8s", []int8{-1}}, {"u16s", []uint16{}}, {"i16s", []int16{4}}, {"u32s", []uint32{9}}, {"i32s", []int32{-9}},
		{"f32s", []float32{0.5, 2}}, {"bools", []bool{true, false}}, {"texts", []string{"", "b"}}, {"u64s", []uint64{3}}, {"i64s", []int64{-3}},
		{"f64s", []float64{1e300}}, {"deep", []any{[]uint8{7}, []string{"x"}, []any{[]bool{false}}}}, {"empty", []any{}},
	}
}

func write(t testing.TB, meta []gguf.KV, tensors ...gguf.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, meta, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRoundTrip reads what was written, and writes what was read: the same
// values, the same bytes, at several alignments.
func TestRoundTrip(t *testing.T) {
	for _, align := range []uint32{8, 32, 256} {
		meta := append(every(), gguf.KV{Key: "general.alignment", Value: align})
		tensors := []gguf.Source{
			blob("a", gguf.F32, 1, 3), blob("b", gguf.Q8_0, 2, 64, 3), blob("none", gguf.F16, 3, 0), blob("scalar", gguf.F32, 3),
			blob("c", gguf.Q4_K, 4, 256, 1, 2, 1), blob("d", 27, 5, 1),
		}
		data := write(t, meta, tensors...)
		f, err := gguf.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for i, kv := range meta {
			if got, _ := f.Value(kv.Key); f.Keys()[i] != kv.Key || !reflect.DeepEqual(got, kv.Value) {
				t.Errorf("%s is %#v, want %#v", kv.Key, got, kv.Value)
			}
		}
		if f.Version != 3 || f.Alignment != int(align) || len(f.Tensors()) != len(tensors) || f.Size() != int64(len(data)) {
			t.Errorf("version %d, alignment %d, %d tensors, %d bytes", f.Version, f.Alignment, len(f.Tensors()), f.Size())
		}
		for i, want := range tensors {
			x := f.Tensors()[i]
			var b bytes.Buffer
			if err := want.Write(&b); err != nil || !bytes.Equal(b.Bytes(), f.Bytes(x)) {
				t.Errorf("%s: bytes differ (%v)", want.Name, err)
			}
			if x.Name != want.Name || x.Type != want.Type || !reflect.DeepEqual(append([]int{}, x.Shape...), append([]int{}, want.Shape...)) {
				t.Errorf("got %v, want %v", x, want)
			}
		}
		if again := copyOf(t, f); !bytes.Equal(again, data) {
			t.Error("writing what was read gives other bytes")
		}
	}
}

// copyOf writes a file that was read.
func copyOf(t testing.TB, f *gguf.File) []byte {
	var meta []gguf.KV
	for _, k := range f.Keys() {
		v, _ := f.Value(k)
		meta = append(meta, gguf.KV{Key: k, Value: v})
	}
	var tensors []gguf.Source
	for _, x := range f.Tensors() {
		tensors = append(tensors, gguf.Source{Name: x.Name, Type: x.Type, Shape: x.Shape, Write: func(w io.Writer) error {
			_, err := w.Write(f.Bytes(x))
			return err
		}})
	}
	return write(t, meta, tensors...)
}

func TestWriteRefuses(t *testing.T) {
	short := blob("a", gguf.F32, 0, 2)
	short.Shape = []int{3}
	for want, c := range map[string]struct {
		meta    []gguf.KV
		tensors []gguf.Source
	}{
		"k: a value of Go type int":      {meta: []gguf.KV{{"k", 1}}},
		"k: a value of Go type struct":   {meta: []gguf.KV{{"k", struct{}{}}}},
		"holds a uint8":                  {meta: []gguf.KV{{"k", []any{uint8(1)}}}},
		"more than 4 deep":               {meta: []gguf.KV{{"k", []any{[]any{[]any{[]any{}}}}}}},
		`"k" occurs twice`:               {meta: []gguf.KV{{"k", true}, {"k", true}}},
		"general.alignment is 24":        {meta: []gguf.KV{{"general.alignment", uint32(24)}}},
		`tensor "a" of shape [1]: want`:  {tensors: []gguf.Source{blob("a", gguf.F32, 0, 1), blob("a", gguf.F32, 0, 1)}},
		"1 to 63 bytes":                  {tensors: []gguf.Source{blob(strings.Repeat("a", 64), gguf.F32, 0, 1)}},
		"rows of 33 values":              {tensors: []gguf.Source{{Name: "a", Type: gguf.Q8_0, Shape: []int{33}}}},
		"type 5 is not known":            {tensors: []gguf.Source{{Name: "a", Type: 5, Shape: []int{33}}}},
		"a: 8 bytes were written, want ": {tensors: []gguf.Source{short}},
	} {
		var b bytes.Buffer
		if err := gguf.Write(&b, c.meta, c.tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
}

// full is a disk with room for so many bytes.
type full int

func (f *full) Write(p []byte) (int, error) {
	if len(p) > int(*f) {
		n := int(*f)
		*f = 0
		return n, syscall.ENOSPC
	}
	*f -= full(len(p))
	return len(p), nil
}

// TestFullDisk runs out of room at every byte: the error says so each time, and
// an old file stays as it was.
func TestFullDisk(t *testing.T) {
	tensors := []gguf.Source{blob("a", gguf.F32, 1, 3), blob("b", gguf.Q8_0, 2, 64)}
	whole := write(t, every(), tensors...)
	for room := range len(whole) {
		disk := full(room)
		if err := gguf.Write(&disk, every(), tensors); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("with room for %d of %d bytes: error %v", room, len(whole), err)
		}
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := gguf.Save(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	tensors[1].Write = func(io.Writer) error { return syscall.ENOSPC }
	err := gguf.Save(path, nil, tensors)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "tensor b") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file, the tensor and the full disk", err)
	}
	f, err := gguf.Open(path)
	if err != nil || len(f.Tensors()) != 2 {
		t.Errorf("the old file is gone: %v", err)
	}
	defer f.Close()
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files left, want the one (%v)", len(entries), err)
	}
}

// parts writes a model of three files; change may edit what is written of part i.
func parts(t *testing.T, change func(i int, meta []gguf.KV, tensors []gguf.Source) ([]gguf.KV, []gguf.Source)) (dir string) {
	dir = t.TempDir()
	for i := range 3 {
		meta := []gguf.KV{{"split.no", uint16(i)}, {"split.count", uint16(3)}, {"split.tensors.count", int32(4)}}
		tensors := []gguf.Source{blob(fmt.Sprint("t", i), gguf.F32, i, 8)}
		if i == 0 {
			meta = append(meta, gguf.KV{Key: "general.name", Value: "split"})
			tensors = append(tensors, blob("more", gguf.F32, 9, 1))
		}
		if change != nil {
			meta, tensors = change(i, meta, tensors)
		}
		if meta == nil {
			continue
		}
		if err := gguf.Save(filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1)), meta, tensors); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSplit(t *testing.T) {
	dir := parts(t, nil)
	for i := range 3 { // any part opens the whole
		f, err := gguf.Open(filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if name, _ := f.Value("general.name"); name != "split" || len(f.Tensors()) != 4 {
			t.Errorf("part %d: named %v, %d tensors", i, name, len(f.Tensors()))
		}
		for j := range 3 {
			x, ok := f.Tensor(fmt.Sprint("t", j))
			if b := f.Bytes(x); !ok || len(b) != 32 || b[0] != byte(j) {
				t.Errorf("part %d: t%d is %v", i, j, b)
			}
		}
		if err := f.Close(); err != nil || f.Bytes(f.Tensors()[3]) != nil {
			t.Errorf("closing: %v", err)
		}
	}
	type edit = func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source)
	for want, change := range map[string]edit{
		"m-00002-of-00003.gguf: no such file": func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source) {
			if i == 1 {
				return nil, nil
			}
			return m, x
		},
		"says that it is part 2 of 3": func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source) {
			m[0].Value = uint16(min(i, 1))
			return m, x
		},
		`two parts hold tensor "t0"`: func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source) {
			x[0].Name = "t0"
			return m, x
		},
		"hold 4 tensors, but split.tensors.count is 5": func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source) {
			m[2].Value = int32(5)
			return m, x
		},
		"split.no is 3 and split.count is 3": func(i int, m []gguf.KV, x []gguf.Source) ([]gguf.KV, []gguf.Source) {
			m[0].Value = uint16(3)
			return m, x
		},
	} {
		path := filepath.Join(parts(t, change), "m-00001-of-00003.gguf")
		if _, err := gguf.Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
	renamed := filepath.Join(dir, "renamed.gguf")
	if err := os.Rename(filepath.Join(dir, "m-00001-of-00003.gguf"), renamed); err != nil {
		t.Fatal(err)
	}
	if _, err := gguf.Open(renamed); err == nil || !strings.Contains(err.Error(), "does not end in -00001-of-00003.gguf") {
		t.Errorf("a part by another name: error %v", err)
	}
}

// TestSaveSplit cuts a model into parts of several sizes: none is larger than it
// may be unless one tensor is, all open as the model, and one that cannot be
// written leaves nothing.
func TestSaveSplit(t *testing.T) {
	meta := append(every(), gguf.KV{Key: "general.alignment", Value: uint32(64)})
	var tensors []gguf.Source
	for i := range 12 {
		tensors = append(tensors, blob(fmt.Sprint("t", i), gguf.Q8_0, i, 32, 1+i*7%5))
	}
	tensors = append(tensors, blob("large", gguf.F32, 3, 1000))
	whole, err := gguf.Parse(write(t, meta, tensors...))
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{1, 1800, 2500, 1 << 20} {
		dir := t.TempDir()
		paths, err := gguf.SaveSplit(filepath.Join(dir, "m.gguf"), meta, tensors, most)
		if err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(paths) {
			t.Errorf("%d bytes: %d files for %q (%v)", most, len(entries), paths, err)
		}
		if want := filepath.Join(dir, "m.gguf"); most == 1<<20 && (len(paths) != 1 || paths[0] != want) {
			t.Errorf("what fits is %q, want %s", paths, want)
		}
		if want := fmt.Sprintf("m-00001-of-%05d.gguf", len(paths)); len(paths) > 1 && filepath.Base(paths[0]) != want {
			t.Errorf("the first part is %s, want %s", paths[0], want)
		}
		for _, path := range paths {
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if most > 1 && st.Size() > most && st.Size() < 4000 { // that of the large tensor
				t.Errorf("%s has %d bytes, want at most %d", path, st.Size(), most)
			}
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors()) != len(tensors) || !reflect.DeepEqual(f.Keys()[:len(meta)], whole.Keys()) {
				t.Errorf("%s: %d tensors, keys %q", path, len(f.Tensors()), f.Keys())
			}
			for i, x := range f.Tensors() {
				if y := whole.Tensors()[i]; x.Name != y.Name || !bytes.Equal(f.Bytes(x), whole.Bytes(y)) {
					t.Errorf("%s: tensor %d is %s, want %s, or has other bytes", path, i, x.Name, y.Name)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	dir := t.TempDir()
	tensors[7].Write = func(io.Writer) error { return syscall.ENOSPC }
	if _, err := gguf.SaveSplit(filepath.Join(dir, "m.gguf"), meta, tensors, 1800); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "t7") {
		t.Errorf("full disk: error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left on a full disk: %v (%v)", entries, err)
	}
	tensors[7].Shape = []int{33}
	if _, err := gguf.SaveSplit(filepath.Join(dir, "m.gguf"), meta, tensors, 1800); err == nil || !strings.Contains(err.Error(), "rows of 33") {
		t.Errorf("a wrong shape: error %v", err)
	}
}

// TestLyingCounts holds what a small file can make the reader take: memory of
// the order of the file, whatever counts it claims.
func TestLyingCounts(t *testing.T) {
	huge := 1 << 40
	for name, data := range map[string][]byte{
		"tensors":  file(uint32(3), huge, 0),
		"metadata": file(uint32(3), 0, huge),
		"array":    file(uint32(3), 0, 1, "a", array, str, huge),
		"numbers":  file(uint32(3), 0, 1, "a", array, f64, huge),
		"nested":   file(uint32(3), 0, 1, "a", array, array, huge),
		"string":   append(file(uint32(3), 0, 1), 0, 0, 0, 0, 0, 1, 0, 0),
		"shape":    pad(file(uint32(3), 1, 0, "t", uint32(2), 1<<30, 1<<30, uint32(0), 0), 32, 64),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := gguf.Parse(data)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, gguf.ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<16 {
			t.Errorf("%s: %d bytes were taken for a file of %d", name, took, len(data))
		}
	}
}

// FuzzRewrite writes whatever was read, which must give the same file again but
// for holes between tensors.
func FuzzRewrite(f *testing.F) {
	f.Add(write(f, every(), blob("a", gguf.F32, 1, 3), blob("b", gguf.Q8_0, 2, 64, 3)))
	f.Add(two())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := gguf.Parse(data)
		if err != nil {
			return
		}
		for _, x := range g.Tensors() {
			if len(x.Name) > 63 {
				return
			}
		}
		again, err := gguf.Parse(copyOf(t, g))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again.Keys(), g.Keys()) || len(again.Tensors()) != len(g.Tensors()) {
			t.Fatal("keys or tensors differ")
		}
		for i, x := range again.Tensors() {
			if !bytes.Equal(again.Bytes(x), g.Bytes(g.Tensors()[i])) {
				t.Fatalf("tensor %s differs", x.Name)
			}
		}
	})
}

// Writing streams: this one is made from nothing, 4 values at a time.
func ExampleWrite() {
	var b bytes.Buffer
	err := gguf.Write(&b, []gguf.KV{{"general.name", "example"}}, []gguf.Source{{
		Name: "ones", Type: gguf.F32, Shape: []int{4, 2}, // 2 rows of 4
		Write: func(w io.Writer) error {
			for range 2 {
				if err := gguf.Floats(w, []float32{1, 1, 1, 1}); err != nil {
					return err
				}
			}
			return nil
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := gguf.Parse(b.Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	name, _ := f.Value("general.name")
	ones, _ := f.Tensor("ones")
	fmt.Println(name, ones.Shape, len(f.Bytes(ones)), "bytes")
	// Output: example [4 2] 32 bytes
}

// BenchmarkParse reads the directory of a large model: 700 tensors and a
// vocabulary of 128 Ki tokens.
func BenchmarkParse(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	tokens := make([]string, 1<<17)
	for i := range tokens {
		tokens[i] = strings.Repeat("x", 1+rng.IntN(10))
	}
	var tensors []gguf.Source
	for i := range 700 {
		tensors = append(tensors, blob(fmt.Sprint("blk.", i), gguf.F32, i, 32))
	}
	data := write(b, []gguf.KV{{"tokenizer.ggml.tokens", tokens}}, tensors...)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := gguf.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
