package pretrain

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/internal/testkit"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
	"weft/train"
	"weft/train/optim"
)

const verse = "the quick brown fox jumps over the lazy dog, and the dog sleeps on. "

// textFile writes a small text.
func textFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// small are the options of a run of a second.
func small(data, out string) Options {
	o := Options{Data: data, Out: out, Vocab: 300, Depth: 2, Dim: 32, SeqLen: 32, BatchTokens: 256, Seed: 3}
	o.Steps, o.Schedule.Peak, o.SaveEvery = 12, 1e-2, 4
	return o
}

func TestRunMakesAServableFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	stages := map[string]bool{}
	o := small(textFile(t, strings.Repeat(verse, 100)), out)
	o.Steps = 40
	o.Observer = func(e any) {
		if s, ok := e.(*train.Stage); ok {
			stages[s.Name] = true
		}
	}
	res, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res.After.BPB >= res.Before.BPB-1 {
		t.Errorf("bits per byte went from %.3f to %.3f: want them to fall by one at least", res.Before.BPB, res.After.BPB)
	}
	if !stages["tokenizer"] || !stages["tokens"] {
		t.Errorf("stages told: %v", stages)
	}
	m, err := zoo.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	if tmpl, err := template.LoadFS(os.DirFS(out)); err != nil || tmpl != nil {
		t.Fatalf("a base model has the chat template %v, %v", tmpl, err)
	}
	if tmpl := template.For(tok); tmpl == nil || tmpl.Name() != "weft" {
		t.Fatalf("the tokenizer has the markers of %v", tmpl)
	}
	if i := m.Info(); i.Vocab != tok.VocabSize() || i.Context != 32 || i.BOS < 0 || i.EOS < 0 {
		t.Errorf("info is %+v", i)
	}
	for _, name := range []string{train.StateFile, train.MetricsFile, train.CurveFile} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}

