package zoo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	embedded "weft/model/tiny"
	"weft/model/weights/gguf"
	"weft/model/zoo"
	"weft/text/template"
	"weft/text/tokenizer"
)

// whole writes a folder with all that a model has: two layers whose rows divide
// into every block, a tokenizer and a template.
func whole(t testing.TB, cfg llama.Config) (dir string, m *llama.Llama) {
	t.Helper()
	dir = t.TempDir()
	tmpl, err := template.Named("weft")
	if err != nil {
		t.Fatal(err)
	}
	text := func(yield func(string, error) bool) {
		yield(strings.Repeat("the cat sat on the mat, said the dog. ", 20), nil)
	}
	tok, err := tokenizer.Train(context.Background(), text, tokenizer.TrainOptions{VocabSize: 280, Special: tmpl.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	cfg.VocabSize = tok.VocabSize() + 3 // models may have more
	bos, _ := tok.Special("<|bos|>")
	end, _ := tok.Special("<|end|>")
	cfg.BOSTokenID, cfg.EOSTokenID = llama.TokenID{bos}, llama.TokenID{end, 7}
	m = llama.New(cfg, tensor.NewRNG(3))
	rng := tensor.NewRNG(4)
	for _, p := range nn.Params(m) { // biases and gains too
		rng.FillNormal(p.Value.Data, 0.3)
	}
	if err := errors.Join(zoo.Save(dir, m, nil), tok.Save(dir), tmpl.Save(dir)); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func wide() llama.Config {
	return llama.Config{HiddenSize: 256, IntermediateSize: 256, NumHiddenLayers: 3, NumAttentionHeads: 8, NumKeyValueHeads: 2,
		AttentionBias: true, MLPBias: true, RopeTheta: 50000, RMSNormEps: 1e-5, MaxPositionEmbeddings: 64}
}

// export writes a model as a GGUF and opens it.
func export(t testing.TB, m model.Model, files fs.FS, mix string) (*zoo.GGUF, zoo.Saved) {
	t.Helper()
	x, err := quant.ParseMixture(mix)
	if err != nil {
		t.Fatal(err)
	}
	pool := par.New(3)
	defer pool.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	saved, err := zoo.SaveGGUF(path, m, files, zoo.GGUFOptions{Mix: x, Name: "a model", Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := zoo.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	g := dir.(*zoo.GGUF)
	if g.Bytes() != saved.Bytes || g.Path() != path {
		t.Errorf("%s has %d bytes, want %s with %d", g.Path(), g.Bytes(), path, saved.Bytes)
	}
	return g, saved
}

// TestGGUFRoundTrip: a model comes back from a file in float32 with every bit,
// with its config, its tokenizer and its template; written again, the file is
// the same.
func TestGGUFRoundTrip(t *testing.T) {
	for _, tied := range []bool{false, true} {
		cfg := wide()
		cfg.TieWordEmbeddings = tied
		dir, m := whole(t, cfg)
		g, saved := export(t, m, mapfile.Dir(dir), "f32")
		if len(saved.Notes) > 0 || saved.Formats["F32"] != len(nn.Params(m)) {
			t.Errorf("tied=%v: saved %+v", tied, saved)
		}
		for name, load := range map[string]func(fs.FS) (model.Model, error){"training": zoo.LoadFS, "serving": zoo.LoadServing} {
			got, err := load(g)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logits(got), logits(m)) || got.Info() != m.Info() {
				t.Errorf("tied=%v: for %s the logits or %+v differ", tied, name, got.Info())
			}
			want, have := m.Config, got.(*llama.Llama).Config
			want.InitializerRange, have.InitializerRange, want.TorchDtype, have.TorchDtype = 0, 0, "", ""
			if fmt.Sprintf("%+v", have) != fmt.Sprintf("%+v", want) {
				t.Errorf("tied=%v: config is %+v, want %+v", tied, have, want)
			}
		}
		sameText(t, g, mapfile.Dir(dir))
		back, err := zoo.LoadFS(g)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := export(t, back, g, "f32")
		a, err1 := os.ReadFile(g.Path())
		b, err2 := os.ReadFile(again.Path())
		if err := errors.Join(err1, err2); err != nil || !slices.Equal(a, b) {
			t.Errorf("tied=%v: exporting the file gives another file (%v)", tied, err)
		}
	}
}

// sameText compares what two folders make of text and messages.
func sameText(t *testing.T, got, want fs.FS) {
	t.Helper()
	a, err1 := tokenizer.LoadFS(got)
	b, err2 := tokenizer.LoadFS(want)
	x, err3 := template.LoadFS(got)
	y, err4 := template.LoadFS(want)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if a.Hash() != b.Hash() {
		t.Error("the tokenizer is another one")
	}
	if (x == nil) != (y == nil) || x != nil && (x.Hash() != y.Hash() || !slices.Equal(x.Stop(a), y.Stop(b))) {
		t.Error("the template is another one, or ends otherwise")
	}
	for name, f := range map[string]func(*tokenizer.Tokenizer) (int32, bool){"BOS": (*tokenizer.Tokenizer).BOS, "EOS": (*tokenizer.Tokenizer).EOS} {
		id, ok := f(a)
		if want, has := f(b); id != want || ok != has {
			t.Errorf("%s is %d %v, want %d %v", name, id, ok, want, has)
		}
	}
}

// TestGGUFFormats: of every mix, serving from the blocks is near the decoded
// matrices, within what rounding activations to 8 bits may cost, or has their
// bits where no format of the mix is multiplied as integers; and a file made
// from what serves has the same tensors.
func TestGGUFFormats(t *testing.T) {
	dir, m := whole(t, wide())
	for _, mix := range quant.MixtureNames() {
		t.Run(mix, func(t *testing.T) {
			g, saved := export(t, m, mapfile.Dir(dir), mix)
			loaded, err := zoo.LoadFS(g)
			if err != nil {
				t.Fatal(err)
			}
			serving, err := zoo.LoadServing(g)
			if err != nil {
				t.Fatal(err)
			}
			want, most := logits(loaded), 0.05
			if mix == "F32" || mix == "F16" || mix == "BF16" {
				most = 0
			}
			if e := distance(logits(serving), want); e > most {
				t.Errorf("logits served from blocks are off by %g of the size of those of the decoded model, want up to %g", e, most)
			}
			if serving.Info() != m.Info() {
				t.Errorf("info is %+v", serving.Info())
			}
			if b, all := nn.Bytes(serving), 4*m.Info().Params; mix != "F32" && 2*b > all+all/4 {
				t.Errorf("%d bytes at rest, %d in float32: %v", b, all, saved.Formats)
			}
			again, _ := export(t, serving, g, mix)
			if a, b := weightsOf(t, g), weightsOf(t, again); !slices.Equal(a, b) {
				t.Error("exporting what serves changes blocks")
			}
			if len(saved.Notes) > 0 {
				t.Errorf("notes: %q", saved.Notes)
			}
		})
	}
}

// TestLoadAs: a folder or file loaded in the formats of a mixture is, bit for bit,
// what the GGUF of that mixture serves, and takes no more memory.
func TestLoadAs(t *testing.T) {
	cfg := wide()
	dir, m := whole(t, cfg)
	cfg.TieWordEmbeddings = true
	tied, _ := whole(t, cfg)
	half := t.TempDir()
	if err := zoo.SaveHalf(half, m, quant.BF16, nil); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"F32", "BF16", "Q8_0", "Q4_K_M", "IQ4_XS", "MXFP4"} {
		mix, err := quant.ParseMixture(name)
		if err != nil {
			t.Fatal(err)
		}
		folder := []string{dir, half, tied}[i%3]
		wide, err := zoo.Load(folder)
		if err != nil {
			t.Fatal(err)
		}
		g, _ := export(t, wide, mapfile.Dir(dir), name)
		want, err1 := zoo.LoadServing(g)
		got, err2 := zoo.LoadAs(mapfile.Dir(folder), mix)
		again, err3 := zoo.LoadAs(g, mix)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(got), logits(want)) || !slices.Equal(logits(again), logits(want)) {
			t.Errorf("%s of folder %d: logits are not those of the GGUF", name, i%3)
		}
		if a, b := nn.Bytes(got), nn.Bytes(want); a > b+b/100 { // a table in panels
			t.Errorf("%s of folder %d: %d bytes, the GGUF takes %d", name, i%3, a, b)
		}
	}
}

// weightsOf are the bytes of a file's tensors.
func weightsOf(t *testing.T, g *zoo.GGUF) (all []byte) {
	f, err := gguf.Open(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, x := range f.Tensors() {
		all = append(all, f.Bytes(x)...)
	}
	return all
}

// TestGGUFMix holds which matrix gets which format in Q4_K_M: the head and some
// layers more, and other blocks where rows do not divide.
func TestGGUFMix(t *testing.T) {
	cfg := wide()
	cfg.NumHiddenLayers, cfg.IntermediateSize = 8, 160
	dir, m := whole(t, cfg)
	g, saved := export(t, m, mapfile.Dir(dir), "q4_k_m")
	f, err := gguf.Open(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]string{
		"output.weight": "Q6_K", "token_embd.weight": "Q4_K", "output_norm.weight": "F32", "blk.0.attn_q.bias": "F32",
		"blk.0.attn_v.weight": "Q6_K", "blk.1.attn_v.weight": "Q4_K", "blk.3.attn_v.weight": "Q6_K", "blk.7.attn_v.weight": "Q6_K",
		"blk.0.ffn_down.weight": "Q8_0", "blk.1.ffn_down.weight": "Q5_0", "blk.0.ffn_up.weight": "Q4_K",
	} {
		if x, _ := f.Tensor(name); x.Type.String() != want {
			t.Errorf("%s is %v, want %s", name, x.Type, want)
		}
	}
	if s := strings.Join(saved.Notes, "\n"); len(saved.Notes) != 2 || !strings.Contains(s, "matrices such as blk.0.ffn_down.weight are stored in Q8_0 (rows of 160)") {
		t.Errorf("notes: %q", saved.Notes)
	}
	if _, err := zoo.LoadServing(g); err != nil {
		t.Error(err)
	}
}

// TestGGUFTiny: the embedded model in blocks of Q8_0 is the model that it was, bit
// for bit.
func TestGGUFTiny(t *testing.T) {
	for _, name := range embedded.Names() {
		files, err := embedded.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := zoo.LoadServing(files)
		if err != nil {
			t.Fatal(err)
		}
		g, saved := export(t, want, files, "q8_0")
		got, err := zoo.LoadServing(g)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(got), logits(want)) || nn.Bytes(got) != nn.Bytes(want) {
			t.Errorf("%s: logits differ, or %d bytes are %d", name, nn.Bytes(want), nn.Bytes(got))
		}
		if len(saved.Notes) > 0 {
			t.Errorf("%s: notes %q", name, saved.Notes)
		}
		sameText(t, g, files)
	}
}

// TestGGUFFolder: the file is a folder to everybody who reads one.
func TestGGUFFolder(t *testing.T) {
	dir, m := whole(t, wide())
	g, _ := export(t, m, mapfile.Dir(dir), "f16")
	if err := fstest.TestFS(g, "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"); err != nil {
		t.Error(err)
	}
	var c struct {
		EOS []int32 `json:"eos_token_id"`
	}
	text, err := fs.ReadFile(g, "generation_config.json")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || !slices.Equal(c.EOS, m.EOSTokenID) {
		t.Errorf("ends are %v, want %v (%v)", c.EOS, m.EOSTokenID, err)
	}
	// A folder that holds the file is the same; of two nobody knows which.
	home := filepath.Dir(g.Path())
	if _, err := zoo.Load(home); err != nil {
		t.Error(err)
	}
	if err := os.Link(g.Path(), filepath.Join(home, "other.gguf")); err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.Open(home); !errors.Is(err, zoo.ErrNoModel) || !strings.Contains(err.Error(), `["m.gguf" "other.gguf"]`) {
		t.Errorf("a folder with two: error %v", err)
	}
	if _, err := zoo.Open(filepath.Join(dir, "tokenizer.json")); !errors.Is(err, zoo.ErrNoModel) {
		t.Errorf("a file that is none: error %v", err)
	}
	if _, err := zoo.Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

// TestGGUFLives: matrices at rest keep the file open when nothing else does.
func TestGGUFLives(t *testing.T) {
	dir, m := whole(t, wide())
	g, _ := export(t, m, mapfile.Dir(dir), "q4_0")
	serving, err := zoo.LoadServing(g)
	if err != nil {
		t.Fatal(err)
	}
	want := logits(serving)
	g = nil
	for range 3 {
		runtime.GC()
	}
	if !slices.Equal(logits(serving), want) {
		t.Error("logits changed")
	}
}

// rewrite copies a GGUF with other metadata or tensors.
func rewrite(t *testing.T, path string, change func(meta []gguf.KV, tensors []gguf.Source) ([]gguf.KV, []gguf.Source)) fs.FS {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
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
	meta, tensors = change(meta, tensors)
	to := filepath.Join(t.TempDir(), "changed.gguf")
	if err := gguf.Save(to, meta, tensors); err != nil {
		t.Fatal(err)
	}
	dir, err := zoo.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGGUFErrors: metadata or tensors that are not understood, or that do not
// belong together, are errors that name the thing.
func TestGGUFErrors(t *testing.T) {
	dir, m := whole(t, wide())
	g, _ := export(t, m, mapfile.Dir(dir), "q8_0")
	type list = []gguf.KV
	set := func(key string, v any) func(list, []gguf.Source) (list, []gguf.Source) {
		return func(meta list, x []gguf.Source) (list, []gguf.Source) {
			meta = slices.DeleteFunc(meta, func(kv gguf.KV) bool { return kv.Key == key })
			if v != nil {
				meta = append(meta, gguf.KV{Key: key, Value: v})
			}
			return meta, x
		}
	}
	add := func(s gguf.Source) func(list, []gguf.Source) (list, []gguf.Source) {
		return func(meta list, x []gguf.Source) (list, []gguf.Source) { return meta, append(x, s) }
	}
	vector := func(name string, v ...float32) gguf.Source {
		return gguf.Source{Name: name, Type: gguf.F32, Shape: []int{len(v)}, Write: func(w io.Writer) error { return gguf.Floats(w, v) }}
	}
	for _, c := range []struct {
		want   string
		change func(list, []gguf.Source) (list, []gguf.Source)
	}{
		{`unknown model family: general.architecture is "gpt9"; known: llama`, set("general.architecture", "gpt9")},
		{`general.type is "adapter"`, set("general.type", "adapter")},
		{"llama.rope.scaling.type: metadata that is not understood: it is ntk", set("llama.rope.scaling.type", "ntk")},
		{"rope_scaling.factor is 0", set("llama.rope.scaling.type", "yarn")},
		{"llama.rope.scaling.factor: metadata", set("llama.rope.scaling.factor", "much")},
		{"llama.rope.scaling.type: metadata that is not understood: it needs the tensors rope_factors_long.weight", set("llama.rope.scaling.type", "longrope")},
		{"llama.rope.scaling.yarn_log_multiplier: metadata", set("llama.rope.scaling.yarn_log_multiplier", float32(0.1))},
		{"rope_scaling.factor is 0.5", func(meta list, x []gguf.Source) (list, []gguf.Source) {
			return append(meta, gguf.KV{Key: "llama.rope.scaling.type", Value: "linear"}, gguf.KV{Key: "llama.rope.scaling.factor", Value: float32(0.5)}), x
		}},
		{"attention_bias is true, but only false", set("llama.attention.sliding_window", uint32(64))}, // mistral has no biases
		{"", set("llama.attention.sliding_window", uint32(0))},
		{"llama.expert_count: metadata", set("llama.expert_count", uint32(8))},
		{"llama.strange: metadata", set("llama.strange", uint32(8))},
		{"partial_rotary_factor is 0.5, but only 1", set("llama.rope.dimension_count", uint32(16))},
		{"llama.rope.dimension_count: metadata", set("llama.rope.dimension_count", uint32(64))},
		{"llama.block_count: metadata that is not understood: it is three (string)", set("llama.block_count", "three")},
		{"num_hidden_layers is 0", set("llama.block_count", nil)},
		{"missing tensor blk.3.attn_norm.weight [256]", set("llama.block_count", uint32(4))},
		{"tensor blk.2.attn_norm.weight is not part", set("llama.block_count", uint32(2))},
		{"tensor blk.0.attn_k.weight has shape [64 256], want [256 256]", set("llama.attention.head_count_kv", uint32(8))},
		{"values", set("llama.embedding_length", uint32(1<<24))},
		{"", set("llama.attention.head_count_kv", []int32{2, 2, 2})},
		{"llama.attention.head_count_kv: metadata", set("llama.attention.head_count_kv", []int32{2, 1, 2})},
		{"", set("llama.rope.scaling.type", "none")},
		{"", set("llama.attention.key_length", nil)},
		{"short_factor and long_factor have 2 and 2 numbers, want one for each of 16 pairs", add(vector("rope_freqs.weight", 1, 8))},
		{"tensor rope_freqs.weight: metadata that is not understood: factor 1 is 0", add(vector("rope_freqs.weight", 1, 0))},
		{"", add(vector("rope_freqs.weight", 1, 1))},
		{"tensor other.weight is not part", add(vector("other.weight", 1))},
		{"IQ2_XXS", func(meta list, x []gguf.Source) (list, []gguf.Source) {
			x[0].Type = 16
			x[0].Write = func(w io.Writer) error {
				_, err := w.Write(make([]byte, 66*x[0].Shape[1]))
				return err
			}
			return meta, x
		}},
		{"tensor output.weight: kernel: column 0 of a matrix [256, 283]: a scale of Q8_0 is", func(meta list, x []gguf.Source) (list, []gguf.Source) {
			head := &x[slices.IndexFunc(x, func(s gguf.Source) bool { return s.Name == "output.weight" })]
			write := head.Write
			head.Write = func(w io.Writer) error { return write(&spoil{w: w}) }
			return meta, x
		}},
	} {
		_, err := zoo.LoadServing(rewrite(t, g.Path(), c.change))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("want %q, got error %v", c.want, err)
		}
	}
}

// spoil makes the first scale infinite.
type spoil struct {
	w    io.Writer
	done bool
}

func (s *spoil) Write(p []byte) (int, error) {
	if !s.done && len(p) > 1 {
		p = slices.Clone(p)
		p[0], p[1], s.done = 0, 0x7c, true
	}
	return s.w.Write(p)
}

// TestGGUFGradient: tuning something on top of a model that serves from blocks
// gives nearly the gradients of the decoded model: activations are rounded.
func TestGGUFGradient(t *testing.T) {
	dir, m := whole(t, wide())
	g, _ := export(t, m, mapfile.Dir(dir), "q4_k_m")
	norm := func(load func(fs.FS) (model.Model, error)) []float32 {
		m, err := load(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range nn.Params(m) {
			if p.Name == "model.layers.0.input_layernorm.weight" {
				p.Value.Grad = []float32{}
				pass := &op.Pass{Record: true, Arena: &tensor.Arena{}, Spans: []op.Span{{Len: 5}}}
				z := m.Logits(pass, m.Hidden(pass, []int32{4, 0, 18, 4, 7}))
				pass.CrossEntropy(z, []int32{0, 18, 4, 7, 1}, 0.2)
				pass.Backward()
				return p.Value.Grad
			}
		}
		t.Fatal("no such weight")
		return nil
	}
	if a, b := norm(zoo.LoadFS), norm(zoo.LoadServing); len(a) == 0 || distance(b, a) > 0.1 {
		t.Errorf("gradients through blocks are off by %g of their size", distance(b, a))
	}
}
