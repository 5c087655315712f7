package cli

import (
	"context"
	"fmt"
	"time"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/engine"
	"weft/infer/sample"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/zoo"
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

// benchServing measures prompts and generation through the engine.
func benchServing(ctx context.Context, r roofline, dir string, each time.Duration, show func(measurement)) error {
	note := "random weights, speed only"
	var m model.Model = llama.New(benchConfig(), tensor.NewRNG(1))
	if dir != "" {
		l, err := findModel(dir)
		if err != nil {
			return err
		}
		if m, err = zoo.LoadServing(l.files); err != nil {
			return hintFiles(err)
		}
		note = dir
	}
	info := m.Info()
	prompt := min(512, info.Context/2)
	eng := engine.New(m, engine.Options{Pool: r.pool, MaxBatch: 16})
	defer eng.Close()

	// Forward only, and only the last row is projected to the vocabulary.
	head := 2 * float64(info.Dim) * float64(info.Vocab)
	flop := (train.FlopsPerToken(m, prompt)/3-head)*float64(prompt) + head
	seed := uint64(0) // another prompt each time: none is in the prefix cache
	line := r.compute(fmt.Sprintf("prefill, %d tokens", prompt), flop, each, func() {
		seed++
		_, _ = generate(ctx, eng, engine.Request{Prompt: randomIDs(prompt, info.Vocab, seed), MaxTokens: 1, Logprobs: -1})
	})
	line.Note = fmt.Sprintf("%.0f tokens/s; %s", line.Value*1e9*float64(prompt)/flop, note)
	show(line)

	tokens := min(128, info.Context/2)
	for _, batch := range []int{1, 4, 16} {
		perToken := float64(nn.Bytes(m)) // bytes of weights, read once for the whole batch
		line := r.memory(fmt.Sprintf("decode, batch %d", batch), perToken*float64(tokens), each, func() {
			generateBatch(ctx, eng, batch, tokens, info.Vocab)
		})
		line.Note = fmt.Sprintf("%.0f tokens/s; %s", float64(batch)*line.Value*1e9/perToken, note)
		show(line)
	}
	return ctx.Err()
}

// generateBatch runs batch requests of a short prompt side by side.
func generateBatch(ctx context.Context, eng *engine.Engine, batch, tokens, vocab int) {
	done := make(chan struct{})
	for i := range batch {
		go func() {
			_, _ = generate(ctx, eng, engine.Request{
				Prompt: randomIDs(8, vocab, uint64(i)), MaxTokens: tokens, Logprobs: -1, Params: sample.Params{},
			})
			done <- struct{}{}
		}()
	}
	for range batch {
		<-done
	}
}

// generate runs one request to its end and returns its ids.
func generate(ctx context.Context, eng *engine.Engine, r engine.Request) ([]int32, error) {
	var ids []int32
	for t, err := range eng.Generate(ctx, r) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, t.ID)
	}
	return ids, nil
}
