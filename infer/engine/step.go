package engine

import (
	"math"
	"runtime/debug"
	"slices"
	"time"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/infer/sample"
)

// promptRows is how many prompt rows are projected to the vocabulary at once.
const promptRows = 64

// pick is the logits of one part, from row on, on their way to tokens.
type pick struct {
	task    *task
	logits  *tensor.Tensor
	row     int
	guesses []int32 // that the rows behind the first depend on
	tokens  []Token
	err     error // behind the tokens
	work    sample.Scratch
}

// run samples row after row while the guesses are right; picks run on the
// workers, each with its own task. A panic, of a row that is not as wide as the
// vocabulary, is that task's error.
func (p *pick) run() {
	defer func() {
		if v := recover(); v != nil {
			p.err = modelError(v)
		}
	}()
	req := &p.task.req
	p.tokens = p.tokens[:0]
	if req.Beam != nil {
		p.rank(req)
		return
	}
	for i := 0; ; i++ {
		var tok Token
		row := p.logits.Row(p.row + i)
		if tok.ID, p.err = p.task.sampler.Sample(row, &p.work); p.err != nil {
			return
		}
		if req.Logprobs >= 0 {
			tok.Logprob, tok.Top = sample.Logprobs(row, tok.ID, req.Logprobs, &p.work)
		}
		p.tokens = append(p.tokens, tok)
		if i == len(p.guesses) || p.guesses[i] != tok.ID || slices.Contains(req.Stop, tok.ID) {
			return
		}
	}
}

// step runs the batch. If the model panics, every task runs once more alone and
// without guesses: rows never mix, so the others get the same tokens, and the
// culprit fails.
func (e *Engine) step() {
	if e.run(e.batch) == nil {
		return
	}
	for from, to := 0, 0; from < len(e.batch); from = to {
		t := e.batch[from].task
		t.guess.tokens = t.guess.tokens[:0]
		for ; to < len(e.batch) && e.batch[to].task == t; to++ {
			e.batch[to].guesses = 0
		}
		if err := e.run(e.batch[from:to]); err != nil {
			e.drop(t, err)
		}
	}
}

// run puts parts through the model, samples and delivers. After an error no
// task has changed.
func (e *Engine) run(parts []part) error {
	if len(parts) == 0 {
		return nil
	}
	e.lay(parts)
	begin := time.Now()
	logits, err := e.forward(parts)
	if err != nil {
		return err
	}
	n, row, read := 0, 0, 0
	for _, p := range parts {
		if p.want {
			got := &e.picks[n]
			got.task, got.logits, got.row, got.guesses = p.task, logits, row, p.task.guess.tokens[:p.guesses]
			n, row = n+1, row+p.rows()
		}
		if p.reads {
			read += p.n
		}
	}
	e.pool.Run(n, e.pickFn)
	now := time.Now()
	e.measure(len(e.ids)-read, read, now.Sub(begin).Seconds())
	n = 0
	for _, p := range parts {
		e.advance(p.task, p.lane, p.n)
		var got *pick
		if p.want {
			got = &e.picks[n]
			n++
		}
		switch last := len(p.task.lanes) - 1; {
		case p.task.req.Beam == nil || !p.want:
			e.deliver(p, got, now)
		case p.lane == p.task.lanes[last]: // all of its logits are there
			e.tell(p)
			e.widen(p.task, e.picks[n-1-last:n], now)
		}
	}
	return nil
}

// forward is all of a pass that calls the model: prompt log-probabilities into
// parts, and the logits of the rows to be sampled (nil when there are none).
func (e *Engine) forward(parts []part) (logits *tensor.Tensor, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = modelError(v)
		}
	}()
	e.arena.Reset()
	if e.pass.Want = nil; len(e.rows) < len(e.ids) && !slices.ContainsFunc(parts, scores) {
		e.pass.Want = e.rows
	}
	hidden := e.model.Hidden(&e.pass, e.ids) // [rows, dim]
	for i := range parts {
		if p := &parts[i]; scores(*p) {
			e.scorePrompt(p, hidden, e.pass.Spans[i].Row)
		}
	}
	if len(e.rows) == 0 {
		return nil, nil
	}
	if len(e.rows) < hidden.Rows {
		e.pass.Want = e.rows
		hidden = e.pass.Narrow(hidden)
	}
	return e.model.Logits(&e.pass, hidden), nil
}

