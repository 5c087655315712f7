package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model"
	"weft/text/corpus"
	"weft/train/optim"
)

// Source yields the batches of a run without end, in an order that a cursor
// resumes exactly: a *corpus.Loader.
type Source interface {
	Next() (corpus.Batch, error)
	Cursor() corpus.Cursor
	Seek(corpus.Cursor) error
	Epoch() float64 // times the data was gone through
}

// Options are what every kind of training shares.
type Options struct {
	Accumulate int            // batches per step; 1
	Steps      int            // updates; required unless Budget is set
	Budget     time.Duration  // stop after this much wall-clock time, the step count adapts; 0: none
	Warmup     int            // steps of rising rate; 5 % of the steps, at most 100
	Schedule   optim.Schedule // Peak is required
	Optim      optim.Options  // see there
	EvalEvery  int            // steps between evaluations; a tenth of the run, none before the end when negative
	SaveEvery  int            // steps between checkpoints; as many as fit 1 % of the time, at least 20 s apart
	Keep       int            // newest checkpoints kept; 2
	KeepEvery  int            // steps between models kept for good, in folders step-000500 of the run's; none
	NoDecay    []string       // name endings of matrices without weight decay, such as "embed_tokens.weight"; none
	Remat      bool           // recompute each block in the backward: less memory, a third more work; false
	Threads    int            // GOMAXPROCS
	Observer   Observer       // nobody
	FS         FS             // the operating system's
}

// Validate says which option is out of its range.
func (o Options) Validate() error {
	if o.Steps <= 0 && o.Budget <= 0 {
		return errors.New("train: neither a number of steps nor a time budget is given")
	}
	if err := o.Schedule.Validate(); err != nil {
		return err
	}
	return o.ValidateGiven()
}

// ValidateGiven is Validate before any rule has filled in what is zero: to be
// asked before work is spent on a run that cannot begin.
func (o Options) ValidateGiven() error {
	if o.Accumulate < 0 || o.Steps < 0 || o.Budget < 0 || o.Warmup < 0 || o.Keep < 0 || o.KeepEvery < 0 || o.Threads < 0 {
		return errors.New("train: accumulate, steps, budget, warmup, keep, keep every and threads must not be negative")
	}
	if o.Schedule.Peak == 0 {
		o.Schedule.Peak = 1 // a rule's
	}
	if err := o.Schedule.Validate(); err != nil {
		return err
	}
	return o.Optim.Validate()
}

// Loop is one training run, ready to go. The caller has written config.json
// and the tokenizer into Dir and decided whether to resume.
type Loop struct {
	Options
	Dir      string
	Kind     string // "pretrain", "sft"
	Model    model.Model
	Source   Source
	HeldOut  []corpus.Batch // looked at, never trained on; empty: no evaluations
	SeqLen   int            // positions per sequence, for the count of attention work
	BatchLen int            // tokens per step, for the report
	DataLen  int64          // tokens of training data, for the report
	Settings any            // what decides the result, for state.json
	Lineage  Lineage
	RNG      tensor.RNG // as the caller left it
	Resume   bool       // continue from the newest checkpoint, if there is one
	Began    time.Time  // when the caller began; now

	pool    *par.Pool
	pass    op.Pass
	opt     *optim.Optimizer
	store   Store
	metrics *metrics
	curve   curve
	clock   clock
	state   State
	peak    float64 // FLOP/s
	flops   float64 // per token, forward and backward
	resumed int

	evaluated float64        // progress at the last evaluation
	batches   []corpus.Batch // of one step
}

// Result is what a run came to.
type Result struct {
	Dir          string
	Steps        int
	Tokens       int64
	Elapsed      time.Duration
	ResumedFrom  int     // step; 0: from the start
	Loss         float64 // of the last step, nats per token
	Before       *Eval   // nil without held-out data
	After        *Eval
	Params       int64
	TokensPerSec float64
	MFU          float64 // share of Peak
	Peak         float64 // FLOP/s of fused multiply-adds, the largest value measured during the run
}

// Run trains until the plan is fulfilled. When ctx ends it saves a checkpoint
// and returns an error that wraps ErrStopped and the context's error.
func (l *Loop) Run(ctx context.Context) (res Result, err error) {
	if err := l.Options.Validate(); err != nil {
		return res, err
	}
	if err := canTrain(l.Model); err != nil {
		return res, err
	}
	if err := l.open(); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.begin(); err != nil {
		return res, err
	}
	for !l.finished() {
		if ctx.Err() != nil {
			return l.result(), l.stop(ctx.Err())
		}
		if err := l.update(); err != nil {
			return l.result(), err
		}
	}
	return l.result(), l.finish()
}

// open makes the optimiser, the threads and the memory of the run, and brings
// it to its newest checkpoint when it resumes.
func (l *Loop) open() error {
	if l.Began.IsZero() {
		l.Began = time.Now()
	}
	l.Schedule, l.Accumulate = l.Schedule.Defaults(), max(1, l.Accumulate)
	l.store = Store{Dir: l.Dir, Keep: l.Keep, FS: l.FS}
	l.pool = par.New(l.Threads)
	l.pass = op.Pass{Pool: l.pool, Arena: new(tensor.Arena), Remat: l.Remat}
	l.opt = optim.New(l.trainable(), l.Optim, l.pool)
	l.batches = make([]corpus.Batch, l.Accumulate)
	l.flops = FlopsPerToken(l.Model, l.SeqLen)
	l.measurePeak()
	if err := l.restore(); err != nil {
		l.pool.Close()
		return err
	}
	l.clock.start(l.Began, time.Duration(l.state.Seconds*float64(time.Second)))
	keep := l.state.Step
	if l.resumed == 0 && l.state.Before == nil {
		keep = -1 // killed before its first checkpoint: the records begin again
	}
	m, err := openMetrics(filepath.Join(l.Dir, filepath.FromSlash(MetricsFile)), keep, l.curve.add)
	if err != nil {
		l.pool.Close()
		return err
	}
	l.metrics = m
	return nil
}

