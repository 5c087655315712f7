// Package tensor holds the one array type of weft, the arena that activations
// live in, and the random generator whose state a checkpoint carries.
//
// A Tensor is a dense row-major float32 matrix. Activations are
// [tokens, features]: there is no batch axis (op.Pass says which rows belong to
// which sequence). The package knows nothing of ops, models or threads.
package tensor

import "fmt"

// Tensor is a row-major [Rows, Cols] matrix.
//
// Grad, the derivative of the loss, has three states: nil, nobody wants it;
// empty but not nil, wanted and not there yet, so the first writer sets it;
// Rows*Cols long, and later writers add to it.
type Tensor struct {
	Rows, Cols int
	Data       []float32
	Grad       []float32
}

// New returns a zeroed tensor on the Go heap.
func New(rows, cols int) *Tensor {
	return &Tensor{Rows: rows, Cols: cols, Data: Alloc(rows * cols)}
}

// From wraps data, which must hold rows*cols values.
func From(rows, cols int, data []float32) *Tensor {
	if len(data) != rows*cols {
		panic(fmt.Sprintf("tensor: %d values for shape [%d, %d]", len(data), rows, cols))
	}
	return &Tensor{Rows: rows, Cols: cols, Data: data}
}

// Row returns row i, sharing memory.
func (t *Tensor) Row(i int) []float32 { return t.Data[i*t.Cols : (i+1)*t.Cols] }