// scores says whether all rows of a part go to the vocabulary.
func scores(p part) bool { return p.task.req.PromptLogprobs }

// project gives the logits of some hidden rows, which spans describe: an adapter
// may change the head too.
func (e *Engine) project(hidden *tensor.Tensor, spans []op.Span) *tensor.Tensor {
	all := e.pass.Spans
	defer func() { e.pass.Spans = all }()
	e.pass.Spans = spans
	return e.model.Logits(&e.pass, hidden)
}

// modelError wraps what a model panicked with.
func modelError(v any) error {
	if p, ok := v.(*par.Panic); ok {
		return &ModelError{Value: p.Value, Stack: p.Stack}
	}
	return &ModelError{Value: v, Stack: debug.Stack()}
}

// scorePrompt collects the prompt tokens that a part's rows predict: the row
// at position i, logits for i+1. Rows go to the vocabulary a few at a time.
func (e *Engine) scorePrompt(p *part, hidden *tensor.Tensor, row int) {
	t := p.task
	p.told = p.told[:0]
	if t.told == 0 {
		p.told = append(p.told, Token{ID: t.ids[0], Logprob: float32(math.NaN()), Prompt: true})
	}
	to := min(t.done+p.n, t.prompt()-1)
	for from := max(t.done, t.told-1, 0); from < to; from += promptRows {
		n := min(promptRows, to-from)
		mark := e.arena.Mark()
		at := (row + from - t.done) * hidden.Cols
		logits := e.project(tensor.From(n, hidden.Cols, hidden.Data[at:at+n*hidden.Cols]),
			[]op.Span{{Seq: t.seq, Len: n, Pos: from, Adapter: t.req.Adapter.changes()}})
		base := len(p.told)
		p.told = slices.Grow(p.told, n)[:base+n]
		e.pool.Run(n, func(i int) {
			id := t.ids[from+i+1]
			lp, top := sample.Logprobs(logits.Row(i), id, max(t.req.Logprobs, 0), &e.score[i])
			p.told[base+i] = Token{ID: id, Logprob: lp, Top: top, Prompt: true}
		})
		e.arena.Release(mark)
	}
}

// deliver sends what a pass gave to a task: prompt tokens, then the sampled
// ones, the last of all with Finish and Usage.
func (e *Engine) deliver(p part, got *pick, now time.Time) {
	t := p.task
	if e.tell(p); got == nil {
		return
	}
	for i, tok := range got.tokens {
		if i > 0 {
			e.advance(t, t.lane, 1) // the token before was guessed: it has gone through the model
		}
		t.ids = append(t.ids, tok.ID)
		e.observe(t, now)
		switch {
		case slices.Contains(t.req.Stop, tok.ID):
			tok.Finish = Stop
		case len(t.ids) == t.limit:
			tok.Finish = Length
		}
		got.tokens[i] = tok
	}
	e.settle(t, max(0, len(got.tokens)-1))
	for _, tok := range got.tokens {
		e.send(t, tok)
	}
	switch last := len(got.tokens) - 1; {
	case got.err != nil:
		e.drop(t, got.err)
	case p.guesses > 0 && got.tokens[last].Finish == "":
		e.cache.Shrink(t.seq, min(len(t.ids), e.cache.Len(t.seq))) // pages of wrong guesses
	}
}

// tell sends prompt tokens. If nothing is to be generated, the last of them
// ends the stream; it is the only one without PromptLogprobs.
func (e *Engine) tell(p part) {
	t := p.task
	told := p.told
	if !t.samples() && !t.req.PromptLogprobs && t.rest() == 0 {
		told = []Token{{ID: t.ids[len(t.ids)-1], Logprob: float32(math.NaN()), Prompt: true}}
		t.told = t.prompt() - 1
	}
	for _, tok := range told {
		if t.told++; t.told == t.prompt() && !t.samples() {
			tok.Finish = Length
		}
		e.send(t, tok)
	}
}

// send hands a token to the reader; one with a Finish ends the task.
func (e *Engine) send(t *task, tok Token) {
	tok.Cached, tok.Times = t.cached, t.times
	if tok.Finish != "" {
		tok.Usage = t.usage()
	}
	t.stream.push(tok)
	if tok.Finish != "" {
		e.drop(t, nil)
	}
}
