package ptq

import (
	"math"
	"strings"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
)

// fold is a tap whose columns can be scaled without changing the model: what
// makes its activations takes the inverse scale.
//
//	norm gain / s   -> matrices * s     queries, keys and values; gate and up; the head
//	rows of up / s  -> columns of down * s
//	rows of values / s -> columns of attention's output * s, for each query head
//
// s [n] has one scale for each element of what makes them: as many as columns, but
// for values that several query heads share.
type fold struct {
	tap  *tap
	gain *nn.Param            // the norm before, or
	from *matrix              // the matrix before
	n    int                  // scales
	of   func(column int) int // the scale of a column of the tap
}

// producer says, by the GGUF names of weights in one block, what makes the input
// of a matrix.
func producer(name string) string {
	block, leaf := "", name
	if strings.HasPrefix(name, "blk.") {
		i := strings.LastIndex(strings.TrimSuffix(name, ".weight"), ".")
		block, leaf = name[:i+1], name[i+1:]
	}
	switch strings.TrimSuffix(leaf, ".weight") {
	case "attn_q", "attn_k", "attn_v", "attn_qkv":
		return block + "attn_norm.weight"
	case "ffn_gate", "ffn_up":
		return block + "ffn_norm.weight"
	case "attn_output":
		return block + "attn_v.weight"
	case "ffn_down":
		return block + "ffn_up.weight"
	case "output":
		return block + "output_norm.weight"
	}
	return ""
}

// folds finds the taps that can be scaled, in order. What the names promise is
// checked by Quantize against the model's logits.
func folds(m model.Model, taps []*tap) []fold {
	params := map[string]nn.Named{}
	for _, p := range nn.Params(m) {
		params[p.GGUF] = p
	}
	made := map[string]*matrix{} // by name: matrices that can be scaled themselves
	for _, t := range taps {
		for i := range t.matrices {
			made[t.matrices[i].GGUF] = &t.matrices[i]
		}
	}
	var all []fold
	for _, t := range taps {
		if f, ok := foldOf(m.Info(), t, params, made); ok {
			all = append(all, f)
		}
	}
	return all
}

// foldOf is the fold of one tap; false where scales would not leave the model the
// same, or nothing is known of what makes its input.
func foldOf(info model.Info, t *tap, params map[string]nn.Named, made map[string]*matrix) (fold, bool) {
	name := producer(t.matrices[0].GGUF)
	for _, w := range t.matrices {
		if producer(w.GGUF) != name || w.table { // a tied head shares the embedding
			return fold{}, false
		}
	}
	f := fold{tap: t, n: t.in(), of: func(j int) int { return j }}
	from := made[name]
	switch p, ok := params[name]; {
	case !ok || from != nil && from.table:
		return fold{}, false
	case from == nil:
		f.gain = p.Param
		return f, p.Value.Rows == 1 && p.Value.Cols == f.n
	case strings.HasSuffix(name, "ffn_up.weight"): // linear in up only beside a gate: silu(gate) * up
		f.from = from
		return f, from.Value.Rows == f.n && made[strings.Replace(name, "ffn_up", "ffn_gate", 1)] != nil
	case info.KVHeads > 0 && info.Heads%info.KVHeads == 0:
		f.from, f.n = from, from.Value.Rows
		group := info.Heads / info.KVHeads
		// Column j is element j % HeadDim of query head j / HeadDim, whose values are
		// those of key head j / HeadDim / group.
		f.of = func(j int) int { return j/info.HeadDim/group*info.HeadDim + j%info.HeadDim }
		return f, f.n == info.KVHeads*info.HeadDim && t.in() == info.Heads*info.HeadDim
	}
	return fold{}, false
}

// apply scales the columns of the tap by s [n] and what makes them by 1/s. The
// moments become those of the smaller input, without another pass.
func (f *fold) apply(s []float32) {
	columns := make([]float32, f.tap.in())
	for j := range columns {
		columns[j] = s[f.of(j)]
	}
	for _, w := range f.tap.matrices {
		scaleColumns(w.Value, columns)
	}
	if f.gain != nil {
		for j, v := range s {
			f.gain.Value.Data[j] /= v
		}
	} else {
		for r, v := range s {
			row := f.from.Value.Row(r)
			for j := range row {
				row[j] /= v
			}
			if b := f.from.dense.Bias; b != nil {
				b.Value.Data[r] /= v
			}
		}
	}
	f.tap.seen.divide(columns)
}

