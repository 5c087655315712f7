package cli

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
	"weft/train"
	"weft/train/pretrain"
)

// trainCmd wires train/pretrain. Zero values of its options mean "by rule", so the flags
// have no other defaults: the rules stand in one place.
func (e *env) trainCmd() *cobra.Command {
	var o pretrain.Options
	c := &cobra.Command{
		Use:   "train PATH",
		Short: "Pretrain a model on a text file, jsonl file, folder or shards",
		Long: `Train makes a tokenizer (unless one is given), trains a model of the Llama family
and reports bits per byte on held-out text before and after. --depth is the one
dial: width, heads, learning rate, batch and steps follow from it; any of them
can be set by hand. --budget stops after that much time and fits the learning
rate's decay into it.

The output folder is a model at any moment. A run that was interrupted, even by
kill -9, goes on with the same command and ends at the same weights.`,
		Example: "  weft train shakespeare.txt --budget 60s --out out/shakespeare\n  weft train data/ --depth 8 --out out/d8",
		Args:    exactArgs("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Data = args[0]
			// The folder is named for the text, so that two texts do not meet in one.
			if o.Out == "" {
				o.Out = filepath.Join("out", strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
			}
			o.Threads = e.threads
			var end func()
			o.Observer, end = e.observer()
			r, err := pretrain.Run(cmd.Context(), o)
			end()
			if err != nil {
				return err
			}
			return e.printTrained(r)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Out, "out", "o", "", "folder of the run and model (default out/<name of PATH>)")
	f.BoolVar(&o.Resume, "resume", true, "go on with the run in the folder, if there is one")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "tokenizer.json or a folder with one (default: train one on the text)")
	f.IntVar(&o.Vocab, "vocab", 0, "tokens of a trained tokenizer; 256 with --template none: bytes alone (default: by size of the text)")
	f.StringVar(&o.Pattern, "pattern", "", "pre-tokenizer of a trained tokenizer: "+strings.Join(tokenizer.Patterns(), ", ")+" (default gpt2)")
	f.StringVar(&o.Template, "template", "", "chat template whose markers a trained tokenizer gets: weft, chatml or none (default weft)")
	f.IntVar(&o.Depth, "depth", 0, "the dial: number of layers, and by rule everything else (default 4; with --budget: what fits it)")
	f.IntVar(&o.Dim, "dim", 0, "width of the residual stream (default: by depth)")
	f.IntVar(&o.Heads, "heads", 0, "attention heads (default: by width)")
	f.IntVar(&o.KVHeads, "kv-heads", 0, "key/value heads (default: by heads)")
	f.IntVar(&o.FFN, "ffn", 0, "width of the feed-forward layer (default: 8/3 of the width)")
	f.BoolVar(&o.Untied, "untied", false, "give the output head weights of its own")
	f.IntVar(&o.SeqLen, "seq", 0, "positions of a sequence in training (default: by depth)")
	f.IntVar(&o.Context, "context", 0, "positions the model is made for, more than --seq if longer texts come later (default: as --seq)")
	f.IntVar(&o.BatchTokens, "batch-tokens", 0, "tokens per step (default: by depth)")
	f.Float64Var(&o.Val, "val", 0, "share of the text held out (default 0.1)")
	f.IntVar(&o.EvalTokens, "eval-tokens", 0, "held-out tokens per evaluation; -1: all (default 16384)")
	f.BoolVar(&o.Random, "random", false, "draw random windows, as nanoGPT does, instead of each once per epoch")
	f.Uint64Var(&o.Seed, "seed", 0, "seed of weights and order")
	loopFlags(c, &o.Options)
	return c
}

// loopFlags are the knobs of the training loop that pretraining and
// fine-tuning share.
func loopFlags(c *cobra.Command, o *train.Options) {
	f := c.Flags()
	f.DurationVar(&o.Budget, "budget", 0, "stop after this much time, for example 60s (default: none)")
	f.IntVar(&o.Steps, "steps", 0, "updates (default: by rule)")
	f.IntVar(&o.Accumulate, "accumulate", 0, "batches whose gradients are added per step (default 1)")
	f.Float64Var(&o.Schedule.Peak, "lr", 0, "peak learning rate (default: by rule)")
	f.StringVar(&o.Schedule.Kind, "schedule", "", "cosine, wsd or constant (default cosine)")
	f.Var((*orNone)(&o.Schedule.Floor), "lr-floor", "learning rate at the end, as a share of the peak (default 0.1)")
	f.IntVar(&o.Warmup, "warmup", 0, "steps of rising learning rate (default: 5 % of the steps, at most 100)")
	f.StringVar(&o.Optim.Kind, "optimizer", "", "adamw, or muon: Muon for the matrices of the blocks and AdamW for the rest (default adamw)")
	f.Float64Var(&o.Optim.Beta2, "beta2", 0, "AdamW's second moment decay (default 0.95)")
	f.Var((*orNone)(&o.Optim.WeightDecay), "weight-decay", "decoupled weight decay; 0: none (default 0.1, fine-tuning none)")
	f.Var((*orNone)(&o.Optim.Clip), "clip", "gradient norm to clip at; 0: never (default 1)")
	f.IntVar(&o.EvalEvery, "eval-every", 0, "steps between looks at held-out data; -1: only at the ends (default: a tenth of the run)")
	f.IntVar(&o.SaveEvery, "save-every", 0, "steps between checkpoints (default: as often as costs 1 % of the time)")
	f.IntVar(&o.KeepEvery, "keep-every", 0, "steps between models kept for good, as folders step-000500 in the run's that serve and score (default: none)")
	f.BoolVar(&o.Remat, "remat", false, "recompute activations in the backward: less memory, a third more work")
}

// orNone is a number that can be set to 0. The options below take their zero
// value as "the default" and a negative number as none.
type orNone float64

// Set implements pflag.Value.
func (s *orNone) Set(text string) error {
	if text == "" { // back to the default
		*s = 0
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && v == 0 {
		v = -1
	}
	*s = orNone(v)
	return err
}

// String is the text that Set reads; empty is the default.
func (s *orNone) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatFloat(max(0, float64(*s)), 'g', -1, 64)
}

// Type is what --help shows.
func (s *orNone) Type() string { return "float" }
