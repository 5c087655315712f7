package jinja

import (
	"errors"
	"fmt"
)

// Sentinels that an [*Error] wraps where they apply.
var (
	// ErrLimit says that a template used up its steps, depth or output.
	ErrLimit = errors.New("template limit reached")
	// ErrUnsafe says that a template asked for what the sandbox refuses, such
	// as list.append or another file.
	ErrUnsafe = errors.New("refused by the template sandbox")
)

// Error is a template that cannot be read, or that failed while it ran.
type Error struct {
	Line int    // line of the template, from 1
	Msg  string // what is wrong, in lower case
	Err  error  // ErrLimit, ErrUnsafe or nil
}

// Error names the line.
func (e *Error) Error() string { return fmt.Sprintf("template line %d: %s", e.Line, e.Msg) }

// Unwrap gives the sentinel, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// RaisedError is what a template said itself, through raise_exception.
type RaisedError struct {
	Line int
	Msg  string
}

// Error is the template's own words: they are meant for whoever wrote the conversation.
func (e *RaisedError) Error() string { return e.Msg }

// Limits of the source; Python's own recursion limit is of the same order.
const (
	maxSource  = 1 << 20 // bytes of template source
	maxNesting = 150     // brackets, blocks and unary operators inside each other
	maxTree    = 2500    // depth of the tree, with chains of operators
)
