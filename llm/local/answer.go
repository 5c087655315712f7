package local

import (
	"slices"

	"weft/chat"
	"weft/infer/engine"
	"weft/infer/sample"
	"weft/text/template"
)

// answer turns the tokens of one request into deltas.
type answer struct {
	model  *Model
	req    chat.Request
	prompt []int32 // as the engine gets it
	out    writer
	skip   int  // prompt tokens not to echo: those the caller did not write
	made   int  // tokens generated
	cached int  // prompt tokens found in the cache
	choice int  // of a search: its place among the best
	inside bool // text stands in front of the next token
	turn   turn
	times  chat.Times // up to the newest token

	identity *chat.Identity // nil: no trace is wanted
	trace    chat.Trace     // all but its end
}

// tail is how many tokens at the end of a prompt are looked at to see whether
// it opened the reasoning.
const tail = 16

// newAnswer prepares the answer to r. An echo without log-probabilities is
// known at once; it leaves with the first token, when r is known to be sound.
func (m *Model) newAnswer(r chat.Request, e engine.Request, added int) *answer {
	prompt := e.Prompt
	a := &answer{model: m, req: r, prompt: prompt, skip: added, out: writer{stops: r.Stop}}
	if r.Trace {
		a.trace = chat.Trace{Prompt: prompt, Sampling: settled(e.Params), Stop: e.Stop, Tokens: []int32{}}
	}
	if len(r.Messages) > 0 {
		end := m.tok.Decode(prompt[max(0, len(prompt)-tail):])
		a.turn.parse = m.tmpl.Parser(m.tok, template.ParseOptions{Tools: r.Tools, Prompt: end})
	}
	if !r.Echo {
		a.inside = slices.ContainsFunc(prompt, func(id int32) bool { return !m.tok.IsSpecial(id) })
		return a
	}
	if r.Logprobs < 0 {
		for _, id := range prompt[added:] {
			a.out.add(a.bytes(id), nil)
		}
	}
	return a
}

// token takes one token; ended says that the delta is the last.
func (a *answer) token(t engine.Token) (d chat.Delta, ended bool) {
	a.cached, a.times = t.Cached, t.Times
	if t.Prompt {
		a.promptToken(t)
	} else {
		a.newToken(t)
	}
	if t.Finish != "" && a.turn.parse != nil {
		a.parsed(a.turn.parse.Finish())
	}
	var stopped bool
	d.Text, d.Logprobs, stopped = a.out.take()
	d.Reasoning, _, _ = a.turn.thoughts.take()
	d.ToolCalls = a.turn.take()
	if stopped {
		rest, _ := a.turn.thoughts.flush()
		d.Reasoning += rest
		d.Finish = a.finish(chat.FinishStop)
		d.Usage = &chat.Usage{PromptTokens: len(a.prompt), CachedTokens: a.cached, CompletionTokens: a.made, ReasoningTokens: a.turn.thought}
		a.close(&d)
		return d, true
	}
	if t.Finish == "" {
		return d, false
	}
	text, logprobs := a.out.flush()
	d.Text += text
	d.Logprobs = append(d.Logprobs, logprobs...)
	rest, _ := a.turn.thoughts.flush()
	d.Reasoning += rest
	d.Finish, d.Usage = a.finish(t.Finish), t.Usage
	if d.Usage != nil {
		d.Usage.ReasoningTokens = a.turn.thought
	}
	a.close(&d)
	return d, true
}

// close adds to the last delta what is said there alone.
func (a *answer) close(d *chat.Delta) {
	d.Times = &a.times
	if a.identity != nil {
		a.trace.Finish = d.Finish
		d.Trace, d.Identity = &a.trace, a.identity
	}
}

// settled is a Sampling with nothing left to a default.
func settled(p sample.Params) chat.Settled {
	s := chat.Settled{
		Temperature: p.Temperature, TopP: p.TopP, TopK: p.TopK, MinP: p.MinP, RepetitionPenalty: p.RepetitionPenalty,
		PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty, Seed: int64(p.Seed), LogitBias: p.LogitBias,
	}
	if s.RepetitionPenalty == 0 { // off
		s.RepetitionPenalty = 1
	}
	return s
}

// finish is the reason to give: an answer that ended by itself after a call
// wants the call's result. One that was cut off was cut off.
func (a *answer) finish(r chat.FinishReason) chat.FinishReason {
	if r == chat.FinishStop && a.turn.calls > 0 {
		return chat.FinishToolCalls
	}
	return r
}

// promptToken echoes one scored token of the prompt. Special tokens appear by
// their text there, since the caller wrote them.
func (a *answer) promptToken(t engine.Token) {
	switch {
	case !a.req.Echo || a.req.Logprobs < 0: // scored only because nothing is to be generated
	case a.skip > 0:
		a.skip--
	default:
		a.put(t, a.bytes(t.ID))
	}
}

// newToken adds a generated token, unless it is the mark that ends the text.
// Of a plain prompt's answer special tokens are left out: they are control.
func (a *answer) newToken(t engine.Token) {
	if a.made == 0 {
		a.out.begin()
	}
	a.made++
	if a.identity != nil {
		a.trace.Tokens = append(a.trace.Tokens, t.ID)
	}
	special := a.model.tok.IsSpecial(t.ID)
	switch {
	case t.Finish == engine.Stop:
	case a.turn.parse != nil:
		a.feed(t, a.bytes(t.ID), special)
	case !special:
		a.put(t, a.bytes(t.ID))
	}
}

// put adds a token to the text.
func (a *answer) put(t engine.Token, b []byte) {
	if a.req.Logprobs < 0 {
		a.out.add(b, nil)
		return
	}
	lp := tokenLogprob(t.ID, b, t.Logprob)
	for _, alt := range t.Top {
		lp.Top = append(lp.Top, tokenLogprob(alt.ID, a.model.tok.Bytes(alt.ID), alt.Logprob))
	}
	a.out.add(b, &lp)
}

// bytes is a token's share of the text. The first one of a text is decoded as
// a text of its own: some tokenizers begin every text with a space that is
// not part of it.
func (a *answer) bytes(id int32) []byte {
	tok := a.model.tok
	if !a.inside && !tok.IsSpecial(id) {
		a.inside = true
		return []byte(tok.Decode([]int32{id}))
	}
	return tok.Bytes(id)
}

func tokenLogprob(id int32, b []byte, lp float32) chat.TokenLogprob {
	return chat.TokenLogprob{ID: id, Text: string(b), Bytes: b, Logprob: float64(lp)}
}
