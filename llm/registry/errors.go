package registry

import "errors"

var (
	// ErrClosed says that the registry takes no more requests.
	ErrClosed = errors.New("registry: closed")
	// ErrTooLarge says that a model alone takes more than the budget.
	ErrTooLarge = errors.New("it does not fit the memory for models")
)
