package llama_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
)

func tiny(tied bool) llama.Config {
	return llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		VocabSize: 61, MaxPositionEmbeddings: 256, TieWordEmbeddings: tied, InitializerRange: 0.2,
	}
}

// variants are tiny models with every switch of the architecture.
func variants() map[string]llama.Config {
	all := map[string]llama.Config{"llama": tiny(false), "llama, tied": tiny(true)}
	add := func(name, kind string, change func(c *llama.Config)) {
		c := tiny(true)
		c.ModelType = kind
		change(&c)
		all[name] = c
	}
	full, slide := "full_attention", "sliding_attention"
	add("llama, biases and llama3", "llama", func(c *llama.Config) {
		c.AttentionBias, c.MLPBias = true, true
		c.RopeScaling = llama.RopeScaling{Type: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 16}
	})
	add("mistral", "mistral", func(c *llama.Config) { c.SlidingWindow = 7 })
	add("qwen2, yarn", "qwen2", func(c *llama.Config) { c.RopeScaling = llama.RopeScaling{Type: "yarn", Factor: 4, Original: 16} })
	add("qwen3, a window", "qwen3", func(c *llama.Config) { c.SlidingWindow, c.LayerTypes = 9, []string{full, slide} })
	add("phi3", "phi3", func(c *llama.Config) {
		c.SlidingWindow, c.PartialRotaryFactor, c.OriginalMaxPositionEmbeddings = 20, 0.5, 16
		c.RopeScaling = llama.RopeScaling{Type: "longrope", ShortFactor: []float64{1, 1}, LongFactor: []float64{1.5, 3}}
	})
	add("smollm3", "smollm3", func(c *llama.Config) { c.NoRopeLayers = []int{0, 1} })
	return all
}

func tokens(n, vocab int, seed uint64) []int32 {
	rng := tensor.NewRNG(seed)
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

func withGrads(m *llama.Llama) []nn.Named {
	ps := nn.Params(m)
	for _, p := range ps {
		p.Value.Grad = make([]float32, len(p.Value.Data))
	}
	return ps
}

// step runs forward and backward and returns the loss sum.
func step(m *llama.Llama, p *op.Pass, ids, targets []int32) float64 {
	loss := p.CrossEntropy(m.Logits(p, m.Hidden(p, ids)), targets, 1)
	p.Backward()
	return loss
}

// pages is a cache of one sequence per handle: pages of a fixed number of
// blocks, handed out in an order that is not that of the positions, filled
// with NaN before use.
type pages struct {
	heads    kernel.Heads
	pageLen  int // blocks per page
	free     [][]kernel.Block
	sequence map[[2]int][]kernel.Block
}

func newPages(h kernel.Heads, pageLen, n int) *pages {
	p := &pages{heads: h, pageLen: pageLen, sequence: map[[2]int][]kernel.Block{}}
	for range n {
		page := make([]kernel.Block, pageLen)
		for i := range page {
			page[i] = kernel.Block{K: nan(h.BlockFloats()), V: nan(h.BlockFloats())}
		}
		p.free = append(p.free, page)
	}
	return p
}

func nan(n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(math.NaN())
	}
	return s
}

func (p *pages) Blocks(layer, seq, n int) []kernel.Block {
	key := [2]int{layer, seq}
	for len(p.sequence[key])*kernel.BlockLen < n {
		i := (len(p.free) * 7) % len(p.free)
		p.sequence[key] = append(p.sequence[key], p.free[i]...)
		p.free = append(p.free[:i], p.free[i+1:]...)
	}
	return p.sequence[key]
}

// spread draws biases and gains, which begin as zeros and ones.
func spread(m *llama.Llama) {
	rng := tensor.NewRNG(8)
	for _, p := range nn.Params(m) {
		if !p.Decay {
			rng.FillNormal(p.Value.Data, 0.2)
		}
		for i := range p.Value.Data {
			if strings.HasSuffix(p.Name, "norm.weight") {
				p.Value.Data[i]++
			}
		}
	}
}

