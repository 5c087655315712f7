package zoo

import "errors"

// ErrFamily says that nobody here knows the architecture.
var ErrFamily = errors.New("unknown model family")
