package engine

import (
	"errors"
	"fmt"

	"weft/chat"
)

// ErrBusy says that MaxBatch running and Queue waiting requests are there already.
var ErrBusy = chat.ErrBusy

// ErrAdapter says that an adapter is not, or no longer, the engine's.
var ErrAdapter = chat.ErrNoAdapter

// ErrAdapters says that there is no room for another adapter.
var ErrAdapters = errors.New("engine: no room for another adapter")

// ErrClosed says that the engine takes no more requests.
var ErrClosed = errors.New("engine: closed")

// ContextError says that prompt and answer do not fit the context, or the
// pages of the cache where those are fewer.
type ContextError = chat.ContextError

// ModelError is a panic of the model during one request's pass. Other
// requests of the batch are not affected.
type ModelError struct {
	Value any    // what it panicked with
	Stack []byte // where
}

func (e *ModelError) Error() string { return fmt.Sprintf("engine: the model failed: %v", e.Value) }

// Unwrap returns the panic's value if it is an error.
func (e *ModelError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
