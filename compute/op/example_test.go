package op_test

import (
	"fmt"

	"weft/compute/op"
	"weft/compute/tensor"
)

// One step of gradient descent on a single matrix.
func Example() {
	w := tensor.From(2, 3, []float32{1, 0, 0, 0, 1, 0}) // [classes, features]
	w.Grad = []float32{}                                // wanted
	x := tensor.From(1, 3, []float32{1, 2, 3})

	p := &op.Pass{Record: true, Spans: []op.Span{{Len: 1}}}
	before := p.CrossEntropy(p.Linear(x, w, nil), []int32{0}, 1)
	p.Backward()
	for i, g := range w.Grad {
		w.Data[i] -= 0.1 * g
	}
	p.Record = false
	after := p.CrossEntropy(p.Linear(x, w, nil), []int32{0}, 1)
	fmt.Printf("%.3f -> %.3f\n", before, after)
	// Output: 1.313 -> 0.301
}
