package zoo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/compute/quant"
	"weft/infer/plan"
	"weft/internal/mapfile"
	"weft/internal/testkit"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/weights/gguf"
	"weft/model/zoo"
)

// family is the config that transformers has saved for one of the families of
// testdata/parity/families.py.
func family(t testing.TB, name string) llama.Config {
	t.Helper()
	var f struct{ Config json.RawMessage }
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "testdata", "parity", "families", name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := llama.ParseConfig(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// families are those that a GGUF can say, and one more of each kind of rotation.
func families(t testing.TB) map[string]llama.Config {
	all := map[string]llama.Config{}
	for _, name := range []string{"qwen2", "qwen2-window", "qwen3", "mistral", "phi3", "llama3-rope", "llama-yarn"} {
		all[name] = family(t, name)
	}
	c := family(t, "smollm3")
	c.NumHiddenLayers, c.NoRopeLayers = 4, []int{1, 1, 1, 0}
	all["smollm3"] = c
	c = family(t, "llama-yarn")
	c.RopeScaling = llama.RopeScaling{Type: "linear", Factor: 2.5}
	all["llama-linear"] = c
	c.RopeScaling = llama.RopeScaling{Type: "dynamic", Factor: 4, Original: 16}
	all["llama-dynamic"] = c
	c = family(t, "qwen3")
	c.RopeScaling = llama.RopeScaling{Type: "yarn", Factor: 4, Original: 16, BetaFast: 24, BetaSlow: 2, AttentionFactor: 1.25}
	all["qwen3-yarn"] = c
	return all
}

// TestGGUFFamilies: a model of each family comes back from a GGUF with its bits,
// and so does the file; where float32 does not hold the rotation, a note says so.
func TestGGUFFamilies(t *testing.T) {
	for name, cfg := range families(t) {
		dir, m := whole(t, cfg)
		g, saved := export(t, m, mapfile.Dir(dir), "f32")
		rounded := strings.Contains(strings.Join(saved.Notes, "\n"), "float32 factors")
		if want := slices.Contains([]string{"phi3", "llama3-rope", "llama-dynamic", "qwen3-yarn"}, name); rounded != want {
			t.Errorf("%s: notes %q, want one about factors: %v", name, saved.Notes, want)
		}
		if windows := strings.Contains(strings.Join(saved.Notes, "\n"), "does not know the window"); windows != (cfg.SlidingWindow > 0) {
			t.Errorf("%s: notes %q of a window of %d", name, saved.Notes, cfg.SlidingWindow)
		}
		for how, load := range map[string]func(fs.FS) (model.Model, error){"training": zoo.LoadFS, "serving": zoo.LoadServing} {
			got, err := load(g)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			d := distance(long(got), long(m))
			if d > 1e-6 || d != 0 && !rounded {
				t.Errorf("%s: logits for %s are off by %g of their size", name, how, d)
			}
			if got.Info() != m.Info() || !slices.Equal(got.State(), m.State()) {
				t.Errorf("%s: for %s it is %+v, want %+v", name, how, got.Info(), m.Info())
			}
		}
		back, err := zoo.LoadFS(g)
		if err != nil {
			continue
		}
		again, _ := export(t, back, g, "f32")
		a, err1 := os.ReadFile(g.Path())
		b, err2 := os.ReadFile(again.Path())
		if err1 != nil || err2 != nil || !slices.Equal(a, b) {
			t.Errorf("%s: exporting the file gives another file (%v, %v)", name, err1, err2)
		}
		folder := t.TempDir() // and back into a folder
		if err := zoo.Save(folder, back, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := zoo.Load(folder); err != nil || !slices.Equal(long(got), long(back)) {
			t.Errorf("%s: the folder made of the file is another model: %v", name, err)
		}
	}
}

// long are logits past every window of the families.
func long(m model.Model) []float32 {
	ids := make([]int32, 30)
	for i := range ids {
		ids[i] = int32(i * 7 % 40)
	}
	return logitsOf(m, ids)
}

// TestGGUFOrder: rows of q and k are stored in pairs for llama, and as they are
// for qwen2, whose biases are stored too.
func TestGGUFOrder(t *testing.T) {
	for _, name := range []string{"qwen2", "mistral"} {
		dir, m := whole(t, family(t, name))
		g, _ := export(t, m, mapfile.Dir(dir), "f32")
		f, err := gguf.Open(g.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range nn.Params(m) {
			x, _ := f.Tensor(p.GGUF)
			leaf := strings.Split(p.GGUF, ".")
			turned := len(leaf) == 4 && (leaf[2] == "attn_q" || leaf[2] == "attn_k")
			if same := slices.Equal(floats(f.Bytes(x)), p.Value.Data); same == (turned && name == "mistral") {
				t.Errorf("%s: %s is stored as it is: %v", name, p.GGUF, same)
			}
		}
		var biases []string
		for _, x := range f.Tensors() {
			if strings.HasPrefix(x.Name, "blk.1.") && strings.HasSuffix(x.Name, ".bias") {
				biases = append(biases, x.Name)
			}
		}
		if want := "[blk.1.attn_q.bias blk.1.attn_k.bias blk.1.attn_v.bias]"; (fmt.Sprint(biases) == want) != (name == "qwen2") {
			t.Errorf("%s: biases %v", name, biases)
		}
	}
}

// floats are the values of bytes of float32.
func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	quant.F32.Decode(x, b)
	return x
}

// TestGGUFCannot: what a GGUF cannot say is an error, not another model.
func TestGGUFCannot(t *testing.T) {
	c := family(t, "qwen2")
	c.RopeScaling = llama.RopeScaling{Type: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 16}
	no := false
	y := family(t, "llama-yarn")
	y.RopeScaling.Truncate = &no
	for want, cfg := range map[string]llama.Config{
		"rope_scaling of type llama3: a GGUF of qwen2 cannot say it":         c,
		"rope_scaling of type yarn: a GGUF of llama cannot say it: truncate": y,
		"no_rope_layers: a GGUF of smollm3 cannot say that layer 0 is such":  family(t, "smollm3"),
	} {
		dir, m := whole(t, cfg)
		path := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := zoo.SaveGGUF(path, m, mapfile.Dir(dir), zoo.GGUFOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestPlanned: what infer/plan computes of a config is what a model of it has:
// tensors by name and size, windows, context.
func TestPlanned(t *testing.T) {
	all := families(t)
	c := tiny()
	all["llama, biases"] = c
	for name, cfg := range all {
		m := llama.New(cfg, nil)
		text, err := m.ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		s, err := plan.ParseConfig(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, got := map[string]int64{}, map[string]int64{}
		for _, p := range nn.Params(m) {
			want[p.GGUF] = int64(p.Len())
		}
		for _, x := range s.Tensors() {
			got[x.Name] = x.Params()
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: planned are %v, want %v", name, got, want)
		}
		sliding := 0
		for _, l := range m.State() {
			if l.Window > 0 {
				sliding++
			}
		}
		if s.Sliding != sliding || s.Sliding > 0 && s.Window != cfg.SlidingWindow || s.Context != m.Info().Context || s.Family != m.Info().Family || len(s.Notes) > 0 {
			t.Errorf("%s: planned as %s (%q), want %d layers with a window, context %d", name, s, s.Notes, sliding, m.Info().Context)
		}
	}
}

// TestPublishedGGUF reads what published files say of their models: it is
// understood, or refused by the name of the family.
func TestPublishedGGUF(t *testing.T) {
	for name, want := range map[string]string{
		"llama-spm": "", "deepseek-coder": "", "phi-3": "",
		"bert-bge": `"bert"`, "falcon": `"falcon"`, "gpt-2": `"gpt2"`,
	} {
		files, err := zoo.Open(testkit.Data(t, "gguf-vocabs/ggml-vocab-"+name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := fs.ReadFile(files, zoo.ConfigFile)
		if want != "" {
			if !errors.Is(err, zoo.ErrFamily) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %v %s", name, err, zoo.ErrFamily, want)
			}
			continue
		}
		c, err := llama.ParseConfig(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if linear := c.RopeScaling.Type == "linear" && c.RopeScaling.Factor == 4; linear != (name == "deepseek-coder") {
			t.Errorf("%s: rotation %+v, theta %g", name, c.RopeScaling, c.RopeTheta)
		}
	}
}
