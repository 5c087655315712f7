package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model/llama"
)

// benchModel is a llama of about 12M random weights (49 MB): speed only.
func benchModel() *llama.Llama {
	return llama.New(llama.Config{
		HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 6, NumAttentionHeads: 6, NumKeyValueHeads: 2,
		VocabSize: 4096, MaxPositionEmbeddings: 4096, TieWordEmbeddings: true,
	}, tensor.NewRNG(1))
}

// BenchmarkDecode generates 64 tokens per request at several batch sizes.
// %bandwidth is weight bytes read per second as a share of the read bandwidth
// measured in the same run. Random weights, speed only.
func BenchmarkDecode(b *testing.B) {
	m, pool := benchModel(), par.New(0)
	defer pool.Close()
	bytes := float64(4 * m.Info().Params)
	for _, batch := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			e := New(m, Options{Pool: pool, MaxBatch: batch})
			defer e.Close()
			b.ReportAllocs()
			tokens, steps := 0, 0
			for b.Loop() {
				var wg sync.WaitGroup
				for i := range batch {
					wg.Go(func() { drain(b, e, Request{Prompt: []int32{int32(i)}, MaxTokens: 64, Logprobs: -1}) })
				}
				wg.Wait()
				tokens += 64 * batch
				steps += 64
			}
			sec := b.Elapsed().Seconds()
			b.ReportMetric(float64(tokens)/sec, "tok/s")
			b.ReportMetric(100*bytes*float64(steps)/sec/kernel.Bandwidth(pool, 200*time.Millisecond), "%bandwidth")
		})
	}
}

// BenchmarkPrefill feeds prompts of 512 tokens. %peak is two operations per
// weight and token as a share of the FMA peak measured in the same run.
func BenchmarkPrefill(b *testing.B) {
	m, pool := benchModel(), par.New(0)
	defer pool.Close()
	for _, chunk := range []int{64, 256, 512} {
		b.Run(fmt.Sprintf("chunk=%d", chunk), func(b *testing.B) {
			e := New(m, Options{Pool: pool, Chunk: chunk})
			defer e.Close()
			b.ReportAllocs()
			prompt := make([]int32, 512)
			for i := range prompt {
				prompt[i] = int32(i * 7)
			}
			n := 0
			for b.Loop() {
				drain(b, e, Request{Prompt: prompt, MaxTokens: 1, Logprobs: -1})
				n += len(prompt)
			}
			sec := b.Elapsed().Seconds()
			body := float64(m.Info().Params) - float64(m.VocabSize*m.HiddenSize) // the head sees one row
			b.ReportMetric(float64(n)/sec, "tok/s")
			b.ReportMetric(100*2*body*float64(n)/sec/kernel.Peak(pool, 200*time.Millisecond), "%peak")
		})
	}
}

// BenchmarkIteration is one decode pass of eight requests without readers:
// what scheduler, model and sampling cost and allocate once all is warm.
func BenchmarkIteration(b *testing.B) {
	e, err := build(benchModel(), Options{MaxBatch: 8})
	if err != nil {
		b.Fatal(err)
	}
	defer e.free()
	refill := func() {
		for i := range 8 {
			if _, err := e.submit(b.Context(), Request{Prompt: []int32{int32(i)}, Logprobs: -1}); err != nil {
				b.Fatal(err)
			}
		}
		for range 100 {
			e.turn()
		}
	}
	refill()
	b.ReportAllocs()
	for b.Loop() {
		if e.inside == 0 {
			refill()
		}
		e.turn()
	}
}

// BenchmarkPrefixHit is a hundred requests that begin with the same 2,048
// tokens and end differently, one after another: the time to the first token
// of the first (cold) and the median of the others (hit). Random weights, speed only.
func BenchmarkPrefixHit(b *testing.B) {
	pool := par.New(0)
	defer pool.Close()
	m := benchModel()
	first := func(e *Engine, prompt []int32) float64 {
		start := time.Now()
		drain(b, e, Request{Prompt: prompt, MaxTokens: 1, Logprobs: -1})
		return time.Since(start).Seconds() * 1e3
	}
	for b.Loop() {
		e := New(m, Options{Pool: pool})
		cold := first(e, append(make([]int32, 2048), 1))
		var hits []float64
		for i := range 99 {
			hits = append(hits, first(e, append(make([]int32, 2048), int32(2+i), 5, 6, 7)))
		}
		e.Close()
		slices.Sort(hits)
		b.ReportMetric(cold, "ms-cold")
		b.ReportMetric(hits[len(hits)/2], "ms-hit")
		b.ReportMetric(cold/hits[len(hits)/2], "times-faster")
	}
}

func drain(b *testing.B, e *Engine, r Request) {
	for _, err := range e.Generate(context.Background(), r) {
		if err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkPromptBeside is a prompt of 4,096 tokens that arrives among eight
// answers: the 99th percentile of the time between their tokens before it and
// while it is read, with pieces of it as long as pays (paced) and as long as
// Chunk. No readers: a pass is what lies between two tokens. Random weights,
// speed only.
func BenchmarkPromptBeside(b *testing.B) {
	pool := par.New(0)
	defer pool.Close()
	m := benchModel()
	for name, full := range map[string]bool{"paced": false, "whole chunks": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				e, err := build(m, Options{Pool: pool, Pages: 800, fullChunks: full})
				if err != nil {
					b.Fatal(err)
				}
				ask := func(n, tokens int) *task {
					t, err := e.submit(b.Context(), Request{Prompt: make([]int32, n), MaxTokens: tokens, Logprobs: -1, Salt: fmt.Sprint(n)})
					if err != nil {
						b.Fatal(err)
					}
					return t
				}
				for i := range 8 {
					ask(100+i, 3000)
				}
				alone := passes(e, 300, nil)[100:]
				long := ask(4000, 1)
				beside := passes(e, 1<<20, long)
				e.free()
				slices.Sort(alone)
				slices.Sort(beside)
				a, c := alone[len(alone)*99/100], beside[len(beside)*99/100]
				b.ReportMetric(1e3*a, "ms-p99-alone")
				b.ReportMetric(1e3*c, "ms-p99-beside")
				b.ReportMetric(c/a, "times")
				b.ReportMetric(1e3*beside[len(beside)/2]/(1e3*alone[len(alone)/2]), "times-median")
				b.ReportMetric(float64(len(beside)), "passes")
				b.ReportMetric(sum(beside), "s-ttft")
			}
		})
	}
}

// passes runs n iterations, or until a task has its first token, and returns the
// seconds of each.
func passes(e *Engine, n int, until *task) (seconds []float64) {
	for range n {
		begin := time.Now()
		e.turn()
		seconds = append(seconds, time.Since(begin).Seconds())
		if until != nil && len(until.ids) > until.prompt() {
			break
		}
	}
	return seconds
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}
