package pretrain

import (
	"fmt"
	"math"

	"weft/model/llama"
	"weft/train/optim"
)

// The rules of the dial. They follow nanochat, whose one dial is the depth too
// (width 64 per layer, 20 tokens per weight after Hoffmann 2022, learning rate
// by the inverse root of the width), brought down to models of 2 to 12 layers:
//
//	width          64 * depth             nanochat's aspect ratio
//	heads          width / 64             nanochat has 128 per head; small models want more heads
//	kv heads       heads, or half of them from 4 heads on (Ainslie 2023)
//	feed-forward   8/3 * width, up to a multiple of 64 (Shazeer 2020)
//	sequence       256; 512 from depth 8; 1024 from depth 12
//	batch          512 tokens * depth     small batches make the most of few tokens
//	learning rate  1e-3 * sqrt(384/width) nanoGPT's 1e-3 at width 384
//	tokens         20 per weight, at most 16 epochs (Muennighoff 2023: repeats
//	               are worth less and less, and nothing beyond about 16)
//	depth          4; with a time budget the deepest that sees 10 tokens per
//	               weight in it at half of the machine's peak, at least 2
const (
	defaultDepth  = 4
	aspect        = 64
	headDim       = 64
	batchPerLayer = 512
	minDepth      = 2 // of what a budget chooses
	maxDepth      = 20
	budgetTokens  = 10   // per weight
	budgetShare   = 0.5  // of the peak that training is expected to reach
	microTokens   = 4096 // most tokens of one forward pass, so that activations stay small
	tokensPerParm = 20
	maxEpochs     = 16
	maxEvalTokens = 1 << 14
)

// fill completes settings by the rules; what is set stays.
func (s *Settings) fill() error {
	def(&s.Depth, defaultDepth)
	def(&s.Dim, aspect*s.Depth)
	if s.Heads == 0 {
		s.Heads = max(1, s.Dim/headDim)
	}
	if s.KVHeads == 0 {
		s.KVHeads = s.Heads
		if s.Heads >= 4 && s.Heads%2 == 0 {
			s.KVHeads = s.Heads / 2
		}
	}
	def(&s.FFN, (s.Dim*8/3+63)/64*64)
	switch {
	case s.Dim%s.Heads != 0:
		return fmt.Errorf("pretrain: width %d is not a multiple of %d heads", s.Dim, s.Heads)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("pretrain: %d heads are not a multiple of %d key/value heads", s.Heads, s.KVHeads)
	}
	switch {
	case s.SeqLen > 0:
	case s.Depth >= 12:
		s.SeqLen = 1024
	case s.Depth >= 8:
		s.SeqLen = 512
	default:
		s.SeqLen = 256
	}
	if s.Context != 0 && s.Context < s.SeqLen {
		return fmt.Errorf("pretrain: the context is %d, shorter than the sequences of %d that it is trained on", s.Context, s.SeqLen)
	}
	def(&s.Batch, batchPerLayer*s.Depth)
	def(&s.Accumulate, max(1, (s.Batch+microTokens-1)/microTokens))
	def(&s.LR, 1e-3*math.Sqrt(384/float64(s.Dim)))
	def(&s.Val, 0.1)
	def(&s.EvalTokens, maxEvalTokens)
	sch := optim.Schedule{Kind: s.Schedule, Peak: s.LR, Floor: s.Floor, Decay: s.Decay}.Defaults()
	s.Schedule, s.Floor, s.Decay = sch.Kind, sch.Floor, sch.Decay
	o := optim.Options{Kind: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.Eps, WeightDecay: s.Weight, Clip: s.Clip}.Defaults()
	s.Optimizer, s.Beta1, s.Beta2, s.Eps, s.Weight, s.Clip = o.Kind, o.Beta1, o.Beta2, o.Eps, o.WeightDecay, o.Clip
	return nil
}

// depthFor is the depth that suits so many floating-point operations: training
// N weights on 10*N tokens takes 6*N*10*N.
func depthFor(flops float64) int {
	depth := minDepth
	for depth < maxDepth {
		n := float64(12 * aspect * aspect * (depth + 1) * (depth + 1) * (depth + 1)) // 12 * layers * width^2
		if 6*budgetTokens*n*n > flops {
			break
		}
		depth++
	}
	return depth
}

// rows is the number of sequences of one forward pass.
func (s *Settings) rows() int {
	return max(1, int(math.Round(float64(s.Batch)/float64(s.SeqLen*s.Accumulate))))
}

// step is the number of tokens of one step: Batch in whole sequences.
func (s *Settings) step() int { return s.rows() * s.SeqLen * s.Accumulate }

// fillSteps sets the number of steps where neither steps nor a budget is given.
func (s *Settings) fillSteps(params, dataTokens int64) {
	if s.Steps == 0 && s.Budget == 0 {
		tokens := min(tokensPerParm*params, maxEpochs*dataTokens)
		s.Steps = max(1, int(tokens/int64(s.step())))
	}
}

// config is the architecture of the settings.
func (s *Settings) config(vocab int, bos, eos []int32) llama.Config {
	return llama.Config{
		HiddenSize: s.Dim, IntermediateSize: s.FFN, NumHiddenLayers: s.Depth, NumAttentionHeads: s.Heads, NumKeyValueHeads: s.KVHeads,
		VocabSize: vocab, MaxPositionEmbeddings: max(s.SeqLen, s.Context), RMSNormEps: 1e-5, TieWordEmbeddings: !s.Untied, TorchDtype: "float32",
		BOSTokenID: bos, EOSTokenID: eos,
	}
}

// vocabFor is the vocabulary for a text of so many bytes: about the root of
// it, a power of two, so that every token is seen often enough to learn.
// 1 MB gives 1024, 1 GB gives 32768.
func vocabFor(bytes int64) int {
	return min(max(1<<int(math.Log2(math.Sqrt(float64(max(bytes, 1))))), 512), 32768)
}

func def[T int | float64](at *T, value T) {
	if *at == 0 {
		*at = value
	}
}
