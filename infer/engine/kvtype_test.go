package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/infer/kv"
	"weft/infer/sample"
	"weft/model"
	"weft/model/llama"
)

// rounded is a model that, without a cache, rounds keys and values as a cache of
// a type does: the oracle of engines with that cache.
type rounded struct {
	model.Model
	kind kernel.KVType
}

func (r rounded) Hidden(p *op.Pass, ids []int32) *tensor.Tensor {
	if p.KV == nil {
		p.KVType = r.kind
	}
	return r.Model.Hidden(p, ids)
}

// windowed is a llama whose layers have windows, each its own, and sinks.
type windowed struct {
	*llama.Llama
	rope    *op.Rope
	windows []int
	sinks   int
}

func newWindowed(sinks int, windows ...int) windowed {
	m := llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: len(windows), NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 8,
		VocabSize: vocab, MaxPositionEmbeddings: 1500, InitializerRange: 0.3,
	}, tensor.NewRNG(5))
	return windowed{m, op.NewRope(op.Frequencies(10000, 8), 8, 1), windows, sinks}
}

func (m windowed) State() []model.State {
	states := m.Llama.State()
	for i := range states {
		states[i].Window, states[i].Sinks = m.windows[i], m.sinks
	}
	return states
}

func (m windowed) Hidden(p *op.Pass, ids []int32) *tensor.Tensor {
	h := m.Embed.Apply(p, ids)
	for i, b := range m.Blocks {
		x := b.AttnNorm.Apply(p, h)
		spec := kernel.AttnSpec{Heads: kernel.Heads{Q: 4, KV: 2, Dim: 8}, Window: m.windows[i], Sinks: m.sinks}
		q, k := p.RoPE(b.Q.Apply(p, x), m.rope), p.RoPE(b.K.Apply(p, x), m.rope)
		h = p.Add(h, b.O.Apply(p, p.Attend(i, q, k, b.V.Apply(p, x), spec)))
		x = b.FFNNorm.Apply(p, h)
		h = p.Add(h, b.Down.Apply(p, p.SwiGLU(b.Gate.Apply(p, x), b.Up.Apply(p, x))))
	}
	return m.Norm.Apply(p, h)
}

// TestSameTokensInEveryType is the metamorphic test over types of keys and values,
// and over windows: the oracle's tokens, bit for bit, however requests are batched,
// chunked, paged, preempted, found in the prefix cache or guessed.
func TestSameTokensInEveryType(t *testing.T) {
	type subject struct {
		name string
		m    model.Model
		kind kernel.KVType
	}
	var subjects []subject
	for _, kind := range kernel.KVTypes()[1:] {
		subjects = append(subjects, subject{"tiny", tiny(), kind}, subject{"odd", odd(), kind})
	}
	for _, kind := range []kernel.KVType{kernel.KVF32, kernel.KVQ8} {
		subjects = append(subjects, subject{"windows", newWindowed(3, 20, 33), kind}, subject{"one window", newWindowed(0, 0, 24), kind}, subject{"three windows", newWindowed(2, 20, 0, 33, 20), kind})
	}
	options := []Options{
		{},
		{MaxBatch: 3, Chunk: 17, PageLen: 32, Pages: 16},
		{MaxBatch: 16, Chunk: 9, Pages: 12},
		{MaxBatch: 8, Chunk: 5, Pages: 8, NoPrefixCache: true},
		{MaxBatch: 6, Chunk: 40, Pages: 20, Ngram: 2, DraftLen: 3, alwaysDraft: true},
		{MaxBatch: 8, Chunk: 30, Pages: 10, PrefixDisk: kv.DiskOptions{Key: "subject"}}, // what is thrown out may come back from disk
	}
	for _, s := range subjects {
		rng := tensor.NewRNG(6)
		requests, want := make([]Request, 12), make([][]Token, 12)
		oracle := rounded{s.m, s.kind}
		for i := range requests {
			requests[i] = randomRequest(rng)
			want[i] = generate(oracle, requests[i])
		}
		var sum Stats
		for i, o := range options {
			o.KVType = s.kind
			if o.PrefixDisk.Key != "" {
				o.PrefixDisk.Dir = t.TempDir()
			}
			t.Run(fmt.Sprintf("%s,%v,%d", s.name, s.kind, i), func(t *testing.T) {
				pool := par.New(1 + 2*(i%2))
				defer pool.Close()
				o.Pool = pool
				got := crowd(t, s.m, o, rng, requests, want)
				sum.Preemptions += got.Preemptions
				sum.PrefixHits += got.PrefixHits
				sum.PrefixLoaded += got.PrefixLoaded
			})
		}
		if sum.PrefixHits == 0 || sum.Preemptions == 0 && !strings.Contains(s.name, "window") { // where pages are given back, they mostly suffice
			t.Errorf("%s as %v: %d preemptions, %d prefix hits: want some of both", s.name, s.kind, sum.Preemptions, sum.PrefixHits)
		}
	}
}

// TestTypesDiffer: rounding keys and values changes log-probabilities, so that the
// test above has seen each type at work.
func TestTypesDiffer(t *testing.T) {
	r := Request{Prompt: counting(50), MaxTokens: 4, Logprobs: 0}
	seen := map[string]kernel.KVType{}
	for _, kind := range kernel.KVTypes() {
		got := fmt.Sprint(generate(rounded{tiny(), kind}, r))
		if other, ok := seen[got]; ok {
			t.Errorf("%v and %v say the same to the last bit", kind, other)
		}
		seen[got] = kind
	}
}

