package zoo_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/internal/atomicfile"
	"weft/internal/mapfile"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
)

func tiny() llama.Config {
	return llama.Config{
		HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		VocabSize: 19, AttentionBias: true, MLPBias: true, BOSTokenID: llama.TokenID{1}, EOSTokenID: llama.TokenID{2, 3},
	}
}

func save(t *testing.T, cfg llama.Config) (dir string, m *llama.Llama) {
	t.Helper()
	dir, m = t.TempDir(), llama.New(cfg, tensor.NewRNG(3))
	rng := tensor.NewRNG(4)
	for _, p := range nn.Params(m) { // biases and gains too
		rng.FillNormal(p.Value.Data, 0.3)
	}
	if err := zoo.Save(dir, m, map[string]string{"step": "7"}); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func logits(m model.Model) []float32 { return logitsOf(m, []int32{4, 0, 18, 4, 7}) }

func logitsOf(m model.Model, ids []int32) []float32 {
	p := &op.Pass{Spans: []op.Span{{Len: len(ids)}}}
	return m.Logits(p, m.Hidden(p, ids)).Data
}

func TestSaveLoad(t *testing.T) {
	for _, tied := range []bool{false, true} {
		cfg := tiny()
		cfg.TieWordEmbeddings = tied
		dir, m := save(t, cfg)
		got, err := zoo.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(got), logits(m)) {
			t.Errorf("tied=%v: logits differ after saving and loading", tied)
		}
		if got.Info() != m.Info() {
			t.Errorf("tied=%v: info is %+v, want %+v", tied, got.Info(), m.Info())
		}
		again := t.TempDir()
		if err := zoo.Save(again, got, map[string]string{"step": "7"}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{zoo.ConfigFile, safetensors.SingleFile} {
			a, err1 := os.ReadFile(filepath.Join(dir, name))
			b, err2 := os.ReadFile(filepath.Join(again, name))
			if err1 != nil || err2 != nil || string(a) != string(b) {
				t.Errorf("tied=%v: %s changed by loading and saving (%v, %v)", tied, name, err1, err2)
			}
		}
	}
}

// edit changes keys of a folder's config.json; a nil value removes one.
func edit(t *testing.T, dir string, keys map[string]any) {
	t.Helper()
	path := filepath.Join(dir, zoo.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for k, v := range keys {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	if text, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct {
		keys map[string]any
		want string
	}{
		{map[string]any{"model_type": "gpt9"}, `unknown model family "gpt9"`},
		{map[string]any{"model_type": "gpt9"}, "known: llama"},
		{map[string]any{"architectures": []string{"LlamaForSequenceClassification"}}, "only LlamaForCausalLM"},
		{map[string]any{"model_type": nil}, ""}, // the architecture says it
		{map[string]any{"hidden_act": "gelu"}, `hidden_act is "gelu"`},
		{map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "factor": 4}}, ""},
		{map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3"}}, "rope_scaling.factor is missing"},
		{map[string]any{"rope_scaling": map[string]any{"type": "default"}}, ""},
		{map[string]any{"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 10000.0}}, ""},
		{map[string]any{"sliding_window": 4096}, "sliding_window is 4096"},
		{map[string]any{"logit_softcap": 30}, "unknown key logit_softcap"},
		{map[string]any{"use_cache": true, "transformers_version": "4.40"}, ""},
		{map[string]any{"num_key_value_heads": 3}, "no multiple"},
		{map[string]any{"num_key_value_heads": 2}, "k_proj.weight has shape [8 16], want [16 16]"},
		{map[string]any{"vocab_size": 20}, "shape [19 16], want [20 16]"},
		{map[string]any{"vocab_size": 16000000, "hidden_size": 16000000}, "values"},
		{map[string]any{"num_hidden_layers": 3}, "missing tensor model.layers.2.input_layernorm.weight"},
		{map[string]any{"num_hidden_layers": 1}, "tensor model.layers.1.input_layernorm.weight is not part"},
		{map[string]any{"num_hidden_layers": 0}, "num_hidden_layers is 0"},
		{map[string]any{"tie_word_embeddings": true}, "differs from the embedding"},
		{map[string]any{"attention_bias": false}, "k_proj.bias is not part"},
		{map[string]any{"head_dim": 7}, "turn pairs"},
		{map[string]any{"quantization_config": map[string]any{"quant_method": "awq", "bits": 4}}, `quantised by "awq", which is not read: take the model as it was`},
		{map[string]any{"quantization_config": nil}, ""},
		{map[string]any{"eos_token_id": 19}, "outside the vocabulary"},
		{map[string]any{"hidden_size": "wide"}, "cannot unmarshal"},
	} {
		dir, _ := save(t, tiny())
		edit(t, dir, c.keys)
		_, err := zoo.Load(dir)
		if c.want == "" && err != nil {
			t.Errorf("%v: %v", c.keys, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: error is %v, want one with %q", c.keys, err, c.want)
		}
	}
}

func TestLoadBadFiles(t *testing.T) {
	if _, err := zoo.Load(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: error is %v, want not exist", err)
	}
	dir, _ := save(t, tiny())
	path := filepath.Join(dir, safetensors.SingleFile)
	if err := os.Truncate(path, 500); err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.Load(dir); !errors.Is(err, safetensors.ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("truncated weights: error is %v, want a format error naming %s", err, path)
	}
}

// TestLoadTiedTwice reads a file that stores the shared matrix twice.
func TestLoadTiedTwice(t *testing.T) {
	cfg := tiny()
	cfg.TieWordEmbeddings = true
	dir, m := save(t, cfg)
	all := zoo.Tensors(m)
	all = append(all, safetensors.Tensor{Name: "lm_head.weight", Shape: all[0].Shape, Data: all[0].Data})
	err := atomicfile.Write(filepath.Join(dir, safetensors.SingleFile), func(w io.Writer) error { return safetensors.Write(w, all, nil) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.Load(dir); err != nil {
		t.Error(err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","hidden_size":8,"rope_scaling":{"type":"default"}}`))
	f.Add([]byte(`{"hidden_size":1e99,"eos_token_id":[1,2],"rope_theta":null}`))
	all := families(f)
	all["tiny"] = tiny()
	c := all["mistral"]
	c.SlidingWindow = 0
	all["mistral without a window"] = c
	for _, cfg := range all {
		text, err := llama.New(cfg, nil).ConfigJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := llama.ParseConfig(data)
		if err != nil || cfg.Weights() > 1e5 || cfg.HeadDim > 1e4 { // large ones are slow, not different
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatalf("parsed config %+v is not valid: %v", cfg, err)
		}
		freqs, scale := cfg.Rotation()
		for _, x := range append(freqs, scale) {
			if !(x >= 0) || math.IsInf(x, 0) {
				t.Fatalf("%g in the rotation of %+v", x, cfg)
			}
		}
		m := llama.New(cfg, nil)
		text, err := m.ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := llama.ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		if again.TorchDtype = m.TorchDtype; !reflect.DeepEqual(llama.New(again, nil).Config, m.Config) {
			t.Fatalf("%+v comes back as %+v", m.Config, again)
		}
	})
}

// TestSaveKeepsTheOld saves where it cannot: the old model stays whole.
func TestSaveKeepsTheOld(t *testing.T) {
	dir, m := save(t, tiny())
	path := filepath.Join(dir, safetensors.SingleFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		return errors.Join(safetensors.Write(w, zoo.Tensors(m)[:2], nil), errors.New("no space left on device"))
	})
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error is %v, want the writer's", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("a failed save changed the file (%v)", err)
	}
	if err := zoo.Save(path, m, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("saving into a file: error is %v, want one naming %s", err, path)
	}
}

// TestSaveQ8 stores a model in 8 bits: a quarter of the size, nearly the same
// logits, gains exact; doing it again changes nothing; and it loads from any
// file system.
func TestSaveQ8(t *testing.T) {
	cfg := tiny()
	cfg.TieWordEmbeddings = true
	_, m := save(t, cfg)
	dir, again := t.TempDir(), t.TempDir()
	if err := zoo.SaveQ8(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	got, err := zoo.LoadFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := nn.Params(m)
	for i, p := range nn.Params(got) {
		if !p.Decay && !slices.Equal(p.Value.Data, want[i].Value.Data) {
			t.Errorf("vector %s changed", p.Name)
		}
	}
	var worst, top float32
	a, b := logits(m), logits(got)
	for i := range a {
		worst, top = max(worst, max(a[i]-b[i], b[i]-a[i])), max(top, a[i], -a[i])
	}
	if worst == 0 || worst > 0.05*top {
		t.Errorf("logits of up to %g moved by up to %g, want a little", top, worst)
	}
	if err := zoo.SaveQ8(again, got, nil); err != nil {
		t.Fatal(err)
	}
	first, err1 := os.ReadFile(filepath.Join(dir, safetensors.SingleFile))
	second, err2 := os.ReadFile(filepath.Join(again, safetensors.SingleFile))
	if err1 != nil || err2 != nil || string(first) != string(second) {
		t.Errorf("storing in 8 bits twice changed the file (%v, %v)", err1, err2)
	}
}

// distance is the size of x-y as a share of that of y.
func distance(x, y []float32) float64 {
	var d, n float64
	for i, v := range y {
		d += math.Pow(float64(x[i]-v), 2)
		n += math.Pow(float64(v), 2)
	}
	return math.Sqrt(d / n)
}

// TestLoadServing: matrices that the file has in 8 bits stay so in memory, and
// logits are those of the model in float32 but for the rounding of activations
// to 16 bits.
func TestLoadServing(t *testing.T) {
	for _, tied := range []bool{false, true} {
		cfg := tiny()
		cfg.HiddenSize, cfg.TieWordEmbeddings = 48, tied
		full, m := save(t, cfg)
		dir := t.TempDir()
		if err := zoo.SaveQ8(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		wide, err1 := zoo.Load(dir)
		got, err2 := zoo.LoadServing(os.DirFS(dir))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		served := logits(got)
		if e := distance(served, logits(wide)); e > 1e-4 {
			t.Errorf("tied=%v: logits are off by %g of the size of those of the model in float32", tied, e)
		}
		nn.Freeze(got)
		if !slices.Equal(logits(got), served) {
			t.Errorf("tied=%v: logits differ after Freeze", tied)
		}
		if got.Info() != wide.Info() {
			t.Errorf("tied=%v: info is %+v, want %+v", tied, got.Info(), wide.Info())
		}
		params := nn.Params(got)
		for _, p := range params {
			if (p.AtRest != nil) != p.Decay || p.AtRest != nil && p.Value.Data != nil {
				t.Errorf("%s: 8 bits %v, %d values in float32", p.Name, p.AtRest != nil, len(p.Value.Data))
			}
		}
		if a, b := nn.Bytes(got), nn.Bytes(wide); b != 4*wide.Info().Params || a >= b {
			t.Errorf("tied=%v: %d bytes, in float32 %d", tied, a, b)
		}
		if err := zoo.Save(t.TempDir(), got, nil); err == nil || !strings.Contains(err.Error(), "is at rest") {
			t.Errorf("saving it: error is %v, want one that says it is at rest", err)
		}
		plain, err := zoo.LoadServing(os.DirFS(full))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(plain), logits(m)) {
			t.Errorf("tied=%v: a folder in float32 loads differently to serve", tied)
		}
		for _, p := range nn.Params(plain) {
			if _, packed := p.AtRest.(*op.Floats); p.Decay && (packed == (p.GGUF == "token_embd.weight" && !tied) || packed == (p.Value.Data != nil)) {
				t.Errorf("tied=%v: %s is packed: %v, with %d values beside", tied, p.Name, packed, len(p.Value.Data))
			}
		}
	}
}

// TestServeHalves: a folder in 16 bits serves from 16 bits, with the bits of the
// model widened to float32, tied or not, mapped or read.
func TestServeHalves(t *testing.T) {
	for _, format := range []quant.Format{quant.F16, quant.BF16} {
		for _, tied := range []bool{false, true} {
			cfg := tiny()
			cfg.TieWordEmbeddings = tied
			_, m := save(t, cfg)
			dir := t.TempDir()
			if err := zoo.SaveHalf(dir, m, format, nil); err != nil {
				t.Fatal(err)
			}
			wide, err := zoo.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if e := distance(logits(wide), logits(m)); e == 0 || e > 0.05 {
				t.Errorf("%v: logits are off by %g of their size by rounding to 16 bits", format, e)
			}
			for name, files := range map[string]fs.FS{"mapped": mapfile.Dir(dir), "read": os.DirFS(dir)} {
				got, err := zoo.LoadServing(files)
				if err != nil {
					t.Fatal(err)
				}
				nn.Freeze(got)
				if !slices.Equal(logits(got), logits(wide)) {
					t.Errorf("%v, tied=%v, %s: logits differ from those in float32", format, tied, name)
				}
				for _, p := range nn.Params(got) {
					if p.Decay != (p.AtRest != nil) {
						t.Errorf("%v, %s: %s is at rest: %v", format, name, p.Name, p.AtRest != nil)
					}
				}
			}
			var c struct {
				Type string `json:"torch_dtype"`
			}
			text, err := os.ReadFile(filepath.Join(dir, zoo.ConfigFile))
			if err := errors.Join(err, json.Unmarshal(text, &c)); err != nil || !strings.Contains(c.Type, "float16") {
				t.Errorf("%v: config says %q (%v)", format, c.Type, err)
			}
		}
	}
	_, m := save(t, tiny())
	if err := zoo.SaveHalf(t.TempDir(), m, quant.Q8_0, nil); err == nil || !strings.Contains(err.Error(), "want F16 or BF16") {
		t.Errorf("8 bits as halves: error is %v", err)
	}
	nn.Params(m)[0].Value.Data[3] = 1e6
	if err := zoo.SaveHalf(t.TempDir(), m, quant.F16, nil); !errors.Is(err, quant.ErrRange) || !strings.Contains(err.Error(), "embed_tokens") {
		t.Errorf("a million in F16: error is %v, want one that names the tensor", err)
	}
}
