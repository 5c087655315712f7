package chat

import (
	"errors"
	"fmt"
)

// ErrBusy says that the queue is full; try again later.
var ErrBusy = errors.New("the queue is full; try again in a moment")

// ErrNoTemplate says that a model cannot take messages.
var ErrNoTemplate = errors.New("this is a base model without a chat template: it continues plain text and takes no messages")

// ErrNoAdapter says that the adapter that a request asks for is not loaded.
var ErrNoAdapter = errors.New("the adapter is not loaded")

// ContextError says that a prompt does not fit the model's context.
type ContextError struct {
	Prompt  int // tokens in the prompt
	Max     int // tokens asked for beyond it
	Context int // tokens the model takes
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens and asks for %d more, but the context is %d tokens: shorten the prompt or lower max_tokens",
		e.Prompt, e.Max, e.Context)
}

// InputError says that a request is malformed; Param names the field.
type InputError struct {
	Param string
	Msg   string
}

func (e *InputError) Error() string { return e.Param + ": " + e.Msg }

// UnavailableError says that a model cannot answer at the moment, in words for
// the client: it was not loaded, or there was no room for it.
type UnavailableError struct {
	Msg string
	Err error // behind it; nil
}

func (e *UnavailableError) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }
