package lora

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"weft/compute/kernel"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
)

// The file names of an adapter's folder.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// Adapter is a set of pairs for one model's matrices. The embedded nn.Adapter is
// what spans name (op.Span.Adapter), in passes of a model that nn.Adapt has
// prepared.
type Adapter struct {
	Config
	*nn.Adapter

	modules []module
	info    model.Info
}

// module is a matrix of the model.
type module struct {
	name    string // without ".weight"
	gguf    string // the same of GGUF files
	in, out int
	tied    bool
}

// modules lists the matrices of a model as nn.Linears does.
func modules(m model.Model) []module {
	var all []module
	for _, l := range nn.Linears(m) {
		all = append(all, module{strings.TrimSuffix(l.Name, ".weight"), strings.TrimSuffix(l.GGUF, ".weight"), (*l.Linear).In(), (*l.Linear).Out(), l.Tied})
	}
	return all
}

func empty(c Config, m model.Model) *Adapter {
	a := &Adapter{Config: c, Adapter: &nn.Adapter{}, modules: modules(m), info: m.Info()}
	a.Pairs = make([]*nn.LowRank, len(a.modules))
	return a
}

// New makes the adapter that training begins with: a pair for every matrix that
// c.Targets names, A drawn as PEFT draws it (uniform within 1/sqrt(in)), B zero.
// ErrBase says that a target names no matrix of the model.
func New(m model.Model, c Config, rng *tensor.RNG) (*Adapter, error) {
	if c.Rank == 0 {
		c.Rank = 8
	}
	if c.Alpha == 0 {
		c.Alpha = 8
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := empty(c, m)
	for _, t := range c.Targets {
		found := false
		for _, mod := range a.modules {
			found = found || ends(mod.name, t)
		}
		if !found {
			return nil, fmt.Errorf("%w: target_modules names %q, and the model has no such matrix, but ones such as %s", ErrBase, t, a.modules[0].name)
		}
	}
	if len(c.Targets) == 0 {
		return nil, fmt.Errorf("%w: target_modules names no matrix", ErrFormat)
	}
	for i, mod := range a.modules {
		if !c.targets(mod.name) {
			continue
		}
		r := c.rank(mod.name)
		w := nn.NewLowRank(mod.in, mod.out, r, c.scale(mod.name, r))
		bound := 1 / math.Sqrt(float64(mod.in))
		for k := range w.A.W.Value.Data {
			w.A.W.Value.Data[k] = float32(bound * (2*rng.Float64() - 1))
		}
		a.Pairs[i] = w
	}
	return a, nil
}

// Params lists the parameters under their names in the file, as an optimiser
// wants them: A of a matrix, then its B.
func (a *Adapter) Params() []nn.Named {
	var all []nn.Named
	for i, w := range a.Pairs {
		if w != nil {
			all = append(all, nn.Named{Name: prefix + a.modules[i].name + endA, Param: w.A.W},
				nn.Named{Name: prefix + a.modules[i].name + endB, Param: w.B.W})
		}
	}
	return all
}

// Bytes is the memory of the values, packed copies left out.
func (a *Adapter) Bytes() (n int64) {
	for _, p := range a.Params() {
		n += int64(p.Bytes())
	}
	return n
}

// Memory is what a served adapter takes: values, and their copies in the order that
// the kernel reads.
func (a *Adapter) Memory() (n int64) {
	for _, p := range a.Params() {
		n += memory(p.Value.Rows, p.Value.Cols)
	}
	return n
}

// memory is that of one matrix [out, in].
func memory(out, in int) int64 { return 4*int64(out)*int64(in) + int64(kernel.PackedBytes(in, out)) }

// Hash is the SHA-256, in hexadecimal, of all that decides what the adapter
// changes: names, shapes, scales and values.
func (a *Adapter) Hash() string {
	sum := sha256.New()
	var buf [4]byte
	for i, w := range a.Pairs {
		if w == nil {
			continue
		}
		fmt.Fprintf(sum, "%s %d %08x\n", a.modules[i].name, w.A.Out(), math.Float32bits(w.Scale))
		for _, d := range []*nn.Dense{w.A, w.B} {
			for _, v := range d.W.Value.Data {
				binary.LittleEndian.PutUint32(buf[:], math.Float32bits(v))
				sum.Write(buf[:])
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
