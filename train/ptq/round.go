package ptq

import (
	"errors"
	"fmt"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// encode rounds the rows of w [rows, cols] to the best scales of f, value by
// value; weights are the importance of columns or nil.
func encode(pool *par.Pool, f quant.Format, w *tensor.Tensor, weights []float32) ([]byte, error) {
	stride, err := f.RowBytes(w.Cols)
	if err != nil {
		return nil, err
	}
	dst, errs := make([]byte, w.Rows*stride), make([]error, w.Rows)
	pool.Run(w.Rows, func(i int) {
		if err := f.Encode(dst[i*stride:(i+1)*stride], w.Row(i), weights); err != nil {
			errs[i] = fmt.Errorf("row %d: %w", i, err)
		}
	})
	return dst, errors.Join(errs...)
}

// lossRows is how many rows are compared at a time, to bound memory.
const lossRows = 1024

// errorOf is the loss of every row that blocks make in place of w.
func errorOf(pool *par.Pool, f quant.Format, w *tensor.Tensor, blocks []byte, seen *Moments) (all []float64) {
	stride := len(blocks) / w.Rows
	for from := 0; from < w.Rows; from += lossRows {
		to := min(w.Rows, from+lossRows)
		dw := tensor.New(to-from, w.Cols)
		f.Decode(dw.Data, blocks[from*stride:to*stride])
		kernel.Axpy(-1, w.Data[from*w.Cols:to*w.Cols], dw.Data)
		all = append(all, seen.loss(pool, dw)...)
	}
	return all
}

// gptqRows is how many rows a worker takes at a time: enough for matrix products,
// few enough to stay in cache.
const gptqRows = 32

// gptq rounds the rows of a matrix column after column, and after each lets the
// columns to come make up for its error (Frantar 2022, "GPTQ"): the error in the
// product with what the matrix was seen to be applied to is what counts.
type gptq struct {
	format  quant.Format
	grid    quant.Grid
	cols    int
	order   []int     // column by step
	early   bool      // scales are chosen before the first step: order is not that of columns
	factor  []float32 // [cols, cols] in the order of steps; see inverseFactor
	weights []float32 // [cols] importance, for the scales
	batch   int       // steps whose errors are handed on together
}

// newGPTQ prepares for matrices of one input. With actOrder columns of large
// activations are rounded first, while there are many left to make up for them.
func newGPTQ(pool *par.Pool, seen *Moments, damp float64, actOrder bool) (*gptq, error) {
	n := len(seen.Square)
	g := &gptq{cols: n, order: make([]int, n), early: actOrder, weights: seen.Importance(), factor: make([]float32, n*n)}
	for i := range g.order {
		g.order[i] = i
	}
	if actOrder {
		sortBy(g.order, g.weights)
	}
	u, err := inverseFactor(pool, seen.Cross, n, g.order, damp)
	if err != nil {
		return nil, err
	}
	for i, v := range u {
		g.factor[i] = float32(v)
	}
	return g, nil
}

// round returns the blocks of w in a format. No row loses more, by seen, than it
// would by rounding each value to nearest: a row that GPTQ does not help is
// rounded so, by importance or plainly.
func (g gptq) round(pool *par.Pool, f quant.Format, w *tensor.Tensor, seen *Moments) ([]byte, error) {
	best, err := encode(pool, f, w, nil)
	if g.format, g.grid = f, f.Grid(); err != nil || len(g.grid.Values) == 0 {
		return best, err
	}
	weighted, err := encode(pool, f, w, g.weights)
	if err != nil {
		return nil, err
	}
	g.batch = max(128, f.BlockLen())
	fed, errs := make([]byte, len(best)), make([]error, w.Rows)
	stride := len(best) / w.Rows
	pool.Run((w.Rows+gptqRows-1)/gptqRows, func(c int) {
		from, to := c*gptqRows, min(w.Rows, (c+1)*gptqRows)
		part := tensor.From(to-from, g.cols, w.Data[from*g.cols:to*g.cols])
		errs[from] = g.rows(fed[from*stride:to*stride], part)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	lost := errorOf(pool, f, w, best, seen)
	for _, other := range [][]byte{weighted, fed} { // the best of three, row by row
		for i, l := range errorOf(pool, f, w, other, seen) {
			if l < lost[i] {
				lost[i] = l
				copy(best[i*stride:(i+1)*stride], other[i*stride:])
			}
		}
	}
	return best, nil
}

// rows rounds some rows into blocks dst. Inside a batch of steps errors are fed
// back one by one; to the columns behind it they go in one product.
func (g *gptq) rows(dst []byte, w *tensor.Tensor) error {
	n, rows := g.cols, w.Rows
	left := tensor.New(rows, n) // what is yet to be rounded, in the order of steps
	for i := range rows {
		for k, j := range g.order {
			left.Row(i)[k] = w.Row(i)[j]
		}
	}
	r := rowOf{gptq: g, stride: len(dst) / rows, step: make([]float32, n), low: make([]float32, n)}
	codes := make([]uint8, rows*n)
	// Steps and lows are kept per row: scales of one row are no other's.
	steps, lows := make([]float32, rows*n), make([]float32, rows*n)
	errs := make([]float32, rows*g.batch)
	if g.early {
		for i := range rows {
			blocks := dst[i*r.stride : (i+1)*r.stride]
			if err := g.format.Encode(blocks, w.Row(i), g.weights); err != nil {
				return err
			}
			g.format.Steps(steps[i*n:(i+1)*n], lows[i*n:(i+1)*n], blocks)
		}
	}
	for from := 0; from < n; from += g.batch {
		to := min(n, from+g.batch)
		for i := range rows {
			r.dst, r.left, r.codes = dst[i*r.stride:(i+1)*r.stride], left.Row(i), codes[i*n:(i+1)*n]
			r.step, r.low = steps[i*n:(i+1)*n], lows[i*n:(i+1)*n]
			if err := r.round(from, to, errs[i*g.batch:]); err != nil {
				return fmt.Errorf("row %d of a group: %w", i, err)
			}
		}
		if to < n {
			kernel.Gemm(nil, left.Data[to:], n, kernel.Matrix{Data: errs, Stride: g.batch},
				kernel.Matrix{Data: g.factor[from*n+to:], Stride: n}, rows, n-to, to-from, true)
		}
	}
	g.format.PutCodes(dst, codes)
	return nil
}

// rowOf is the state of one row.
type rowOf struct {
	*gptq
	stride    int
	dst       []byte    // its blocks
	left      []float32 // [cols] by step
	step, low []float32 // [cols] by column
	codes     []uint8   // [cols] by column
}

// round takes the steps from..to and writes to errs what each owes the columns
// behind, in units of the diagonal of the factor. In the order of columns the
// scales of a block are chosen when its first column is reached, from what its
// values have become.
func (r *rowOf) round(from, to int, errs []float32) error {
	n, block := r.cols, r.format.BlockLen()
	for k := from; k < to; k++ {
		if !r.early && k%block == 0 {
			blocks := r.dst[k/block*r.format.BlockBytes():][:r.format.BlockBytes()]
			if err := r.format.Encode(blocks, r.left[k:k+block], r.weights[k:k+block]); err != nil {
				return err
			}
			r.format.Steps(r.step[k:k+block], r.low[k:k+block], blocks)
		}
		j, v := r.order[k], r.left[k]
		step, low := r.step[j], r.low[j]
		if step != 0 { // else all of the block is 0, and any code says so
			r.codes[j] = r.grid.Nearest((v + low) / step)
		}
		owed := (step*r.grid.Values[r.codes[j]] - low - v) / r.factor[k*n+k]
		errs[k-from] = owed
		kernel.Axpy(owed, r.factor[k*n+k+1:k*n+to], r.left[k+1:to])
	}
	return nil
}
