package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"path/filepath"
	"time"

	"weft/text/corpus"
	"weft/train"
	"weft/train/optim"
)

// SFTOptions say what to learn from what. Zero fields take the value at the
// end of their comment.
type SFTOptions struct {
	// Steps, Budget, Schedule, EvalEvery, SaveEvery, ... Without Steps and
	// Budget the run is Epochs long. Schedule.Peak is 3e-4*(384/width)^1.5,
	// weight decay is off.
	train.Options

	Base   string                        // model folder to start from; required for a new run
	BaseFS fs.FS                         // the files of Base, where it is no folder of the disk but in the binary; those of the folder
	Data   string                        // .jsonl of {"messages": [...]} or {"prompt", "completion"}; required unless Chats is set
	Chats  iter.Seq2[corpus.Chat, error] // conversations at hand; none
	Out    string                        // folder of the run; required
	Resume bool                          // continue the run in Out if there is one; false: refuse to touch it

	Template    string  // chat template; the base model's, or the one its tokenizer has the markers of
	Epochs      float64 // times the conversations are gone through; 3
	SeqLen      int     // longest conversation in tokens; the base model's context
	BatchTokens int     // most tokens per step; 2048, at least one conversation
	Truncate    bool    // cut longer conversations instead of refusing them; false
	AllTokens   bool    // learn the user's words and the markers too; false
	Val         float64 // share of the conversations that is held out; 0.1
	Seed        uint64  // of the order; 0
}

// Validate says which option is missing or out of its range. It does not look
// at files.
func (o *SFTOptions) Validate() error {
	switch {
	case o.Out == "":
		return errors.New("tune: no folder for the run is given")
	case o.Base == "" && !o.Resume:
		return errNoBase
	case o.Data == "" && o.Chats == nil && !o.Resume:
		return errNoData
	case o.Data != "" && o.Chats != nil:
		return errors.New("tune: conversations are given twice, as a path and at hand: give one")
	case !(o.Val >= 0 && o.Val <= 0.5): // not a number, too
		return fmt.Errorf("tune: the held-out share is %g, want between 0 and 0.5", o.Val)
	case o.Epochs < 0 || math.IsNaN(o.Epochs) || o.SeqLen < 0 || o.BatchTokens < 0:
		return errors.New("tune: epochs, sequence length and batch tokens must not be negative")
	}
	if err := o.ValidateGiven(); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	return nil
}

// Settings are the options that decide what comes out, resolved: what a run
// records, and what a resumed run must agree with.
type Settings struct {
	Data       string  `json:"data,omitempty"` // absolute path
	Template   string  `json:"template"`
	Epochs     float64 `json:"epochs"`
	SeqLen     int     `json:"seq_len"`
	Batch      int     `json:"batch_tokens"`
	Accumulate int     `json:"accumulate"`
	Truncate   bool    `json:"truncate"`
	AllTokens  bool    `json:"all_tokens"`
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
	Clip       float64 `json:"clip"`
	Val        float64 `json:"val"`
	Seed       uint64  `json:"seed"`
}

// settings are the options as given, nothing filled in.
func (o *SFTOptions) settings() (Settings, error) {
	s := Settings{Template: o.Template, Epochs: o.Epochs, SeqLen: o.SeqLen, Batch: o.BatchTokens, Accumulate: o.Accumulate,
		Truncate: o.Truncate, AllTokens: o.AllTokens, Steps: o.Steps, Budget: o.Budget.Seconds(), Warmup: o.Warmup,
		Schedule: o.Schedule.Kind, LR: o.Schedule.Peak, Floor: o.Schedule.Floor, Decay: o.Schedule.Decay, Optimizer: o.Optim.Kind, Beta1: o.Optim.Beta1,
		Beta2: o.Optim.Beta2, Eps: o.Optim.Eps, Weight: o.Optim.WeightDecay, Clip: o.Optim.Clip, Val: o.Val, Seed: o.Seed}
	if o.Data != "" {
		path, err := filepath.Abs(o.Data)
		if err != nil {
			return s, fmt.Errorf("tune: %w", err)
		}
		s.Data = path
	}
	return s, nil
}

// fill completes settings for a base model of a given width and context. The
// learning rate falls from 1.6e-3 at width 128, where the base has learned
// little that could be lost, to 9e-6 at width 4096, as is usual there.
func (s *Settings) fill(dim, context int) error {
	if s.SeqLen == 0 {
		s.SeqLen = context
	}
	if s.SeqLen > context {
		return fmt.Errorf("tune: sequence length is %d, but the base model has a context of %d", s.SeqLen, context)
	}
	def(&s.Epochs, 3)
	def(&s.Batch, 2048)
	def(&s.Accumulate, 1)
	def(&s.LR, 3e-4*math.Pow(384/float64(dim), 1.5))
	def(&s.Val, 0.1)
	def(&s.Weight, -1)
	sch := optim.Schedule{Kind: s.Schedule, Peak: s.LR, Floor: s.Floor, Decay: s.Decay}.Defaults()
	s.Schedule, s.Floor, s.Decay = sch.Kind, sch.Floor, sch.Decay
	o := optim.Options{Kind: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.Eps, WeightDecay: s.Weight, Clip: s.Clip}.Defaults()
	s.Optimizer, s.Beta1, s.Beta2, s.Eps, s.Weight, s.Clip = o.Kind, o.Beta1, o.Beta2, o.Eps, o.WeightDecay, o.Clip
	return nil
}

// apply puts settings into the options of the loop.
func (s *Settings) apply(o *train.Options) {
	o.Steps, o.Accumulate, o.Warmup = s.Steps, s.Accumulate, s.Warmup
	o.Budget = time.Duration(s.Budget * float64(time.Second))
	o.Schedule = optim.Schedule{Kind: s.Schedule, Peak: s.LR, Floor: s.Floor, Decay: s.Decay}
	o.Optim = optim.Options{Kind: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.Eps, WeightDecay: s.Weight, Clip: s.Clip}
}

// rows is the number of sequences that a forward pass has room for.
func (s *Settings) rows() int { return max(1, s.Batch/(s.SeqLen*s.Accumulate)) }

func def[T int | float64](at *T, value T) {
	if *at == 0 {
		*at = value
	}
}
