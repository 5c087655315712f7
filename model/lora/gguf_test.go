package lora_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/model"
	"weft/model/lora"
	"weft/model/nn"
	"weft/model/weights/gguf"
)

// ggufOf writes an adapter as llama.cpp's converter does: names of the model's
// GGUF, rows of B of queries and keys in pairs, and the keys that edit leaves.
func ggufOf(t testing.TB, m model.Model, a *lora.Adapter, format quant.Format, edit func(meta map[string]any, tensors []gguf.Source) []gguf.Source) []byte {
	t.Helper()
	meta := map[string]any{
		"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": float32(a.Alpha),
		"general.base_model.0.name": "Parity Base", "general.base_model.0.repo_url": "https://huggingface.co/weft/parity-base",
	}
	var tensors []gguf.Source
	add := func(name string, w *tensor.Tensor, heads int) {
		w = tensor.From(w.Rows, w.Cols, slices.Clone(w.Data))
		if heads > 0 {
			from := slices.Clone(w.Data)
			for i, to := range gguf.PairOrder(w.Rows, heads) {
				copy(w.Row(int(to)), from[i*w.Cols:(i+1)*w.Cols])
			}
		}
		f := format.Fit(w.Cols)
		tensors = append(tensors, gguf.Source{Name: name, Type: gguf.Type(f), Shape: []int{w.Cols, w.Rows}, Write: func(out io.Writer) error {
			n, err := f.RowBytes(w.Cols)
			if err != nil {
				return err
			}
			data := make([]byte, n*w.Rows)
			if err := f.Encode(data, w.Data, nil); err != nil {
				return err
			}
			_, err = out.Write(data)
			return err
		}})
	}
	for i, l := range nn.Linears(m) {
		w := a.Pairs[i]
		if w == nil {
			continue
		}
		heads := 0
		switch {
		case strings.HasSuffix(l.GGUF, "attn_q.weight"):
			heads = m.Info().Heads
		case strings.HasSuffix(l.GGUF, "attn_k.weight"):
			heads = m.Info().KVHeads
		}
		add(l.GGUF+".lora_a", w.A.W.Value, 0)
		add(l.GGUF+".lora_b", w.B.W.Value, heads)
	}
	if edit != nil {
		tensors = edit(meta, tensors)
	}
	var keys []gguf.KV
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		keys = append(keys, gguf.KV{Key: k, Value: meta[k]})
	}
	var out bytes.Buffer
	if err := gguf.Write(&out, keys, tensors); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestGGUF: the GGUF of an adapter is the adapter, bit for bit, alone or in a
