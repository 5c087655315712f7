package optim

import (
	"fmt"
	"math"
)

// The kinds of schedule.
const (
	Cosine   = "cosine"   // half a cosine from the peak to the floor (Loshchilov & Hutter 2017)
	WSD      = "wsd"      // warm-up, stable, then linear decay (Hu 2024)
	Constant = "constant" // the peak after warm-up
)

// Schedule maps a step to a learning rate.
type Schedule struct {
	Kind  string  // Cosine, WSD or Constant; Cosine
	Peak  float64 // learning rate after warm-up; required
	Floor float64 // final rate as a share of Peak; 0.1, zero when negative
	Decay float64 // WSD: share of the steps after warm-up that decay; 0.2
}

// Defaults returns s with its zero fields filled in.
func (s Schedule) Defaults() Schedule {
	if s.Kind == "" {
		s.Kind = Cosine
	}
	if s.Floor == 0 {
		s.Floor = 0.1
	}
	if s.Decay == 0 {
		s.Decay = 0.2
	}
	return s
}

// Validate says which field is out of its range.
func (s Schedule) Validate() error {
	s = s.Defaults()
	switch {
	case s.Kind != Cosine && s.Kind != WSD && s.Kind != Constant:
		return fmt.Errorf("optim: schedule is %q, want %q, %q or %q", s.Kind, Cosine, WSD, Constant)
	case s.Peak <= 0 || math.IsInf(s.Peak, 0) || math.IsNaN(s.Peak):
		return fmt.Errorf("optim: learning rate is %g, want a positive number", s.Peak)
	case !(s.Floor <= 1): // not a number, too
		return fmt.Errorf("optim: learning-rate floor is %g of the peak, want at most 1", s.Floor)
	case s.Decay < 0 || s.Decay > 1:
		return fmt.Errorf("optim: decay share is %g, want between 0 and 1", s.Decay)
	}
	return nil
}

// Plan places a run's steps on a schedule. Its length may change while the run
// goes on (a time budget on a machine that slows down): Replan continues from
// the share of the decay already done, so the rate never jumps.
type Plan struct {
	Warmup int     `json:"warmup"` // steps of linear warm-up
	Steps  int     `json:"steps"`  // total; 0: not known yet, the rate stays at the peak after warm-up
	From   int     `json:"from"`   // step at which Steps was last set
	Done   float64 `json:"done"`   // share of the way after warm-up that was behind at From
}

// NewPlan returns the plan of a run of steps steps (0: not known yet), the
// first warmup of them rising.
func NewPlan(warmup, steps int) Plan { return Plan{Warmup: warmup, Steps: steps, From: warmup} }

// Progress is the share of the way after warm-up that is behind at step.
func (p Plan) Progress(step int) float64 {
	if p.Steps == 0 || step <= p.From {
		return p.Done
	}
	if step >= p.Steps {
		return 1
	}
	return p.Done + (1-p.Done)*float64(step-p.From)/float64(p.Steps-p.From)
}

// Replan returns the plan with a new total, decided at step.
func (p Plan) Replan(step, steps int) Plan {
	done := p.Progress(step)
	return Plan{Warmup: p.Warmup, Steps: max(steps, step), From: max(step, p.Warmup), Done: done}
}

// LR returns the learning rate of step, counted from 0, under plan p.
func (s Schedule) LR(p Plan, step int) float64 {
	if step < p.Warmup {
		return s.Peak * float64(step+1) / float64(p.Warmup+1)
	}
	floor := s.Peak * max(0, s.Floor)
	done := p.Progress(step)
	switch s.Kind {
	case Constant:
		return s.Peak
	case WSD:
		if done <= 1-s.Decay {
			return s.Peak
		}
		return floor + (s.Peak-floor)*(1-done)/s.Decay
	default:
		return floor + (s.Peak-floor)*(1+math.Cos(math.Pi*done))/2
	}
}
