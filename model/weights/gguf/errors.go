package gguf

import "errors"

// ErrFormat is wrapped by every complaint about a file's contents.
var ErrFormat = errors.New("not a sound GGUF file")