// TestTrainServe checks that a training pass and every way of serving the same
// ids give the same logits, bit for bit.
func TestTrainServe(t *testing.T) {
	const n = 75
	for variant, cfg := range variants() {
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		m := llama.New(cfg, tensor.NewRNG(1))
		spread(m)
		withGrads(m)
		pool := par.New(2)
		defer pool.Close()
		ids := tokens(n, m.VocabSize, 2)
		train := &op.Pass{Spans: []op.Span{{Len: n}}, Record: true, Pool: pool, Arena: &tensor.Arena{}}
		want := m.Logits(train, m.Hidden(train, ids))

		for _, frozen := range []bool{false, true} {
			if frozen {
				nn.Freeze(m)
			}
			for _, pageLen := range []int{1, 2, 5} {
				for _, chunk := range []int{1, 7, 16, 50, n} {
					name := fmt.Sprintf("%s: frozen=%v pages of %d blocks, chunks of %d", variant, frozen, pageLen, chunk)
					kv := newPages(kernel.Heads{Q: 4, KV: 2, Dim: 8}, pageLen, 20)
					got := serve(m, kv, pool, ids, chunk)
					if d := maxDiff(got, want.Data); d != 0 {
						t.Errorf("%s: logits differ from training by up to %g", name, d)
					}
				}
			}
		}
	}
}

// serve prefills and decodes ids in chunks, beside a second sequence that
// decodes one token with each chunk. Every other pass says that its rows are not
// wanted.
func serve(m *llama.Llama, kv op.KV, pool *par.Pool, ids []int32, chunk int) []float32 {
	var got []float32
	arena := &tensor.Arena{}
	for at, step := 0, 0; at < len(ids); at, step = at+chunk, step+1 {
		arena.Reset()
		n := min(chunk, len(ids)-at)
		p := &op.Pass{KV: kv, Pool: pool, Arena: arena, Spans: []op.Span{
			{Seq: 1, Row: 0, Len: 1, Pos: step},
			{Seq: 0, Row: 1, Len: n, Pos: at},
		}}
		rows := make([]int, n)
		for i := range rows {
			rows[i] = i + 1
		}
		if step%2 == 0 {
			p.Want = rows
		}
		h := m.Hidden(p, append([]int32{5}, ids[at:at+n]...))
		if step%2 != 0 {
			h = p.Gather(h, rows)
		}
		got = append(got, m.Logits(p, h).Data...)
	}
	return got
}

func maxDiff(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d float64
	for i := range a {
		if x := math.Abs(float64(a[i]) - float64(b[i])); !(x <= d) {
			d = x
		}
	}
	return d
}

// TestDocumentsDoNotLeak changes one document of a packed batch: the others'
// logits keep every bit, forward and backward.
func TestDocumentsDoNotLeak(t *testing.T) {
	m := llama.New(tiny(false), tensor.NewRNG(1))
	spans := []op.Span{{Row: 0, Len: 21}, {Row: 21, Len: 30}, {Row: 51, Len: 13}}
	ids := tokens(64, m.VocabSize, 3)
	run := func() []float32 {
		p := &op.Pass{Spans: spans}
		return m.Logits(p, m.Hidden(p, ids)).Data
	}
	before := run()
	for i := 21; i < 51; i++ {
		ids[i] = (ids[i] + 1) % int32(m.VocabSize)
	}
	after, v := run(), m.VocabSize
	if d := maxDiff(before[:21*v], after[:21*v]); d != 0 {
		t.Errorf("the document before a changed one moved by %g", d)
	}
	if d := maxDiff(before[51*v:], after[51*v:]); d != 0 {
		t.Errorf("the document after a changed one moved by %g", d)
	}
	if maxDiff(before[21*v:51*v], after[21*v:51*v]) == 0 {
		t.Error("changing a document changed nothing")
	}
	alone := &op.Pass{Spans: []op.Span{{Len: 13}}}
	if d := maxDiff(m.Logits(alone, m.Hidden(alone, ids[51:])).Data, after[51*v:]); d != 0 {
		t.Errorf("a document alone and packed differ by %g", d)
	}
}

