package sample

import (
	"fmt"
	"math"

	"weft/chat"
)

// Params says how the next token is chosen. The zero value is greedy.
type Params struct {
	Temperature       float64           // logits are divided by it; 0 is greedy; 0
	TopK              int               // keep the k most likely tokens; 0: all
	TopP              float64           // keep the most likely tokens that reach this mass; 0 and 1: all
	MinP              float64           // keep tokens at least this share as likely as the first; 0: all
	RepetitionPenalty float64           // seen logits are divided (positive) or multiplied (negative) by it; 0 and 1: off
	PresencePenalty   float64           // taken from the logit of a token in the output; 0
	FrequencyPenalty  float64           // taken for each time it is in the output; 0
	Seed              uint64            // of the request's generator; 0
	LogitBias         map[int32]float64 // added to logits; nil
}

// limit is the allowed range of one field.
type limit struct {
	name     string
	got      float64
	min, max float64
}

// Validate returns a *chat.InputError that names the first field out of its
// range. vocab is the number of logits; 0 leaves the ids of LogitBias
// unchecked.
func (p Params) Validate(vocab int) error {
	for _, l := range []limit{
		{"temperature", p.Temperature, 0, 100},
		{"top_k", float64(p.TopK), 0, math.MaxInt32},
		{"top_p", p.TopP, 0, 1},
		{"min_p", p.MinP, 0, 1},
		{"repetition_penalty", p.repetition(), 0.01, 100},
		{"presence_penalty", p.PresencePenalty, -100, 100},
		{"frequency_penalty", p.FrequencyPenalty, -100, 100},
	} {
		if !(l.got >= l.min && l.got <= l.max) { // also NaN
			return &chat.InputError{Param: l.name, Msg: fmt.Sprintf("got %v, want %v to %v", l.got, l.min, l.max)}
		}
	}
	for id, b := range p.LogitBias {
		if id < 0 || vocab > 0 && int(id) >= vocab {
			return &chat.InputError{Param: "logit_bias", Msg: fmt.Sprintf("got token %d, want 0 to %d", id, vocab-1)}
		}
		if !(b >= -100 && b <= 100) {
			return &chat.InputError{Param: "logit_bias", Msg: fmt.Sprintf("got %v for token %d, want -100 to 100", b, id)}
		}
	}
	return nil
}

// Penalised reports whether any penalty is on.
func (p *Params) Penalised() bool {
	return p.repetition() != 1 || p.PresencePenalty != 0 || p.FrequencyPenalty != 0
}

func (p *Params) repetition() float64 {
	if p.RepetitionPenalty == 0 {
		return 1
	}
	return p.RepetitionPenalty
}
