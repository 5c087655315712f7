package par

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// errExit stands for a chunk that called runtime.Goexit, as testing.T.FailNow
// does: it has ended its worker, which is not replaced.
var errExit = errors.New("par: a chunk called runtime.Goexit")

// Panic is the value with which Run panics when a chunk did.
type Panic struct {
	Value any    // what the chunk panicked with
	Stack []byte // where: the stack of the worker
}

func newPanic(value any) *Panic {
	if value == nil {
		value = errExit
	}
	return &Panic{Value: value, Stack: debug.Stack()}
}

// Error returns the text of the value and the worker's stack.
func (p *Panic) Error() string { return fmt.Sprintf("%v\n\nin a worker:\n%s", p.Value, p.Stack) }

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