// scaleColumns multiplies column j of w [rows, cols] by s[j].
func scaleColumns(w *tensor.Tensor, s []float32) {
	for i := range w.Rows {
		row := w.Row(i)
		for j, v := range s {
			row[j] *= v
		}
	}
}

// spread makes one number per scale of one per column: the mean or the largest.
func (f *fold) spread(columns []float64, largest bool) []float64 {
	s, n := make([]float64, f.n), make([]float64, f.n)
	for j, v := range columns {
		r := f.of(j)
		if n[r]++; largest {
			s[r] = max(s[r], v)
		} else {
			s[r] += (v - s[r]) / n[r] // the mean so far
		}
	}
	return s
}

// smooth are the scales of SmoothQuant (Xiao 2022, equation 4): max|x|^alpha /
// max|w|^(1-alpha), so that activations and weights share what is hard to round.
func (f *fold) smooth(alpha float64) []float32 {
	x, w := make([]float64, f.tap.in()), make([]float64, f.tap.in()) // [in] largest of each column
	for j, v := range f.tap.seen.Max {
		x[j] = float64(v)
	}
	for _, m := range f.tap.matrices {
		for i := range m.Value.Rows {
			for j, v := range m.Value.Row(i) {
				w[j] = max(w[j], math.Abs(float64(v)))
			}
		}
	}
	xs, ws := f.spread(x, true), f.spread(w, true)
	s := make([]float64, f.n)
	for r := range s {
		s[r] = math.Pow(max(xs[r], 1e-5), alpha) / math.Pow(max(ws[r], 1e-5), 1-alpha)
	}
	return centred(s)
}

// awqSteps is how many exponents from 0 up to, not with, 1 the search tries, as in
// the paper's own program.
const awqSteps = 20

// awqRows is how many rows of a matrix the search looks at, spread over all: the
// best exponent of a few hundred is that of all, and each try rounds them.
const awqRows = 512

// awq are the scales of AWQ (Lin 2023, section 3.2): mean|x|^a for the exponent a
// whose rounded matrices lose least in products with what the tap has seen. The
// exponent 0 leaves all as it is, so that nothing is lost by searching.
func (f *fold) awq(pool *par.Pool, format func(nn.Named) quant.Format) ([]float32, error) {
	abs := make([]float64, f.tap.in())
	for j, v := range f.tap.seen.Abs {
		abs[j] = v / float64(max(1, f.tap.seen.Rows))
	}
	mean := f.spread(abs, false)
	var best []float32
	least := math.Inf(1)
	for k := range awqSteps {
		s := make([]float64, f.n)
		for r, v := range mean {
			s[r] = math.Pow(max(v, 1e-4), float64(k)/awqSteps)
		}
		try := centred(s)
		lost, err := f.loss(pool, try, format)
		if err != nil {
			return nil, err
		}
		if lost < least {
			best, least = try, lost
		}
	}
	return best, nil
}

// loss is what the tap's matrices lose when they are scaled, rounded and scaled
// back.
func (f *fold) loss(pool *par.Pool, s []float32, format func(nn.Named) quant.Format) (sum float64, err error) {
	columns, back := make([]float32, f.tap.in()), make([]float32, f.tap.in())
	weights := f.tap.seen.Importance()
	for j := range columns {
		columns[j] = s[f.of(j)]
		back[j] = 1 / columns[j]
		weights[j] *= back[j] * back[j] // of the input that was divided
	}
	for _, m := range f.tap.matrices {
		every := (m.Value.Rows + awqRows - 1) / awqRows
		some := tensor.New((m.Value.Rows+every-1)/every, m.Value.Cols)
		for i := range some.Rows {
			copy(some.Row(i), m.Value.Row(i*every))
		}
		dw := tensor.From(some.Rows, some.Cols, append([]float32(nil), some.Data...))
		scaleColumns(dw, columns)
		g := format(m.Named)
		blocks, err := encode(pool, g, dw, weights)
		if err != nil {
			return 0, err
		}
		g.Decode(dw.Data, blocks)
		scaleColumns(dw, back)
		for i, v := range some.Data {
			dw.Data[i] -= v
		}
		for _, l := range f.tap.seen.loss(pool, dw) { // stands for those left out, too
			sum += l * float64(every)
		}
	}
	return sum, nil
}

// centred divides scales by the root of their least times their largest, so that
// weights and activations both stay near their size: only ratios matter.
func centred(s []float64) []float32 {
	low, high := math.Inf(1), 0.0
	for _, v := range s {
		low, high = min(low, v), max(high, v)
	}
	out := make([]float32, len(s))
	for r, v := range s {
		out[r] = float32(v / math.Sqrt(low*high))
	}
	return out
}
