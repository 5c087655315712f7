package ptq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
	"weft/text/corpus"
)

// small is a model of random weights with all that folding has to mind: biases,
// two query heads per key head, gains that are not one.
func small(tied bool) *llama.Llama {
	m := llama.New(llama.Config{
		HiddenSize: 64, IntermediateSize: 96, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		VocabSize: 61, TieWordEmbeddings: tied, AttentionBias: true, MLPBias: true, InitializerRange: 0.2,
	}, tensor.NewRNG(1))
	rng := tensor.NewRNG(2)
	for _, p := range nn.Params(m) {
		if !p.Decay {
			for i := range p.Value.Data {
				p.Value.Data[i] += float32(rng.Float64()) * 0.5
			}
		}
	}
	return m
}

// noise is text of random ids, in documents of 20.
func noise(tokens int) iter.Seq2[corpus.Batch, error] {
	return func(yield func(corpus.Batch, error) bool) {
		rng := tensor.NewRNG(5)
		for from := 0; from < tokens; from += 40 {
			b := corpus.Batch{Docs: []corpus.Range{{Row: 0, Len: 20}, {Row: 20, Len: 20}}, Counted: 38, Bytes: 100}
			for i := range 40 {
				b.IDs = append(b.IDs, int32(rng.IntN(61)))
				b.Targets = append(b.Targets, int32(rng.IntN(61)))
				if i%20 == 19 {
					b.Targets[i] = -1
				}
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func fit(f quant.Format) func(nn.Named) quant.Format {
	return func(p nn.Named) quant.Format { return f.Fit(p.Value.Cols) }
}

func TestProbe(t *testing.T) {
	for _, tied := range []bool{false, true} {
		m := small(tied)
		taps, err := probe(m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tp := range taps {
			var names []string
			for _, w := range tp.matrices {
				names = append(names, strings.TrimSuffix(w.GGUF, ".weight"))
			}
			got = append(got, strings.Join(names, " "))
		}
		want := []string{
			"blk.0.attn_q blk.0.attn_k blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate blk.0.ffn_up", "blk.0.ffn_down",
			"blk.1.attn_q blk.1.attn_k blk.1.attn_v", "blk.1.attn_output", "blk.1.ffn_gate blk.1.ffn_up", "blk.1.ffn_down", "output",
		}
		if tied {
			want[8] = "token_embd"
		}
		if !slices.Equal(got, want) {
			t.Errorf("tied %v: taps are %q, want %q", tied, got, want)
		}
		m.Walk(func(l nn.Leaf) {
			if l.Linear == nil {
				return
			}
			if _, ok := (*l.Linear).(*nn.Dense); !ok {
				t.Errorf("%s was left a %T", l.Name, *l.Linear)
			}
		})
		if n := len(folds(m, taps)); n != 9 && !tied || n != 8 && tied {
			t.Errorf("tied %v: %d taps can be scaled, want all but a tied head", tied, n)
		}
	}
}

// TestMoments holds what calibration keeps to the activations themselves.
func TestMoments(t *testing.T) {
	m := small(false)
	taps, err := probe(m)
	if err != nil {
		t.Fatal(err)
	}
	pool := par.New(2)
	defer pool.Close()
	if err := calibrate(m, taps, true, noise(400), pool, nil); err != nil {
		t.Fatal(err)
	}
	// The first input is the normalised embedding of each token.
	square, abs := make([]float64, 64), make([]float64, 64)
	var cross float64
	for b, err := range noise(400) {
		if err != nil {
			t.Fatal(err)
		}
		p := &op.Pass{Spans: spans(b)}
		x := m.Blocks[0].AttnNorm.Apply(p, m.Embed.Apply(p, b.IDs))
		for i := range x.Rows {
			for j, v := range x.Row(i) {
				square[j] += float64(v) * float64(v)
				abs[j] += math.Abs(float64(v))
			}
			cross += float64(x.Row(i)[3]) * float64(x.Row(i)[17])
		}
	}
	seen := taps[0].seen
	for j := range square {
		if math.Abs(seen.Square[j]-square[j]) > 1e-9*square[j] || math.Abs(seen.Abs[j]-abs[j]) > 1e-9*abs[j] {
			t.Fatalf("column %d: squares %g, magnitudes %g; want %g, %g", j, seen.Square[j], seen.Abs[j], square[j], abs[j])
		}
	}
	if got := float64(seen.Cross[3*64+17]); math.Abs(got-cross) > 1e-4*square[3] || seen.Cross[17*64+3] != seen.Cross[3*64+17] {
		t.Errorf("product of columns 3 and 17 is %g, want %g", got, cross)
	}
	for _, tp := range taps {
		if tp.seen.Rows != 400 {
			t.Errorf("%s saw %d rows, want 400", tp.matrices[0].GGUF, tp.seen.Rows)
		}
	}
}

// TestFoldKeepsTheModel: scales of any size, folded in, leave the logits as they
// are, and the moments are those of the scaled inputs.
func TestFoldKeepsTheModel(t *testing.T) {
	for _, tied := range []bool{false, true} {
		m := small(tied)
		q := quantizer{model: m}
		before := q.logits()
		taps, err := probe(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := calibrate(m, taps, true, noise(200), nil, nil); err != nil {
			t.Fatal(err)
		}
		rng := tensor.NewRNG(3)
		for _, f := range folds(m, taps) {
			s := make([]float32, f.n)
			for r := range s {
				s[r] = float32(math.Exp(2 * rng.Normal()))
			}
			f.apply(s)
		}
		if err := equivalent(before, q.logits()); err != nil {
			t.Error(err)
		}
		was := make([]Moments, len(taps))
		for i, tp := range taps {
			was[i] = tp.seen
		}
		if err := calibrate(m, taps, true, noise(200), nil, nil); err != nil {
			t.Fatal(err)
		}
		for i, tp := range taps {
			for j, v := range tp.seen.Square {
				if math.Abs(was[i].Square[j]-v) > 1e-3*v || math.Abs(float64(was[i].Cross[j]-tp.seen.Cross[j])) > 1e-3*math.Sqrt(v*tp.seen.Square[0]) {
					t.Fatalf("%s: column %d has squares %g, by dividing %g", tp.matrices[0].GGUF, j, v, was[i].Square[j])
				}
			}
		}
		m.Blocks[1].AttnNorm.Value.Data[7] *= 1.5 // what a wrong fold does
		if err := equivalent(before, q.logits()); !errors.Is(err, ErrFold) {
			t.Errorf("a changed model passes for the same: %v", err)
		}
	}
}

// stored are the values of all matrices as they are kept, and the bytes they take.
func stored(t *testing.T, m *llama.Llama) (all []float32, bytes int64) {
	t.Helper()
	for _, p := range nn.Params(m) {
		if !p.Decay {
			continue
		}
		if p.AtRest == nil {
			t.Fatalf("%s is not at rest", p.Name)
		}
		row := make([]float32, p.Value.Cols)
		for i := range p.Value.Rows {
			p.AtRest.Row(row, i)
			all = append(all, row...)
		}
		bytes += int64(p.AtRest.Bytes())
	}
	return all, bytes
}

func values(t *testing.T, m *llama.Llama) []float32 {
	v, _ := stored(t, m)
	return v
}

// TestQuantize: every method in several formats leaves a model that serves, with
// the same bytes for any number of threads.
func TestQuantize(t *testing.T) {
	pool := par.New(3)
	defer pool.Close()
	for _, name := range MethodNames() {
		method, err := ParseMethod(name)
		if err != nil || method.String() != name {
			t.Fatalf("%s parses to %s: %v", name, method, err)
		}
		formats := []quant.Format{quant.Q4_0}
		if name == "awq+gptq" { // does all that others do
			formats = append(formats, quant.Q8_0, quant.F16)
		}
		for _, f := range formats {
			o := Options{Method: method, Format: fit(f), Text: noise(200)}
			a, b := small(f == quant.Q8_0), small(f == quant.Q8_0)
			r, err := Quantize(a, o)
			if err != nil {
				t.Fatalf("%s %s: %v", name, f, err)
			}
			o.Pool = pool
			if _, err := Quantize(b, o); err != nil {
				t.Fatal(err)
			}
			kept, bytes := stored(t, a)
			if !slices.Equal(kept, values(t, b)) {
				t.Errorf("%s %s: three threads give other values than one", name, f)
			}
			if r.Bytes != bytes || r.Formats[f.Name()] == 0 {
				t.Errorf("%s %s: result says %d bytes in %v, want %d", name, f, r.Bytes, r.Formats, bytes)
			}
			if logits := (&quantizer{model: a}).logits(); !slices.ContainsFunc(logits, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s %s: the model says nothing", name, f)
			}
			if _, err := Quantize(a, o); err == nil || !strings.Contains(err.Error(), "at rest already") {
				t.Errorf("%s %s: quantised twice: %v", name, f, err)
			}
		}
	}
}

// TestPasses: little memory means more passes, each of a group that folding
// keeps together; all is rounded all the same.
func TestPasses(t *testing.T) {
	m := small(false)
	r, err := Quantize(m, Options{Method: Method{AWQ, GPTQ}, Format: fit(quant.Q4_0), Text: noise(200), Memory: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Passes != 5 || r.Rows != 200 || len(r.Lost) != 15 { // q k v with o, gate and up with down, twice; the head
		t.Errorf("passes %d, rows %d, losses of %d matrices; want 5, 200 and 15", r.Passes, r.Rows, len(r.Lost))
	}
	if len(values(t, m)) == 0 || !slices.Equal(r.Plain, []string{"token_embd.weight"}) {
		t.Errorf("rounded without importance: %q, want the embedding", r.Plain)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no format"},
		{Options{Format: fit(quant.Q4_0), Alpha: 2}, "alpha is 2"},
		{Options{Format: fit(quant.Q4_0), Damp: -1}, "damping is -1"},
		{Options{Format: fit(quant.Q4_0), Memory: -1}, "memory is -1"},
		{Options{Format: fit(quant.Q4_0), Method: Method{Round: GPTQ}, Importance: &Importance{}}, "no calibration text"},
		{Options{Format: fit(quant.Q4_0), Method: Method{Round: GPTQ}, Text: noise(0)}, "no calibration text"},
		{Options{Format: func(nn.Named) quant.Format { return quant.Q4_K }}, "whole number of blocks"},
	} {
		if _, err := Quantize(small(false), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", err, c.want)
		}
	}
	if _, err := ParseMethod("qat"); !errors.Is(err, ErrMethod) || !strings.Contains(err.Error(), "awq+gptq") {
		t.Errorf("error is %v, want ErrMethod with the names", err)
	}
}

// TestImportance: a file gives what the text that it was made from gives.
func TestImportance(t *testing.T) {
	imp, err := Measure(small(true), noise(200), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	imp.Datasets = []string{"noise"}
	if len(imp.columns) != 15 || imp.Chunks != 10 || imp.ChunkSize != 20 {
		t.Errorf("%d matrices, %d chunks of %d; want 15, 10, 20", len(imp.columns), imp.Chunks, imp.ChunkSize)
	}
	path := filepath.Join(t.TempDir(), "noise.imatrix.gguf")
	if err := imp.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadImportance(path)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(imp) {
		t.Error("the file holds other numbers than were saved")
	}
	o := Options{Method: Method{Round: Weighted}, Format: fit(quant.Q4_0), Importance: got}
	a, b, plain := small(true), small(true), small(true)
	if _, err := Quantize(a, o); err != nil {
		t.Fatal(err)
	}
	o.Importance, o.Text = nil, noise(200)
	if _, err := Quantize(b, o); err != nil {
		t.Fatal(err)
	}
	if _, err := Quantize(plain, Options{Format: o.Format}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(t, a), values(t, b)) || slices.Equal(values(t, a), values(t, plain)) {
		t.Error("importance from a file and from its text give other values, or those of none")
	}
	other := llama.New(llama.Config{HiddenSize: 32, IntermediateSize: 32, NumHiddenLayers: 1, NumAttentionHeads: 1, VocabSize: 9}, tensor.NewRNG(1))
	if _, err := Quantize(other, Options{Method: o.Method, Format: o.Format, Importance: got}); !errors.Is(err, ErrImportance) {
		t.Errorf("another model's importance: %v", err)
	}
}

// TestCompare: a model agrees with itself; of two that differ the figures are
// those of the definition.
func TestCompare(t *testing.T) {
	a, b := small(false), small(false)
	ctx := context.Background()
	same, err := Compare(ctx, a, b, noise(400), nil)
	if err != nil {
		t.Fatal(err)
	}
	if one := (Estimate{1, 1, 1}); same.Ratio != one || same.KL.Value > 1e-7 || same.Top1.Value != 1 || same.Top1.High != 1 || same.Top1.Low < 0.8 || same.Tokens != 380 {
		t.Errorf("a model beside itself: %+v", same)
	}
	if _, err := Quantize(b, Options{Format: fit(quant.Q4_0)}); err != nil {
		t.Fatal(err)
	}
	got, err := Compare(ctx, a, b, noise(400), nil)
	if err != nil {
		t.Fatal(err)
	}
	var nll, parent, kl, agree, n float64
	for batch, err := range noise(400) {
		if err != nil {
			t.Fatal(err)
		}
		p := &op.Pass{Spans: spans(batch)}
		x, y := a.Logits(p, a.Hidden(p, batch.IDs)), b.Logits(p, b.Hidden(p, batch.IDs))
		for i, target := range batch.Targets {
			if target < 0 {
				continue
			}
			px, py := probabilities(x.Row(i)), probabilities(y.Row(i))
			parent, nll, n = parent-math.Log(px[target]), nll-math.Log(py[target]), n+1
			for j, v := range px {
				kl += v * math.Log(v/py[j])
			}
			if slices.Index(px, slices.Max(px)) == slices.Index(py, slices.Max(py)) {
				agree++
			}
		}
	}
	for _, c := range []struct {
		name      string
		got       Estimate
		want      float64
		tolerance float64
	}{
		{"perplexity", got.Perplexity, math.Exp(nll / n), 1e-5}, {"parent's", got.ParentPerplexity, math.Exp(parent / n), 1e-5},
		{"ratio", got.Ratio, math.Exp((nll - parent) / n), 1e-5}, {"KL", got.KL, kl / n, 1e-5}, {"top1", got.Top1, agree / n, 1e-12},
	} {
		if math.Abs(c.got.Value-c.want) > c.tolerance*c.want || !(c.got.Low < c.got.Value && c.got.Value < c.got.High) {
			t.Errorf("%s is %+v, want %g inside", c.name, c.got, c.want)
		}
	}
	if want := nll / math.Ln2 / 1000; math.Abs(got.BPB-want) > 1e-5*want {
		t.Errorf("bits per byte is %g, want %g", got.BPB, want)
	}
	if _, err := Compare(ctx, a, b, noise(0), nil); !errors.Is(err, ErrText) {
		t.Errorf("nothing to compare on: %v", err)
	}
}

func probabilities(logits []float32) []float64 {
	p := make([]float64, len(logits))
	var sum float64
	for i, v := range logits {
		p[i] = math.Exp(float64(v))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
