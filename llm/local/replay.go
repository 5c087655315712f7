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
	Was    int32 // what it was
	Is     int32 // and what it is now, -1 if the answer is over
}

// Identity is what the model is, with an adapter of that name unless it is empty.
func (m *Model) Identity(adapter string) (chat.Identity, error) {
	req := engine.Request{}
	if err := m.adapt(&req, adapter); err != nil {
		return chat.Identity{}, err
	}
	id, err := m.identity(chat.Request{Trace: true}, req.Adapter)
	if err != nil {
		return chat.Identity{}, err
	}
	return *id, nil
}

// Replay computes an answer again from its trace, token by token, and compares.
// It stops at the first difference. Text does not matter: a stop string ended
// the answer where its tokens end.
func (m *Model) Replay(ctx context.Context, t chat.Trace, adapter string) (Replayed, error) {
	r := Replayed{Tokens: len(t.Tokens), Same: true}
	req, err := m.TraceRequest(t, adapter)
	if err != nil || len(t.Tokens) == 0 { // none: a prompt that was scored alone
		return r, err
	}
	differs := func(at int, was, is int32) { r.Same, r.At, r.Was, r.Is = false, at, was, is }
	at := 0
	for tok, err := range m.eng.Generate(ctx, req) {
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

// TraceRequest is the request behind a trace, for as many tokens as the answer has.
func (m *Model) TraceRequest(t chat.Trace, adapter string) (engine.Request, error) {
	s := t.Sampling
	req := engine.Request{
		Prompt: t.Prompt, Stop: t.Stop, MaxTokens: len(t.Tokens), Logprobs: -1,
		Params: sample.Params{
			Temperature: s.Temperature, TopP: s.TopP, TopK: s.TopK, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty,
			PresencePenalty: s.PresencePenalty, FrequencyPenalty: s.FrequencyPenalty, Seed: uint64(s.Seed), LogitBias: s.LogitBias,
		},
	}
	return req, m.adapt(&req, adapter)
}

// adapt finds the adapter of a request; no name is none.
func (m *Model) adapt(req *engine.Request, name string) (err error) {
	if name != "" {
		req.Adapter, err = m.adapters.serving(name)
	}
	return err
}
