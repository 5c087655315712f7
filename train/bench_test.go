package train

import (
	"context"
	"strings"
	"testing"

	"weft/compute/tensor"
	"weft/model/llama"
	"weft/text/corpus"
	"weft/train/optim"
)

// benchLoop is a run that is opened and never saved.
func benchLoop(b *testing.B, c llama.Config, rows, seq int) *Loop {
	b.Helper()
	set, err := corpus.Build(context.Background(), byteTokens{}, corpus.ParseText(strings.Repeat(verse, 2000), "verse"), corpus.ShardOptions{})
	if err != nil {
		b.Fatal(err)
	}
	l := &Loop{Options: Options{Steps: 1 << 30, Schedule: optim.Schedule{Peak: 1e-3}}, Dir: b.TempDir(), Kind: "bench",
		Model: llama.New(c, tensor.NewRNG(1)), Source: set.Loader(corpus.LoaderOptions{Rows: rows, SeqLen: seq}), SeqLen: seq}
	if err := l.open(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.close(); set.Close() })
	return l
}

// BenchmarkStep is a whole step of the loop, and of it the part that is the
// model's: forward and backward. What is between them is the loop's own cost.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name      string
		config    llama.Config
		rows, seq int
	}{
		{"nanoGPT", llama.Config{HiddenSize: 128, IntermediateSize: 352, NumHiddenLayers: 4, NumAttentionHeads: 4, VocabSize: 256, TieWordEmbeddings: true}, 12, 64},
		{"10M", llama.Config{HiddenSize: 384, IntermediateSize: 1024, NumHiddenLayers: 6, NumAttentionHeads: 6, VocabSize: 1024, TieWordEmbeddings: true}, 8, 256},
	} {
		for part, fn := range map[string]func(*Loop) error{
			"whole": (*Loop).update,
			"model": func(l *Loop) error { _, _, err := l.gradients(); return err },
		} {
			b.Run(c.name+"/"+part, func(b *testing.B) {
				l := benchLoop(b, c.config, c.rows, c.seq)
				tokens := float64(c.rows * c.seq)
				for b.Loop() {
					if err := fn(l); err != nil {
						b.Fatal(err)
					}
				}
				speed := tokens * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(speed, "tok/s")
				b.ReportMetric(100*speed*l.flops/l.peak, "%MFU")
			})
		}
	}
}
