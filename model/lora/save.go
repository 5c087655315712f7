package lora

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weft/compute/kernel"
	"weft/compute/tensor"
	"weft/internal/atomicfile"
	"weft/model"
	"weft/model/nn"
	"weft/model/weights/safetensors"
)

// Save writes the adapter as PEFT does, into dir, which it creates. Each file is
// replaced whole or not at all, the weights last.
func (a *Adapter) Save(dir string) error {
	c := a.Config
	for i := 0; len(a.Targets) == 0 && i < len(a.Pairs); i++ { // its file had an expression
		if a.Pairs[i] != nil {
			c.Targets = append(c.Targets, a.modules[i].name)
		}
	}
	text, err := c.JSON()
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	var tensors []safetensors.Tensor
	for _, p := range a.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: []int{p.Value.Rows, p.Value.Cols}, Data: p.Value.Data})
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, ConfigFile), text); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	err = atomicfile.Write(filepath.Join(dir, WeightsFile), func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	return nil
}

// Merge adds the adapter to the weights of its model, which then is the
// adapted model within the error of float32. The weights must be in float32
// (zoo.Load); an error has changed none of them.
func (a *Adapter) Merge(m model.Model) error {
	leaves := nn.Linears(m)
	for i, w := range a.Pairs {
		if w == nil {
			continue
		}
		if _, err := plain(leaves[i]); err != nil {
			return fmt.Errorf("merge adapter: %s: %w", a.modules[i].name, err)
		}
	}
	for i, w := range a.Pairs {
		if w == nil {
			continue
		}
		d, _ := plain(leaves[i])
		d.Thaw()
		addTo(d, w)
	}
	return nil
}

// plain is the matrix of a leaf, to be changed.
func plain(l nn.Leaf) (*nn.Dense, error) {
	d, ok := nn.Plain(*l.Linear).(*nn.Dense)
	switch {
	case l.Tied:
		return nil, fmt.Errorf("it is the embedding too, which the adapter does not change: untie the model first")
	case !ok || d.W.AtRest != nil:
		return nil, fmt.Errorf("the matrix is not in float32: load the model with zoo.Load")
	}
	return d, nil
}

// addTo adds scale * B A to a matrix, some rows at a time.
func addTo(d *nn.Dense, w *nn.LowRank) {
	const rows = 64
	in, r := d.In(), w.A.Out()
	delta := tensor.New(rows, in)
	for from := 0; from < d.Out(); from += rows {
		n := min(rows, d.Out()-from)
		b := kernel.Matrix{Data: w.B.W.Value.Data[from*r:], Stride: r}
		kernel.Gemm(nil, delta.Data, in, b, kernel.Matrix{Data: w.A.W.Value.Data, Stride: in}, n, in, r, false)
		for j := range n {
			kernel.Axpy(w.Scale, delta.Row(j), d.W.Value.Row(from+j))
		}
	}
}
