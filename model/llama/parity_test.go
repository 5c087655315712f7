package llama_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
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

// TestParityWithPyTorch compares logits, loss, every gradient and ten AdamW
// losses with PyTorch: two documents in one batch, grouped queries, own and
// tied head.
func TestParityWithPyTorch(t *testing.T) {
	const tol = 1e-4 // relative to the largest value of each tensor
	pool := par.New(2)
	defer pool.Close()
	for _, name := range []string{"untied", "tied"} {
		f, m := load(t, name)
		params := withGrads(m)
		p := &op.Pass{Spans: f.spans(), Record: true, Pool: pool, Arena: &tensor.Arena{}}
		logits, loss := f.mean(m, p)
		worst := testkit.RelErr(t, logits, f.tensor(t, "logits", len(logits)))
		if worst > tol {
			t.Errorf("%s: logits: relative error %.2g, want at most %g", name, worst, tol)
		}
		if d := math.Abs(loss-f.Loss) / f.Loss; d > tol {
			t.Errorf("%s: loss is %.7f, PyTorch %s has %.7f", name, loss, f.Versions["torch"], f.Loss)
		}
		for _, p := range params {
			e := testkit.RelErr(t, p.Value.Grad, f.tensor(t, "grad."+p.Name, len(p.Value.Grad)))
			if e > tol {
				t.Errorf("%s: gradient of %s: relative error %.2g, want at most %g", name, p.Name, e, tol)
			}
			worst = max(worst, e)
		}
		t.Logf("%s: worst relative error of logits and %d gradients %.2g", name, len(params), worst)
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
