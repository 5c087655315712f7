package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"weft/chat"
	"weft/infer/sample"
)

// Beam asks for the likeliest answers instead of one that is said token by token
// (beam search, as in Sutskever 2014 and Wu 2016). In each step the Width
// likeliest texts go on, of all that the texts under way can become with one
// more token; among equals the one whose text was ahead, then the lower id. An
// answer ends with a stop id that is among the first Width, or at the limit. It
// scores the sum of its log-probabilities over length^LengthPenalty, the stop id
// counted.
//
// The answers are sent at the end, the best first, each with its Choice, Finish
// and Usage. Texts share the pages of what they have in common. Width 1 with
// EarlyStopping, or without a penalty, is greedy.
type Beam struct {
	Width         int     // texts under way at a time, 1 to Options.MaxBatch
	Best          int     // answers sent, at most Width; 1
	LengthPenalty float64 // 0: likelier is better; 1: likelier per token; more favours long answers
	EarlyStopping bool    // end when Width answers have, even if one under way could still be better
}

// most is the number of answers to send.
func (b *Beam) most() int { return max(1, b.Best) }

// check returns a *chat.InputError that names the field.
func (b *Beam) check(p *sample.Params) error {
	if b == nil {
		return nil
	}
	bad := func(format string, args ...any) error {
		return &chat.InputError{Param: "use_beam_search", Msg: fmt.Sprintf(format, args...)}
	}
	switch own := p.Validate(0) == nil && p.Temperature == 0 && !p.Penalised() && len(p.LogitBias) == 0; {
	case !own:
		return bad("a search takes the model's own probabilities: leave out temperature, penalties and biases")
	case b.Best < 0 || b.Best > b.Width:
		return bad("got %d answers of a search %d wide, want 1 to %d", b.Best, b.Width, b.Width)
	case !(math.Abs(b.LengthPenalty) <= 10): // also NaN
		return bad("got a length penalty of %v, want -10 to 10", b.LengthPenalty)
	}
	return nil
}

// windowOf is the number of positions that a request may take: for a search, so
// that the pages suffice even if its texts have nothing in common.
func (e *Engine) windowOf(r *Request) (int, error) {
	if r.Beam == nil {
		return e.window, nil
	}
	most := min(e.opts.MaxBatch, e.opts.Pages)
	if r.Beam.Width < 1 || r.Beam.Width > most {
		return 0, &chat.InputError{Param: "use_beam_search", Msg: fmt.Sprintf("got a search %d wide, want 1 to %d", r.Beam.Width, most)}
	}
	return min(e.window, e.opts.Pages/r.Beam.Width*e.opts.PageLen), nil
}

// rank leaves the tokens that can follow a text in one token's alternatives:
// enough of them that Width are no stop ids.
func (p *pick) rank(req *Request) {
	var tok Token
	if tok.Top, p.err = sample.Top(p.logits.Row(p.row), max(req.Beam.Width+len(req.Stop), req.Logprobs), &p.work); p.err == nil {
		p.tokens = append(p.tokens, tok)
	}
}

// step is a text under way and what it can go on with.
type step struct {
	from *lane
	tok  Token
	sum  float64
}

// text is the answer up to the step.
func (s *step) text() []Token { return append(slices.Clone(s.from.said), s.tok) }

// ending is an answer that has ended.
type ending struct {
	tokens []Token
	score  float64
}

// widen takes a search one token further, by the logits of its texts.
func (e *Engine) widen(t *task, picks []pick, now time.Time) {
	var steps []step
	for i := range picks {
		if picks[i].err != nil {
			e.drop(t, picks[i].err)
			return
		}
		top := picks[i].tokens[0].Top
		for _, a := range top {
			tok := Token{ID: a.ID, Logprob: a.Logprob, Top: top[:min(max(0, t.req.Logprobs), len(top))]}
			steps = append(steps, step{t.lanes[i], tok, t.lanes[i].sum + float64(a.Logprob)})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(b.sum, a.sum) })
	e.observe(t, now)
	before, next := t.lanes, t.choose(steps)
	t.lanes = nil
	for _, s := range next {
		l := s.from
		t.lanes = append(t.lanes, &lane{ids: append(slices.Clone(l.ids), s.tok.ID), seq: e.cache.Fork(l.seq, l.done), done: l.done, said: s.text(), sum: s.sum})
	}
	for _, l := range before {
		e.cache.Free(l.seq)
	}
	if t.searched() {
		e.answer(t)
		return
	}
	t.lane = t.lanes[0]
}

// choose returns the steps to take, of all in order, and ends those that end.
func (t *task) choose(steps []step) (next []step) {
	width, taken := t.req.Beam.Width, 0
	for i, s := range steps {
		switch {
		case taken == width:
			return next
		case slices.Contains(t.req.Stop, s.tok.ID):
			if i < width {
				s.tok.Finish = Stop
				t.finish(s)
			}
			continue
		case len(s.from.ids)+1 == t.limit:
			s.tok.Finish = Length
			t.finish(s)
		default:
			next = append(next, s)
		}
		taken++
	}
	return next
}

// finish puts an answer among the best that have ended.
func (t *task) finish(s step) {
	a := ending{s.text(), 0}
	a.score = t.req.Beam.score(s.sum, len(a.tokens))
	at := len(t.ended)
	for at > 0 && t.ended[at-1].score < a.score {
		at--
	}
	t.ended = slices.Insert(t.ended, at, a)
	t.ended = t.ended[:min(len(t.ended), t.req.Beam.Width)]
}

// score compares answers of n tokens.
func (b *Beam) score(sum float64, n int) float64 {
	return sum / math.Pow(float64(n), b.LengthPenalty)
}

// searched reports whether a search is at its end: as many answers have ended as
// it is wide, and what is under way cannot be better. The log-probability of a
// text only falls, so with all the tokens it may have it scores best, or, where
// long answers are not favoured, with one more.
func (t *task) searched() bool {
	b := t.req.Beam
	if len(t.lanes) == 0 || len(t.ended) < b.Width || b.EarlyStopping {
		return len(t.lanes) == 0 || len(t.ended) == b.Width
	}
	n := t.limit - t.prompt()
	if b.LengthPenalty <= 0 {
		n = len(t.lanes[0].said) + 1
	}
	return b.score(t.lanes[0].sum, n) <= t.ended[b.Width-1].score
}

// answer sends the best answers and ends the task.
func (e *Engine) answer(t *task) {
	for i, a := range t.ended[:min(len(t.ended), t.req.Beam.most())] {
		for j, tok := range a.tokens {
			tok.Choice, tok.Cached, tok.Times = i, t.cached, t.times
			if t.req.Logprobs < 0 {
				tok.Logprob = 0
			}
			if j == len(a.tokens)-1 {
				tok.Usage = &chat.Usage{PromptTokens: t.prompt(), CachedTokens: t.cached, CompletionTokens: len(a.tokens)}
			}
			t.stream.push(tok)
		}
	}
	e.drop(t, nil)
}