// folder, on disk or in any file system; in 16 bits it is nearly so.
func TestGGUF(t *testing.T) {
	m := loadBase(t)
	ids, base := readParity(t).IDs, lora.Base{Model: m, Names: []string{"parity-base"}}
	nn.Adapt(m)
	for _, name := range []string{"plain", "head"} {
		want := open(t, name, m)
		data := ggufOf(t, m, want, quant.F32, nil)
		dir := t.TempDir()
		path := filepath.Join(dir, "some.gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		inside, err := lora.In(fstest.MapFS{"a/b.gguf": {Data: data}, "a/c.gguf": {Data: nil}}, "a/b.gguf")
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []fs.FS{lora.At(path), lora.At(dir), inside} {
			got, err := lora.Open(from, base)
			if err != nil {
				t.Fatal(err)
			}
			if got.Hash() != want.Hash() {
				t.Errorf("%s: %v: another adapter than the folder's", name, from)
			}
			if a, b := run(m, got, &op.Pass{}, ids), run(m, want, &op.Pass{}, ids); !slices.Equal(a.Data, b.Data) {
				t.Errorf("%s: other logits than the folder's", name)
			}
			size, err := lora.Measure(from)
			if err != nil || size.Bytes() != got.Memory() || size.Rank != got.Rank {
				t.Errorf("%s: measured as %d bytes of rank %d, %v, and it takes %d", name, size.Bytes(), size.Rank, err, got.Memory())
			}
			if err := got.Save(filepath.Join(dir, "peft")); err != nil { // and back
				t.Fatal(err)
			}
			again, err := lora.Open(lora.At(filepath.Join(dir, "peft")), lora.Base{Model: m})
			if err != nil || again.Hash() != want.Hash() {
				t.Errorf("%s: saved in PEFT's layout it is another: %v", name, err)
			}
		}
		half, err := lora.Open(fstest.MapFS{"x.gguf": {Data: ggufOf(t, m, want, quant.F16, nil)}}, base)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range half.Params() {
			for j, v := range p.Value.Data {
				if d := v - want.Params()[i].Value.Data[j]; d > 1e-3 || d < -1e-3 {
					t.Fatalf("%s: %s: value %d is %v away in 16 bits", name, p.Name, j, d)
				}
			}
		}
	}
}

// TestGGUFOfConverter reads what llama.cpp's own converter has made of the folder
// plain.
func TestGGUFOfConverter(t *testing.T) {
	m := loadBase(t)
	got, err := lora.Open(lora.At("testdata/plain.gguf"), lora.Base{Model: m, Names: []string{"parity-base"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash() != open(t, "plain", m).Hash() {
		t.Error("another adapter than the folder's")
	}
}

// TestGGUFScale: without alpha what B A adds counts once, whatever the ranks.
func TestGGUFScale(t *testing.T) {
	m := loadBase(t)
	for alpha, want := range map[float32]float32{0: 1, 8: 2, -2: -0.5} { // rank 4
		data := ggufOf(t, m, open(t, "plain", m), quant.F32, func(meta map[string]any, s []gguf.Source) []gguf.Source {
			meta["adapter.lora.alpha"] = alpha
			return s
		})
		a, err := lora.Open(fstest.MapFS{"x.gguf": {Data: data}}, lora.Base{Model: m})
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range a.Pairs {
			if w != nil && w.Scale != want {
				t.Errorf("alpha %v: pair %d has the scale %v, want %v", alpha, i, w.Scale, want)
			}
		}
	}
}

// TestBadGGUFs: what is no adapter, or another model's, is named.
func TestBadGGUFs(t *testing.T) {
	m := loadBase(t)
	plain := open(t, "plain", m)
	for name, tc := range map[string]struct {
		edit func(meta map[string]any, s []gguf.Source) []gguf.Source
		kind error
		want string
	}{
		"model":        {set("general.type", "model"), lora.ErrFormat, "want adapter"},
		"kind":         {set("adapter.type", "vector"), lora.ErrUnsupported, "adapter.type is vector"},
		"after words":  {set("adapter.alora.invocation_tokens", []uint32{3}), lora.ErrUnsupported, "sets in after some words"},
		"architecture": {set("general.architecture", "qwen2"), lora.ErrBase, "architecture qwen2, and this one is of llama"},
		"name":         {set("general.base_model.0.repo_url", "https://huggingface.co/org/Other-1B"), nil, ""}, // its other name fits
		"both names": {func(meta map[string]any, s []gguf.Source) []gguf.Source {
			meta["general.base_model.0.name"] = "Other 1B"
			return set("general.base_model.0.repo_url", "https://huggingface.co/org/Other-1B")(meta, s)
		}, lora.ErrBase, "Other-1B"},
		"alpha":  {set("adapter.lora.alpha", float32(2e6)), lora.ErrFormat, "lora_alpha"},
		"one":    {func(_ map[string]any, s []gguf.Source) []gguf.Source { return s[1:] }, lora.ErrFormat, "want both"},
		"none":   {func(_ map[string]any, s []gguf.Source) []gguf.Source { return nil }, lora.ErrFormat, "no pair"},
		"layer":  {rename("blk.0.attn_q.weight.lora_a", "blk.7.attn_q.weight.lora_a"), lora.ErrBase, "no matrix blk.7.attn_q.weight"},
		"norm":   {rename("blk.0.attn_q.weight.lora_a", "blk.0.attn_norm.weight"), lora.ErrUnsupported, "only NAME.lora_a"},
		"shapes": {rename("blk.0.attn_q.weight.lora_a", "blk.0.ffn_down.weight.lora_a", "blk.0.attn_q.weight.lora_b", "blk.0.ffn_down.weight.lora_b"), lora.ErrBase, "want [4 48]"},
	} {
		_, err := lora.Open(fstest.MapFS{"x.gguf": {Data: ggufOf(t, m, plain, quant.F32, tc.edit)}}, lora.Base{Model: m, Names: []string{"parity-base"}})
		if !errors.Is(err, tc.kind) || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %v with %q", name, err, tc.kind, tc.want)
		}
	}
	if _, err := lora.Open(fstest.MapFS{"a.gguf": {}, "b.gguf": {}}, lora.Base{Model: m}); err == nil || !strings.Contains(err.Error(), "name the file") {
		t.Errorf("two files: %v", err)
	}
	if _, err := lora.Measure(mapfile.Dir(t.TempDir())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file to measure: %v", err)
	}
}

func set(key string, v any) func(map[string]any, []gguf.Source) []gguf.Source {
	return func(meta map[string]any, s []gguf.Source) []gguf.Source {
		meta[key] = v
		return s
	}
}

func rename(pairs ...string) func(map[string]any, []gguf.Source) []gguf.Source {
	return func(_ map[string]any, s []gguf.Source) []gguf.Source {
		for i := range s {
			if at := slices.Index(pairs, s[i].Name); at >= 0 && at%2 == 0 {
				s[i].Name = pairs[at+1]
			}
		}
		return s
	}
}

// FuzzGGUF: whatever the file holds, there is an adapter that runs, or an error of
// the package's kinds.
func FuzzGGUF(f *testing.F) {
	m := loadBase(f)
	for _, name := range []string{"plain", "head"} {
		f.Add(ggufOf(f, m, open(f, name, m), quant.F32, nil))
	}
	nn.Adapt(m)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := fstest.MapFS{"x.gguf": {Data: data}}
		size, _ := lora.Measure(dir)
		a, err := lora.Open(dir, lora.Base{Model: m})
		if err != nil {
			for _, kind := range []error{lora.ErrFormat, lora.ErrUnsupported, lora.ErrBase} {
				if errors.Is(err, kind) {
					return
				}
			}
			t.Fatalf("error %v is of no known kind", err)
		}
		if a.Bytes() > 8*int64(len(data)) || size.Bytes() < a.Memory() {
			t.Fatalf("%d bytes of values from a file of %d, measured as %d", a.Bytes(), len(data), size.Bytes())
		}
		run(m, a, &op.Pass{}, []int32{1, 2})
		if _, err := a.JSON(); err != nil {
			t.Fatal(err)
		}
	})
}
