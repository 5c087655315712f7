package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/infer/kv"
	"weft/infer/sample"
	"weft/model"
)

// TestSameRequestSameTokens is the engine's metamorphic test: for models in
// float32 and in every kind of blocks, with windows in some layers, sixteen requests, searches among them, give the tokens, log-probabilities and alternatives of the uncached oracle,
// bit for bit, however they are batched, chunked, paged, preempted, whatever
// prefixes are in the cache, whatever is guessed, and whoever cancels beside them.
func TestSameRequestSameTokens(t *testing.T) {
	fixed := []Options{
		{},
		{MaxBatch: 1},
		{MaxBatch: 2, Chunk: 1, NoPrefixCache: true},
		{MaxBatch: 3, Chunk: 17, PageLen: 32},
		{MaxBatch: 5, Chunk: 5, PageLen: 48, Pages: 10},
		{MaxBatch: 8, Chunk: 16, Pages: 30},
		{MaxBatch: 16, Chunk: 64, Pages: 8, NoPrefixCache: true},
		{MaxBatch: 16, Chunk: 9, Pages: 12},
		{MaxBatch: 16, Chunk: 33, PageLen: 16, Pages: 40},
		{MaxBatch: 16, Chunk: 1000, PageLen: 96, Pages: 6},
		{Ngram: 3, alwaysDraft: true},
		{MaxBatch: 6, Chunk: 40, Pages: 20, Ngram: 1, DraftLen: 3, alwaysDraft: true},
		{MaxBatch: 5, Chunk: 30, Pages: 24, Draft: tiny(), alwaysDraft: true}, // of one of the models, a twin
		{MaxBatch: 16, Chunk: 50, Draft: odd(), Ngram: 4, DraftLen: 5},
	}
	rested := odd()
	oracles := map[string]model.Model{"tiny": tiny(), "odd": odd(), "odd in 8 bits": rest(rested), "blocks": blocks(), "windows in half": halfWindows()}
	for name, m := range map[string]model.Model{"tiny": tiny(), "odd": odd(), "odd in 8 bits": rested, "blocks": blocks(), "windows in half": halfWindows()} {
		rng := tensor.NewRNG(3)
		requests, want := make([]Request, 16), make([][]Token, 16)
		for i := range requests {
			requests[i] = randomRequest(rng)
			if i == 0 { // as wide as every option allows
				requests[i].Beam, requests[i].Params = &Beam{Width: 1, EarlyStopping: true}, sample.Params{}
			}
			want[i] = generate(oracles[name], requests[i])
		}
		options := slices.Clone(fixed)
		for range 8 {
			o := Options{MaxBatch: 1 + rng.IntN(16), Chunk: 1 + rng.IntN(80), PageLen: 16 * (1 + rng.IntN(4)), NoPrefixCache: rng.IntN(4) == 0}
			o.Pages = (100+o.PageLen-1)/o.PageLen + rng.IntN(20)
			if rng.IntN(2) == 0 {
				o.Ngram, o.Draft, o.alwaysDraft = rng.IntN(3), []model.Model{nil, tiny(), odd()}[rng.IntN(3)], rng.IntN(3) > 0
			}
			options = append(options, o)
		}
		var sum Stats
		for i, o := range options {
			workers := 1 + 2*(i%2)
			t.Run(fmt.Sprintf("%s,batch%d,chunk%d,page%d,pages%d,ngram%d,draft%v,workers%d", name, o.MaxBatch, o.Chunk, o.PageLen, o.Pages, o.Ngram, o.Draft != nil, workers), func(t *testing.T) {
				pool := par.New(workers)
				defer pool.Close()
				o.Pool = pool
				s := crowd(t, m, o, rng, requests, want)
				sum.Preemptions += s.Preemptions
				sum.PrefixHits += s.PrefixHits
				sum.Drafted += s.Drafted
				sum.Accepted += s.Accepted
				if o.NoPrefixCache && s.PrefixHits+s.PrefixQueries > 0 {
					t.Errorf("%d of %d prompt tokens found without a prefix cache", s.PrefixHits, s.PrefixQueries)
				}
			})
		}
		if sum.Preemptions == 0 || sum.PrefixHits == 0 || sum.Accepted == 0 || sum.Accepted == sum.Drafted { // in a single run it is up to who arrives when
			t.Errorf("%s: %d preemptions, %d prefix hits, %d of %d guesses right: want some of all", name, sum.Preemptions, sum.PrefixHits, sum.Accepted, sum.Drafted)
		}
	}
}

