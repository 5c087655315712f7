package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
	"weft/text/corpus"
	"weft/train/optim"
)

// byteTokens is a tokenizer of 256 bytes, without special tokens.
type byteTokens struct{}

func (byteTokens) Encode(text string) []int32 {
	ids := make([]int32, len(text))
	for i := range text {
		ids[i] = int32(text[i])
	}
	return ids
}
func (byteTokens) Err() error                   { return nil }
func (byteTokens) Special(string) (int32, bool) { return 0, false }
func (byteTokens) IsSpecial(int32) bool         { return false }
func (byteTokens) Bytes(id int32) []byte        { return []byte{byte(id)} }
func (byteTokens) BOS() (int32, bool)           { return 0, false }
func (byteTokens) EOS() (int32, bool)           { return 0, false }
func (byteTokens) VocabSize() int               { return 256 }
func (byteTokens) Hash() string                 { return "bytes" }

const verse = "the quick brown fox jumps over the lazy dog, and the dog sleeps on. "

// tiny is a run of a small model over a short text, made anew each time.
func tiny(t *testing.T, dir string, steps int) *Loop {
	t.Helper()
	set, err := corpus.Build(context.Background(), byteTokens{}, corpus.ParseText(strings.Repeat(verse, 60), "verse"), corpus.ShardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	rng := tensor.NewRNG(7)
	m := llama.New(llama.Config{HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		VocabSize: 256, MaxPositionEmbeddings: 32, TieWordEmbeddings: true}, rng)
	var held []corpus.Batch
	for b, err := range set.Eval(corpus.EvalOptions{SeqLen: 32, Rows: 4, MaxTokens: 256}) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, b)
	}
	return &Loop{
		Options: Options{Steps: steps, Schedule: optim.Schedule{Peak: 3e-3}, SaveEvery: 5, EvalEvery: 10},
		Dir:     dir, Kind: "test", Model: m, Source: set.Loader(corpus.LoaderOptions{Rows: 8, SeqLen: 32, Seed: 1}),
		HeldOut: held, SeqLen: 32, BatchLen: 256, RNG: *rng, Settings: map[string]any{"steps": steps},
	}
}

func weightsOf(l *Loop) []float32 {
	var all []float32
	for _, p := range nn.Params(l.Model) {
		all = append(all, p.Value.Data...)
	}
	return all
}

func mustRun(t *testing.T, l *Loop) Result {
	t.Helper()
	res, err := l.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// records reads metrics.jsonl with the times taken out.
func records(t *testing.T, dir string) []Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	var out []Record
	for line := range strings.Lines(string(data)) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		r.Seconds, r.Speed, r.MFU = 0, 0, 0
		out = append(out, r)
	}
	return out
}

func TestLossFalls(t *testing.T) {
	dir := t.TempDir()
	l := tiny(t, dir, 60)
	l.Schedule.Peak = 1e-2
	var steps, evals, saves int
	l.Observer = func(e any) {
		switch e := e.(type) {
		case *Start:
			if e.Params == 0 || e.FlopsPerToken == 0 || e.Peak == 0 || e.HeldOut != 256 {
				t.Errorf("start says %+v", e)
			}
		case *Step:
			if steps++; e.Step != steps || e.Steps != 60 || e.GradNorm <= 0 || e.LR <= 0 {
				t.Errorf("step %d says %+v", steps, e)
			}
		case *Eval:
			if evals++; len(e.Activations) != 3 || slices.Contains(e.Activations, 0) {
				t.Errorf("activations at step %d: %v, want three of the residual stream", e.Step, e.Activations)
			}
		case *Saved:
			saves++
		}
	}
	res := mustRun(t, l)
	// ln 256 = 5.55 at random; the text repeats, so little is left to say.
	if math.Abs(res.Before.Loss-math.Log(256)) > 0.2 || res.After.Loss > 2.5 || res.After.BPB != res.After.Loss/math.Ln2 {
		t.Errorf("held-out loss went from %v to %v", res.Before, res.After)
	}
	if steps != 60 || evals != 7 || saves != 13 {
		t.Errorf("%d steps, %d evaluations, %d checkpoints; want 60, 7, 13", steps, evals, saves)
	}
	s, err := ReadState(dir)
	if err != nil || !s.Done || s.Step != 60 || s.Tokens != 60*256 {
		t.Errorf("state is %+v, %v", s, err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, CurveFile))
	if err != nil || !strings.Contains(string(svg), "held out") || !strings.Contains(string(svg), "</svg>") {
		t.Errorf("curve: %v, %d bytes", err, len(svg))
	}
	// Another Run of a finished run changes nothing.
	again := tiny(t, dir, 60)
	again.Resume = true
	if res2 := mustRun(t, again); res2.After.Loss != res.After.Loss || res2.Steps != 60 {
		t.Errorf("a finished run was run again: %+v", res2)
	}
}

