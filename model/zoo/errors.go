package zoo

import "errors"

var (
	// ErrFamily says that nobody here knows the architecture.
	ErrFamily = errors.New("unknown model family")
	// ErrNoModel says that a path names nothing that holds one model.
	ErrNoModel = errors.New("not a model")
	// ErrMetadata says that a GGUF's metadata describes no model that is known here.
	ErrMetadata = errors.New("metadata that is not understood")
)
