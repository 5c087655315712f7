package template

import "errors"

// Sentinels; the errors of this package wrap them where they apply.
var (
	ErrNoMessages = errors.New("the conversation has no messages")
	ErrRole       = errors.New("unknown role")
	ErrMarker     = errors.New("the tokenizer lacks a special token of the template")
	ErrTools      = errors.New("this model cannot use tools")
	ErrUnknown    = errors.New("unknown chat template")
	ErrVariables  = errors.New("the chat template does not take this variable")
	ErrMask       = errors.New("what an assistant is to learn cannot be found")
)
