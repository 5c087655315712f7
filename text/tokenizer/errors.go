package tokenizer

import "errors"

var (
	// ErrNoText says that there was nothing to train on.
	ErrNoText = errors.New("tokenizer: no text to train on")

	// ErrFormat says that a file is damaged, hostile or not of its format.
	ErrFormat = errors.New("malformed tokenizer file")

	// ErrUnsupported says that a file is sound but asks for something this
	// package does not do.
	ErrUnsupported = errors.New("unsupported tokenizer construct")

	// ErrPattern says that a pattern took too much time or memory on a text: it
	// backtracks without end. The pattern comes from a file, so it is hostile or
	// damaged; the known ones run in linear time.
	ErrPattern = errors.New("the pattern takes too long on this text")
)
