package lora

import "errors"

var (
	// ErrFormat is wrapped by complaints about files that are not sound.
	ErrFormat = errors.New("not a sound LoRA adapter")
	// ErrUnsupported says that an adapter asks for what is not done here.
	ErrUnsupported = errors.New("an adapter of a kind that is not supported")
	// ErrBase says that an adapter was made for another model.
	ErrBase = errors.New("the adapter belongs to another base model")
)
