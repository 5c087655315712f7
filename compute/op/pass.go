// Package op holds the differentiable operations and the Pass they run in.
//
// An operation takes the Pass first, computes its rows with compute/kernel,
// and, if the pass records, leaves one closure that turns the gradient of its
// output into gradients of its inputs. Forward and backward of an operation
// stand in one file, beside a finite-difference test in float64.
//
// Only Attend knows that state exists: without a KV it looks inside the span,
// with one it stores into blocks and reads through them. The package knows
// nothing of weights' names, layers, text or sampling.
//
//	ids, spans -> Embed -> ... RMSNorm, Linear, RoPE, Attend, SwiGLU ... -> logits
//	                 <------------- Backward (closures, last first) -----------
package op

import (
	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/tensor"
)

// Span is a run of consecutive rows of one sequence.
type Span struct {
	Seq int // the sequence's handle in the KV; unused without one
	Row int // first row in the batch
	Len int // rows
	Pos int // position of the first row in its sequence

	Adapter Adapter // what changes the matrices for these rows; nil: nothing
}

// KV is where attention keeps keys and values between passes. Whoever builds
// the pass has reserved blocks for every position of its spans beforehand.
type KV interface {
	// Blocks returns the blocks of one sequence and layer in position order,
	// at least enough for n positions. The slice is valid until the next call
	// for the same sequence and layer. Blocks that no window sees any more
	// may be empty.
	Blocks(layer, seq, n int) []kernel.Block
}

// Pass is one run of a model over a flat batch of rows. The zero value, with
// Spans set, runs inference in the caller's goroutine on the Go heap. A pass
// is used by one goroutine; its operations fork over Pool by themselves.
type Pass struct {
	Spans  []Span        // stay as they are until Backward, or until Narrow
	Want   []int         // rows whose final hidden states will be read, ascending; nil: all. Needs a KV
	KV     KV            // nil: attention looks inside the span
	KVType kernel.KVType // without a KV: how keys and values are rounded, as a KV of that type would; excludes Record
	Record bool          // keep closures for Backward; excludes KV
	Remat  bool          // with Record: Checkpoint keeps only its result and runs twice
	Pool   *par.Pool     // nil: one thread
	Arena  *tensor.Arena // nil: Go heap

	tape     []func()
	wide     []Span              // scratch of Narrow: the spans before it
	blocks   [][]kernel.Block    // scratch of Attend: the blocks of each span
	own      []kernel.Block      // scratch of Attend without a KV
	jobs     []attnJob           // scratch of Attend
	panels   rowsJob             // scratch of Rows
	products []kernel.IntProduct // scratch of LinearsAtRest
	stripes  stripes             // scratch of Stripe
	groups   []adapted           // scratch of Adapt
}

// New returns a zeroed activation, whose gradient is wanted when the pass
// records.
func (p *Pass) New(rows, cols int) *tensor.Tensor {
	t := p.raw(rows, cols)
	clear(t.Data)
	return t
}

// raw is New for an operation that sets every value.
func (p *Pass) raw(rows, cols int) *tensor.Tensor {
	t := p.Arena.Tensor(rows, cols)
	if p.Record {
		if p.KV != nil || p.KVType != kernel.KVF32 {
			panic("op: a pass that records cannot have a KV cache, nor round keys and values: train without, or serve without recording")
		}
		t.Grad = []float32{} // wanted, not there yet
	}
	return t
}

// Grad returns the gradient of t to write into, and whether to add to it (or
// set it: its values are then arbitrary). It is nil when nobody wants it.
func (p *Pass) Grad(t *tensor.Tensor) (g []float32, add bool) {
	switch {
	case t.Grad == nil:
		return nil, false
	case len(t.Grad) > 0:
		return t.Grad, true
	}
	p.reserve(t)
	t.Grad = t.Grad[:t.Rows*t.Cols]
	return t.Grad, false
}

// reserve gives t memory for a gradient that nobody has written yet.
func (p *Pass) reserve(t *tensor.Tensor) {
	if n := t.Rows * t.Cols; t.Grad != nil && cap(t.Grad) < n {
		t.Grad = p.Arena.Raw(n)[:0]
	}
}

// record leaves a closure for Backward. Operations ask Record first, so that a
// pass that serves makes no closures.
func (p *Pass) record(back func()) { p.tape = append(p.tape, back) }

// Reset makes the pass ready for another batch: it forgets what it recorded
// and frees the arena. Spans are the caller's to set.
func (p *Pass) Reset() {
	clear(p.tape)
	p.tape = p.tape[:0]
	p.Arena.Reset()
}

// Backward runs the recorded closures, last first, and forgets them. The
// caller has set the gradient of the final outputs (CrossEntropy does).
func (p *Pass) Backward() { p.backwardTo(0) }

// backwardTo is Backward down to the tape's length n.
func (p *Pass) backwardTo(n int) {
	for i := len(p.tape) - 1; i >= n; i-- {
		p.tape[i]()
		p.tape[i] = nil
	}
	p.tape = p.tape[:n]
}

// rowChunk is how many rows a worker takes at once, and the fixed size of the
// partial sums over rows: it may not depend on the number of threads.
const rowChunk = 32

func chunks(rows int) int { return (rows + rowChunk - 1) / rowChunk }

// rows calls fn for every chunk of rows, in parallel.
func (p *Pass) rows(rows int, fn func(chunk, from, to int)) {
	if rows <= rowChunk { // decoding: not worth a fork, nor a closure
		fn(0, 0, rows)
		return
	}
	p.Pool.Run(chunks(rows), func(i int) {
		fn(i, i*rowChunk, min(rows, (i+1)*rowChunk))
	})
}

// sumChunks adds, or sets, dst = the sum of the partials [chunks, len(dst)] in
// chunk order.
func sumChunks(dst, partial []float32, add bool) {
	if !add {
		clear(dst)
	}
	for ; len(partial) > 0; partial = partial[len(dst):] {
		kernel.Add(dst, dst, partial[:len(dst)])
	}
}
