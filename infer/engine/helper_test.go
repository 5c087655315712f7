package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/infer/sample"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
)

const vocab = 61

// tiny is a random llama of two layers with grouped heads, whose wide weights
// give lively logits.
func tiny() *llama.Llama {
	return llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		VocabSize: vocab, MaxPositionEmbeddings: 192, InitializerRange: 0.3,
	}, tensor.NewRNG(1))
}

// odd has widths that fill no vector register evenly, three query heads per
// key head, and biases.
func odd() *llama.Llama {
	return llama.New(llama.Config{
		HiddenSize: 78, IntermediateSize: 101, NumHiddenLayers: 3, NumAttentionHeads: 9, NumKeyValueHeads: 3, HeadDim: 22,
		VocabSize: vocab, MaxPositionEmbeddings: 192, InitializerRange: 0.2, TieWordEmbeddings: true, AttentionBias: true,
	}, tensor.NewRNG(2))
}

// halfWindows is a random qwen2 of four layers, half of which have a window, shorter than
// most requests.
func halfWindows() *llama.Llama {
	return llama.New(llama.Config{
		ModelType: "qwen2", HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 4, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		VocabSize: vocab, MaxPositionEmbeddings: 192, InitializerRange: 0.3, SlidingWindow: 21,
		LayerTypes: []string{"sliding_attention", "full_attention", "sliding_attention", "full_attention"},
	}, tensor.NewRNG(4))
}

// rest puts the matrices of an odd model to rest in 8 bits and returns its twin.
func rest(m *llama.Llama) *llama.Llama {
	twin := odd()
	params := nn.Params(twin)
	for i, p := range nn.Params(m) {
		if !p.Decay {
			continue
		}
		var q []int8
		var d []float32
		for row := range p.Value.Rows {
			rq, rd := make([]int8, p.Value.Cols), make([]uint16, quant.Q8Scales(p.Value.Cols))
			if err := quant.Q8Encode(rq, rd, p.Value.Row(row)); err != nil {
				panic(err)
			}
			q = append(q, rq...)
			for _, h := range rd {
				d = append(d, quant.FromHalf(h))
			}
		}
		p.Rest(q, d)
		params[i].Rest(q, d)
	}
	return twin
}

// blocks has one layer, and each of its matrices in another format: those with
// products of integers, those whose rows are decoded, and halves.
func blocks() *llama.Llama {
	m := llama.New(llama.Config{
		HiddenSize: 256, IntermediateSize: 256, NumHiddenLayers: 1, NumAttentionHeads: 4, NumKeyValueHeads: 4,
		VocabSize: vocab, MaxPositionEmbeddings: 192, InitializerRange: 0.15,
	}, tensor.NewRNG(3))
	formats := []quant.Format{quant.Q5_0, quant.Q4_K, quant.Q6_K, quant.Q8_0, quant.Q4_0, quant.Q5_K, quant.F16, quant.IQ4_XS, quant.BF16}
	for _, p := range nn.Params(m) {
		if !p.Decay {
			continue
		}
		w, err := atRest(formats[0], p.Value)
		if err != nil {
			panic(err)
		}
		p.RestAs(w)
		formats = formats[1:]
	}
	return m
}

// atRest stores a matrix in a format.
func atRest(f quant.Format, x *tensor.Tensor) (op.AtRest, error) {
	stride, err := f.RowBytes(x.Cols)
	if err != nil {
		return nil, err
	}
	data := make([]byte, x.Rows*stride)
	if err := f.Encode(data, x.Data, nil); err != nil {
		return nil, err
	}
	if op.HasIntegers(f) {
		return op.NewIntegers(f, x.Rows, x.Cols, func(i int) []byte { return data[i*stride:][:stride] })
	}
	return op.NewRows(f, data, x.Rows, x.Cols, nil, nil)
}

// start opens an engine that is closed and proved empty at the end of the test.
func start(t testing.TB, m model.Model, o Options) *Engine {
	t.Helper()
	o.poison = true
	e := New(m, o)
	t.Cleanup(func() { finish(t, e) })
	return e
}

// finish closes an engine and checks that nothing is left inside.
func finish(t testing.TB, e *Engine) {
	e.Close()
	s := e.Stats()
	if s.PagesFree+s.PagesCached != s.PagesTotal || s.Running+s.Queued+s.Preempted != 0 || e.inside != 0 {
		t.Errorf("after Close: %d + %d of %d pages free or cached, %d running, %d queued, %d preempted, %d inside",
			s.PagesFree, s.PagesCached, s.PagesTotal, s.Running, s.Queued, s.Preempted, e.inside)
	}
}

