package engine

import (
	"weft/compute/op"
	"weft/compute/tensor"
	"weft/infer/kv"
	"weft/infer/sample"
	"weft/model"
	"weft/model/nn"
)

// Speculation (Leviathan 2023): cheap guesses at the next tokens of a request
// become rows of its next pass, behind its newest token. Each row's logits are
// sampled as if the guesses before it were true, and they are while what was
// sampled is what was guessed; the first that differs is said in its place, and
// the rows behind it are forgotten.
//
// The request's generator gives one number per token said, whether it was
// guessed or not, so guesses never change a token, drawn ones included: however
// many there are, wherever a round begins, whatever else is in the batch. A
// guess x is thus accepted with the model's own probability p(x), and else the
// token is drawn from the rest of p: rejection sampling for a guess that is
// certain of itself. The draft model guesses with the very number that the
// request will draw with, which makes both agree more often than two
// independent draws would.

// source is where guesses come from.
type source int

const (
	ownText source = iota // prompt lookup: what followed the same tokens before
	draftModel
	sources
)

// guess is the speculation of one task.
type guess struct {
	tokens []int32 // guessed to follow the task's ids, for the next pass
	from   source
	rates  [sources]rate
	shadow sample.Sampler // draws ahead for the draft model
	seq    int            // in the draft model's cache, while open
	open   bool
	done   int  // positions in that cache that hold the task's ids
	kept   int  // pages of them that were kept for other requests
	off    bool // the draft model broke on this task, or does not pay
	trial  int  // passes in which it guesses whether it seems to pay or not
}

// drafter is a small model that guesses for a large one.
type drafter struct {
	model  model.Model
	window int // positions it was made for
	cache  *kv.Cache
	pass   op.Pass
	arena  tensor.Arena
	cost   line    // seconds of a pass by rows
	perRow mean    // seconds of reading a row
	habit  rate    // how often it was right for all requests
	asked  int     // requests that it could have guessed for
	live   []*task // who wants a guess more
	most   []int   // guesses wanted of each
	fed    []*task // whose tokens are in the pass
	ids    []int32
	rows   []int
	logits *tensor.Tensor
	work   []sample.Scratch
	bad    []bool   // per live task: nothing to draw from
	causes []string // of failures that were told
	drawFn func(int)
}

// newDrafter opens the cache of a draft model: as many pages as the target's.
func newDrafter(m model.Model, o Options) (*drafter, error) {
	nn.Freeze(m)
	cache, err := kv.New(m.State(), o.pages())
	if err != nil {
		return nil, err
	}
	d := &drafter{model: m, window: m.Info().Context, cache: cache, work: make([]sample.Scratch, o.MaxBatch), bad: make([]bool, o.MaxBatch)}
	if d.window <= 0 {
		d.window = o.Pages * o.PageLen
	}
	d.drawFn = d.draw
	return d, nil
}

// propose guesses for every decoding task, within the rows that prompts leave
// and the pages that are there: nobody is preempted for a guess.
func (e *Engine) propose() {
	decodes, prompts := 0, 0
	for _, t := range e.running {
		t.guess.tokens = t.guess.tokens[:0]
		if t.decodes() {
			decodes += len(t.lanes)
		} else {
			prompts++
		}
	}
	if e.opts.Ngram == 0 && e.drafter == nil || decodes == 0 {
		return
	}
	rows := e.opts.Chunk - decodes
	if prompts > 0 {
		rows /= 2 // the other half is theirs
	}
	for _, t := range e.running {
		if t.decodes() && t.samples() && t.req.Beam == nil {
			rows -= e.guessFor(t, rows, decodes)
		}
	}
	if e.drafter != nil && len(e.drafter.live) > 0 {
		if err := e.drafter.run(e.opts); err != nil {
			e.draftFailed(err)
		}
	}
	for _, t := range e.running {
		if n := len(t.guess.tokens); n > 0 && e.cache.Grow(t.seq, len(t.ids)+n) != nil {
			t.guess.tokens = t.guess.tokens[:0]
		}
	}
}

// guessFor looks into the task's own text, or puts it on the list of the draft
// model. It returns the rows that the guesses will take at most.
func (e *Engine) guessFor(t *task, rows, decodes int) int {
	g := &t.guess
	most := min(e.opts.DraftLen, t.limit-len(t.ids)-1, rows)
	if t.req.DraftLen != 0 {
		most = min(most, t.req.DraftLen)
	}
	if most <= 0 {
		return 0
	}
	if e.opts.Ngram > 0 {
		r := &g.rates[ownText]
		k := e.length(r, most, decodes, nil, 0)
		if k == 0 {
			k = r.retry(most)
		}
		if k > 0 {
			g.from = ownText
			if g.tokens = lookup(g.tokens, t.ids, e.opts.Ngram, k); len(g.tokens) > 0 {
				return len(g.tokens)
			}
		}
	}
	if d := e.drafter; d != nil && !g.off {
		if most = min(most, d.window-len(t.ids)); most <= 0 {
			return 0
		}
		if k := e.drafts(t, most, decodes); k > 0 {
			g.from = draftModel
			d.live, d.most = append(d.live, t), append(d.most, k)
			return k
		}
		g.off = true
		d.close(t)
	}
	return 0
}

// drafts is the number of tokens that the draft model shall guess for a task; 0:
// none, for good.
func (e *Engine) drafts(t *task, most, decodes int) int {
	d, g := e.drafter, &t.guess
	r := &g.rates[draftModel]
	if r.prior == 0 { // it is new here
		r.prior = d.habit.value()
		if d.asked%tryOne == 0 {
			g.trial = tryRounds
		}
		d.asked++
	}
	reading := float64(len(t.ids)-g.done-1) * d.perRow.value / float64(t.limit-len(t.ids))
	k := e.length(r, most, decodes, &d.cost, reading)
	if g.trial > 0 {
		g.trial--
		k = max(k, min(most, 2))
	}
	return k
}

// settle takes the verdict on a task's guesses: accepted of them were said.
func (e *Engine) settle(t *task, accepted int) {
	g := &t.guess
	drafted := len(g.tokens)
	if g.done > t.done {
		g.done = t.done // what the draft model holds behind it is not what was said
	}
	if drafted == 0 {
		return
	}
	g.tokens = g.tokens[:0]
	g.rates[g.from].observe(accepted, drafted, forget)
	if g.from == draftModel {
		e.drafter.habit.observe(accepted, drafted, forgetHabit)
	}
	e.mu.Lock()
	e.stats.Drafts++
	e.stats.Drafted += uint64(drafted)
	e.stats.Accepted += uint64(accepted)
	e.mu.Unlock()
}

// lookup appends to draft what followed the latest earlier occurrence of the
// longest run of at most n tokens that ids ends with (prompt lookup, Saxena
// 2023): most tokens, the text going on from itself where it ends. A run of
// one token is long enough only if n is 1.
func lookup(draft, ids []int32, n, most int) []int32 {
	last := len(ids) - 1
	best, at := min(n, 2)-1, -1
	for i := last - 1; i >= max(0, last-lookupReach) && best < n; i-- {
		if ids[i] != ids[last] {
			continue
		}
		k := 1
		for k < n && k <= i && ids[i-k] == ids[last-k] {
			k++
		}
		if k > best {
			best, at = k, i
		}
	}
	if at < 0 {
		return draft
	}
	for i := at + 1; i <= at+most; i++ {
		if i <= last {
			draft = append(draft, ids[i])
		} else {
			draft = append(draft, draft[i-last-1])
		}
	}
	return draft
}

// lookupReach is how far back lookup searches: some 10 us.
const lookupReach = 1 << 15