// TestWindowsBoundPages: while a request runs far past its windows, it holds as
// many pages as they need, in a pool that is far too small for all its positions,
// and says the same as without a cache.
func TestWindowsBoundPages(t *testing.T) {
	m := newWindowed(5, 30, 48)
	for _, noCache := range []bool{false, true} {
		e := start(t, m, Options{Pages: 14, Chunk: 20, NoPrefixCache: noCache})
		if e.Window() != 1500 {
			t.Fatalf("%d positions may be asked for, want the model's 1500", e.Window())
		}
		if most := kv.MostPages(m.State(), e.opts.pages(), 1500); most > 2*14 {
			t.Fatalf("%d pages are wanted for a request, want at most 14 for each layer", most)
		}
		r := Request{Prompt: counting(300), MaxTokens: 150, Logprobs: 1, Params: sample.Params{Temperature: 1, Seed: 3}}
		got, err := collect(e, r)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, generate(m, r)); d != "" {
			t.Error(d)
		}
		if again, err := collect(e, r); err != nil || differ(again, got) != "" {
			t.Errorf("asked again: %v %s", err, differ(again, got))
		} else if cached := again[0].Cached; noCache && cached > 0 {
			t.Errorf("%d tokens were known without a prefix cache", cached)
		}
	}
}

// TestSomeWindowsBoundPages: where three of four layers have a window, they give
// their pages back and the fourth keeps its own: the model's whole context fits a
// pool of a third of it. With room, a long prefix is known as a whole.
func TestSomeWindowsBoundPages(t *testing.T) {
	m := newWindowed(5, 30, 0, 30, 30)
	for pages, cached := range map[int]int{31: 0, 100: 299} {
		e := start(t, m, Options{Pages: pages, Chunk: 20})
		if e.Window() != 1500 {
			t.Fatalf("%d positions may be asked for, want the model's 1500", e.Window())
		}
		r := Request{Prompt: counting(300), MaxTokens: 200, Logprobs: 1, Params: sample.Params{Temperature: 1, Seed: 3}}
		want := generate(m, r)
		for i := range 2 {
			got, err := collect(e, r)
			if err != nil || differ(got, want) != "" {
				t.Fatalf("%d pages, run %d: %v %s", pages, i, err, differ(got, want))
			}
			if i == 1 && got[0].Cached < cached {
				t.Errorf("%d pages: %d tokens were known, want %d", pages, got[0].Cached, cached)
			}
		}
		if pages == 31 { // as far as it may go, far past the pool of a model without windows
			long := Request{Prompt: counting(1400), MaxTokens: 100}
			if got, err := collect(e, long); err != nil || len(got) != 100 {
				t.Errorf("%d tokens behind 1400, %v", len(got), err)
			}
		}
	}
}

// TestWindowsBeam: texts of a search fork from each other behind the window too.
func TestWindowsBeam(t *testing.T) {
	r := Request{Prompt: counting(110), MaxTokens: 60, Beam: &Beam{Width: 3}}
	for _, m := range []model.Model{newWindowed(5, 30, 48), newWindowed(0, 0, 40)} {
		var answers [][]Token
		for _, o := range []Options{{Pages: 400, Chunk: 1000, NoPrefixCache: true}, {Pages: 40, Chunk: 20}, {Pages: 40, Chunk: 20, PageLen: 32}} {
			e := start(t, m, o)
			for range 2 {
				got, err := collect(e, r)
				if err != nil {
					t.Fatal(err)
				}
				answers = append(answers, got)
			}
		}
		for i, got := range answers[1:] {
			if d := differ(got, answers[0]); d != "" {
				t.Errorf("search %d: %s", i+1, d)
			}
		}
	}
}

// TestWindowsAdmit: requests are admitted by what they hold at a time: side by
// side where their positions would not fit, and without one throwing out another.
func TestWindowsAdmit(t *testing.T) {
	m := newWindowed(0, 16)
	running := 0
	var e *Engine
	asked := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.inside
	}
	e = start(t, spy{m, func(p *op.Pass, _ []int32) {
		for running == 0 && asked() < 3 { // the first pass waits for all
			time.Sleep(time.Millisecond)
		}
		running = max(running, len(p.Spans))
	}}, Options{Pages: 40, Chunk: 32, NoPrefixCache: true})
	results := make(chan error, 3)
	for i := range 3 { // 22 pages each in the end
		go func() {
			_, err := collect(e, Request{Prompt: append([]int32{int32(i)}, counting(250)...), MaxTokens: 100})
			results <- err
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	e.Close()
	if s := e.Stats(); running < 3 || s.Preemptions > 0 {
		t.Errorf("%d at a time, %d preemptions, want all three and none", running, s.Preemptions)
	}
}

// TestTypeOptions: an unknown type is refused, and Stats says what a page takes.
func TestTypeOptions(t *testing.T) {
	if err := (Options{KVType: 77}).Validate(); err == nil {
		t.Error("type 77 is accepted")
	}
	var bytes []int
	for _, kind := range kernel.KVTypes() {
		e := start(t, tiny(), Options{KVType: kind, Pages: 4})
		s := e.Stats()
		if s.KVType != kind {
			t.Errorf("Stats says %v of %v", s.KVType, kind)
		}
		bytes = append(bytes, s.PageBytes)
	}
	if want := []int{4096, 2048, 2048, 2560, 2560}; !slices.Equal(bytes, want) {
		t.Errorf("pages of %v take %v bytes, want %v (integers come in groups of 16 bytes, here for heads of 8)", kernel.KVTypes(), bytes, want)
	}
}