// TestGradients compares the whole backward with central differences of the
// loss along random directions of each parameter.
func TestGradients(t *testing.T) {
	for variant, cfg := range variants() {
		m := llama.New(cfg, tensor.NewRNG(4))
		spread(m)
		spans := []op.Span{{Row: 0, Len: 18}, {Row: 18, Len: 9}}
		ids, targets := tokens(27, m.VocabSize, 5), tokens(27, m.VocabSize, 6)
		targets[3] = -1
		params := withGrads(m)
		step(m, &op.Pass{Spans: spans, Record: true}, ids, targets)
		loss := func() float64 {
			p := &op.Pass{Spans: spans}
			return p.CrossEntropy(m.Logits(p, m.Hidden(p, ids)), targets, 1)
		}
		for _, p := range params {
			// Along the gradient's own direction the slope is its length.
			var norm float64
			for _, g := range p.Value.Grad {
				norm += float64(g) * float64(g)
			}
			norm = math.Sqrt(norm)
			old := append([]float32(nil), p.Value.Data...)
			const h = 1e-2
			move := func(d float64) float64 {
				for i, g := range p.Value.Grad {
					p.Value.Data[i] = old[i] + float32(d*float64(g)/norm)
				}
				return loss()
			}
			slope := (8*(move(h)-move(-h)) - (move(2*h) - move(-2*h))) / (12 * h)
			copy(p.Value.Data, old)
			if math.Abs(slope-norm) > 2e-3*norm {
				t.Errorf("%s: %s: slope along the gradient is %g, want its length %g", variant, p.Name, slope, norm)
			}
		}
	}
}

// TestSameGradients runs one step with every combination of threads, arena
// and activation checkpointing: losses and gradients keep every bit.
func TestSameGradients(t *testing.T) {
	m := llama.New(tiny(true), tensor.NewRNG(4))
	spans := []op.Span{{Row: 0, Len: 100}, {Row: 100, Len: 39}}
	ids, targets := tokens(139, m.VocabSize, 5), tokens(139, m.VocabSize, 6)
	var want []float32
	var wantLoss float64
	for _, threads := range []int{1, 2, 3} {
		pool := par.New(threads)
		defer pool.Close()
		for _, remat := range []bool{false, true} {
			for _, arena := range []*tensor.Arena{nil, {}} {
				params := withGrads(m)
				p := &op.Pass{Spans: spans, Record: true, Remat: remat, Pool: pool, Arena: arena}
				loss := step(m, p, ids, targets)
				var got []float32
				for _, p := range params {
					got = append(got, p.Value.Grad...)
				}
				if want == nil {
					want, wantLoss = got, loss
				}
				if d := maxDiff(got, want); d != 0 || loss != wantLoss {
					t.Errorf("threads=%d remat=%v arena=%v: gradients differ by %g, loss %v, want %v", threads, remat, arena != nil, d, loss, wantLoss)
				}
			}
		}
	}
}

// TestMemory checks that checkpointing and inference really need less.
func TestMemory(t *testing.T) {
	cfg := tiny(false)
	cfg.NumHiddenLayers = 12
	m := llama.New(cfg, tensor.NewRNG(1))
	withGrads(m)
	ids := tokens(256, m.VocabSize, 1)
	peak := func(record, remat bool) int64 {
		p := &op.Pass{Spans: []op.Span{{Len: len(ids)}}, Record: record, Remat: remat, Arena: &tensor.Arena{}}
		logits := m.Logits(p, m.Hidden(p, ids))
		if record {
			p.CrossEntropy(logits, ids, 1)
			p.Backward()
		}
		return p.Arena.Peak()
	}
	full, remat, eval := peak(true, false), peak(true, true), peak(false, false)
	t.Logf("peak bytes of 12 layers: training %d, with checkpoints %d, evaluation %d", full, remat, eval)
	if remat*3 > full || eval*2 > remat {
		t.Errorf("peak bytes: training %d, with checkpoints %d, evaluation %d: want each well below the one before", full, remat, eval)
	}
}

