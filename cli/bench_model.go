package cli

import (
	"context"
	"fmt"
	"time"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/train"
	"weft/train/optim"
)

// benchConfig is a model of about ten million weights.
func benchConfig() llama.Config {
	return llama.Config{
		HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 6, NumAttentionHeads: 6, NumKeyValueHeads: 3,
		VocabSize: 4096, MaxPositionEmbeddings: 1024, TieWordEmbeddings: true,
	}
}

// randomIDs is a prompt or batch without meaning.
func randomIDs(n, vocab int, seed uint64) []int32 {
	rng := tensor.NewRNG(seed)
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

// benchTraining measures whole steps, forward, backward and AdamW, and counts
// 6 FLOP per weight and token plus attention (train.FlopsPerToken).
func benchTraining(ctx context.Context, r roofline, each time.Duration, show func(measurement)) error {
	const seq, rows = 256, 4096
	m := llama.New(benchConfig(), tensor.NewRNG(1))
	perToken := train.FlopsPerToken(m, seq)
	line := r.compute(fmt.Sprintf("training step, %.1fM weights, sequence %d", float64(m.Info().Params)/1e6, seq),
		perToken*rows, max(each, 2*time.Second), trainingStep(m, r, seq, rows))
	line.Note = fmt.Sprintf("%.0f tokens/s", line.Value*1e9/perToken)
	show(line)
	return ctx.Err()
}

// trainingStep returns one optimiser step over rows tokens in sequences of seq.
func trainingStep(m model.Model, r roofline, seq, rows int) func() {
	var params []optim.Param
	for _, p := range nn.Params(m) {
		p.Value.Grad = make([]float32, len(p.Value.Data))
		params = append(params, optim.Param{Name: p.Name, Value: p.Value, Decay: p.Decay})
	}
	adam := optim.New(params, optim.Options{}, r.pool)
	arena := &tensor.Arena{}
	pass := &op.Pass{Record: true, Pool: r.pool, Arena: arena}
	for row := 0; row < rows; row += seq {
		pass.Spans = append(pass.Spans, op.Span{Row: row, Len: seq})
	}
	ids, targets := randomIDs(rows, m.Info().Vocab, 1), randomIDs(rows, m.Info().Vocab, 2)
	return func() {
		arena.Reset()
		logits := m.Logits(pass, m.Hidden(pass, ids))
		pass.CrossEntropy(logits, targets, 1/float32(rows))
		pass.Backward()
		adam.Step(1e-4, adam.Norm())
	}
}
