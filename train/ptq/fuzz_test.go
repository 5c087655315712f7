package ptq

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"weft/model/weights/gguf"
)

// imatrix is a file of importance with tensors of any sizes and values.
func imatrix(t testing.TB, kind string, tensors map[string][]float32, shape func(n int) []int) []byte {
	t.Helper()
	var all []gguf.Source
	for _, name := range []string{"a.weight.in_sum2", "a.weight.counts", "a.weight.other"} {
		if v, ok := tensors[name]; ok {
			all = append(all, gguf.Source{Name: name, Type: gguf.F32, Shape: shape(len(v)), Write: func(w io.Writer) error { return gguf.Floats(w, v) }})
		}
	}
	var out bytes.Buffer
	if err := gguf.Write(&out, []gguf.KV{{Key: "general.type", Value: kind}}, all); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parse(data []byte) (*Importance, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	return readImportance(f)
}

func flat(n int) []int { return []int{n, 1} }

func TestReadImportance(t *testing.T) {
	one := []float32{2}
	got, err := parse(imatrix(t, "imatrix", map[string][]float32{"a.weight.in_sum2": {4, 0, 1}, "a.weight.counts": one, "a.weight.other": one}, flat))
	if err != nil {
		t.Fatal(err)
	}
	if w := got.Of("a.weight"); len(w) != 3 || w[0] != 2 || w[1] != 0 || w[2] != 0.5 || got.Of("b.weight") != nil {
		t.Errorf("importance is %v, want 2 0 0.5", w)
	}
	for name, data := range map[string][]byte{
		"another type":     imatrix(t, "model", map[string][]float32{"a.weight.in_sum2": {1}, "a.weight.counts": one}, flat),
		"no tensors":       imatrix(t, "imatrix", nil, flat),
		"no counts":        imatrix(t, "imatrix", map[string][]float32{"a.weight.in_sum2": {1}}, flat),
		"a negative value": imatrix(t, "imatrix", map[string][]float32{"a.weight.in_sum2": {-1}, "a.weight.counts": one}, flat),
		"experts":          imatrix(t, "imatrix", map[string][]float32{"a.weight.in_sum2": {1, 2}, "a.weight.counts": {1, 2}}, func(n int) []int { return []int{1, n} }),
	} {
		if _, err := parse(data); !errors.Is(err, ErrImportance) {
			t.Errorf("%s: error is %v, want ErrImportance", name, err)
		}
	}
}

func FuzzImportance(f *testing.F) {
	f.Add(imatrix(f, "imatrix", map[string][]float32{"a.weight.in_sum2": {1, 2, 3}, "a.weight.counts": {4}}, flat))
	f.Fuzz(func(t *testing.T, data []byte) {
		imp, err := parse(data)
		if err != nil {
			return
		}
		for name := range imp.columns {
			for j, v := range imp.Of(name) {
				if !(v >= 0) {
					t.Fatalf("%s: column %d has importance %g", name, j, v)
				}
			}
		}
	})
}
