package pretrain

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"weft/text/corpus"
	"weft/text/template"
	"weft/train"
)

// Options say what to train. Zero fields take the rule of Depth, or the value
// at the end of their comment.
type Options struct {
	// Steps, Budget, Warmup, Schedule, Optim, EvalEvery, SaveEvery, Keep, ...
	// Schedule.Peak, Steps and Accumulate follow Depth when zero.
	train.Options

	Data   string                       // file or folder of text, or a folder of shards (train/, val/); required unless Docs is set
	Docs   iter.Seq2[corpus.Doc, error] // text at hand, readable more than once; none
	Out    string                       // folder of the run; required
	Resume bool                         // continue the run in Out if there is one; false: refuse to touch it

	Tokenizer string // tokenizer.json, or a folder with one; trained on the text
	Vocab     int    // tokens of a trained tokenizer, special ones counted; by size of the text
	Pattern   string // how a trained tokenizer cuts words: see tokenizer.Patterns; "gpt2"
	Template  string // chat template whose markers a trained tokenizer gets; "none": no markers; "weft"

	Depth   int  // layers, and by rule all that follows from them; 4, with a Budget what fits it
	Dim     int  // width of the residual stream; 64 per layer
	Heads   int  // attention heads; one per 64 of Dim
	KVHeads int  // key/value heads; half of Heads from four on
	FFN     int  // width of the feed-forward layer; 8/3 of Dim
	Untied  bool // a head of its own instead of the embedding's weights; false

	SeqLen      int     // positions of a sequence in training; 256, from 8 layers on 512, from 12 on 1024
	Context     int     // positions the model says it is made for; SeqLen
	BatchTokens int     // tokens per step; 512 per layer
	Val         float64 // share of the text that is held out; 0.1
	EvalTokens  int     // held-out tokens of an evaluation, all when negative; 16384
	Random      bool    // draw windows with replacement, as nanoGPT does; false: every window once per epoch
	Seed        uint64  // of weights and order; 0
}

// Validate says which option is missing or out of its range. It does not look
// at files.
func (o *Options) Validate() error {
	switch {
	case o.Out == "":
		return errors.New("pretrain: no folder for the run is given")
	case o.Data == "" && o.Docs == nil && !o.Resume:
		return errors.New("pretrain: no text is given")
	case o.Data != "" && o.Docs != nil:
		return errors.New("pretrain: text is given twice, as a path and at hand: give one")
	case o.Tokenizer != "" && o.Vocab != 0:
		return errors.New("pretrain: a tokenizer and a vocabulary size are given: the size is for training a new tokenizer; give one")
	case !(o.Val >= 0 && o.Val <= 0.5): // not a number, too
		return fmt.Errorf("pretrain: the held-out share is %g, want between 0 and 0.5", o.Val)
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"vocab", o.Vocab}, {"depth", o.Depth}, {"dim", o.Dim}, {"heads", o.Heads}, {"kv heads", o.KVHeads}, {"ffn", o.FFN},
		{"sequence length", o.SeqLen}, {"context", o.Context}, {"batch tokens", o.BatchTokens}, {"steps", o.Steps}, {"accumulate", o.Accumulate}} {
		if f.v < 0 || f.v > maxOption {
			return fmt.Errorf("pretrain: %s is %d, want 1 to %d", f.name, f.v, maxOption)
		}
	}
	if err := o.ValidateGiven(); err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	if o.Template != "" && o.Template != noTemplate {
		if _, err := template.Named(o.Template); err != nil {
			return fmt.Errorf("pretrain: %w", err)
		}
	}
	return nil
}

const (
	maxOption       = 1 << 24 // as in config.json
	noTemplate      = "none"
	defaultTemplate = "weft"
	defaultPattern  = "gpt2"
)

// Settings are the options that decide what comes out, resolved: what a run
// records, and what a resumed run must agree with.
type Settings struct {
	Data       string  `json:"data,omitempty"` // absolute path
	Vocab      int     `json:"vocab"`
	Pattern    string  `json:"pattern,omitempty"`
	Template   string  `json:"template,omitempty"`
	Depth      int     `json:"depth"`
	Dim        int     `json:"dim"`
	Heads      int     `json:"heads"`
	KVHeads    int     `json:"kv_heads"`
	FFN        int     `json:"ffn"`
	Untied     bool    `json:"untied"`
	SeqLen     int     `json:"seq_len"`
	Context    int     `json:"context,omitempty"` // 0: SeqLen
	Batch      int     `json:"batch_tokens"`
	Accumulate int     `json:"accumulate"`
	Steps      int     `json:"steps"`
	Budget     float64 `json:"budget_seconds"`
	Warmup     int     `json:"warmup"`
	Schedule   string  `json:"schedule"`
	LR         float64 `json:"lr"`
	Floor      float64 `json:"lr_floor"`
	Decay      float64 `json:"lr_decay"`
	Optimizer  string  `json:"optimizer"`
	Beta1      float64 `json:"beta1"`
	Beta2      float64 `json:"beta2"`
	Eps        float64 `json:"eps"`
	Weight     float64 `json:"weight_decay"`
	NoDecay    string  `json:"no_decay,omitempty"`
	Clip       float64 `json:"clip"`
	Val        float64 `json:"val"`
	EvalTokens int     `json:"eval_tokens"`
	Random     bool    `json:"random"`
	Seed       uint64  `json:"seed"`
}

// settings are the options as given, nothing filled in.
func (o *Options) settings() (Settings, error) {
	s := Settings{Vocab: o.Vocab, Pattern: o.Pattern, Template: o.Template, Depth: o.Depth, Dim: o.Dim, Heads: o.Heads, KVHeads: o.KVHeads,
		FFN: o.FFN, Untied: o.Untied, SeqLen: o.SeqLen, Context: o.Context, Batch: o.BatchTokens, Accumulate: o.Accumulate, Steps: o.Steps,
		Budget: o.Budget.Seconds(), Warmup: o.Warmup, Schedule: o.Schedule.Kind, LR: o.Schedule.Peak, Floor: o.Schedule.Floor,
		Decay: o.Schedule.Decay, Optimizer: o.Optim.Kind, Beta1: o.Optim.Beta1, Beta2: o.Optim.Beta2, Eps: o.Optim.Eps, Weight: o.Optim.WeightDecay,
		Clip: o.Optim.Clip, NoDecay: strings.Join(o.NoDecay, " "), Val: o.Val, EvalTokens: o.EvalTokens, Random: o.Random, Seed: o.Seed}
	if o.Data != "" {
		path, err := filepath.Abs(o.Data)
		if err != nil {
			return s, fmt.Errorf("pretrain: %w", err)
		}
		s.Data = path
	}
	return s, nil
}

// String is the shape of the run in one line.
func (s Settings) String() string {
	return fmt.Sprintf("depth %d dim %d heads %d/%d ffn %d seq %d step %d x%d lr %.3g",
		s.Depth, s.Dim, s.Heads, s.KVHeads, s.FFN, s.SeqLen, s.step(), s.Accumulate, s.LR)
}
