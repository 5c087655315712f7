package zoo

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/nn"
	"weft/model/weights/safetensors"
)

// weights is what fill needs of a file of weights, in either layout.
type weights interface {
	// name chooses how the file calls a tensor.
	name(hf, gguf string) string
	// names lists the tensors that must find a place in a model.
	names() []string
	// shape is [n] for vectors, [out, in] for matrices.
	shape(name string) (shape []int, ok bool)
	// values is the number of values of all tensors.
	values() float64
	// read decodes a tensor into dst, whose size is right.
	read(name string, dst []float32) error
	// format is what a tensor is stored in; false: in no block format.
	format(name string) (quant.Format, bool)
	// rest is a matrix in the form it serves in; nil: as float32. Of a table rows
	// are looked up, and it is never multiplied with.
	rest(name string, table bool) (op.AtRest, error)
	Close() error
}

// openWeights finds the weights of a folder.
func openWeights(dir fs.FS) (weights, error) {
	if g, ok := dir.(*GGUF); ok {
		return g.weights()
	}
	f, err := safetensors.OpenFS(dir)
	return folderWeights{f}, err
}

// folderWeights are those of a folder in the Hugging Face layout.
type folderWeights struct{ *safetensors.File }

func (f folderWeights) name(hf, _ string) string { return hf }

// names leaves out tables that old checkpoints carry and nobody reads.
func (f folderWeights) names() []string {
	var all []string
	for _, name := range f.Names() {
		if !strings.HasSuffix(name, ".rotary_emb.inv_freq") {
			all = append(all, name)
		}
	}
	return all
}

func (f folderWeights) shape(name string) ([]int, bool) {
	info, ok := f.Info(name)
	return info.Shape, ok
}

func (f folderWeights) values() (n float64) {
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		n += float64(info.Len())
	}
	return n
}

func (f folderWeights) read(name string, dst []float32) error { return f.Read(name, dst) }

func (f folderWeights) format(name string) (quant.Format, bool) {
	info, _ := f.Info(name)
	switch info.DType {
	case "F32":
		return quant.F32, true
	case "F16":
		return quant.F16, true
	case "BF16":
		return quant.BF16, true
	case safetensors.Q8:
		return quant.Q8_0, true
	}
	return 0, false
}

// rest lays out what the file has in 8 or 16 bits for the kernel; tables too,
// since the file is closed then.
func (f folderWeights) rest(name string, _ bool) (op.AtRest, error) {
	info, _ := f.Info(name)
	format, _ := f.format(name)
	switch {
	case info.DType == safetensors.Q8:
		q, d, err := f.ReadQ8(name)
		if err != nil {
			return nil, err
		}
		return op.Pack8(q, d, info.Shape[1], info.Shape[0]), nil
	case op.HasHalves(format):
		rows, err := op.NewRows(format, f.Bytes(name), info.Shape[0], info.Shape[1], nil, nil)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		return rows.Packed(f.Forget)
	}
	return nil, nil
}

// form is how the matrices of a model are kept in memory. The zero value is
// float32, to train.
type form struct {
	serving bool
	mix     *quant.Mixture          // formats to serve in; nil: those of the file
	formats map[string]quant.Format // by GGUF name, with a mixture
	pool    *par.Pool               // encodes
	scratch []float32               // one matrix before it is laid out or encoded
}

// wide is room for a matrix in float32, until the next one needs it.
func (o *form) wide(p nn.Named) *tensor.Tensor {
	if n := p.Len(); len(o.scratch) < n {
		o.scratch = tensor.Alloc(n)
	}
	return tensor.From(p.Value.Rows, p.Value.Cols, o.scratch[:p.Len()])
}

// rest is a matrix in the form that it serves in; nil: as float32.
func (o *form) rest(f weights, p nn.Named, table bool) (op.AtRest, error) {
	name := f.name(p.Name, p.GGUF)
	want, mixed := o.formats[p.GGUF]
	if stored, ok := f.format(name); !mixed || ok && stored == want {
		return f.rest(name, table)
	}
	if want == quant.F32 {
		return nil, nil
	}
	rows, cols := p.Value.Rows, p.Value.Cols
	wide := o.wide(p)
	if err := f.read(name, wide.Data); err != nil {
		return nil, err
	}
	stride, err := want.RowBytes(cols)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	blocks, errs := make([]byte, rows*stride), make([]error, rows)
	o.pool.Run(rows, func(i int) {
		if err := want.Encode(blocks[i*stride:(i+1)*stride], wide.Row(i), nil); err != nil {
			errs[i] = fmt.Errorf("tensor %s: row %d: %w", name, i, err)
		}
	})
	if err := errors.Join(first(errs, 1)...); err != nil {
		return nil, err
	}
	w, err := op.NewRows(want, blocks, rows, cols, nil, nil)
	if err != nil || table {
		return w, err
	}
	return w.Packed(nil)
}
