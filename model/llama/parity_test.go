package llama_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/internal/testkit"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/weights/safetensors"
)

// fixture is what testdata/parity/parity.py has written.
type fixture struct {
	Config    json.RawMessage
	IDs       []int32
	Targets   []int32
	Documents []int
	Loss      float64
	AdamW     struct {
		LR, Beta1, Beta2, Eps float64
		WeightDecay           float64 `json:"weight_decay"`
	}
	Losses   []float64
	Versions map[string]string

	file *safetensors.File
}

// load reads a fixture by its path below testdata/parity.
func load(t *testing.T, name string) (f fixture, m *llama.Llama) {
	t.Helper()
	dir := filepath.Join(testkit.Root(t), "testdata", "parity")
	text, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	cfg, err := llama.ParseConfig(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	if f.file, err = safetensors.Open(filepath.Join(dir, name+".safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.file.Close() })
	m = llama.New(cfg, nil)
	for _, p := range nn.Params(m) {
		if err := f.file.Read(p.Name, p.Value.Data); err != nil {
			t.Fatal(err)
		}
	}
	return f, m
}

func (f fixture) tensor(t *testing.T, name string, n int) []float32 {
	t.Helper()
	want := make([]float32, n)
	if err := f.file.Read(name, want); err != nil {
		t.Fatal(err)
	}
	return want
}

// mean runs forward and backward of the mean loss over the rows that count.
func (f fixture) mean(m *llama.Llama, p *op.Pass) (logits []float32, loss float64) {
	n := 0
	for _, t := range f.Targets {
		if t >= 0 {
			n++
		}
	}
	out := m.Logits(p, m.Hidden(p, f.IDs))
	logits = append(logits, out.Data...)
	loss = p.CrossEntropy(out, f.Targets, 1/float32(n)) / float64(n)
	p.Backward()
	return logits, loss
}

func (f fixture) spans() (spans []op.Span) {
	row := 0
	for _, n := range f.Documents {
		spans = append(spans, op.Span{Row: row, Len: n})
		row += n
	}
	return spans
}

// tolerance is how far values may be off, relative to the largest of each tensor.
const tolerance = 1e-4

// compare holds logits, loss and every gradient of one pass.
func (f fixture) compare(t *testing.T, name string, m *llama.Llama, params []nn.Named, p *op.Pass) {
	t.Helper()
	logits, loss := f.mean(m, p)
	worst := testkit.RelErr(t, logits, f.tensor(t, "logits", len(logits)))
	if worst > tolerance {
		t.Errorf("%s: logits: relative error %.2g, want at most %g", name, worst, tolerance)
	}
	if d := math.Abs(loss-f.Loss) / f.Loss; d > tolerance {
		t.Errorf("%s: loss is %.7f, PyTorch %s has %.7f", name, loss, f.Versions["torch"], f.Loss)
	}
	for _, p := range params {
		e := testkit.RelErr(t, p.Value.Grad, f.tensor(t, "grad."+p.Name, len(p.Value.Grad)))
		if e > tolerance {
			t.Errorf("%s: gradient of %s: relative error %.2g, want at most %g", name, p.Name, e, tolerance)
		}
		worst = max(worst, e)
	}
	t.Logf("%s: worst relative error of logits and %d gradients %.2g", name, len(params), worst)
}

// TestFamilies compares every family with transformers, whose config.json and
// tensor names testdata/parity/families.py has saved: logits, loss and gradients of
// two documents that are longer than the windows, and that config.json comes back.
func TestFamilies(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	for _, name := range families {
		f, m := load(t, filepath.Join("families", name))
		p := &op.Pass{Spans: f.spans(), Record: true, Pool: pool, Arena: &tensor.Arena{}}
		f.compare(t, name+", transformers "+f.Versions["transformers"], m, withGrads(m), p)
		text, err := m.ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := llama.ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		if again.TorchDtype = m.TorchDtype; !reflect.DeepEqual(llama.New(again, nil).Config, m.Config) {
			t.Errorf("%s: its config comes back as %+v, want %+v", name, again, m.Config)
		}
	}
}

// families are the fixtures of families.py.
var families = []string{"qwen2", "qwen2-window", "qwen3", "mistral", "phi3", "smollm3", "llama3-rope", "llama-yarn"}

// TestRotations compares frequencies and attention factors of every scaling with
// those of ROPE_INIT_FUNCTIONS of transformers, which computes in float32.
func TestRotations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "testdata", "parity", "families", "rope.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Rotations []struct {
			Name      string
			Config    json.RawMessage
			Freqs     []float64 `json:"inv_freq"`
			Attention float64   `json:"attention_factor"`
		}
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all.Rotations) < 15 {
		t.Fatalf("%d rotations, %v", len(all.Rotations), err)
	}
	for _, r := range all.Rotations {
		cfg, err := llama.ParseConfig(r.Config)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		freqs, scale := cfg.Rotation()
		if len(freqs) != len(r.Freqs) || math.Abs(scale/r.Attention-1) > 1e-6 {
			t.Errorf("%s: %d frequencies times %g, want %d times %g", r.Name, len(freqs), scale, len(r.Freqs), r.Attention)
			continue
		}
		for i, want := range r.Freqs {
			if math.Abs(freqs[i]/want-1) > 2e-6 {
				t.Errorf("%s: frequency %d is %g, want %g", r.Name, i, freqs[i], want)
				break
			}
		}
	}
}

// TestParityWithPyTorch compares logits, loss, every gradient and ten AdamW
// losses with PyTorch: two documents in one batch, grouped queries, own and
// tied head.
func TestParityWithPyTorch(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	for _, name := range []string{"untied", "tied"} {
		f, m := load(t, name)
		params := withGrads(m)
		p := &op.Pass{Spans: f.spans(), Record: true, Pool: pool, Arena: &tensor.Arena{}}
		f.compare(t, name, m, params, p)
		f.adamw(t, name, m, params, p)
	}
}

// adamw trains ten steps and compares each loss.
func (f fixture) adamw(t *testing.T, name string, m *llama.Llama, params []nn.Named, p *op.Pass) {
	t.Helper()
	worst := 0.0
	moments := make([][2][]float32, len(params))
	for i, p := range params {
		moments[i] = [2][]float32{make([]float32, len(p.Value.Data)), make([]float32, len(p.Value.Data))}
	}
	for step, want := range f.Losses {
		for _, p := range params {
			clear(p.Value.Grad)
		}
		p.Arena.Reset()
		_, loss := f.mean(m, p)
		d := math.Abs(loss-want) / want
		if worst = max(worst, d); d > 1e-4 {
			t.Errorf("%s: loss of AdamW step %d is %.7f, PyTorch has %.7f", name, step+1, loss, want)
		}
		for i, p := range params {
			o := kernel.AdamWParams{
				LR: float32(f.AdamW.LR), Beta1: float32(f.AdamW.Beta1), Beta2: float32(f.AdamW.Beta2), Eps: float32(f.AdamW.Eps),
				Correct1:  float32(1 - math.Pow(f.AdamW.Beta1, float64(step+1))),
				Correct2:  float32(1 - math.Pow(f.AdamW.Beta2, float64(step+1))),
				GradScale: 1,
			}
			if p.Decay {
				o.WeightDecay = float32(f.AdamW.WeightDecay)
			}
			kernel.AdamW(p.Value.Data, p.Value.Grad, moments[i][0], moments[i][1], o)
		}
	}
	t.Logf("%s: ten losses %.5f to %.5f, worst relative error %.2g", name, f.Losses[0], f.Losses[len(f.Losses)-1], worst)
}
