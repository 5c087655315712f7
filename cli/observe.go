package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"weft/train"
)

// observer shows a training run to a person: what is trained, a bar with the
// time left, and a line per evaluation.
// Nothing of it goes to standard output, which is for the result. end must be called
// before anything else is printed.
func (e *env) observer() (watch train.Observer, end func()) {
	var bar *progress
	finish := func() {
		if bar != nil {
			bar.end()
			bar = nil
		}
	}
	return func(event any) {
		switch ev := event.(type) {
		// A stage comes before training, such as making the tokenizer; the next one's name
		// ends it.
		case *train.Stage:
			if bar == nil || bar.name != ev.Name {
				finish()
				bar = e.progress(ev.Name)
			}
			bar.set(ev.Done, ev.Total, "")
		case *train.Start:
			finish()
			e.describe(ev)
			bar = e.progress("train")
		case *train.Step:
			if bar != nil {
				done, total, note := stepProgress(ev)
				bar.set(done, total, note)
			}
		case *train.Eval:
			e.say(bar, fmt.Sprintf("step %d: held-out %s", ev.Step, heldOut(ev)))
		// Notes are for machines too: they say what was cut or left out.
		case *train.Note:
			if e.json {
				fmt.Fprintln(e.err, ev.Text)
			}
			e.say(bar, ev.Text)
		}
	}, finish
}

// say prints a line above the bar, if there is one.
func (e *env) say(bar *progress, line string) {
	switch {
	case e.json:
	case bar != nil && bar.bars != nil:
		fmt.Fprintln(bar.bars, line)
	default:
		fmt.Fprintln(e.err, line)
	}
}

// heldOut prints an evaluation. Conversations have no bits per byte: only
// some of their text is predicted.
func heldOut(ev *train.Eval) string {
	nats := fmt.Sprintf("%.4f nats per token", ev.Loss)
	if ev.BPB == 0 {
		return nats
	}
	return fmt.Sprintf("%.4f bits per byte, %s", ev.BPB, nats)
}

// describe says what is trained, on what, before the first step.
func (e *env) describe(s *train.Start) {
	if e.json {
		return
	}
	verb := "training"
	if s.ResumedFrom > 0 {
		verb = fmt.Sprintf("continuing at step %d:", s.ResumedFrom)
	}
	fmt.Fprintf(e.err, "%s %.2fM parameters (%d layers, %d wide, vocabulary %d) on %d tokens, %d per step, %d threads at %.0f GFLOP/s peak\n",
		verb, float64(s.Params)/1e6, s.Layers, s.Dim, s.Vocab, s.TrainTokens, s.BatchTokens, s.Threads, s.Peak/1e9)
}

// stepProgress is measured in steps, or in permille of time while a budget has
// not fixed the steps yet.
func stepProgress(s *train.Step) (done, total int, note string) {
	note = fmt.Sprintf("loss %.3f, %.0f tok/s", s.Loss, s.TokensPerSec)
	if s.MFU > 0 {
		note += fmt.Sprintf(", MFU %.0f %%", 100*s.MFU)
	}
	if s.Steps > 0 {
		return s.Step, s.Steps, note
	}
	return int(s.Elapsed / time.Millisecond), int((s.Elapsed + s.ETA) / time.Millisecond), note
}

// trained is what train and tune print with --json.
// Losses are nats per token; bits per byte are there for pretraining alone. MFU is the
// share of the FMA peak, 0 to 1.
type trained struct {
	Dir          string  `json:"dir"`
	Params       int64   `json:"params"`
	Steps        int     `json:"steps"`
	Tokens       int64   `json:"tokens"`
	Seconds      float64 `json:"seconds"`
	ResumedFrom  int     `json:"resumed_from,omitempty"`
	TrainLoss    float64 `json:"train_loss"`
	BPBBefore    float64 `json:"bits_per_byte_before,omitempty"`
	BPBAfter     float64 `json:"bits_per_byte_after,omitempty"`
	LossBefore   float64 `json:"val_loss_before,omitempty"`
	LossAfter    float64 `json:"val_loss_after,omitempty"`
	TokensPerSec float64 `json:"tokens_per_second"`
	MFU          float64 `json:"mfu"`
	PeakGFLOPS   float64 `json:"peak_gflops"`
	Curve        string  `json:"curve"`
	Metrics      string  `json:"metrics"`
}

// printTrained prints the result of a run.
// The curve in the terminal is that of all steps, those before a resume too.
func (e *env) printTrained(r train.Result) error {
	t := trained{
		Dir: r.Dir, Params: r.Params, Steps: r.Steps, Tokens: r.Tokens, Seconds: r.Elapsed.Seconds(), ResumedFrom: r.ResumedFrom,
		TrainLoss: r.Loss, TokensPerSec: r.TokensPerSec, MFU: r.MFU, PeakGFLOPS: r.Peak / 1e9,
		Curve: filepath.Join(r.Dir, "train", "curve.svg"), Metrics: filepath.Join(r.Dir, "train", "metrics.jsonl"),
	}
	if r.Before != nil {
		t.BPBBefore, t.LossBefore = r.Before.BPB, r.Before.Loss
	}
	if r.After != nil {
		t.BPBAfter, t.LossAfter = r.After.BPB, r.After.Loss
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(t)
	}
	fmt.Fprintf(e.out, "%d steps, %d tokens in %s: %.0f tokens/s, MFU %.0f %% of %.0f GFLOP/s\n",
		t.Steps, t.Tokens, r.Elapsed.Round(time.Second), t.TokensPerSec, 100*t.MFU, t.PeakGFLOPS)
	if r.Before != nil && r.After != nil {
		fmt.Fprintf(e.out, "held-out before  %s\nheld-out after   %s\n", heldOut(r.Before), heldOut(r.After))
	}
	losses, err := train.Losses(r.Dir)
	if err != nil {
		return err
	}
	if spark := sparkline(losses, sparkWidth); spark != "" {
		fmt.Fprintf(e.out, "loss   %s  %.2f to %.2f nats per token\n", spark, losses[0], losses[len(losses)-1])
	}
	fmt.Fprintf(e.out, "model  %s\ncurve  %s\n", t.Dir, t.Curve)
	return nil
}

const sparkWidth = 48 // characters

// sparkline draws values as a line of bars: each the mean of its share of them,
// from the lowest mean to the highest. Fewer than two values are no line.
func sparkline(values []float64, width int) string {
	n := min(width, len(values))
	if n < 2 {
		return ""
	}
	means := make([]float64, n)
	for i := range means {
		part := values[i*len(values)/n : (i+1)*len(values)/n]
		for _, v := range part {
			means[i] += v / float64(len(part))
		}
	}
	low, high := slices.Min(means), slices.Max(means)
	bars := []rune("▁▂▃▄▅▆▇█")
	line := make([]rune, n)
	for i, v := range means {
		level := 0
		if high > low {
			level = int((v - low) / (high - low) * float64(len(bars)-1))
		}
		line[i] = bars[level]
	}
	return string(line)
}
