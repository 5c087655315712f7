package ptq_test

import (
	"context"
	"iter"
	"testing"

	"weft/compute/quant"
	"weft/model"
	"weft/model/nn"
	"weft/model/tiny"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/corpus/world"
	"weft/text/tokenizer"
	"weft/train/ptq"
)

// load reads an embedded model, to be quantised.
func load(t testing.TB, name string) model.Model {
	t.Helper()
	files, err := tiny.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := zoo.LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type text = iter.Seq2[corpus.Batch, error]

// texts are the world's: one to calibrate on, and what comes behind it to compare
// on, of so many tokens.
func texts(t testing.TB, calibrate, held int64) (a, b text) {
	t.Helper()
	files, err := tiny.Open("tiny-s")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	half := func(odd int) text {
		docs := func(yield func(corpus.Doc, error) bool) {
			i := 0
			for d, err := range world.New(1).Docs(400_000) {
				if i++; i%2 == odd && !yield(d, err) {
					return
				}
			}
		}
		data, err := corpus.Build(context.Background(), tok, docs, corpus.ShardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return data.Eval(corpus.EvalOptions{SeqLen: 256, Rows: 4, MaxTokens: []int64{calibrate, held}[odd]})
	}
	return half(0), half(1)
}

// all gives every matrix one format, or what stands in for it.
func all(f quant.Format) func(nn.Named) quant.Format {
	return func(p nn.Named) quant.Format { return f.Fit(p.Value.Cols) }
}

func quantize(t testing.TB, name string, o ptq.Options) (model.Model, ptq.Result) {
	t.Helper()
	m := load(t, name)
	r, err := ptq.Quantize(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// TestNotWorseThanRTN: on a trained model, in 4 bits, what is far from rounding to
// nearest is nearer to the parent, on text that it was not calibrated on.
func TestNotWorseThanRTN(t *testing.T) {
	calibrate, held := texts(t, 2048, 1024)
	parent := load(t, "tiny-s")
	kl := map[string]float64{}
	for _, name := range []string{"rtn", "imatrix", "gptq", "awq", "awq+gptq"} {
		method, err := ptq.ParseMethod(name)
		if err != nil {
			t.Fatal(err)
		}
		m, _ := quantize(t, "tiny-s", ptq.Options{Method: method, Format: all(quant.Q4_0), Text: calibrate})
		cost, err := ptq.Compare(context.Background(), parent, m, held, nil)
		if err != nil {
			t.Fatal(err)
		}
		kl[name] = cost.KL.Value
		t.Logf("%s: KL %.4f [%.4f, %.4f], same top token %.3f, perplexity times %.3f [%.3f, %.3f]", name,
			cost.KL.Value, cost.KL.Low, cost.KL.High, cost.Top1.Value, cost.Ratio.Value, cost.Ratio.Low, cost.Ratio.High)
	}
	for _, name := range []string{"imatrix", "gptq", "awq", "awq+gptq"} {
		if kl[name] > kl["rtn"] {
			t.Errorf("%s diverges by %.4f nats per token, RTN by %.4f", name, kl[name], kl["rtn"])
		}
	}
	if kl["gptq"] > 0.7*kl["rtn"] {
		t.Errorf("GPTQ diverges by %.4f, RTN by %.4f: want at most 0.7 of it", kl["gptq"], kl["rtn"])
	}
}
