package train

import (
	"math"
	"time"

	"weft/train/optim"
)

// Time budget. Until the speed is known the plan has no length. Then its
// length is what fits, and it is corrected when the machine turns out to be
// slower or faster; the schedule bends along (optim.Plan).
const (
	calibrateShare = 0.02 // of the budget, spent measuring
	calibrateSteps = 4
	checkShare     = 0.02 // of the budget, between two looks
	tolerance      = 0.01 // of the budget, and
	toleranceLeft  = 0.05 // of what is left of it: smaller misses are left alone
	spareShare     = 0.01 // of the budget, left for what was not foreseen
)

// replan sets or corrects the number of steps of a run with a time budget.
func (l *Loop) replan() error {
	if l.Budget <= 0 {
		return nil
	}
	c, p, step := &l.clock, l.state.Plan, l.state.Step
	spent := l.timeLeft() < time.Duration(c.recent*float64(time.Second))
	switch {
	case spent:
	case p.Steps == 0 && (c.steps < calibrateSteps || c.busy < min(l.share(calibrateShare), 2*time.Second)):
		return nil
	case p.Steps > 0 && c.elapsed()-c.checked < l.share(checkShare):
		return nil
	}
	c.checked = c.elapsed()
	fit := l.fit(spent)
	miss := math.Abs(float64(fit-p.Steps)) * c.recent
	small := l.share(tolerance).Seconds() + toleranceLeft*l.timeLeft().Seconds()
	if p.Steps > 0 && (fit == p.Steps || !spent && miss < small) {
		return nil
	}
	if p.Steps == 0 { // now the warm-up can be put in proportion
		p = optim.NewPlan(min(p.Warmup, max(step, fit/5)), 0)
	}
	l.state.Plan = p.Replan(step, fit)
	return l.metrics.write(Record{Kind: "plan", Step: step, Steps: fit, Speed: math.Round(c.speed()), Seconds: c.elapsed().Seconds()})
}

// fit is the step at which the run has to end.
func (l *Loop) fit(spent bool) int {
	fit := l.state.Step
	if !spent && l.clock.recent > 0 {
		left := l.timeLeft()
		if l.EvalEvery == 0 { // evaluations on the way, which take at most half of what is left
			evals := (1 - l.state.Plan.Progress(l.state.Step)) * float64(l.evals()-1)
			left -= min(left/2, time.Duration(evals*float64(l.clock.eval)))
		}
		fit += int(left.Seconds() / l.stepCost())
	}
	if l.Steps > 0 {
		fit = min(fit, l.Steps)
	}
	return fit
}

func (l *Loop) share(f float64) time.Duration { return time.Duration(f * float64(l.Budget)) }

// timeLeft is what remains of the budget before the last evaluation and
// checkpoint must begin.
func (l *Loop) timeLeft() time.Duration {
	c := &l.clock
	return l.Budget - c.elapsed() - c.eval - c.save - l.share(spareShare)
}

// stepCost is seconds per step with its share of checkpoints and evaluations.
func (l *Loop) stepCost() float64 {
	cost := l.clock.recent
	if l.EvalEvery > 0 {
		cost += l.clock.eval.Seconds() / float64(l.EvalEvery)
	}
	if l.SaveEvery > 0 {
		return cost + l.clock.save.Seconds()/float64(l.SaveEvery)
	}
	return cost * (1 + saveShare)
}

// eta is the time until the run is over; 0 when that is not known yet.
func (l *Loop) eta() time.Duration {
	switch {
	case l.state.Plan.Steps == 0 && l.Budget > 0:
		return max(0, l.Budget-l.clock.elapsed())
	case l.state.Plan.Steps == 0 || l.clock.recent == 0:
		return 0
	}
	steps := float64(l.state.Plan.Steps-l.state.Step) * l.stepCost()
	return time.Duration(steps*float64(time.Second)) + l.clock.eval + l.clock.save
}

// By default a run looks at held-out data evalsPerRun times, with a time budget
// less often where that would take more than evalShare of it.
const (
	evalsPerRun = 10
	evalShare   = 0.05
)

// evals is the number of evaluations of a run by default, the last counted.
func (l *Loop) evals() int {
	if l.Budget <= 0 || l.clock.eval == 0 {
		return evalsPerRun
	}
	return max(1, min(evalsPerRun, int(evalShare*float64(l.Budget)/float64(l.clock.eval))))
}

func (l *Loop) evalDue() bool {
	step, steps := l.state.Step, l.state.Plan.Steps
	switch {
	case steps > 0 && step >= steps:
		return true
	case l.EvalEvery > 0:
		return step%l.EvalEvery == 0
	case l.EvalEvery < 0 || steps == 0:
		return false
	case l.Budget > 0: // steps may still change, the way behind does not
		return l.state.Plan.Progress(step) >= l.evaluated+1/float64(l.evals())
	}
	return step%max(1, steps/evalsPerRun) == 0
}

// By default a checkpoint is written when the last one is saveGap old and the
// writing takes at most saveShare of the time.
const (
	saveGap   = 20 * time.Second
	saveShare = 0.01
)

func (l *Loop) saveDue() bool {
	if l.finished() {
		return false // finish does
	}
	if l.SaveEvery > 0 {
		return l.state.Step%l.SaveEvery == 0
	}
	gap := max(saveGap, time.Duration(float64(l.clock.save)/saveShare))
	return time.Since(l.clock.saved) >= gap
}

// firstPlan is the plan of a new run. With a time budget its length is open,
// and the warm-up is one step per second of it until the speed is known.
func (o Options) firstPlan() optim.Plan {
	steps := o.Steps
	if o.Budget > 0 {
		steps = 0
	}
	warmup := o.Warmup
	switch {
	case warmup > 0:
	case steps > 0:
		warmup = min(100, steps/20)
	default:
		warmup = int(min(300, max(10, o.Budget.Seconds())))
	}
	return optim.NewPlan(warmup, steps)
}
