package op

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"weft/compute/kernel"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// Rows is a matrix at rest as a file holds it: rows of blocks, which are never
// copied. A product decodes a panel of rows at a time into scratch memory, and
// multiplies with that:
//
//	blocks of 32 or 128 rows --decode--> panel [rows][in] float32 --Gemm--> columns of y
//
// So it works for every format, and says what Integers, which are made for some,
// may differ from, and what Halves are equal to.
type Rows struct {
	format  quant.Format
	data    []byte
	out, in int
	stride  int     // bytes of a row
	order   []int32 // row i of the matrix is stored row order[i]; nil: as stored
	owner   any     // what data belongs to
}

// NewRows returns the matrix [out, in] whose rows lie one after the other in
// data, which stays as it is for as long as owner is in use. order, if not nil,
// says which stored row each row of the matrix is.
func NewRows(f quant.Format, data []byte, out, in int, order []int32, owner any) (*Rows, error) {
	stride, err := f.RowBytes(in)
	if err != nil {
		return nil, fmt.Errorf("op: matrix [%d, %d]: %w", out, in, err)
	}
	if len(data) != out*stride || order != nil && len(order) != out {
		return nil, fmt.Errorf("op: matrix [%d, %d] in %s: got %d bytes in an order of %d rows, want %d", out, in, f, len(data), len(order), out*stride)
	}
	return &Rows{f, data, out, in, stride, order, owner}, nil
}

// Format is the form that the matrix rests in.
func (w *Rows) Format() quant.Format { return w.format }

// Size is the shape.
func (w *Rows) Size() (out, in int) { return w.out, w.in }

// Bytes is the memory of the blocks; where they are a file that is mapped, the
// system may take it back.
func (w *Rows) Bytes() int { return len(w.data) }

// Blocks copies the bytes of row i.
func (w *Rows) Blocks(dst []byte, i int) {
	copy(dst, w.blocks(i))
	runtime.KeepAlive(w.owner)
}

func (w *Rows) blocks(i int) []byte {
	if w.order != nil {
		i = int(w.order[i])
	}
	return w.data[i*w.stride : (i+1)*w.stride]
}

// Packed is the matrix as the kernel multiplies it: a copy where it knows the
// format (Integers, Halves), else w itself. done, if not nil, is told of stretches
// of data that will hardly be read again, from any goroutine, so that a file that
// is mapped does not fill the memory twice.
func (w *Rows) Packed(done func(part []byte)) (AtRest, error) {
	if !HasIntegers(w.format) && !HasHalves(w.format) {
		return w, nil
	}
	defer runtime.KeepAlive(w.owner)
	const stretch = 4 << 20 // bytes; workers are a few panels of 16 or 32 rows apart
	rows := max(64, stretch/w.stride)
	blocks := func(i int) []byte {
		if done != nil && i > rows && i%rows == 0 {
			done(w.data[(i-2*rows)*w.stride : (i-rows)*w.stride])
		}
		return w.blocks(i)
	}
	var packed AtRest
	var err error
	if HasHalves(w.format) {
		packed = NewHalves(w.format, w.out, w.in, blocks)
	} else {
		packed, err = NewIntegers(w.format, w.out, w.in, blocks)
	}
	if done != nil {
		done(w.data)
	}
	return packed, err
}

// Row decodes row i into dst.
func (w *Rows) Row(dst []float32, i int) {
	w.format.Decode(dst, w.blocks(i))
	runtime.KeepAlive(w.owner)
}

// Rows of a panel. Packing x costs as much for any width of a panel, so that
// many rows of x want a wide one; few rows want one that stays in L2.
const (
	panelFew  = 32
	panelMany = 128
	fewRows   = 12
)

// rowsJob is one product of a Rows, and the scratch memory that products of a
// pass share: one panel per worker.
type rowsJob struct {
	w       *Rows
	y, x    *tensor.Tensor
	panel   int // rows
	next    atomic.Int32
	scratch []float32
	work    func(worker int) // bound once, so that a product allocates nothing
}

// Multiply sets y = x W^T. Each worker takes panels as it is done with others;
// an element of y is one chain in ascending k whatever panel it belongs to.
func (w *Rows) Multiply(p *Pass, y, x *tensor.Tensor) {
	if x.Rows == 0 {
		return
	}
	j := &p.panels
	j.w, j.y, j.x = w, y, x
	j.panel = panelFew
	if x.Rows > fewRows {
		j.panel = panelMany
	}
	j.next.Store(0)
	workers := min(p.Pool.Size(), (w.out+j.panel-1)/j.panel)
	if need := workers * j.panel * w.in; len(j.scratch) < need {
		j.scratch = make([]float32, need)
	}
	if j.work == nil {
		j.work = j.panelsOf
	}
	p.Pool.Run(workers, j.work)
	j.w, j.y, j.x = nil, nil, nil
}

// panelsOf is the work of one worker: panels until none is left.
func (j *rowsJob) panelsOf(worker int) {
	w, in, out := j.w, j.w.in, j.w.out
	panel := j.scratch[worker*j.panel*in:][:j.panel*in]
	for {
		from := int(j.next.Add(1)-1) * j.panel
		if from >= out {
			return
		}
		n := min(j.panel, out-from)
		for i := range n {
			w.Row(panel[i*in:(i+1)*in], from+i)
		}
		kernel.Gemm(nil, j.y.Data[from:], out, kernel.Matrix{Data: j.x.Data, Stride: in},
			kernel.Matrix{Data: panel, Stride: in, T: true}, j.x.Rows, n, in, false)
	}
}
