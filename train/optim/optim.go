package optim

import (
	"fmt"
	"math"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/tensor"
)

// Param is one weight that is trained. Value.Grad has been allocated.
type Param struct {
	Name  string
	Value *tensor.Tensor
	Decay bool // weight decay applies
	Block bool // a matrix inside a block: what Muon is for
}

// The kinds of optimiser.
const (
	AdamW = "adamw" // Loshchilov & Hutter 2019
	Muon  = "muon"  // Jordan 2024 for the matrices of the blocks, AdamW for the rest
)

// Options say which optimiser it is, and its constants.
type Options struct {
	Kind        string  // AdamW or Muon; AdamW
	Beta1       float64 // decay of the gradient's mean; 0.9
	Beta2       float64 // decay of the squared gradient's mean; 0.95 (Brown 2020)
	Eps         float64 // added to the root of the second moment; 1e-8
	WeightDecay float64 // decoupled, times the learning rate; 0.1, off when negative
	Clip        float64 // largest global gradient norm; 1, off when negative
}

// Defaults returns o with its zero fields filled in.
func (o Options) Defaults() Options {
	if o.Kind == "" {
		o.Kind = AdamW
	}
	for _, f := range []struct {
		at  *float64
		def float64
	}{{&o.Beta1, 0.9}, {&o.Beta2, 0.95}, {&o.Eps, 1e-8}, {&o.WeightDecay, 0.1}, {&o.Clip, 1}} {
		if *f.at == 0 {
			*f.at = f.def
		}
	}
	return o
}

// Validate says which constant is out of its range.
func (o Options) Validate() error {
	o = o.Defaults()
	switch {
	case o.Kind != AdamW && o.Kind != Muon:
		return fmt.Errorf("optim: optimizer is %q, want %q or %q", o.Kind, AdamW, Muon)
	case o.Beta1 < 0 || o.Beta1 >= 1:
		return fmt.Errorf("optim: beta1 is %g, want 0 <= beta1 < 1", o.Beta1)
	case o.Beta2 < 0 || o.Beta2 >= 1:
		return fmt.Errorf("optim: beta2 is %g, want 0 <= beta2 < 1", o.Beta2)
	case o.Eps <= 0:
		return fmt.Errorf("optim: eps is %g, want a positive number", o.Eps)
	case math.IsNaN(o.Beta1 + o.Beta2 + o.Eps + o.WeightDecay + o.Clip):
		return fmt.Errorf("optim: betas are %g and %g, eps %g, weight decay %g, clip %g: want numbers", o.Beta1, o.Beta2, o.Eps, o.WeightDecay, o.Clip)
	}
	return nil
}

// chunkLen is the number of floats of one unit of work: 128 KiB per array, so
// that weight, gradient and both moments of a chunk stay in the L2 cache.
const chunkLen = 1 << 15

// chunk is a run of values of one parameter.
type chunk struct{ param, from, to int }

// Optimizer holds the moments of every parameter.
type Optimizer struct {
	params  []Param
	m, v    [][]float32 // first and second moment, one slice per parameter; v is nil for a matrix of Muon
	step    int         // updates made
	options Options
	pool    *par.Pool

	chunks   []chunk
	partial  []float64   // sum of squares per chunk
	squares  func(i int) // of gradients; kept, so that a step makes no garbage
	weights  func(i int) // the same of weights
	args     kernel.AdamWParams
	update   func(i int) // of a chunk by AdamW
	matrices []int       // parameters that Muon updates
	spare    chan *muon  // memory for as many of them at a time as there are threads
	turn     func(i int) // of a matrix by Muon
}

