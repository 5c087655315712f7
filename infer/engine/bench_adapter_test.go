package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
)

// restShape builds a model of a shape whose matrices rest in Q8_0, of 61 random
// rows that repeat: speed does not depend on what they hold.
func restShape(b *testing.B, cfg llama.Config) *llama.Llama {
	const f, pattern = quant.Q8_0, 61
	m, rng := llama.New(cfg, nil), tensor.NewRNG(1)
	for _, p := range nn.Params(m) {
		if !p.Decay {
			continue
		}
		rows, cols := p.Value.Rows, p.Value.Cols
		stride, err := f.RowBytes(cols)
		if err != nil {
			b.Fatal(err)
		}
		values, data := make([]float32, pattern*cols), make([]byte, pattern*stride)
		rng.FillNormal(values, 0.02)
		if err := f.Encode(data, values, nil); err != nil {
			b.Fatal(err)
		}
		w, err := op.NewIntegers(f, rows, cols, func(i int) []byte { return data[i%pattern*stride:][:stride] })
		if err != nil {
			b.Fatal(err)
		}
		p.RestAs(w)
	}
	return m
}

// BenchmarkAdapters is what LoRA adapters cost: tokens per second of decoding with
// none, and with one and four different ones in a batch, on every matrix but the
// head. All take turns in one run; cost% is the median of how much longer a turn
// took than the one without adapters beside it. Weights in Q8_0, random: speed only.
//
//	go test ./infer/engine -run '^$' -bench Adapters -benchtime 10x
func BenchmarkAdapters(b *testing.B) {
	for name, cfg := range map[string]llama.Config{
		"11m": {HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 6, NumAttentionHeads: 6, NumKeyValueHeads: 2,
			VocabSize: 4096, MaxPositionEmbeddings: 2048, TieWordEmbeddings: true},
		"0.5b": {ModelType: "qwen2", HiddenSize: 896, IntermediateSize: 4864, NumHiddenLayers: 24, NumAttentionHeads: 14, NumKeyValueHeads: 2,
			VocabSize: 151936, MaxPositionEmbeddings: 2048, TieWordEmbeddings: true}, // Qwen2.5-0.5B
	} {
		b.Run(name, func(b *testing.B) {
			m, pool := restShape(b, cfg), par.New(0)
			defer pool.Close()
			for _, batch := range []int{1, 16} {
				b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
					e, err := build(m, Options{Pool: pool, MaxBatch: batch, MaxAdapters: 10, Pages: 64, NoPrefixCache: true})
					if err != nil {
						b.Fatal(err)
					}
					defer e.free()
					benchAdapters(b, e, batch)
				})
			}
		})
	}
}

// mix is a number of different adapters of one rank.
type mix struct {
	n, rank  int
	adapters []*Adapter
	seconds  []float64 // of each turn
}

func benchAdapters(b *testing.B, e *Engine, batch int) {
	const tokens = 32 // per request and turn, behind the first
	mixes := []*mix{{}}
	for _, rank := range []int{8, 16} {
		for _, n := range []int{1, 4} {
			if n > batch {
				continue
			}
			x := &mix{n: n, rank: rank}
			for i := range n {
				by := drawn(e.model, rank, 1, uint64(rank+i))
				by.Pairs[len(by.Pairs)-1] = nil // the head
				a, err := e.AddAdapter("bench", fmt.Sprint(rank, i, n), by)
				if err != nil {
					b.Fatal(err)
				}
				x.adapters = append(x.adapters, a)
			}
			mixes = append(mixes, x)
		}
	}
	for b.Loop() {
		for _, x := range mixes {
			x.seconds = append(x.seconds, x.turn(b, e, batch, tokens))
		}
	}
	for _, x := range mixes {
		var ratio []float64
		for i, s := range x.seconds {
			ratio = append(ratio, s/mixes[0].seconds[i])
		}
		name := "none"
		if x.n > 0 {
			name = fmt.Sprintf("%dxr%d", x.n, x.rank)
			b.ReportMetric(100*(median(ratio)-1), "cost%-"+name)
		}
		b.ReportMetric(float64(batch*tokens)/median(x.seconds), "tok/s-"+name)
	}
}

// turn lets a batch of requests say so many tokens and returns the seconds,
// without their prompts' pass.
func (x *mix) turn(b *testing.B, e *Engine, batch, tokens int) float64 {
	for i := range batch {
		r := Request{Prompt: []int32{int32(i)}, MaxTokens: tokens + 1, Logprobs: -1}
		if x.n > 0 {
			r.Adapter = x.adapters[i%x.n]
		}
		if _, err := e.submit(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	e.turn()
	begin := time.Now()
	for e.inside > 0 {
		e.turn()
	}
	return time.Since(begin).Seconds()
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