// Stopped anywhere and resumed, with other threads, a run gives the bits of
// the run that was not stopped.
func TestResumeIsExact(t *testing.T) {
	whole := t.TempDir()
	l := tiny(t, whole, 24)
	want := mustRun(t, l)
	weights := weightsOf(l)
	for i, stops := range [][]int{{1}, {5}, {13}, {3, 4, 17}} {
		dir := t.TempDir()
		for _, at := range append(stops, 0) {
			l := tiny(t, dir, 24)
			l.Resume, l.Threads, l.Remat = true, 1+(i+at)%3, at%2 == 1
			ctx, cancel := context.WithCancel(context.Background())
			l.Observer = func(e any) {
				if s, ok := e.(*Step); ok && s.Step == at {
					cancel()
				}
			}
			res, err := l.Run(ctx)
			cancel()
			if at > 0 {
				if !errors.Is(err, ErrStopped) || !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped at %d: error %v", at, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if res.Loss != want.Loss || res.After.Loss != want.After.Loss || !slices.Equal(weightsOf(l), weights) {
				t.Errorf("stops %v: final loss %v, held out %v; want the bits %v, %v", stops, res.Loss, res.After.Loss, want.Loss, want.After.Loss)
			}
		}
		if a, b := records(t, dir), records(t, whole); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("stops %v: the metrics differ from those of the whole run", stops)
		}
	}
}

// Eight sequences at once and two times four are the same step.
func TestAccumulationIsEqual(t *testing.T) {
	grads := func(rows, times int) (float64, []float32) {
		l := tiny(t, t.TempDir(), 1)
		set, err := corpus.Build(context.Background(), byteTokens{}, corpus.ParseText(strings.Repeat(verse, 60), "verse"), corpus.ShardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.Source = set.Loader(corpus.LoaderOptions{Rows: rows, SeqLen: 32, Seed: 1})
		l.Accumulate = times
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		defer l.close()
		loss, tokens, err := l.gradients()
		if err != nil || tokens != 256 {
			t.Fatal(tokens, err)
		}
		var all []float32
		for _, p := range nn.Params(l.Model) {
			all = append(all, p.Value.Grad...)
		}
		return loss, all
	}
	loss, want := grads(8, 1)
	for _, times := range []int{2, 4, 8} {
		got, g := grads(8/times, times)
		if math.Abs(got-loss) > 1e-6*loss {
			t.Errorf("%d batches: loss %v, want %v", times, got, loss)
		}
		var diff, size float64
		for i := range g {
			diff, size = max(diff, math.Abs(float64(g[i]-want[i]))), max(size, math.Abs(float64(want[i])))
		}
		if diff > 1e-5*size {
			t.Errorf("%d batches: gradients differ by %.2g of the largest, want at most 1e-5", times, diff/size)
		}
	}
}

// poison is a source whose batches turn bad.
type poison struct {
	Source
	at   int
	n    int
	then func()
}

func (p *poison) Next() (corpus.Batch, error) {
	if p.n++; p.n == p.at {
		p.then()
	}
	return p.Source.Next()
}

// A loss that is not a number stops the run before it reaches the weights, and
// the error names step, checkpoint and way out.
func TestNaNStops(t *testing.T) {
	dir := t.TempDir()
	l := tiny(t, dir, 30)
	l.Source = &poison{Source: l.Source, at: 13, then: func() { l.Model.(*llama.Llama).Norm.Value.Data[0] = float32(math.NaN()) }}
	_, err := l.Run(context.Background())
	var e *DivergedError
	if !errors.As(err, &e) || e.Step != 13 || e.Last != l.store.Path(10) {
		t.Fatalf("got %v (%+v), want a DivergedError of step 13 with the checkpoint of step 10", err, e)
	}
	if !strings.Contains(err.Error(), "lower learning rate") {
		t.Errorf("no way out in %q", err)
	}
	if step, damaged, err := l.store.Latest(); step != 10 || len(damaged) > 0 || err != nil {
		t.Errorf("latest checkpoint is %d, %v, %v", step, damaged, err)
	}
	// The run resumes from there once the cause is gone.
	again := tiny(t, dir, 30)
	again.Resume = true
	if res := mustRun(t, again); res.ResumedFrom != 10 || res.Steps != 30 {
		t.Errorf("resumed: %+v", res)
	}
}

// A full disk stops the run cleanly; with room again it goes on.
func TestDiskFullStopsAndResumes(t *testing.T) {
	dir := t.TempDir()
	l := tiny(t, dir, 20)
	disk := &faulty{}
	l.FS = disk
	l.Observer = func(e any) {
		if s, ok := e.(*Step); ok && s.Step == 8 {
			disk.n, disk.fail = 0, 1
		}
	}
	_, err := l.Run(context.Background())
	var e *SaveError
	if !errors.As(err, &e) || e.Step != 10 || e.Last != l.store.Path(5) || e.Need < 100_000 {
		t.Fatalf("got %v (%+v), want a SaveError of step 10", err, e)
	}
	again := tiny(t, dir, 20)
	again.Resume = true
	if res := mustRun(t, again); res.ResumedFrom != 5 {
		t.Errorf("resumed from %d, want 5", res.ResumedFrom)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, tiny(t, dir, 3))
	if _, err := tiny(t, dir, 3).Run(context.Background()); !errors.Is(err, ErrExists) {
		t.Errorf("a run over a run: %v, want ErrExists", err)
	}
	l := tiny(t, dir, 3)
	l.Resume, l.Settings = true, map[string]any{"steps": 4}
	var e *ChangedError
	if _, err := l.Run(context.Background()); !errors.As(err, &e) || !strings.Contains(err.Error(), "steps: the run has 3, asked for 4") {
		t.Errorf("changed steps: %v", err)
	}
	l = tiny(t, dir, 3)
	l.Resume, l.Lineage.Parent = true, "abc"
	if _, err := l.Run(context.Background()); !errors.As(err, &e) {
		t.Errorf("changed parent: %v", err)
	}
	l = tiny(t, t.TempDir(), 3)
	embed := nn.Params(l.Model)[0]
	embed.Rest(make([]int8, embed.Len()), make([]float32, embed.Value.Rows*quant.Q8Scales(embed.Value.Cols)))
	if _, err := l.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "model.embed_tokens.weight is at rest") {
		t.Errorf("a model loaded to serve: %v", err)
	}
	for _, o := range []Options{{}, {Steps: 1}, {Steps: -1, Schedule: optim.Schedule{Peak: 1}}, {Steps: 1, Schedule: optim.Schedule{Peak: 1, Kind: "x"}}} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}