// crowd sends the requests at once, with others among them that break off, and
// compares.
func crowd(t *testing.T, m model.Model, o Options, rng *tensor.RNG, requests []Request, want [][]Token) Stats {
	e := start(t, m, o)
	var wg sync.WaitGroup
	for _, i := range shuffle(rng, len(requests)) {
		wg.Go(func() {
			got, err := collect(e, requests[i])
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			} else if d := differ(got, want[i]); d != "" {
				t.Errorf("request %d: %s", i, d)
			}
		})
		if rng.IntN(2) == 0 {
			r, after := randomRequest(rng), rng.IntN(8)
			wg.Go(func() { breakOff(e, r, after) })
		}
	}
	wg.Wait()
	finish(t, e)
	return e.Stats()
}

// breakOff reads a few tokens and stops: by leaving the range, or by its context.
func breakOff(e *Engine, r Request, after int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range e.Generate(ctx, r) {
		if err != nil {
			return
		}
		if n++; n > after {
			if after%2 == 0 {
				return
			}
			cancel()
		}
	}
}

func shuffle(rng *tensor.RNG, n int) []int {
	order := make([]int, n)
	for i := range order {
		j := rng.IntN(i + 1)
		order[i], order[j] = order[j], i
	}
	return order
}

// TestTrainEqualsServe: the logits of a recording pass over whole documents
// equal, bit for bit, those of passes over a paged cache in chunks.
func TestTrainEqualsServe(t *testing.T) {
	m, rng := tiny(), tensor.NewRNG(4)
	docs := make([][]int32, 5)
	train := &op.Pass{Record: true}
	var flat []int32
	for i := range docs {
		for range 1 + rng.IntN(80) {
			docs[i] = append(docs[i], int32(rng.IntN(vocab)))
		}
		train.Spans = append(train.Spans, op.Span{Seq: i, Row: len(flat), Len: len(docs[i])})
		flat = append(flat, docs[i]...)
	}
	want := m.Logits(train, m.Hidden(train, flat))
	cache, err := kv.New(m.State(), kv.Options{Pages: 40, PageLen: 16, Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	// Rounds of passes, each with the next few tokens of some documents.
	seqs, done := make([]int, len(docs)), make([]int, len(docs))
	for i := range seqs {
		seqs[i] = cache.Alloc()
	}
	rows := 0
	for rows < len(flat) {
		serve := &op.Pass{KV: cache}
		var ids []int32
		for i, doc := range docs {
			n := min(rng.IntN(12), len(doc)-done[i])
			if n == 0 {
				continue
			}
			if err := cache.Grow(seqs[i], done[i]+n); err != nil {
				t.Fatal(err)
			}
			serve.Spans = append(serve.Spans, op.Span{Seq: seqs[i], Row: len(ids), Len: n, Pos: done[i]})
			ids = append(ids, doc[done[i]:done[i]+n]...)
		}
		if len(ids) == 0 {
			continue
		}
		got := m.Logits(serve, m.Hidden(serve, ids))
		for _, s := range serve.Spans {
			doc := slices.Index(seqs, s.Seq)
			for r := range s.Len {
				sameRow(t, doc, s.Pos+r, got.Row(s.Row+r), want.Row(train.Spans[doc].Row+s.Pos+r))
			}
			done[doc] += s.Len
		}
		rows += len(ids)
	}
}

func sameRow(t *testing.T, doc, pos int, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("document %d position %d logit %d: serving %v, training %v", doc, pos, i, got[i], want[i])
		}
	}
}

var _ model.Model = spy{}

// spy watches, delays or breaks the passes of a model.
type spy struct {
	model.Model
	before func(p *op.Pass, ids []int32)
}

func (s spy) Hidden(p *op.Pass, ids []int32) *tensor.Tensor {
	s.before(p, ids)
	return s.Model.Hidden(p, ids)
}