// New returns an optimiser with zero moments. pool may be nil.
func New(params []Param, o Options, pool *par.Pool) *Optimizer {
	a := &Optimizer{params: params, options: o.Defaults(), pool: pool}
	for i, p := range params {
		n := len(p.Value.Data)
		if len(p.Value.Grad) != n {
			panic(fmt.Sprintf("optim: %s has %d gradients for %d weights", p.Name, len(p.Value.Grad), n))
		}
		a.m = append(a.m, make([]float32, n))
		if p.Block && a.options.Kind == Muon {
			a.v = append(a.v, nil)
			a.matrices = append(a.matrices, i)
		} else {
			a.v = append(a.v, make([]float32, n))
		}
		for from := 0; from < n; from += chunkLen {
			a.chunks = append(a.chunks, chunk{i, from, min(from+chunkLen, n)})
		}
	}
	a.partial = make([]float64, len(a.chunks))
	a.squares = func(i int) {
		c := a.chunks[i]
		a.partial[i] = kernel.SumSquares(a.params[c.param].Value.Grad[c.from:c.to])
	}
	a.weights = func(i int) {
		c := a.chunks[i]
		a.partial[i] = kernel.SumSquares(a.params[c.param].Value.Data[c.from:c.to])
	}
	a.update = func(i int) {
		c, o := a.chunks[i], a.args
		p := a.params[c.param]
		if a.v[c.param] == nil {
			return
		}
		if !p.Decay {
			o.WeightDecay = 0
		}
		grad := p.Value.Grad[c.from:c.to]
		kernel.AdamW(p.Value.Data[c.from:c.to], grad, a.m[c.param][c.from:c.to], a.v[c.param][c.from:c.to], o)
		clear(grad)
	}
	a.spare = make(chan *muon, pool.Size())
	for range cap(a.spare) {
		a.spare <- newMuon(params, a.matrices)
	}
	a.turn = func(i int) {
		u := <-a.spare
		u.update(params[a.matrices[i]], a.m[a.matrices[i]], a.args)
		a.spare <- u
	}
	return a
}

// Norm returns the Euclidean norm of all gradients together, summed in float64.
func (a *Optimizer) Norm() float64 { return math.Sqrt(a.sum(a.squares)) }

// WeightSquares returns the sum of squares of all weights: a quick look at
// whether they are all numbers.
func (a *Optimizer) WeightSquares() float64 { return a.sum(a.weights) }

// sum adds up what fn leaves per chunk, in chunk order.
func (a *Optimizer) sum(fn func(i int)) (sum float64) {
	a.pool.Run(len(a.chunks), fn)
	for _, s := range a.partial {
		sum += s
	}
	return sum
}

// Step makes one update at learning rate lr and clears the gradients. norm is
// what Norm returned; above Clip, every gradient is scaled by Clip/norm first
// (Pascanu 2013). It reports whether that was so.
func (a *Optimizer) Step(lr, norm float64) (clipped bool) {
	o := a.options
	scale := 1.0
	if clipped = o.Clip > 0 && norm > o.Clip; clipped {
		scale = o.Clip / norm
	}
	a.step++
	t := float64(a.step)
	a.args = kernel.AdamWParams{
		LR: float32(lr), Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Eps: float32(o.Eps),
		WeightDecay: float32(max(0, o.WeightDecay)),
		Correct1:    float32(1 - math.Pow(o.Beta1, t)),
		Correct2:    float32(1 - math.Pow(o.Beta2, t)),
		GradScale:   float32(scale),
	}
	a.pool.Run(len(a.chunks), a.update)
	a.pool.Run(len(a.matrices), a.turn)
	return clipped
}

// Steps is the number of updates made so far.
func (a *Optimizer) Steps() int { return a.step }

// Moment is one tensor of the optimiser's state, named after its parameter.
type Moment struct {
	Name       string // parameter name plus ".m" or ".v"
	Rows, Cols int
	Data       []float32 // shared with the optimiser
}

// Moments lists the state in the order of the parameters.
func (a *Optimizer) Moments() []Moment {
	var out []Moment
	for i, p := range a.params {
		out = append(out, Moment{p.Name + ".m", p.Value.Rows, p.Value.Cols, a.m[i]})
		if a.v[i] != nil {
			out = append(out, Moment{p.Name + ".v", p.Value.Rows, p.Value.Cols, a.v[i]})
		}
	}
	return out
}

// Restore takes back a state: the number of updates and every tensor of
// Moments, which get returns by name.
func (a *Optimizer) Restore(step int, get func(name string) ([]float32, error)) error {
	for _, m := range a.Moments() {
		data, err := get(m.Name)
		if err != nil {
			return fmt.Errorf("optim: restore %s: %w", m.Name, err)
		}
		if len(data) != len(m.Data) {
			return fmt.Errorf("optim: restore %s: got %d values, want %d (another model's state?)", m.Name, len(data), len(m.Data))
		}
		copy(m.Data, data)
	}
	a.step = step
	return nil
}
