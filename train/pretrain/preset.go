package pretrain

import (
	"weft/train"
	"weft/train/optim"
)

// NanoGPT returns the options of nanoGPT's documented CPU run on the
// characters of one text (README, "I only have a macbook", with
// config/train_shakespeare_char.py): 4 layers, 4 heads, width 128, block 64,
// batch 12, 2000 steps, 1e-3 falling to 1e-4 after 100 steps of warm-up, beta2
// 0.99, random windows, no dropout. It reports a validation loss of 1.88 for
// it. The vocabulary here is the 256 bytes; on ASCII text a byte is a
// character, so the losses compare. The feed-forward width gives the same
// number of weights per layer as nanoGPT's.
func NanoGPT(data, out string) Options {
	return Options{
		Options: train.Options{
			Steps: 2000, Warmup: 100, EvalEvery: 250,
			Schedule: optim.Schedule{Peak: 1e-3, Floor: 0.1},
			Optim:    optim.Options{Beta2: 0.99},
		},
		Data: data, Out: out, Vocab: 256, Template: noTemplate,
		Depth: 4, Dim: 128, Heads: 4, KVHeads: 4, FFN: 352,
		SeqLen: 64, BatchTokens: 12 * 64, EvalTokens: -1, Random: true, Seed: 1337,
	}
}
