package kv

import "errors"

// ErrFull says that the pool has fewer free pages than were asked for.
// Nothing was changed.
var ErrFull = errors.New("kv: no free page left")
