package hub

import "errors"

var (
	// ErrName says that a name is not written as one.
	ErrName = errors.New("not a model name")
	// ErrAbsent says that the caches do not hold a model, or not all of it.
	ErrAbsent = errors.New("not on this machine")
	// ErrChoice says that a name means no variant of the weights, or several.
	ErrChoice = errors.New("which weights")
	// ErrListing says that a registry's answer is not to be trusted.
	ErrListing = errors.New("unsound answer of the registry")
	// ErrDenied says that the registry refuses: 401 or 403.
	ErrDenied = errors.New("not allowed")
	// ErrNotFound says that the registry does not have it: 404.
	ErrNotFound = errors.New("not found")
	// ErrBusy says that the registry asks to come back later: 429.
	ErrBusy = errors.New("too many requests")
	// ErrLocked says that another process fetches the same file.
	ErrLocked = errors.New("another download of this file is running")
	// ErrSize says that a file is longer or shorter than the list says.
	ErrSize = errors.New("wrong size")
	// ErrChecksum says that a file arrived with other bytes than promised.
	ErrChecksum = errors.New("wrong checksum")
)

// permanent marks an error that trying again would not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }
