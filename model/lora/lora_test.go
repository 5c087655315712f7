package lora_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/internal/testkit"
	"weft/model"
	"weft/model/llama"
	"weft/model/lora"
	"weft/model/nn"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
)

// parity is what testdata/adapters.py has written beside its folders.
type parity struct {
	IDs      []int32
	Losses   map[string]float64
	Versions map[string]string
}

func readParity(t *testing.T) (p parity) {
	t.Helper()
	text, err := os.ReadFile("testdata/versions.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func loadBase(t testing.TB) model.Model {
	t.Helper()
	m, err := zoo.Load("testdata/base")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, name string, m model.Model) *lora.Adapter {
	t.Helper()
	a, err := lora.Open(mapfile.Dir(filepath.Join("testdata", name)), lora.Base{Model: m, Names: []string{"parity-base"}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run gives the logits of ids, through an adapter unless it is nil.
func run(m model.Model, a *lora.Adapter, p *op.Pass, ids []int32) *tensor.Tensor {
	p.Spans = []op.Span{{Len: len(ids)}}
	if a != nil {
		p.Spans[0].Adapter = a
	}
	return m.Logits(p, m.Hidden(p, ids))
}

// wantGrads makes a backward pass set the gradients of an adapter, in memory that
// outlives it.
func wantGrads(a *lora.Adapter) {
	for _, p := range a.Params() {
		p.Value.Grad = make([]float32, 0, p.Len())
	}
}

// TestParityWithPEFT compares logits, merged logits, the loss and the gradients
// of the adapter's parameters with PEFT's.
func TestParityWithPEFT(t *testing.T) {
	const tol = 1e-5 // of the largest value of each tensor
	want := readParity(t)
	pool := par.New(2)
	defer pool.Close()
	for name, loss := range want.Losses {
		m := loadBase(t)
		plain := run(m, nil, &op.Pass{}, want.IDs)
		a := open(t, name, m)
		nn.Adapt(m)
		f, err := safetensors.Open(filepath.Join("testdata", name, "parity.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		worst := 0.0
		check := func(what string, got []float32) {
			t.Helper()
			ref := make([]float32, len(got))
			if err := f.Read(what, ref); err != nil {
				t.Fatal(err)
			}
			e := testkit.RelErr(t, got, ref)
			if worst = max(worst, e); e > tol {
				t.Errorf("%s: %s: relative error %.2g, want at most %g", name, what, e, tol)
			}
		}
		wantGrads(a)
		p := &op.Pass{Record: true, Pool: pool, Arena: &tensor.Arena{}}
		logits := run(m, a, p, want.IDs)
		check("logits", logits.Data)
		if e := testkit.RelErr(t, plain.Data, logits.Data); e < 0.05 {
			t.Errorf("%s: the adapter changes the logits by %.2g of their size", name, e)
		}
		n := len(want.IDs) - 1
		got := p.CrossEntropy(logits, append(slices.Clone(want.IDs[1:]), -1), 1/float32(n)) / float64(n)
		if math.Abs(got-loss) > 1e-5*loss {
			t.Errorf("%s: loss is %.7f, PEFT %s has %.7f", name, got, want.Versions["peft"], loss)
		}
		p.Backward()
		for _, q := range a.Params() {
			check("grad."+q.Name, q.Value.Grad)
		}
		if err := a.Merge(m); err != nil {
			t.Fatal(err)
		}
		check("merged", run(m, nil, &op.Pass{}, want.IDs).Data)
		t.Logf("%s: %d parameters, worst relative error %.2g (PEFT %s)", name, len(a.Params()), worst, want.Versions["peft"])
	}
}

// TestOverRestingBase: an adapter over matrices that are multiplied as integers
// of 8 bits is that over the same numbers in float32, within what rounding the
// activations costs.
func TestOverRestingBase(t *testing.T) {
	ids, dir := readParity(t).IDs, t.TempDir()
	if err := zoo.SaveQ8(dir, loadBase(t), nil); err != nil {
		t.Fatal(err)
	}
	rested, err := zoo.LoadServing(mapfile.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	wide, err := zoo.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	nn.Adapt(rested)
	nn.Adapt(wide)
	for name := range readParity(t).Losses {
		want := run(wide, open(t, name, wide), &op.Pass{}, ids)
		got := run(rested, open(t, name, rested), &op.Pass{}, ids)
		if e := testkit.RelErr(t, got.Data, want.Data); e > 1e-3 || e == 0 {
			t.Errorf("%s: logits over a base in 8 bits are off by %.2g, want up to 1e-3 and some", name, e)
		}
	}
	if err := open(t, "plain", rested).Merge(rested); err == nil || !strings.Contains(err.Error(), "not in float32: load the model with zoo.Load") {
		t.Errorf("merging into a base at rest: %v", err)
	}
}

// TestSave: what is written reads as what was read, and New writes what Open
// takes.
func TestSave(t *testing.T) {
	m, dir := loadBase(t), t.TempDir()
	for name := range readParity(t).Losses {
		a := open(t, name, m)
		if err := a.Save(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		b, err := lora.Open(mapfile.Dir(filepath.Join(dir, name)), lora.Base{Model: m, Names: []string{"parity-base"}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Hash() != b.Hash() || len(a.Hash()) != 64 || a.Bytes() != b.Bytes() {
			t.Errorf("%s: hash %s and %d bytes, written and read %s and %d", name, a.Hash(), a.Bytes(), b.Hash(), b.Bytes())
		}
		text, err := a.JSON()
		again, err2 := b.JSON()
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(text, again) {
			t.Errorf("%s: config changed (%v):\n%s\n%s", name, err, text, again)
		}
	}
	fresh, err := lora.New(m, lora.Config{Base: "parity-base", Rank: 3, Targets: []string{"q_proj", "down_proj"}}, tensor.NewRNG(1))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(fresh.Params()); n != 8 {
		t.Errorf("a fresh adapter has %d parameters, want 2 matrices of 2 layers, A and B", n)
	}
	if err := fresh.Save(filepath.Join(dir, "fresh")); err != nil {
		t.Fatal(err)
	}
	b, err := lora.Open(mapfile.Dir(filepath.Join(dir, "fresh")), lora.Base{Model: m})
	if err != nil || b.Hash() != fresh.Hash() {
		t.Errorf("a fresh adapter does not come back: %v", err)
	}
	nn.Adapt(m)
	ids := []int32{1, 2, 3}
	if !slices.Equal(run(m, fresh, &op.Pass{}, ids).Data, run(m, nil, &op.Pass{}, ids).Data) {
		t.Error("a fresh adapter changes something")
	}
	if _, err := lora.New(m, lora.Config{Targets: []string{"c_attn"}}, tensor.NewRNG(1)); !errors.Is(err, lora.ErrBase) {
		t.Errorf("a target that the model has not: %v", err)
	}
}

// TestTrain: a few steps on the adapter alone lower the loss, and no bit of the
// base changes.
func TestTrain(t *testing.T) {
	m, ids := loadBase(t), readParity(t).IDs
	nn.Adapt(m)
	nn.Freeze(m)
	var before [][]float32
	for _, p := range nn.Params(m) {
		before = append(before, slices.Clone(p.Value.Data))
	}
	a, err := lora.New(m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{"q_proj", "v_proj", "up_proj", "down_proj"}}, tensor.NewRNG(1))
	if err != nil {
		t.Fatal(err)
	}
	targets := append(slices.Clone(ids[1:]), -1)
	var losses []float64
	for range 30 {
		p := &op.Pass{Record: true, Remat: true, Arena: &tensor.Arena{}}
		wantGrads(a)
		losses = append(losses, p.CrossEntropy(run(m, a, p, ids), targets, 1/float32(len(ids)-1)))
		p.Backward()
		for _, q := range a.Params() {
			for i, g := range q.Value.Grad {
				q.Value.Data[i] -= 0.05 * g
			}
		}
	}
	if first, last := losses[0], losses[len(losses)-1]; last > 0.7*first {
		t.Errorf("the loss fell from %.3f to %.3f only", first, last)
	}
	for i, p := range nn.Params(m) {
		if !slices.Equal(p.Value.Data, before[i]) {
			t.Errorf("%s of the base has changed", p.Name)
		}
	}
}

// folder is the files of an adapter of testdata, its config with some keys
// changed (nil: gone), and its tensors by edit.
func folder(t testing.TB, name string, change map[string]any, edit func(map[string]safetensors.Tensor)) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name, lora.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for key, v := range change {
		if keys[key] = v; v == nil {
			delete(keys, key)
		}
	}
	if text, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join("testdata", name, lora.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := map[string]safetensors.Tensor{}
	for _, n := range f.Names() {
		info, _ := f.Info(n)
		data := make([]float32, info.Len())
		if err := f.Read(n, data); err != nil {
			t.Fatal(err)
		}
		tensors[n] = safetensors.Tensor{Name: n, Shape: info.Shape, Data: data}
	}
	if edit != nil {
		edit(tensors)
	}
	var list []safetensors.Tensor
	for _, n := range slices.Sorted(maps.Keys(tensors)) {
		list = append(list, tensors[n])
	}
	var buf bytes.Buffer
	if err := safetensors.Write(&buf, list, nil); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{lora.ConfigFile: {Data: text}, lora.WeightsFile: {Data: buf.Bytes()}}
}

const q0 = "base_model.model.model.layers.0.self_attn.q_proj"

// TestRefusals: nothing that would change what is computed is passed over.
func TestRefusals(t *testing.T) {
	m := loadBase(t)
	type tensors = map[string]safetensors.Tensor
	for _, c := range []struct {
		change map[string]any
		edit   func(tensors)
		kind   error
		want   string
	}{
		{map[string]any{"peft_type": "IA3"}, nil, lora.ErrUnsupported, `peft_type is "IA3"`},
		{map[string]any{"use_dora": true}, nil, lora.ErrUnsupported, "DoRA"},
		{map[string]any{"fan_in_fan_out": true}, nil, lora.ErrUnsupported, "fan_in_fan_out"},
		{map[string]any{"bias": "all"}, nil, lora.ErrUnsupported, `bias is "all", want "none"`},
		{map[string]any{"lora_bias": true}, nil, lora.ErrUnsupported, "lora_bias"},
		{map[string]any{"modules_to_save": []string{"lm_head"}}, nil, lora.ErrUnsupported, "modules_to_save"},
		{map[string]any{"init_lora_weights": "pissa_niter_4"}, nil, lora.ErrUnsupported, "changes the weights of the base"},
		{map[string]any{"task_type": "SEQ_CLS"}, nil, lora.ErrUnsupported, "task_type"},
		{map[string]any{"layer_replication": [][]int{{0, 2}}}, nil, lora.ErrUnsupported, "layer_replication is [[0,2]]"},
		{map[string]any{"gate_by_moon": 3}, nil, lora.ErrUnsupported, "gate_by_moon is 3: nobody here knows the key"},
		{map[string]any{"r": 0}, nil, lora.ErrFormat, "r is 0, want 1 to 1024"},
		{map[string]any{"r": 5}, nil, lora.ErrFormat, "has shape [4 32], want [5 32]"},
		{map[string]any{"r": "four"}, nil, lora.ErrFormat, "cannot unmarshal string"},
		{map[string]any{"lora_alpha": 1e300}, nil, lora.ErrFormat, "lora_alpha"},
		{map[string]any{"rank_pattern": map[string]any{"q_proj": 1.5}}, nil, lora.ErrFormat, "rank_pattern"},
		{map[string]any{"rank_pattern": map[string]any{"(q{1,9}){99}": 4}}, nil, lora.ErrFormat, "no {counts}"},
		{map[string]any{"alpha_pattern": map[string]any{"q_proj(": 4}}, nil, lora.ErrFormat, "missing closing )"},
		{map[string]any{"target_modules": 7}, nil, lora.ErrFormat, "target_modules is 7"},
		{map[string]any{"target_modules": []string{"q_proj"}}, nil, lora.ErrFormat, "v_proj has a pair, but is none of target_modules"},
		{map[string]any{"target_modules": []string{"q_proj", "v_proj", "o_proj"}}, nil, lora.ErrBase, "o_proj is one of target_modules"},
		{map[string]any{"base_model_name_or_path": "someone/else-7b"}, nil, lora.ErrBase, `made for "someone/else-7b", and this model is ["parity-base"]`},
		{nil, func(w tensors) { delete(w, q0+".lora_B.weight") }, lora.ErrFormat, "one of lora_A and lora_B"},
		{nil, func(w tensors) {
			w["x"] = safetensors.Tensor{Name: "x", Shape: []int{1}, Data: []float32{1}}
		}, lora.ErrUnsupported, "tensor x: only NAME"},
		{nil, func(w tensors) {
			for _, end := range []string{".lora_A.weight", ".lora_B.weight"} {
				x := w[q0+end]
				x.Name = "base_model.model.model.layers.9.self_attn.q_proj" + end
				w[x.Name] = x
			}
		}, lora.ErrBase, "no matrix model.layers.9.self_attn.q_proj"},
		{nil, func(w tensors) {
			w[q0+".lora_A.weight"] = safetensors.Tensor{Name: q0 + ".lora_A.weight", Shape: []int{4, 31}, Data: make([]float32, 4*31)}
		}, lora.ErrBase, "has shape [4 31], want [4 32]"},
		{nil, func(w tensors) {
			w[q0+".lora_B.weight"] = safetensors.Tensor{Name: q0 + ".lora_B.weight", Shape: []int{128}, Data: make([]float32, 128)}
		}, lora.ErrBase, "has shape [128], want [32 4]"},
		{nil, func(w tensors) { w[q0+".lora_B.weight"].Data[9] = float32(math.NaN()) }, lora.ErrFormat, "holds NaN at row 2"},
		{nil, func(w tensors) { clear(w) }, lora.ErrFormat, "holds no tensor"},
	} {
		_, err := lora.Open(folder(t, "plain", c.change, c.edit), lora.Base{Model: m, Names: []string{"parity-base"}})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got error %v, want %v with %q", c.change, err, c.kind, c.want)
		}
	}

	trained := folder(t, "head", nil, func(w tensors) {
		for i, v := range w["base_model.model.lm_head.base_layer.weight"].Data {
			w["base_model.model.lm_head.base_layer.weight"].Data[i] = -v
		}
	})
	if _, err := lora.Open(trained, lora.Base{Model: m}); !errors.Is(err, lora.ErrBase) || !strings.Contains(err.Error(), "lm_head.base_layer.weight is not the matrix of this model") {
		t.Errorf("another head in the file: %v", err)
	}

	whole := folder(t, "plain", nil, nil)
	missing := fstest.MapFS{lora.ConfigFile: whole[lora.ConfigFile], "adapter_model.bin": {}}
	for want, dir := range map[string]fstest.MapFS{
		"is a pickle":       missing,
		"an adapter is a":   {},
		"longer than":       {lora.ConfigFile: {Data: bytes.Repeat([]byte(" "), 1<<20+1)}},
		"and all pairs of":  {lora.ConfigFile: whole[lora.ConfigFile], lora.WeightsFile: {Data: make([]byte, 40<<20)}},
		"truncated":         {lora.ConfigFile: whole[lora.ConfigFile], lora.WeightsFile: {Data: whole[lora.WeightsFile].Data[:99]}},
		"unexpected end of": {lora.ConfigFile: {Data: []byte(`{"peft_type"`)}, lora.WeightsFile: whole[lora.WeightsFile]},
	} {
		if _, err := lora.Open(dir, lora.Base{Model: m}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if _, err := lora.Open(fstest.MapFS{}, lora.Base{Model: m}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	small := llama.New(llama.Config{HiddenSize: 16, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, VocabSize: 61}, nil)
	if _, err := lora.Open(whole, lora.Base{Model: small}); !errors.Is(err, lora.ErrBase) {
		t.Errorf("a base of other shapes: %v", err)
	}
}

// TestAccepted: what says nothing about the arithmetic, or says it otherwise,
// is no error.
func TestAccepted(t *testing.T) {
	m := loadBase(t)
	want := open(t, "plain", m).Hash()
	for _, change := range []map[string]any{
		{"base_model_name_or_path": nil}, {"base_model_name_or_path": "/models/parity-base/"}, {"peft_version": nil},
		{"target_modules": ".*_proj"}, {"target_modules": nil}, {"lora_dropout": 0.1}, {"task_type": nil},
		{"a_key_of_tomorrow": false}, {"another": map[string]any{}}, {"init_lora_weights": "gaussian"},
		{"target_modules": []string{"q_proj", "v_proj", "o_proj"}, "layers_to_transform": []int{0, 1}},
		{"r": 16, "rank_pattern": map[string]any{".*_proj": 4}, "lora_alpha": 32},
	} {
		a, err := lora.Open(folder(t, "plain", change, nil), lora.Base{Model: m, Names: []string{"parity-base"}})
		if err != nil || change["r"] == nil && a.Hash() != want {
			t.Errorf("%v: %v", change, err)
		}
	}
}
