// Package zoo opens and saves models: folders in the Hugging Face layout
// (config.json beside model.safetensors), and GGUF files, which hold all of a
// folder in one. It holds the one list of families.
//
//	Open: a folder as it is; a GGUF as the folder that it stands for
//	  config.json  --> family, shapes          tokenizer.json, tokenizer_config.json,
//	  weights      --> model.Model             generation_config.json --> for others to read
//
// It knows configs and weights, and how each is spelled in both layouts; what
// tokenizers and templates mean is the business of package text.
package zoo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/internal/atomicfile"
	"weft/internal/mapfile"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/weights/safetensors"
)

// ConfigFile is the name of the architecture's description in a model folder.
const ConfigFile = "config.json"

// family is how one architecture is recognised and built.
type family struct {
	name         string // config.json model_type
	architecture string // config.json architectures[0]
	parse        func(config []byte) (plan, error)
}

// plan is a checked config: its number of weights, and the model with all of
// them zero.
type plan struct {
	weights float64
	build   func() model.Model
}

func families() (all []family) {
	for _, v := range llama.Variants() {
		all = append(all, family{v.ModelType, v.Architecture, func(b []byte) (plan, error) {
			cfg, err := llama.ParseConfig(b)
			return plan{cfg.Weights(), func() model.Model { return llama.New(cfg, nil) }}, err
		}})
	}
	return all
}

// Families lists the known values of model_type.
func Families() []string {
	var names []string
	for _, f := range families() {
		names = append(names, f.name)
	}
	return names
}

// Load opens a model: a folder, or what Open takes. Weights are float32 in
// memory whatever the file stores. Every weight must be there, in its shape, and
// nothing else.
func Load(path string) (model.Model, error) {
	dir, err := Open(path)
	if err != nil {
		return nil, err
	}
	return LoadFS(dir)
}

// LoadFS is Load for a folder wherever it lies, such as in the binary.
func LoadFS(dir fs.FS) (model.Model, error) { return load(dir, form{}) }

// LoadServing is LoadFS for a model that will not be trained or saved: matrices
// that the file stores in blocks or in 16 bits stay so in memory, and where the
// kernels have products with their integers, activations are rounded to integers
// too. What is in float32 or 16-bit floats gives the bits of the model of LoadFS, in
// one copy: in the order in which kernels read it.
func LoadServing(dir fs.FS) (model.Model, error) { return load(dir, form{serving: true}) }

// LoadAs is LoadServing with matrices in the formats of a mixture, whatever the
// file stores: each is encoded when it is read, so that beside the model there is
// never more than one of them in float32. It is bit for bit the model that
// LoadServing reads from what SaveGGUF writes in that mixture.
func LoadAs(dir fs.FS, mix quant.Mixture) (model.Model, error) {
	pool := par.New(0)
	defer pool.Close()
	return load(dir, form{serving: true, mix: &mix, pool: pool})
}

func load(dir fs.FS, how form) (model.Model, error) {
	path := mapfile.Path(dir, ConfigFile)
	text, err := fs.ReadFile(dir, ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	plan, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("load model: %s: %w", path, err)
	}
	f, err := openWeights(dir)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	defer f.Close()
	if n := f.values(); plan.weights > 2*n+1e6 { // before any memory is taken
		return nil, fmt.Errorf("load model: %s describes %.3g weights, but the files beside it hold %.3g values", path, plan.weights, n)
	}
	m := plan.build()
	if how.serving {
		hollow(m)
	}
	if how.mix != nil {
		how.formats = Formats(m, *how.mix)
	}
	if err := fill(m, f, &how); err != nil {
		return nil, fmt.Errorf("load model: %s: %w", mapfile.Path(dir, "."), err)
	}
	return m, nil
}

// hollow takes the zeros away from matrices, most of which rest in the form that
// the file has: they cost address space only, but while the collector counts
// them it leaves the garbage of loading where it is.
func hollow(m model.Model) {
	for _, p := range nn.Params(m) {
		if p.Decay {
			p.Value.Data = nil
		}
	}
	debug.FreeOSMemory()
}

func parse(text []byte) (plan, error) {
	f, err := familyOf(text)
	if err != nil {
		return plan{}, err
	}
	return f.parse(text)
}