// A run continues from its folder alone, and refuses options that differ.
func TestResumeFromTheFolder(t *testing.T) {
	dir, data := t.TempDir(), textFile(t, strings.Repeat(verse, 100))
	whole := small(data, filepath.Join(dir, "whole"))
	want, err := Run(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	o := small(data, filepath.Join(dir, "parts"))
	ctx, cancel := context.WithCancel(context.Background())
	o.Observer = func(e any) {
		if s, ok := e.(*train.Step); ok && s.Step == 7 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, train.ErrStopped) {
		t.Fatalf("got %v, want ErrStopped", err)
	}
	o.Observer = nil
	if _, err := Run(context.Background(), o); !errors.Is(err, train.ErrExists) {
		t.Errorf("without Resume: %v, want ErrExists", err)
	}
	changed := o
	changed.Resume, changed.Schedule.Peak, changed.Depth = true, 5e-2, 3
	var e *train.ChangedError
	if _, err := Run(context.Background(), changed); !errors.As(err, &e) || len(e.Changes) != 2 ||
		!strings.Contains(err.Error(), "lr: the run has 0.01, asked for 0.05") || !strings.Contains(err.Error(), "depth: the run has 2, asked for 3") {
		t.Errorf("changed options: %v", err)
	}
	got, err := Run(context.Background(), Options{Out: o.Out, Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.ResumedFrom != 7 || got.Loss != want.Loss || got.After.Loss != want.After.Loss {
		t.Errorf("resumed: %+v, want the bits of %+v", got, want)
	}
	a, err := os.ReadFile(filepath.Join(whole.Out, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(o.Out, "model.safetensors"))
	if err != nil || string(a) != string(b) {
		t.Errorf("the weights differ (%v)", err)
	}
}

func TestBadInput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	empty := t.TempDir()
	for _, c := range []struct {
		name string
		o    Options
		is   error
		says string
	}{
		{"empty folder", small(empty, out), corpus.ErrEmpty, empty},
		{"empty file", small(textFile(t, " \n"), out), corpus.ErrEmpty, "text.txt"},
		{"missing file", small(filepath.Join(empty, "no.txt"), out), os.ErrNotExist, "no.txt"},
		{"smaller than one sequence", small(textFile(t, "too short"), out), corpus.ErrTooSmall, "sequence length"},
		{"no text", Options{Out: out}, nil, "no text"},
		{"no folder", Options{Data: "x"}, nil, "no folder"},
		{"tokenizer and vocab", Options{Data: "x", Out: out, Vocab: 5, Tokenizer: "y"}, nil, "give one"},
		{"template", Options{Data: "x", Out: out, Template: "jinja"}, nil, "jinja"},
		{"heads", Options{Data: "x", Out: out, Dim: 100, Heads: 3}, nil, "width 100"},
		{"negative", Options{Data: "x", Out: out, SeqLen: -1}, nil, "sequence length is -1"},
	} {
		_, err := Run(context.Background(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want an error that says %q and is %v", c.name, err, c.says, c.is)
		}
		if found, _ := train.HasRun(out); found {
			t.Errorf("%s: a checkpoint was written", c.name)
		}
	}
}

// The rules give models of the expected size and leave what is set alone.
func TestDepthRules(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want string
	}{
		{Settings{}, "depth 4 dim 256 heads 4/2 ffn 704 seq 256 step 2048 x1 lr 0.00122"},
		{Settings{Depth: 2}, "depth 2 dim 128 heads 2/2 ffn 384 seq 256 step 1024 x1 lr 0.00173"},
		{Settings{Depth: 6}, "depth 6 dim 384 heads 6/3 ffn 1024 seq 256 step 3072 x1 lr 0.001"},
		{Settings{Depth: 12}, "depth 12 dim 768 heads 12/6 ffn 2048 seq 1024 step 6144 x2 lr 0.000707"},
		{Settings{Depth: 4, Dim: 128, Heads: 4, KVHeads: 4, SeqLen: 64, Batch: 768, LR: 1e-3}, "depth 4 dim 128 heads 4/4 ffn 384 seq 64 step 768 x1 lr 0.001"},
	} {
		if err := c.s.fill(); err != nil {
			t.Fatal(err)
		}
		if got := c.s.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	for flops, want := range map[float64]int{0: 2, 6e12: 2, 2e14: 3, 6e15: 5, 1e18: 13, 1e30: 20} {
		if got := depthFor(flops); got != want {
			t.Errorf("depth for %g operations is %d, want %d", flops, got, want)
		}
	}
	for bytes, want := range map[int64]int{0: 512, 1_115_394: 1024, 1 << 30: 32768, 1 << 40: 32768, 20_000_000: 4096} {
		if got := vocabFor(bytes); got != want {
			t.Errorf("vocabulary for %d bytes is %d, want %d", bytes, got, want)
		}
	}
}

// A short budget on real text ends in time with a lower loss.
func TestBudgetOnRealText(t *testing.T) {
	data := testkit.Data(t, "text/tinyshakespeare.txt")
	o := Options{Data: data, Out: filepath.Join(t.TempDir(), "run"), Depth: 2, Dim: 64, SeqLen: 64, BatchTokens: 512, Vocab: 512, EvalTokens: 4096}
	o.Budget, o.Schedule = 2500*time.Millisecond, optim.Schedule{Peak: 5e-3}
	res, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps < 1 || res.After.BPB >= res.Before.BPB { // how far depends on the machine
		t.Errorf("bits per byte went from %.3f to %.3f", res.Before.BPB, res.After.BPB)
	}
}

// Characters alone, in nanoGPT's shape: a few steps of its setting.
func TestNanoGPTPreset(t *testing.T) {
	o := nanoGPT(testkit.Data(t, "text/tinyshakespeare.txt"), filepath.Join(t.TempDir(), "run"))
	o.Steps, o.EvalTokens = 3, 6400
	o.Observer = func(e any) {
		if s, ok := e.(*train.Start); ok && (s.Vocab != 256 || s.BatchTokens != 768 || s.Params != 836_736) {
			t.Errorf("start says %+v, want 256 tokens, 768 per step and 836,736 weights", s)
		}
	}
	res, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(res.After.BPB-res.After.Loss/math.Ln2) > 1e-12 {
		t.Errorf("%v: a token is not a byte", res.After)
	}
}

// A model may be made for more positions than it is trained on at first.
func TestContext(t *testing.T) {
	o := small(textFile(t, strings.Repeat(verse, 100)), filepath.Join(t.TempDir(), "run"))
	o.Steps, o.Context = 1, 100
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	m, err := zoo.Load(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Info().Context; got != 100 {
		t.Errorf("the model's context is %d, want 100", got)
	}
	o.Out, o.Context = o.Out+"2", 16
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "context is 16, shorter") {
		t.Errorf("error is %v, want one about a context shorter than the sequences", err)
	}
}

// nanoGPT returns the options of nanoGPT's documented CPU run on the
// characters of one text (README, "I only have a macbook", with
// config/train_shakespeare_char.py): 4 layers, 4 heads, width 128, block 64,
// batch 12, 2000 steps, 1e-3 falling to 1e-4 after 100 steps of warm-up, beta2
// 0.99, random windows, no dropout. It reports a validation loss of 1.88 for
// it. The vocabulary here is the 256 bytes; on ASCII text a byte is a
// character, so the losses compare. The feed-forward width gives the same
// number of weights per layer as nanoGPT's.
func nanoGPT(data, out string) Options {
	return Options{
		Options: train.Options{
			Steps: 2000, Warmup: 100, EvalEvery: 250,
			Schedule: optim.Schedule{Peak: 1e-3, Floor: 0.1},
			Optim:    optim.Options{Beta2: 0.99},
		},
		Data: data, Out: out, Vocab: 256, Template: noTemplate,
		Depth: 4, Dim: 128, Heads: 4, KVHeads: 4, FFN: 352,
		SeqLen: 64, BatchTokens: 12 * 64, EvalTokens: -1, Random: true, Seed: 1337,
	}
}
