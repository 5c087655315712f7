package ptq

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
	"weft/text/corpus"
)

// Options say how a model is quantised. Format is required, and Text or
// Importance by methods that calibrate.
type Options struct {
	Method Method // rtn
	// Format is that of a matrix; its blocks must fit the rows (quant.Format.Fit).
	Format func(p nn.Named) quant.Format
	// Text is what the model reads to calibrate, once per pass; none.
	Text iter.Seq2[corpus.Batch, error]
	// Importance of columns, in place of text for imatrix; none.
	Importance *Importance
	Alpha      float64    // of SmoothQuant, 0 to 1: how much moves into the weights; 0.5
	Damp       float64    // of GPTQ, in means of the diagonal; 0.01
	ActOrder   bool       // GPTQ rounds columns of large activations first; false
	Memory     int64      // bytes for products of columns; a model that needs more is calibrated in several passes; 2 GiB
	Pool       *par.Pool  // one thread
	Progress   func(Step) // called now and then, from one goroutine; none
}

// Step is what Progress hears: text that was read, or a matrix that was rounded.
type Step struct {
	Rows   int    // tokens read; 0: none
	Matrix string // GGUF name; "": none
}

// Validate says what is wrong with options, all of it.
func (o Options) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("ptq: "+format, a...)) }
	if o.Format == nil {
		bad("no format for the matrices")
	}
	if !(o.Alpha >= 0 && o.Alpha <= 1) {
		bad("alpha is %g, want from 0 to 1", o.Alpha)
	}
	if !(o.Damp >= 0 && o.Damp <= 10) {
		bad("damping is %g, want from 0 to 10 means of the diagonal", o.Damp)
	}
	if o.Memory < 0 {
		bad("memory is %d bytes, want 0 or more", o.Memory)
	}
	byFile := o.Importance != nil && o.Method == Method{Plain, Weighted}
	if o.Method.Calibrates() && o.Text == nil && !byFile {
		bad("%w: method %s looks at what the model does with some", ErrText, o.Method)
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Alpha == 0 {
		o.Alpha = 0.5
	}
	if o.Damp == 0 {
		o.Damp = 0.01
	}
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	return o
}

// Result is what Quantize did.
type Result struct {
	Bytes   int64          // of all matrices
	Formats map[string]int // matrices by format
	Passes  int            // times that the text was read
	Rows    int64          // tokens of a pass
	// Lost is the part of the squares of all products that calibration saw which
	// rounding makes wrong, by matrix; only of methods that know (gptq, awq).
	Lost map[string]float64
	// Plain are matrices that were rounded without importance by a method that
	// has it, because they multiply nothing or the file does not have them.
	Plain []string
}

