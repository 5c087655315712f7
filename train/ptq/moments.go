package ptq

import (
	"iter"
	"math"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
	"weft/text/corpus"
)

// Moments say what went into a matrix: sums over all rows x [in] of activations.
// Sums of columns are in float64; those of products, which the damping of GPTQ
// makes insensitive to their last bits, in float32.
type Moments struct {
	Rows   int64
	Square []float64 // [in] of x_j^2
	Abs    []float64 // [in] of |x_j|
	Max    []float32 // [in] largest |x_j|
	Cross  []float32 // [in, in] of x_i x_j; nil unless asked for
}

func newMoments(in int, cross bool) Moments {
	m := Moments{Square: make([]float64, in), Abs: make([]float64, in), Max: make([]float32, in)}
	if cross {
		m.Cross = tensor.Alloc(in * in)
	}
	return m
}

// columnChunk is how many columns a worker sums up at a time.
const columnChunk = 256

// add counts the rows of x [rows, in]. Each column's rows are added in order, so
// that the sums are the same for any number of threads.
func (m *Moments) add(pool *par.Pool, x *tensor.Tensor) {
	in := x.Cols
	pool.Run((in+columnChunk-1)/columnChunk, func(c int) {
		from, to := c*columnChunk, min(in, (c+1)*columnChunk)
		for i := range x.Rows { // row by row: a chunk of columns stays in L1
			for j, v := range x.Row(i)[from:to] {
				a := math.Abs(float64(v))
				m.Square[from+j] += a * a
				m.Abs[from+j] += a
				m.Max[from+j] = max(m.Max[from+j], float32(a))
			}
		}
	})
	if m.Cross != nil {
		xT := kernel.Matrix{Data: x.Data, Stride: in, T: true}
		kernel.Gemm(pool, m.Cross, in, xT, kernel.Matrix{Data: x.Data, Stride: in}, in, in, x.Rows, true)
	}
	m.Rows += int64(x.Rows)
}

// Importance is the mean square of each column, from sums in float32, as a file
// keeps them: text and the file made from it give the same bytes.
func (m *Moments) Importance() []float32 {
	w := make([]float32, len(m.Square))
	for j, s := range m.Square {
		w[j] = float32(s) / float32(max(1, m.Rows))
	}
	return w
}

// divide makes the moments those of x_j / s_j.
func (m *Moments) divide(s []float32) {
	for j, v := range s {
		m.Square[j] /= float64(v) * float64(v)
		m.Abs[j] /= float64(v)
		m.Max[j] /= v
	}
	for i := range s {
		for j := range s {
			if m.Cross != nil {
				m.Cross[i*len(s)+j] /= s[i] * s[j]
			}
		}
	}
}

// loss is the sum over rows of x of the squared error that dw [rows, in] makes
// in a product with x, for each row of dw: the diagonal of dw C dw^T.
func (m *Moments) loss(pool *par.Pool, dw *tensor.Tensor) []float64 {
	in := dw.Cols
	all := make([]float64, dw.Rows)
	wide := make([]float32, dw.Rows*in)
	kernel.Gemm(pool, wide, in, kernel.Matrix{Data: dw.Data, Stride: in}, kernel.Matrix{Data: m.Cross, Stride: in}, dw.Rows, in, in, false)
	for i := range all {
		for j, v := range dw.Row(i) {
			all[i] += float64(v) * float64(wide[i*in+j])
		}
	}
	return all
}

// spans gives every document of a batch its own sequence.
func spans(b corpus.Batch) (all []op.Span) {
	for i, d := range b.Docs {
		all = append(all, op.Span{Seq: i, Row: d.Row, Len: d.Len})
	}
	return all
}

// logitRows is how many rows are projected to the vocabulary at a time.
const logitRows = 256

// calibrate runs text through a model and fills the moments of taps.
func calibrate(m model.Model, taps []*tap, cross bool, text iter.Seq2[corpus.Batch, error], pool *par.Pool, progress func(rows int)) error {
	var leaves []*nn.Linear
	head := false // some tap is behind the hidden states
	for _, t := range taps {
		t.seen = newMoments(t.in(), cross)
		leaves = append(leaves, t.matrices[0].leaf)
	}
	end := watch(leaves, func(i int) func(*op.Pass, *tensor.Tensor) {
		return func(p *op.Pass, x *tensor.Tensor) { taps[i].seen.add(p.Pool, x) }
	})
	defer end()
	p := &op.Pass{Pool: pool, Arena: new(tensor.Arena)}
	for b, err := range text {
		if err != nil {
			return err
		}
		p.Reset() // each batch uses the memory of the one before
		p.Spans = spans(b)
		h := m.Hidden(p, b.IDs)
		for _, t := range taps { // what Hidden does not reach, Logits does
			head = head || t.seen.Rows == 0
		}
		for from := 0; head && from < h.Rows; from += logitRows {
			rows := tensor.From(min(logitRows, h.Rows-from), h.Cols, h.Data[from*h.Cols:min(h.Rows, from+logitRows)*h.Cols])
			mark := p.Arena.Mark()
			m.Logits(p, rows)
			p.Arena.Release(mark)
		}
		if progress != nil {
			progress(len(b.IDs))
		}
	}
	if len(taps) > 0 && taps[0].seen.Rows == 0 {
		return ErrText
	}
	return nil
}