func familyOf(text []byte) (family, error) {
	var c struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
		Quantized     *struct {
			Method string `json:"quant_method"`
		} `json:"quantization_config"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return family{}, err
	}
	if q := c.Quantized; q != nil {
		return family{}, fmt.Errorf("%w: quantization_config says that the weights are quantised by %q, which is not read: take the model as it was before, and quantise it with --type, or take a GGUF", quant.ErrFormat, q.Method)
	}
	for _, f := range families() {
		if c.ModelType == f.name || c.ModelType == "" && slices.Contains(c.Architectures, f.architecture) {
			if len(c.Architectures) > 0 && !slices.Contains(c.Architectures, f.architecture) {
				return family{}, fmt.Errorf("architectures is %q, but of family %s only %s is known", c.Architectures, f.name, f.architecture)
			}
			return f, nil
		}
	}
	return family{}, fmt.Errorf("%w %q (architectures %q); known: %s", ErrFamily, c.ModelType, c.Architectures, strings.Join(Families(), ", "))
}

// fill reads every parameter of m from f.
func fill(m model.Model, f weights, how *form) error {
	var errs []error
	used := map[string]bool{}
	tables, tied := map[*nn.Param]bool{}, false
	m.Walk(func(l nn.Leaf) { tables[l.Param], tied = true, tied || l.Tied })
	for _, p := range nn.Params(m) {
		used[f.name(p.Name, p.GGUF)] = true
		errs = append(errs, read(f, p, how, tables[p.Param] && !tied))
	}
	m.Walk(func(l nn.Leaf) {
		if l.Tied { // some writers store the shared matrix twice
			used[f.name(l.Name, l.GGUF)] = true
			errs = append(errs, checkTied(m, l, f))
		}
	})
	for _, name := range f.names() {
		if !used[name] {
			errs = append(errs, fmt.Errorf("tensor %s is not part of this architecture: does config.json belong to these weights?", name))
		}
	}
	return errors.Join(first(errs, 5)...)
}

// read fills one parameter; a table is one whose rows are only looked up.
func read(f weights, p nn.Named, how *form, table bool) error {
	name := f.name(p.Name, p.GGUF)
	got, ok := f.shape(name)
	if !ok {
		return fmt.Errorf("missing tensor %s %v (the file has %d tensors)", name, shape(p), len(f.names()))
	}
	if !slices.Equal(got, shape(p)) {
		return fmt.Errorf("tensor %s has shape %v, want %v", name, got, shape(p))
	}
	if how.serving && p.Decay { // a matrix
		w, err := how.rest(f, p, table)
		if w != nil && err == nil {
			p.RestAs(w)
		}
		if w != nil || err != nil {
			return err
		}
	}
	if how.serving && p.Decay && !table { // in the kernel's order alone
		wide := how.wide(p)
		if err := f.read(name, wide.Data); err != nil {
			return err
		}
		p.RestAs(op.NewFloats(wide))
		return nil
	}
	if p.Value.Data == nil {
		p.Value.Data = tensor.Alloc(p.Len())
	}
	return f.read(name, p.Value.Data)
}

func shape(p nn.Named) []int {
	if !p.Decay {
		return []int{p.Value.Cols}
	}
	return []int{p.Value.Rows, p.Value.Cols}
}

// checkTied refuses a stored head that differs from the embedding it is said
// to share.
func checkTied(m model.Model, l nn.Leaf, f weights) error {
	head := f.name(l.Name, l.GGUF)
	size, ok := f.shape(head)
	if !ok {
		return nil
	}
	n := safetensors.Info{Shape: size}.Len()
	embed := nn.Params(m)[0] // the embedding comes first
	data, own := make([]float32, n), make([]float32, n)
	if err := errors.Join(f.read(head, data), f.read(f.name(embed.Name, embed.GGUF), own)); err != nil {
		return err
	}
	if !slices.Equal(data, own) {
		return fmt.Errorf("tensor %s differs from the embedding, but tie_word_embeddings is true: set it to false to use both", head)
	}
	return nil
}

func first(errs []error, n int) []error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) > n {
		errs = append(errs[:n:n], fmt.Errorf("and %d more", len(errs)-n))
	}
	return errs
}

// Save writes config.json and model.safetensors, with meta as its metadata,
// into dir, which it creates. Each file is replaced whole or not at all, the
// weights last.
func Save(dir string, m model.Model, meta map[string]string) error {
	return save(dir, m, "float32", Tensors(m), meta)
}

// SaveHalf is Save with matrices in 16 bits, quant.F16 or quant.BF16. A value
// that is too large for them is an error.
func SaveHalf(dir string, m model.Model, f quant.Format, meta map[string]string) error {
	name, ok := map[quant.Format]string{quant.F16: "float16", quant.BF16: "bfloat16"}[f]
	if !ok {
		return fmt.Errorf("save model: %v is no format of 16 bits, want %v or %v", f, quant.F16, quant.BF16)
	}
	return save(dir, m, name, matricesIn(m, f.Name()), meta)
}

// matricesIn lists the weights, matrices to be stored in a dtype.
func matricesIn(m model.Model, dtype string) []safetensors.Tensor {
	tensors := Tensors(m)
	for i, p := range nn.Params(m) {
		if p.Decay { // a matrix
			tensors[i].DType = dtype
		}
	}
	return tensors
}

// SaveQ8 is Save with matrices in blocks of 8-bit integers, a quarter of the
// size. Loading and saving such a folder again changes nothing.
func SaveQ8(dir string, m model.Model, meta map[string]string) error {
	return save(dir, m, "float32", matricesIn(m, safetensors.Q8), meta)
}

// save writes a folder whose config says that weights are of a type.
func save(dir string, m model.Model, torchType string, tensors []safetensors.Tensor, meta map[string]string) error {
	c, ok := m.(interface{ ConfigJSON() ([]byte, error) })
	if !ok {
		return fmt.Errorf("save model: family %s cannot write its config", m.Info().Family)
	}
	for _, p := range nn.Params(m) {
		if p.AtRest != nil {
			return fmt.Errorf("save model: %s is at rest, for serving: load the model with Load to save it", p.Name)
		}
	}
	text, err := c.ConfigJSON()
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	text = bytes.Replace(text, []byte(`"torch_dtype": "float32"`), []byte(`"torch_dtype": "`+torchType+`"`), 1)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, ConfigFile), text); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err = atomicfile.Write(filepath.Join(dir, safetensors.SingleFile), func(w io.Writer) error {
		return safetensors.Write(w, tensors, withFormat(meta))
	})
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

// Tensors lists the weights as a file stores them, sharing memory.
func Tensors(m model.Model) []safetensors.Tensor {
	var all []safetensors.Tensor
	for _, p := range nn.Params(m) {
		all = append(all, safetensors.Tensor{Name: p.Name, Shape: shape(p), Data: p.Value.Data})
	}
	return all
}

// withFormat adds the key that transformers insists on.
func withFormat(meta map[string]string) map[string]string {
	all := map[string]string{"format": "pt"}
	for k, v := range meta {
		all[k] = v
	}
	return all
}