func (l *Loop) close() error {
	err := l.metrics.close()
	l.pool.Close()
	return err
}

// begin announces the run. A new one is evaluated and saved once before its
// first step, so that from here on a kill never loses the beginning.
func (l *Loop) begin() error {
	i := l.Model.Info()
	l.Observer.Tell(&Start{Dir: l.Dir, Params: i.Params, Layers: i.Layers, Dim: i.Dim, Vocab: i.Vocab, SeqLen: l.SeqLen,
		BatchTokens: l.BatchLen, TrainTokens: l.DataLen, HeldOut: l.heldOutLen(), FlopsPerToken: l.flops, Peak: l.peak,
		Threads: l.pool.Size(), Plan: l.state.Plan, Budget: l.Budget, ResumedFrom: l.resumed, LR: l.Schedule.Peak})
	if l.resumed > 0 || l.state.Before != nil {
		return nil
	}
	if err := l.evaluate(); err != nil {
		return err
	}
	l.state.Before = l.state.Latest
	return l.save()
}

func (l *Loop) finished() bool {
	p := l.state.Plan
	return p.Steps > 0 && l.state.Step >= p.Steps
}

// update makes one step and what is due after it.
func (l *Loop) update() error {
	from := time.Now()
	lr := l.Schedule.LR(l.state.Plan, l.state.Step)
	loss, tokens, err := l.gradients()
	if err != nil {
		return err
	}
	norm := l.opt.Norm()
	if err := l.finite(loss, norm, lr); err != nil {
		return err
	}
	l.opt.Step(lr, norm)
	l.state.Step++
	l.state.Tokens += int64(tokens)
	l.state.Loss = loss
	l.clock.step(time.Since(from), tokens)
	if err := l.report(lr, norm); err != nil {
		return err
	}
	if err := l.replan(); err != nil {
		return err
	}
	if l.evalDue() {
		if err := l.evaluate(); err != nil {
			return err
		}
	}
	if l.KeepEvery > 0 && l.state.Step%l.KeepEvery == 0 {
		if err := l.snapshot(); err != nil {
			return err
		}
	}
	if l.saveDue() {
		return l.save()
	}
	return nil
}

// finite stops the run before a loss or gradient that is not a number reaches
// the weights.
func (l *Loop) finite(loss, norm, lr float64) error {
	e := &DivergedError{Step: l.state.Step + 1, LR: lr}
	switch {
	case math.IsNaN(loss) || math.IsInf(loss, 0):
		e.What, e.Value = "loss", loss
	case math.IsNaN(norm) || math.IsInf(norm, 0):
		e.What, e.Value = "gradient norm", norm
	default:
		return nil
	}
	e.Last = l.lastGood()
	return e
}

func (l *Loop) report(lr, norm float64) error {
	s, speed := l.state, l.clock.speed()
	elapsed := l.clock.elapsed()
	mfu := 0.0
	if l.peak > 0 {
		mfu = speed * l.flops / l.peak
	}
	l.Observer.Tell(&Step{Step: s.Step, Steps: s.Plan.Steps, Loss: s.Loss, LR: lr, GradNorm: norm, Tokens: s.Tokens, Epoch: l.Source.Epoch(),
		TokensPerSec: speed, MFU: mfu, Elapsed: elapsed, ETA: l.eta()})
	r := Record{Kind: "step", Step: s.Step, Loss: s.Loss, LR: lr, Norm: norm, Tokens: s.Tokens,
		Speed: math.Round(speed), MFU: math.Round(mfu*1e4) / 1e4, Seconds: elapsed.Seconds()}
	l.curve.add(r)
	return l.metrics.write(r)
}

// stop saves where the run stands.
func (l *Loop) stop(cause error) error {
	if err := l.save(); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w (%w) at step %d, saved as %s: the same command goes on from there",
		ErrStopped, cause, l.state.Step, l.store.Path(l.state.Step))
}

// finish writes the last checkpoint. The evaluation of the last step is done.
func (l *Loop) finish() error {
	if l.state.Done {
		return nil
	}
	l.state.Done = true
	return l.save()
}

func (l *Loop) result() Result {
	s := l.state
	r := Result{Dir: l.Dir, Steps: s.Step, Tokens: s.Tokens, Elapsed: l.clock.elapsed(), ResumedFrom: l.resumed, Loss: s.Loss,
		Before: s.Before, After: s.Latest, Params: l.Model.Info().Params, TokensPerSec: l.speed(), Peak: l.peak}
	if l.peak > 0 {
		r.MFU = r.TokensPerSec * l.flops / l.peak
	}
	return r
}

// speed is tokens per second over the steps of this process, or, before it has
// made any, of the one before it.
func (l *Loop) speed() float64 {
	if s := l.clock.average(); s > 0 {
		return s
	}
	return l.state.Speed
}

// HasRun says whether dir holds a checkpoint, valid or not.
func HasRun(dir string) (bool, error) {
	steps, err := (&Store{Dir: dir}).steps()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	return len(steps) > 0, nil
}