// TestThaw checks that training never leaves a stale packed weight behind.
func TestThaw(t *testing.T) {
	m := llama.New(tiny(true), tensor.NewRNG(1))
	ids := tokens(9, m.VocabSize, 1)
	logits := func() []float32 {
		p := &op.Pass{Spans: []op.Span{{Len: 9}}}
		return m.Logits(p, m.Hidden(p, ids)).Data
	}
	nn.Freeze(m)
	before := logits()
	params := withGrads(m)
	step(m, &op.Pass{Spans: []op.Span{{Len: 9}}, Record: true}, ids, ids)
	for _, p := range params {
		kernel.Axpy(-0.1, p.Value.Grad, p.Value.Data)
	}
	after := logits()
	if maxDiff(before, after) == 0 {
		t.Error("logits after a training step are those before it: a stale packed weight was served")
	}
	nn.Freeze(m)
	if d := maxDiff(after, logits()); d != 0 {
		t.Errorf("packing changed the logits by %g", d)
	}
}

func ExampleNew() {
	m := llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2, VocabSize: 100,
	}, tensor.NewRNG(1))
	p := &op.Pass{Spans: []op.Span{{Row: 0, Len: 3}}}
	logits := m.Logits(p, m.Hidden(p, []int32{7, 8, 9}))
	fmt.Println(logits.Rows, logits.Cols, m.Info().Params)
	// Output: 3 100 21920
}

// TestDecodeAllocations bounds what one decoded token takes from the heap: the
// closures that are handed to the workers, and nothing that grows.
func TestDecodeAllocations(t *testing.T) {
	m := llama.New(tiny(true), tensor.NewRNG(1))
	nn.Freeze(m)
	pool := par.New(2)
	defer pool.Close()
	kv := newPages(kernel.Heads{Q: 4, KV: 2, Dim: 8}, 1, 20)
	p := &op.Pass{KV: kv, Pool: pool, Arena: &tensor.Arena{}, Spans: []op.Span{{Len: 1, Pos: 40}}}
	ids := []int32{3}
	n := testing.AllocsPerRun(20, func() {
		p.Reset()
		m.Logits(p, m.Hidden(p, ids))
	})
	perLayer := n / float64(m.NumHiddenLayers)
	t.Logf("%.1f allocations per token and layer", perLayer)
	if perLayer > 16 {
		t.Errorf("a decoded token takes %.1f allocations per layer, want at most 16", perLayer)
	}
}

// TestConfigJSON: what a family takes for a missing key is said where it is not
// so.
func TestConfigJSON(t *testing.T) {
	for kind, want := range map[string]string{
		"llama": "", "mistral": `"sliding_window": null`, "qwen2": `"sliding_window": null`, "smollm3": `"no_rope_layers": [`,
	} {
		cfg := tiny(false)
		cfg.ModelType = kind
		m := llama.New(cfg, nil)
		text, err := m.ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := llama.ParseConfig(text)
		if err != nil || again.SlidingWindow != 0 || again.TieWordEmbeddings || slices.Contains(again.NoRopeLayers, 0) {
			t.Errorf("%s: %v: comes back as %+v", kind, err, again)
		}
		if !strings.Contains(string(text), want) || strings.Contains(string(text), "partial_rotary_factor") || kind == "llama" && strings.Contains(string(text), "sliding") {
			t.Errorf("%s: config.json is %s", kind, text)
		}
	}
}

// TestState: what a layer keeps says its window, and what is further back is not
// read.
func TestState(t *testing.T) {
	cfg := variants()["qwen3, a window"]
	m := llama.New(cfg, tensor.NewRNG(1))
	if s := m.State(); s[0].Window != 0 || s[1].Window != 9 || m.Info().Family != "qwen3" {
		t.Errorf("state is %+v of family %s", s, m.Info().Family)
	}
	window := variants()["mistral"] // two layers of 7 positions: a row sees 13
	m = llama.New(window, tensor.NewRNG(1))
	run := func(ids []int32) []float32 {
		p := &op.Pass{Spans: []op.Span{{Len: len(ids)}}}
		return m.Hidden(p, ids).Row(len(ids) - 1)
	}
	ids := tokens(40, m.VocabSize, 3)
	want := append([]float32(nil), run(ids)...)
	ids[40-14]++
	if d := maxDiff(run(ids), want); d != 0 {
		t.Errorf("a token behind the windows moves the last row by %g", d)
	}
	ids[40-13]++
	if d := maxDiff(run(ids), want); d == 0 {
		t.Error("the last token inside the windows moves nothing")
	}
}
