package zoo

import (
	"io/fs"
	"strings"

	"weft/compute/op"
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

func (f folderWeights) rest(name string, _ bool) (op.AtRest, error) {
	info, _ := f.Info(name)
	if info.DType != safetensors.Q8 {
		return nil, nil
	}
	q, d, err := f.ReadQ8(name)
	if err != nil {
		return nil, err
	}
	return op.Pack8(q, d, info.Shape[1], info.Shape[0]), nil
}