// Quantize puts every matrix of a model to rest in its format, in place: the
// model then serves with the values that a file saved of it will hold, and with
// activations in float32. It must have been loaded with zoo.Load, and nobody else
// may use it meanwhile. On an error it is spoilt.
//
// The same model, text and options give the same bytes, for any number of threads.
func Quantize(m model.Model, o Options) (Result, error) {
	r := Result{Formats: map[string]int{}, Lost: map[string]float64{}}
	if err := o.Validate(); err != nil {
		return r, err
	}
	nn.Thaw(m)
	q := quantizer{Options: o.withDefaults(), model: m, result: &r}
	taps, err := probe(m)
	if err != nil {
		return r, err
	}
	if o.Importance != nil {
		if err := o.Importance.check(taps); err != nil {
			return r, err
		}
	}
	for _, group := range q.groups(taps) {
		if err := q.group(group); err != nil {
			return r, err
		}
	}
	for _, p := range nn.Params(m) { // tables that multiply nothing
		if p.Decay && p.AtRest == nil {
			if err := q.rest(p, nil, nil); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// quantizer is one run of Quantize.
type quantizer struct {
	Options
	model  model.Model
	result *Result
	folds  map[*tap]fold // of taps that can be scaled; empty unless the method scales
}

// groups cuts the taps into runs whose moments fit into memory together. A tap
// stays with the matrix that its scales are folded into: folding changes that
// matrix, which must not be at rest by then.
func (q *quantizer) groups(taps []*tap) (all [][]*tap) {
	q.folds = map[*tap]fold{}
	if q.Method.Scale != Plain {
		for _, f := range folds(q.model, taps) {
			q.folds[f.tap] = f
		}
	}
	var used int64 // bytes of moments in the group
	for _, t := range taps {
		size := 24 * int64(t.in()) // Square and Abs in float64, Max in float32, rounded up
		if q.Method.cross() {
			size += 4 * int64(t.in()) * int64(t.in())
		}
		if len(all) == 0 || used+size > q.Memory && q.folds[t].from == nil {
			all, used = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], t)
		used += size
	}
	return all
}

// group calibrates, scales and rounds the matrices of some taps. Later groups see
// what the rounded ones before them do, as the GPTQ paper has it layer by layer.
func (q *quantizer) group(taps []*tap) error {
	if q.Method.Calibrates() && (q.Importance == nil || q.Method != Method{Plain, Weighted}) {
		rows := q.progressRows()
		if err := calibrate(q.model, taps, q.Method.cross(), q.Text, q.Pool, rows); err != nil {
			return fmt.Errorf("ptq: calibrate: %w", err)
		}
		q.result.Passes++
		q.result.Rows = taps[0].seen.Rows
	}
	if err := q.scale(taps); err != nil {
		return err
	}
	for _, t := range taps {
		if err := q.tap(t); err != nil {
			return err
		}
		t.seen = Moments{} // its memory is the next one's
	}
	return nil
}

func (q *quantizer) progressRows() func(int) {
	if q.Progress == nil {
		return nil
	}
	return func(n int) { q.Progress(Step{Rows: n}) }
}

// scale folds scales into the taps, and compares what the model computes before
// and after.
func (q *quantizer) scale(taps []*tap) error {
	if q.Method.Scale == Plain {
		return nil
	}
	before := q.logits()
	for _, t := range taps {
		// SmoothQuant folds into norms only: between two matrices there is nothing to
		// gain for activations, which are not rounded there.
		f, ok := q.folds[t]
		if !ok || q.Method.Scale == SmoothQuant && f.gain == nil {
			continue
		}
		s := f.smooth(q.Alpha)
		if q.Method.Scale == AWQ {
			var err error
			if s, err = f.awq(q.Pool, q.Format); err != nil {
				return fmt.Errorf("ptq: scale %s: %w", t.matrices[0].GGUF, err)
			}
		}
		f.apply(s)
	}
	return equivalent(before, q.logits())
}

// probeTokens is how many tokens the comparison of logits takes.
const probeTokens = 32

// logits [probeTokens * vocab] are those of a few tokens from all over the
// vocabulary.
func (q *quantizer) logits() []float32 {
	ids := make([]int32, probeTokens)
	for i := range ids {
		ids[i] = int32((i*q.model.Info().Vocab + i) / probeTokens % q.model.Info().Vocab)
	}
	p := &op.Pass{Spans: []op.Span{{Len: len(ids)}}, Pool: q.Pool}
	return q.model.Logits(p, q.model.Hidden(p, ids)).Data
}

// foldTolerance is how far logits may move, in their root mean square: float32
// rounding over tens of layers stays two orders below it, a norm whose gain is
// not a plain factor two orders above.
const foldTolerance = 2e-3

// equivalent compares logits before and after scales were folded in.
func equivalent(before, after []float32) error {
	var diff, all float64
	for i, v := range before {
		d := float64(after[i]) - float64(v)
		diff += d * d
		all += float64(v) * float64(v)
	}
	if moved := math.Sqrt(diff / max(all, 1e-30)); !(moved <= foldTolerance) {
		return fmt.Errorf("ptq: %w: logits moved by %.2g of their size, want at most %g: use gptq or imatrix, which need no scales", ErrFold, moved, foldTolerance)
	}
	return nil
}

// tap rounds the matrices of one input.
func (q *quantizer) tap(t *tap) error {
	var g *gptq // of the input, so that its factor is computed once for all matrices
	for _, w := range t.matrices {
		if w.AtRest != nil { // applied twice
			continue
		}
		weights := q.weights(t, w)
		// A table is looked up too: what GPTQ moves between columns would hurt there.
		if q.Method.Round == GPTQ && !w.table && g == nil {
			var err error
			if g, err = newGPTQ(q.Pool, &t.seen, q.Damp, q.ActOrder); err != nil {
				return fmt.Errorf("%s: %w", w.GGUF, err)
			}
		}
		round := g
		if w.table {
			round = nil
		}
		if err := q.rest(w.Named, weights, func(f quant.Format) ([]byte, error) {
			blocks, err := q.encode(round, f, w.Value, weights, &t.seen)
			if err == nil && t.seen.Cross != nil {
				q.result.Lost[w.GGUF] = share(errorOf(q.Pool, f, w.Value, blocks, &t.seen), t.seen.loss(q.Pool, w.Value))
			}
			return blocks, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// encode returns the blocks of a matrix: by GPTQ, or with g nil value by value.
func (q *quantizer) encode(g *gptq, f quant.Format, w *tensor.Tensor, weights []float32, seen *Moments) ([]byte, error) {
	if g != nil {
		return g.round(q.Pool, f, w, seen)
	}
	return encode(q.Pool, f, w, weights)
}

// weights is the importance of a matrix's columns [in]; nil: none. What was seen
// goes before a file, which knows nothing of scales that were folded in.
func (q *quantizer) weights(t *tap, w matrix) []float32 {
	switch {
	case q.Method.Round == Nearest:
		return nil
	case t.seen.Rows > 0:
		return t.seen.Importance()
	}
	return q.Importance.Of(w.GGUF)
}

// rest rounds a matrix and puts it to rest; blocks nil rounds to nearest.
func (q *quantizer) rest(p nn.Named, weights []float32, blocks func(quant.Format) ([]byte, error)) error {
	if q.Method.Round != Nearest && weights == nil {
		q.result.Plain = append(q.result.Plain, p.GGUF)
	}
	if blocks == nil {
		blocks = func(f quant.Format) ([]byte, error) { return encode(q.Pool, f, p.Value, nil) }
	}
	f := q.Format(p)
	data, err := blocks(f)
	if err != nil {
		return fmt.Errorf("ptq: %s: %w", p.GGUF, err)
	}
	out, in := p.Value.Rows, p.Value.Cols
	w, err := op.NewRows(f, data, out, in, nil, nil)
	if err != nil {
		return fmt.Errorf("ptq: %s: %w", p.GGUF, err)
	}
	p.RestAs(w)
	q.result.Bytes += int64(len(data))
	q.result.Formats[f.Name()]++
	if q.Progress != nil {
		q.Progress(Step{Matrix: p.GGUF})
	}
	return nil
}

// share is the sum of part over that of whole, 0 where there was nothing to lose.
func share(part, whole []float64) float64 {
	var a, b float64
	for i, v := range part {
		a, b = a+v, b+whole[i]
	}
	if b == 0 {
		return 0
	}
	return a / b
}
