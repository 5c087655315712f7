package lora

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"weft/internal/mapfile"
	"weft/model"
	"weft/model/nn"
)

// Base is the model that an adapter is to change.
type Base struct {
	Model model.Model
	// Names is what the model is called. An adapter that names its base must name
	// one of these; none: any name will do.
	Names []string
}

// How tensors are named.
const (
	prefix = "base_model.model."
	endA   = ".lora_A.weight"
	endB   = ".lora_B.weight"

	endBase = ".base_layer.weight" // a copy of the base's own, which PEFT adds to pairs of the head
)

// maxConfig bounds adapter_config.json, in bytes.
const maxConfig = 1 << 20

// Open reads an adapter for a model and packs it for serving; nothing of the
// folder, or of the GGUF file that dir stands for (At, In), is needed afterwards.
// Every tensor must have its place in the model, in its shape, and every matrix
// that target_modules lists its pair. Errors are ErrFormat, ErrUnsupported,
// ErrBase, and those of the file system.
func Open(dir fs.FS, b Base) (*Adapter, error) {
	a, err := open(dir, b)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", mapfile.Path(dir, "."), err)
	}
	a.Freeze()
	return a, nil
}

func open(dir fs.FS, b Base) (*Adapter, error) {
	if _, name, err := ggufOf(dir); err != nil || name != "" {
		if err != nil {
			return nil, err
		}
		return openGGUF(dir, b)
	}
	text, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(text)
	if err != nil {
		return nil, err
	}
	if err := b.check(c.Base); err != nil {
		return nil, err
	}
	a := empty(c, b.Model)
	f, release, err := openTensors(dir, a)
	if err != nil {
		return nil, err
	}
	defer release()
	return a, a.fill(f, nn.Linears(b.Model))
}

// readConfig reads a file that may be no longer than it makes sense.
func readConfig(dir fs.FS) ([]byte, error) {
	f, err := dir.Open(ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (an adapter is a folder with %s and %s, as PEFT writes it)", err, ConfigFile, WeightsFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%w: %s is longer than %d bytes", ErrFormat, ConfigFile, maxConfig)
	}
	return text, err
}

// fill reads every tensor into its pair, for a base of these matrices.
func (a *Adapter) fill(f tensors, base []nn.Leaf) error {
	at := map[string]int{}
	for i, m := range a.modules {
		at[m.name] = i
	}
	var errs []error
	for _, name := range f.names() {
		if len(errs) < 5 {
			errs = append(errs, a.take(f, name, at, base))
		}
		errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	}
	if len(f.names()) == 0 {
		errs = append(errs, fmt.Errorf("%w: %s holds no tensor", ErrFormat, WeightsFile))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return a.whole()
}

// take reads one tensor: an A, and with it its B.
func (a *Adapter) take(f tensors, name string, at map[string]int, base []nn.Leaf) error {
	if mod, ok := strings.CutSuffix(name, endBase); ok {
		i, known := at[strings.TrimPrefix(mod, prefix)]
		if !known {
			return fmt.Errorf("%w: tensor %s: the model has no such matrix", ErrBase, name)
		}
		return sameMatrix(f, name, base[i])
	}
	mod, isA := strings.CutSuffix(name, endA)
	if !isA {
		var isB bool
		if mod, isB = strings.CutSuffix(name, endB); !isB {
			return fmt.Errorf("%w: tensor %s: only NAME%s and NAME%s are read", ErrUnsupported, name, endA, endB)
		}
	}
	mod, ok := strings.CutPrefix(mod, prefix)
	i, known := at[mod]
	if !ok || !known {
		return fmt.Errorf("%w: tensor %s: the model has no matrix %s, but ones such as %s", ErrBase, name, mod, a.modules[0].name)
	}
	shapeA, hasA := f.shape(prefix + mod + endA)
	shapeB, hasB := f.shape(prefix + mod + endB)
	if !hasA || !hasB {
		return fmt.Errorf("%w: %s has one of lora_A and lora_B, want both", ErrFormat, mod)
	}
	if !isA {
		return nil // read with its A
	}
	m, r := a.modules[i], a.rank(mod)
	if want := []int{r, m.in}; !slices.Equal(shapeA, want) {
		return misfit(name, shapeA, want)
	}
	if want := []int{m.out, r}; !slices.Equal(shapeB, want) {
		return misfit(prefix+mod+endB, shapeB, want)
	}
	w := nn.NewLowRank(m.in, m.out, r, a.scale(mod, r))
	a.Pairs[i] = w
	return errors.Join(readFinite(f, name, w.A), readFinite(f, prefix+mod+endB, w.B))
}

// sameMatrix holds a copy of a matrix of the base against the base, which may have
// rounded it: it says whether the adapter was trained on that.
func sameMatrix(f tensors, name string, l nn.Leaf) error {
	d, ok := nn.Plain(*l.Linear).(*nn.Dense)
	shape, _ := f.shape(name)
	if !ok || !slices.Equal(shape, []int{d.Out(), d.In()}) {
		return fmt.Errorf("%w: tensor %s has shape %v, and the matrix of this model [%d %d]", ErrBase, name, shape, (*l.Linear).Out(), (*l.Linear).In())
	}
	got, row := make([]float32, d.Out()*d.In()), make([]float32, d.In())
	if err := f.read(name, got); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var off, size float64
	for i := range d.Out() {
		if d.W.AtRest != nil {
			d.W.AtRest.Row(row, i)
		} else {
			copy(row, d.W.Value.Row(i))
		}
		for j, w := range row {
			v := float64(got[i*d.In()+j])
			off += (v - float64(w)) * (v - float64(w))
			size += float64(w) * float64(w)
		}
	}
	if !(off <= 0.1*0.1*size) { // more than four bits cost
		return fmt.Errorf("%w: %s is not the matrix of this model", ErrBase, name)
	}
	return nil
}

// misfit says whose fault a shape is: the rank's, or the model's.
func misfit(name string, got, want []int) error {
	side := 1 // [r, in]
	if strings.HasSuffix(name, endB) {
		side = 0 // [out, r]
	}
	kind := ErrBase
	if len(got) == 2 && got[side] == want[side] {
		kind = ErrFormat
	}
	return fmt.Errorf("%w: tensor %s has shape %v, want %v by the model and the rank of %s", kind, name, got, want, ConfigFile)
}

// readFinite reads a matrix and refuses what no training has left in it.
func readFinite(f tensors, name string, d *nn.Dense) error {
	if err := f.read(name, d.W.Value.Data); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for i, v := range d.W.Value.Data {
		if v-v != 0 {
			return fmt.Errorf("%w: tensor %s holds %v at row %d", ErrFormat, name, v, i/d.In())
		}
	}
	return nil
}

// whole checks tensors against target_modules, both ways.
func (a *Adapter) whole() error {
	if len(a.Targets) == 0 {
		return nil
	}
	for i, m := range a.modules {
		switch named := a.targets(m.name); {
		case a.Pairs[i] != nil && !named:
			return fmt.Errorf("%w: %s has a pair, but is none of target_modules %q: do %s and %s belong together?", ErrFormat, m.name, a.Targets, ConfigFile, WeightsFile)
		case a.Pairs[i] == nil && named && a.complete:
			return fmt.Errorf("%w: %s is one of target_modules %q, but has no pair in %s: was it made for a smaller model?", ErrBase, m.name, a.Targets, WeightsFile)
		}
	}
	return nil
}