// A run with a time budget ends near it, its rate decayed to the floor.
func TestBudget(t *testing.T) {
	l := tiny(t, t.TempDir(), 0)
	l.Budget, l.EvalEvery, l.SaveEvery = 1500*time.Millisecond, 0, 0
	var last float64
	l.Observer = func(e any) {
		if s, ok := e.(*Step); ok {
			last = s.LR
		}
	}
	res := mustRun(t, l)
	if res.Elapsed > 20*l.Budget { // a machine may be busy, a run must still end
		t.Errorf("took %v of a budget of %v", res.Elapsed, l.Budget)
	}
	if res.Steps < 1 || !l.state.Done {
		t.Errorf("%d steps, done %v", res.Steps, l.state.Done)
	}
	if floor := 0.1 * 3e-3; res.Steps >= 20 && last > 1.5*floor {
		t.Errorf("last learning rate %g: the decay did not reach the floor %g in time", last, floor)
	}
	if !slices.ContainsFunc(records(t, l.Dir), func(r Record) bool { return r.Kind == "plan" && r.Steps > 0 }) {
		t.Error("the step count that was fixed is not in the metrics")
	}
}

// Recomputing activations changes memory, not one bit.
func TestRematGivesSameBits(t *testing.T) {
	a, b := tiny(t, t.TempDir(), 5), tiny(t, t.TempDir(), 5)
	b.Remat = true
	mustRun(t, a)
	mustRun(t, b)
	if !slices.Equal(weightsOf(a), weightsOf(b)) {
		t.Error("the weights differ")
	}
}

// A run killed between its first evaluation and its first checkpoint begins
// again, and so do its records.
func TestBeginsAgainBeforeTheFirstCheckpoint(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.FromSlash(MetricsFile))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"kind":"eval","step":0,"loss":9}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := tiny(t, dir, 2)
	l.Resume = true
	if _, err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), `"step":0`); n != 1 {
		t.Errorf("%d records of step 0, want one:\n%s", n, data)
	}
}
