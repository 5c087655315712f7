package train

import "time"

// clock keeps the times that a run's reports and its time budget need.
type clock struct {
	began   time.Time     // of this process's part
	prior   time.Duration // of the parts before it
	steps   int           // measured, the first of a process left out
	recent  float64       // seconds per step, smoothed
	tokens  float64       // tokens per second, smoothed
	busy    time.Duration // all measured steps
	trained int64         // tokens of all measured steps
	eval    time.Duration // cost of the last evaluation
	save    time.Duration // cost of the last checkpoint
	saved   time.Time     // when that was
	checked time.Duration // when the plan was last compared with the budget
}

func (c *clock) start(began time.Time, prior time.Duration) {
	c.began, c.prior, c.saved, c.steps = began, prior, time.Now(), -1
}

// elapsed is the time the run has taken, interruptions left out.
func (c *clock) elapsed() time.Duration { return c.prior + time.Since(c.began) }

// step takes in the time of one step. The first of a process fills caches and
// memory and is left out.
func (c *clock) step(d time.Duration, tokens int) {
	if c.steps++; c.steps <= 0 {
		return
	}
	c.busy, c.trained = c.busy+d, c.trained+int64(tokens)
	s := max(d.Seconds(), 1e-9)
	w := max(0.03, 1/float64(c.steps)) // a plain mean at first, then the last thirty or so
	c.recent += w * (s - c.recent)
	c.tokens += w * (float64(tokens)/s - c.tokens)
}

// speed is tokens per second over the last steps, average over all of them.
func (c *clock) speed() float64 { return c.tokens }

func (c *clock) average() float64 {
	if c.busy == 0 {
		return 0
	}
	return float64(c.trained) / c.busy.Seconds()
}
