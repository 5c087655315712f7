package local

import (
	"context"

	"weft/chat"
	"weft/infer/engine"
	"weft/infer/sample"
)

// Replayed is what became of one answer that was computed again.
type Replayed struct {
	Tokens int   // of the answer as it was
	Same   bool  // all of them came again
	At     int   // the first that differs, counted from 0; only if not Same
	Was    int32 // what it was, -1 if the answer was over
	Is     int32 // and what it is now
}

// Replay computes an answer again from its trace, token by token, and compares.
// It stops at the first difference. Text does not matter: a stop string ended
// the answer where its tokens end.
func Replay(ctx context.Context, e Engine, t chat.Trace) (Replayed, error) {
	r := Replayed{Tokens: len(t.Tokens), Same: true}
	if len(t.Tokens) == 0 {
		return r, nil // a prompt that was scored alone
	}
	differs := func(at int, was, is int32) { r.Same, r.At, r.Was, r.Is = false, at, was, is }
	at := 0
	for tok, err := range e.Generate(ctx, RequestOf(t)) {
		if err != nil {
			return r, err
		}
		if was := t.Tokens[at]; was != tok.ID {
			differs(at, was, tok.ID)
			return r, nil
		}
		if at++; tok.Finish == engine.Stop && at < len(t.Tokens) {
			differs(at, t.Tokens[at], -1)
		}
	}
	return r, nil
}

// RequestOf is the request behind a trace, as long as the answer was.
func RequestOf(t chat.Trace) engine.Request {
	s := t.Sampling
	return engine.Request{
		Prompt: t.Prompt, Stop: t.Stop, MaxTokens: len(t.Tokens), Logprobs: -1,
		Params: sample.Params{
			Temperature: s.Temperature, TopP: s.TopP, TopK: s.TopK, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty,
			PresencePenalty: s.PresencePenalty, FrequencyPenalty: s.FrequencyPenalty, Seed: uint64(s.Seed), LogitBias: s.LogitBias,
		},
	}
}
