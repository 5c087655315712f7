package llama_test

import (
	"testing"
	"time"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
)

// matmulWeights counts the weights that a token is multiplied with: every
// matrix and the head, tied or not, but not the embedding look-up.
func matmulWeights(m *llama.Llama) (n int) {
	m.Walk(func(l nn.Leaf) {
		if l.Linear != nil {
			n += (*l.Linear).In() * (*l.Linear).Out()
		}
	})
	return n
}

// stepFLOPs is the work of one training step over rows tokens in sequences of
// ctx: 6 per weight and token (2 forward, 4 backward), and 12*L*width*ctx/2 per
// token for causal attention (Chowdhery 2022, appendix B). Recomputation and
// the optimiser are not counted.
func stepFLOPs(m *llama.Llama, rows, ctx int) float64 {
	attention := 12 * m.NumHiddenLayers * m.NumAttentionHeads * m.HeadDim * ctx / 2
	return float64(rows) * float64(6*matmulWeights(m)+attention)
}

// BenchmarkStep is one training step, forward, backward and AdamW, and its
// share of the FMA peak measured just before.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name       string
		cfg        llama.Config
		seqs, ctx  int
		checkpoint bool
	}{
		{"10M", llama.Config{HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 5, NumAttentionHeads: 6,
			VocabSize: 4096, TieWordEmbeddings: true}, 8, 256, false},
		{"10M-remat", llama.Config{HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 5, NumAttentionHeads: 6,
			VocabSize: 4096, TieWordEmbeddings: true}, 8, 256, true},
		{"nanogpt-cpu", llama.Config{HiddenSize: 128, IntermediateSize: 352, NumHiddenLayers: 4, NumAttentionHeads: 4,
			VocabSize: 256, TieWordEmbeddings: true}, 12, 64, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := llama.New(c.cfg, tensor.NewRNG(1))
			benchStep(b, m, c.seqs, c.ctx, c.checkpoint)
		})
	}
}

func benchStep(b *testing.B, m *llama.Llama, seqs, ctx int, checkpoint bool) {
	pool := par.New(0)
	defer pool.Close()
	peak := kernel.Peak(pool, 200*time.Millisecond)
	rows := seqs * ctx
	p := &op.Pass{Record: true, Remat: checkpoint, Pool: pool, Arena: &tensor.Arena{}}
	for i := range seqs {
		p.Spans = append(p.Spans, op.Span{Row: i * ctx, Len: ctx})
	}
	params := nn.Params(m)
	moments := make([][2][]float32, len(params))
	for i, p := range params {
		n := len(p.Value.Data)
		p.Value.Grad = tensor.Alloc(n)
		moments[i] = [2][]float32{tensor.Alloc(n), tensor.Alloc(n)}
	}
	ids, targets := tokens(rows, m.VocabSize, 1), tokens(rows, m.VocabSize, 2)
	o := kernel.AdamWParams{LR: 1e-5, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Correct1: 0.1, Correct2: 0.05, GradScale: 1}
	const piece = 1 << 16
	step := func() {
		p.Arena.Reset()
		p.CrossEntropy(m.Logits(p, m.Hidden(p, ids)), targets, 1/float32(rows))
		p.Backward()
		for i, param := range params {
			n := len(param.Value.Data)
			pool.Run((n+piece-1)/piece, func(c int) {
				lo, hi := c*piece, min(n, (c+1)*piece)
				kernel.AdamW(param.Value.Data[lo:hi], param.Value.Grad[lo:hi], moments[i][0][lo:hi], moments[i][1][lo:hi], o)
			})
			param.Value.Grad = param.Value.Grad[:0]
		}
	}
	step() // takes the arena's memory
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	perStep := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(rows)/perStep, "tok/s")
	b.ReportMetric(100*stepFLOPs(m, rows, ctx)/perStep/peak, "%MFU")
	b.ReportMetric(peak/1e9, "peak-GFLOP/s")
	b.ReportMetric(float64(p.Arena.Peak())/1e6, "arena-MB")
}
