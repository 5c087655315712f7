package train

import (
	"fmt"
	"math"
	"time"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model"
	"weft/text/corpus"
)

// evaluate looks at the held-out data and reports.
func (l *Loop) evaluate() error {
	if len(l.HeldOut) == 0 {
		return l.draw()
	}
	from := time.Now()
	e, err := l.heldOut()
	if err != nil {
		return err
	}
	e.Activations = l.activations()
	l.measurePeak()
	l.clock.eval = time.Since(from)
	l.evaluated = l.state.Plan.Progress(l.state.Step)
	e.Step, e.Elapsed = l.state.Step, l.clock.elapsed()
	l.state.Latest = &e
	l.Observer.Tell(&e)
	r := Record{Kind: "eval", Step: e.Step, Loss: e.Loss, BPB: e.BPB, Tokens: l.state.Tokens, Seconds: e.Elapsed.Seconds(), Activations: e.Activations}
	l.curve.add(r)
	if err := l.metrics.write(r); err != nil {
		return err
	}
	return l.draw()
}

// heldOut scores the held-out batches; a loss that is no number ends the run.
func (l *Loop) heldOut() (Eval, error) {
	e := score(l.Model, &l.pass, l.HeldOut)
	if math.IsNaN(e.Loss) || math.IsInf(e.Loss, 0) {
		return e, &DivergedError{What: "held-out loss", Step: l.state.Step, Value: e.Loss,
			LR: l.Schedule.LR(l.state.Plan, max(0, l.state.Step-1)), Last: l.lastGood()}
	}
	return e, nil
}

// Score is the loss of a model on batches of text, and its bits per byte.
func Score(m model.Model, pool *par.Pool, batches []corpus.Batch) Eval {
	return score(m, &op.Pass{Pool: pool, Arena: new(tensor.Arena)}, batches)
}

// score computes the mean loss per token, and bits per byte where the batches
// say what text their targets stand for: the summed loss in bits over the
// bytes, whatever the tokenizer.
func score(m model.Model, p *op.Pass, batches []corpus.Batch) (e Eval) {
	p.Record = false
	var nats float64
	var bytes int64
	for _, b := range batches {
		nats += forward(m, p, b, 0)
		e.Tokens += int64(b.Counted)
		bytes += b.Bytes
	}
	if e.Tokens > 0 {
		e.Loss = nats / float64(e.Tokens)
	}
	if bytes > 0 {
		e.BPB = nats / math.Ln2 / float64(bytes)
	}
	return e
}

// lastGood names the newest valid checkpoint, if there is one.
func (l *Loop) lastGood() string {
	step, _, err := l.store.Latest()
	if err != nil {
		return ""
	}
	return l.store.Path(step)
}

func (e *Eval) String() string {
	if e.BPB == 0 {
		return fmt.Sprintf("%.4f nats/token", e.Loss)
	}
	return fmt.Sprintf("%.4f nats/token, %.4f bits per byte", e.Loss, e.BPB)
}
