package engine

import "math"

// How long a guess should be is decided from measurements: how often guesses
// of a request are right, and what passes cost. Neither has any influence on
// the tokens.

// rate is how often the guesses of one source are right for one request.
type rate struct {
	right, tried float64 // of the guesses that were looked at, the newest weigh most
	prior        float64 // what is believed at first; priorRate when zero
	known        float64 // how far the prior is forgotten, 0 to 1
	idle         int     // tokens said without a guess since it did not pay
	wait         int     // tokens to say before the next try
}

// The first guesses are made as if priorTries had been tried, priorRate of
// them right. Where a request's own text does not pay, it is tried again after
// firstWait tokens, and each time that it still does not, after twice as many. A
// draft model has to read all that was said meanwhile, so it is not tried again
// for the same request, and for one request in tryOne whatever it did for others,
// for tryRounds passes.
const (
	priorRate   = 0.7
	priorTries  = 2
	forget      = 0.9  // weight that a round keeps in the next
	forgetHabit = 0.99 // the same among the rounds of all requests
	firstWait   = 32
	maxWait     = 1024
	tryOne      = 16
	tryRounds   = 6
)

// observe takes in a round: guesses behind a wrong one say nothing.
func (r *rate) observe(accepted, drafted int, forget float64) {
	tried := accepted
	if accepted < drafted {
		tried++
	}
	r.right = forget*r.right + float64(accepted)
	r.tried = forget*r.tried + float64(tried)
	r.known = 1 - forget*(1-r.known)
}

func (r *rate) value() float64 {
	weight, prior := priorTries*(1-r.known), r.prior
	if prior == 0 {
		prior = priorRate
	}
	return (r.right + prior*weight) / (r.tried + weight)
}

// retry is the number of guesses to make, most at most, when they do not seem to
// pay: now and then a few.
func (r *rate) retry(most int) int {
	if r.idle++; r.idle < max(r.wait, firstWait) {
		return 0
	}
	r.idle, r.wait = 0, min(2*max(r.wait, firstWait), maxWait)
	return min(most, 2)
}

// expected is the number of tokens that a round of k guesses says when each is
// right with probability a: 1 + a + ... + a^k.
func expected(a float64, k int) float64 {
	if a >= 1 {
		return float64(k + 1)
	}
	return (1 - math.Pow(a, float64(k+1))) / (1 - a)
}

// length is the number of guesses, at most most, that gain most: tokens said
// per unit of time, against none; 0 when no number gains anything, a few when
// nothing is measured yet. All decoding tasks are taken to guess as many. A draft
// model, if any, needs a pass for each, and so many seconds per token said to read
// what it has not read.
func (e *Engine) length(r *rate, most, decodes int, draft *line, reading float64) int {
	if e.opts.alwaysDraft {
		return most
	}
	a, rows := r.value(), float64(decodes)
	plain := e.cost.at(rows)
	if plain == 0 {
		return min(most, 2)
	}
	best, gain := 0, 1.0
	for k := 1; k <= most; k++ {
		said := expected(a, k)
		cost := e.cost.at(rows*float64(1+k)) + said*reading
		if draft != nil {
			cost += float64(k) * draft.at(rows)
		}
		if g := said * plain / cost; g > gain {
			best, gain = k, g
		}
	}
	if best > 0 {
		r.idle, r.wait = 0, firstWait
	}
	return best
}

// patience is how much longer a pass may take for each prompt that is read in
// it, as a share of what it takes without.
const patience = 0.6

// promptRows is the number of rows that prompts get of a pass beside others. One
// prompt among many answers makes the time between their tokens less than twice
// as long; when most of those who wait are prompts, most of the time is theirs.
func (e *Engine) promptRows(others, prompts int) int {
	budget := e.opts.Chunk - others
	if plain := e.cost.at(float64(others)); others > 0 && plain > 0 && e.perRow.value > 0 && !e.opts.fullChunks {
		budget = min(budget, int(patience*float64(prompts)*plain/e.perRow.value))
	}
	return max(1, budget)
}

// measure takes in the seconds of a pass of so many prompt rows and others.
func (e *Engine) measure(others, prompts int, seconds float64) {
	if prompts == 0 {
		e.cost.add(float64(others), seconds)
		return
	}
	extra := max(seconds-e.cost.at(float64(others)), seconds/10)
	if others == 0 {
		extra = seconds
	}
	e.perRow.add(extra / float64(prompts))
}

// mean is an average in which the newest count most; 0: nothing was measured.
type mean struct {
	value float64
	n     int // values taken in
}

// add takes in a value. One that is much larger than others was disturbed; the
// first ones were, if another is much smaller.
func (m *mean) add(x float64) {
	const newest, first = 0.2, 3
	if m.n++; m.n == 1 || m.n <= first && 3*x < m.value {
		m.value = x
		return
	}
	m.value += newest * (min(x, 3*m.value) - m.value)
}

// line fits the seconds of passes, a + b*rows, to the newest of them.
type line struct{ n, x, y, xx, xy, slope float64 }

// add takes in a pass. One that took much longer than others was disturbed; the
// first ones were, if another is much faster.
func (l *line) add(rows, seconds float64) {
	const keep = 0.98
	if l.n > 10 {
		seconds = min(seconds, 3*l.at(rows))
	} else if 3*seconds < l.at(rows) {
		*l = line{}
	}
	l.n, l.x, l.y = keep*l.n+1, keep*l.x+rows, keep*l.y+seconds
	l.xx, l.xy = keep*l.xx+rows*rows, keep*l.xy+rows*seconds
	x, y := l.x/l.n, l.y/l.n
	if v := l.xx/l.n - x*x; v > 0.01*x*x { // else they had about the same number of rows, and say nothing new
		l.slope = max(0, (l.xy/l.n-x*y)/v)
	}
}

// at is the time of a pass of so many rows; 0 when nothing was measured. As long
// as all passes had the same number of rows, more rows are taken to cost nothing.
func (l *line) at(rows float64) float64 {
	if l.n == 0 {
		return 0
	}
	x, y := l.x/l.n, l.y/l.n
	return max(y+l.slope*(rows-x), y/100)
}
