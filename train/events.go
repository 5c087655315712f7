package train

import (
	"time"

	"weft/train/optim"
)

// Observer is told what a run does, from one goroutine, in order. It gets one
// of *Stage, *Start, *Step, *Eval, *Saved and *Note; the value is its own only
// during the call. It must be quick: the run waits for it.
type Observer func(event any)

// Stage is progress of the work before the first step: "tokenizer", "tokens".
type Stage struct {
	Name        string
	Done, Total int // Total 0: unknown
}

// Start says what will be trained, once before the first step.
type Start struct {
	Dir                  string
	Params               int64
	Layers, Dim, Vocab   int
	SeqLen               int
	BatchTokens          int     // tokens per step
	TrainTokens, HeldOut int64   // tokens of data
	FlopsPerToken        float64 // forward and backward
	Peak                 float64 // FLOP/s measured now on the same threads
	Threads              int
	Plan                 optim.Plan
	Budget               time.Duration // 0: none
	ResumedFrom          int           // step; 0: a new run
	LR                   float64
}

// Step is one update.
type Step struct {
	Step, Steps  int     // Step counts from 1; Steps 0: not fixed yet (time budget)
	Loss         float64 // nats per token
	LR           float64
	GradNorm     float64 // before clipping
	Tokens       int64   // trained on so far
	Epoch        float64 // times the training data was gone through
	TokensPerSec float64 // over the last steps
	MFU          float64 // share of Start.Peak; 0: unknown
	Elapsed      time.Duration
	ETA          time.Duration // 0: unknown
}

// Eval is a look at held-out data.
type Eval struct {
	Step    int
	Loss    float64 // nats per token
	BPB     float64 // bits per byte of text; 0: the batches do not say
	Tokens  int64   // tokens counted
	Elapsed time.Duration
	// Activations is the root mean square of the residual stream after the
	// embedding and after each layer; nil where the model does not show it.
	Activations []float64
}

// Saved says that a checkpoint was written.
type Saved struct {
	Step int
	Path string
	Took time.Duration
}

// Note is a sentence for people.
type Note struct{ Text string }

// Tell passes an event on; a nil observer hears nothing.
func (o Observer) Tell(event any) {
	if o != nil {
		o(event)
	}
}
