package engine

import (
	"context"
	"fmt"
	"time"

	"weft/chat"
	"weft/infer/sample"
)

// Request is one generation.
type Request struct {
	Prompt         []int32       // at least one id
	Params         sample.Params // how tokens are chosen; greedy
	MaxTokens      int           // tokens to generate; negative: none, score the prompt alone; 0: up to the context
	Stop           []int32       // ids that end the answer; none
	Logprobs       int           // alternatives per token; 0: the chosen one's alone, -1: none; 0
	PromptLogprobs bool          // send the prompt back first, with log-probabilities; false
	DraftLen       int           // tokens guessed at a time, at most; 0: as the engine does, negative: none
	Tenant         string        // whose request it is: the queue is fair between tenants; ""
	Salt           string        // prefixes are shared only between requests of the same salt; ""
	Adapter        *Adapter      // what changes the model for it, of AddAdapter; nothing
	Beam           *Beam         // search for the likeliest answers instead of saying one token by token; none
}

// Finish says why a generation ended.
type Finish = chat.FinishReason

// The reasons to end: a stop id was generated, or the limit was reached.
const (
	Stop   = chat.FinishStop
	Length = chat.FinishLength
)

// Token is one token of a stream.
type Token struct {
	ID      int32
	Logprob float32      // natural log under the model, before sampling changes; NaN for the first of a prompt
	Top     []sample.Alt // the most likely tokens in its place, Request.Logprobs of them
	Finish  Finish       // on the last token alone; with Stop, ID is the stop id
	Prompt  bool         // it is part of the prompt (PromptLogprobs)
	Cached  int          // tokens of the prompt that were found in the prefix cache
	Times   chat.Times   // where the request's time went until this token
	Usage   *chat.Usage  // on the last token alone
	Choice  int          // the answer that it belongs to, 0 being the best (Beam)
}

// check returns a *chat.InputError that names the field, or a *ContextError.
// window is the number of positions that a request may take.
func (r *Request) check(vocab, window int) error {
	bad := func(param, format string, args ...any) error {
		return &chat.InputError{Param: param, Msg: fmt.Sprintf(format, args...)}
	}
	if len(r.Prompt) == 0 {
		return bad("prompt", "got no tokens, want at least 1")
	}
	for i, id := range r.Prompt {
		if id < 0 || int(id) >= vocab {
			return bad("prompt", "got token %d at position %d, want 0 to %d (hint: is this the model's tokenizer?)", id, i, vocab-1)
		}
	}
	for _, id := range r.Stop {
		if id < 0 || int(id) >= vocab {
			return bad("stop", "got token %d, want 0 to %d", id, vocab-1)
		}
	}
	if r.Logprobs < -1 || r.Logprobs > vocab {
		return bad("logprobs", "got %d, want -1 to %d", r.Logprobs, vocab)
	}
	if err := r.Params.Validate(vocab); err != nil {
		return err
	}
	if err := r.Beam.check(&r.Params); err != nil {
		return err
	}
	most := max(r.MaxTokens, 0)
	if r.MaxTokens == 0 {
		most = 1 // room for one at least
	}
	if len(r.Prompt)+most > window {
		return &ContextError{Prompt: len(r.Prompt), Max: most, Context: window}
	}
	return nil
}

// lane is one text under way. A request has one, a beam search up to as many as
// it is wide.
type lane struct {
	ids  []int32 // prompt and answer
	seq  int     // handle in the cache, while running
	done int     // positions whose keys and values are in the cache

	said []Token // of a beam search: the answer
	sum  float64 // and its log-probability
}

// rest is the number of tokens not yet in the cache; 1 while decoding.
func (l *lane) rest() int { return len(l.ids) - l.done }

// task is a request inside the engine. All but stream belongs to the loop.
type task struct {
	ctx     context.Context
	req     Request
	account *account // of its tenant; guarded by the engine's mu
	stream  stream
	sampler *sample.Sampler

	*lane          // the first
	lanes []*lane  // all
	limit int      // length of ids at which it ends
	told  int      // prompt tokens sent (PromptLogprobs)
	ended []ending // of a beam search: the best so far, the best first

	shared string // see space
	cached int    // prompt tokens that were there at the first admission
	guess  guess

	arrived time.Time
	times   chat.Times // up to the newest token
	last    time.Time  // of the newest token
}

func newTask(ctx context.Context, r Request, window int) *task {
	t := &task{ctx: ctx, req: r, lane: &lane{ids: append([]int32(nil), r.Prompt...)}, shared: r.Adapter.space(r.Salt), arrived: time.Now()}
	t.lanes = []*lane{t.lane}
	t.sampler = sample.New(r.Params, t.ids)
	t.stream.ready = make(chan struct{}, 1)
	switch {
	case r.MaxTokens < 0:
		t.limit = len(t.ids)
	case r.MaxTokens == 0:
		t.limit = window
	default:
		t.limit = len(t.ids) + r.MaxTokens
	}
	return t
}

// prompt is the number of prompt tokens.
func (t *task) prompt() int { return len(t.req.Prompt) }

// width is the number of rows that a pass may have for it, without guesses.
func (t *task) width() int {
	if t.req.Beam == nil {
		return 1
	}
	return t.req.Beam.Width
}

// decodes reports whether one token of every lane is not yet in the cache.
func (t *task) decodes() bool {
	for _, l := range t.lanes {
		if l.rest() != 1 {
			return false
		}
	}
	return true
}

// space is what a request shares prefixes within: its salt and its adapter.
func (t *task) space() string { return t.shared }

// known is the tokens of a lane that may come from the prefix cache: not the
// last, whose logits are wanted, and no prompt token that is still to be scored.
func (t *task) known(l *lane) []int32 {
	n := len(l.ids) - 1
	if t.req.PromptLogprobs {
		n = min(n, max(0, t.told-1))
	}
	return l.ids[:n]
}

// samples reports whether the task wants a token after its last one.
func (t *task) samples() bool { return t.limit > t.prompt() }

func (t *task) usage() *chat.Usage {
	return &chat.Usage{PromptTokens: t.prompt(), CachedTokens: t.cached, CompletionTokens: len(t.ids) - t.prompt()}
}