// generate is the oracle: no cache, no batch; the whole sequence is computed
// again for every token.
func generate(m model.Model, r Request) []Token {
	ids, s := slices.Clone(r.Prompt), sample.New(r.Params, r.Prompt)
	var out []Token
	logits := forward(m, ids)
	if r.PromptLogprobs {
		for i, id := range ids {
			tok := Token{ID: id, Logprob: float32(math.NaN()), Prompt: true}
			if i > 0 {
				tok.Logprob, tok.Top = sample.Logprobs(logits.Row(i-1), id, r.Logprobs, &sample.Scratch{})
			}
			out = append(out, tok)
		}
	}
	for range r.MaxTokens {
		row := logits.Row(len(ids) - 1)
		id, err := s.Sample(row, &sample.Scratch{})
		if err != nil {
			panic(err)
		}
		tok := Token{ID: id}
		if r.Logprobs >= 0 {
			tok.Logprob, tok.Top = sample.Logprobs(row, id, r.Logprobs, &sample.Scratch{})
		}
		out, ids = append(out, tok), append(ids, id)
		if slices.Contains(r.Stop, id) {
			out[len(out)-1].Finish = Stop
			break
		}
		logits = forward(m, ids)
	}
	if last := &out[len(out)-1]; last.Finish == "" {
		last.Finish = Length
	}
	return out
}

// forward gives the logits of all positions, without a cache.
func forward(m model.Model, ids []int32) *tensor.Tensor {
	p := &op.Pass{Spans: []op.Span{{Len: len(ids)}}}
	return m.Logits(p, m.Hidden(p, ids))
}

// collect reads a whole stream.
func collect(e *Engine, r Request) ([]Token, error) {
	var out []Token
	for tok, err := range e.Generate(context.Background(), r) {
		if err != nil {
			return out, err
		}
		out = append(out, tok)
	}
	return out, nil
}

// differ says where two streams differ, in any bit of any field but Usage.
func differ(got, want []Token) string {
	for i := range min(len(got), len(want)) {
		a, b := got[i], want[i]
		if a.ID != b.ID || math.Float32bits(a.Logprob) != math.Float32bits(b.Logprob) || a.Finish != b.Finish ||
			a.Prompt != b.Prompt || a.Choice != b.Choice || !slices.Equal(a.Top, b.Top) {
			return fmt.Sprintf("token %d: got %+v, want %+v", i, a, b)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("got %d tokens, want %d", len(got), len(want))
	}
	return ""
}

// randomRequest draws a request of up to 100 positions.
func randomRequest(rng *tensor.RNG) Request {
	r := Request{MaxTokens: 1 + rng.IntN(40), Logprobs: rng.IntN(4) - 1, Salt: []string{"", "", "a"}[rng.IntN(3)]}
	if own := rng.IntN(61); rng.IntN(2) == 0 { // what many requests begin with
		for i := range 60 - own {
			r.Prompt = append(r.Prompt, int32(i%vocab))
		}
	}
	for range max(1, rng.IntN(61-len(r.Prompt))) {
		r.Prompt = append(r.Prompt, int32(rng.IntN(vocab)))
	}
	r.Params.Seed = rng.Uint64()
	switch rng.IntN(4) {
	case 0: // greedy
	case 1:
		r.Params.Temperature = 1
	case 2:
		r.Params = sample.Params{Temperature: 0.8, TopK: 20, TopP: 0.9, MinP: 0.02, Seed: r.Params.Seed}
	case 3:
		r.Params = sample.Params{Temperature: 1.1, RepetitionPenalty: 1.2, PresencePenalty: 0.3, FrequencyPenalty: 0.1,
			Seed: r.Params.Seed, LogitBias: map[int32]float64{3: 2, 5: -100}}
	}
	if rng.IntN(3) == 0 {
		r.Stop = []int32{int32(rng.IntN(vocab)), int32(rng.IntN(vocab))}
	}
	if rng.IntN(3) == 0 {
		r.PromptLogprobs, r.Logprobs = true, max(0, r.Logprobs)
	}
	return r
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("after ten seconds still not: %s", what)
}
