// Package zoo opens and saves model folders in the Hugging Face layout:
// config.json beside model.safetensors. It holds the one list of families.
//
// It knows configs and weights; tokenizer files in the same folder are not its
// business.
package zoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

func families() []family {
	return []family{
		{llama.Family, llama.Architecture, func(b []byte) (plan, error) {
			cfg, err := llama.ParseConfig(b)
			return plan{cfg.Weights(), func() model.Model { return llama.New(cfg, nil) }}, err
		}},
	}
}

// Families lists the known values of model_type.
func Families() []string {
	var names []string
	for _, f := range families() {
		names = append(names, f.name)
	}
	return names
}

// Load opens a model folder. Weights are float32 in memory whatever the file
// stores. Every weight must be there, in its shape, and nothing else.
func Load(dir string) (model.Model, error) { return LoadFS(mapfile.Dir(dir)) }

// LoadFS is Load for a folder wherever it lies, such as in the binary.
func LoadFS(dir fs.FS) (model.Model, error) { return load(dir, false) }

// LoadServing is LoadFS for a model that will not be trained or saved: matrices
// that the file stores in 8 bits stay so in memory. Logits have the same bits.
func LoadServing(dir fs.FS) (model.Model, error) { return load(dir, true) }

func load(dir fs.FS, keep8 bool) (model.Model, error) {
	path := mapfile.Path(dir, ConfigFile)
	text, err := fs.ReadFile(dir, ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	plan, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("load model: %s: %w", path, err)
	}
	f, err := safetensors.OpenFS(dir)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	defer f.Close()
	if n := values(f); plan.weights > 2*n+1e6 { // before any memory is taken
		return nil, fmt.Errorf("load model: %s describes %.3g weights, but the files beside it hold %.3g values", path, plan.weights, n)
	}
	m := plan.build()
	if err := fill(m, f, keep8); err != nil {
		return nil, fmt.Errorf("load model: %s: %w", mapfile.Path(dir, "."), err)
	}
	return m, nil
}

func values(f *safetensors.File) (n float64) {
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		n += float64(info.Len())
	}
	return n
}

func parse(text []byte) (plan, error) {
	var c struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return plan{}, err
	}
	for _, f := range families() {
		if c.ModelType == f.name || c.ModelType == "" && slices.Contains(c.Architectures, f.architecture) {
			if len(c.Architectures) > 0 && !slices.Contains(c.Architectures, f.architecture) {
				return plan{}, fmt.Errorf("architectures is %q, but of family %s only %s is known", c.Architectures, f.name, f.architecture)
			}
			return f.parse(text)
		}
	}
	return plan{}, fmt.Errorf("%w %q (architectures %q); known: %s", ErrFamily, c.ModelType, c.Architectures, strings.Join(Families(), ", "))
}

// fill reads every parameter of m from f, matrices in 8 bits as such if keep8.
func fill(m model.Model, f *safetensors.File, keep8 bool) error {
	var errs []error
	used := map[string]bool{}
	for _, p := range nn.Params(m) {
		used[p.Name] = true
		errs = append(errs, read(f, p, keep8))
	}
	m.Walk(func(l nn.Leaf) {
		if l.Tied { // some writers store the shared matrix twice
			used[l.Name] = true
			errs = append(errs, checkTied(m, l, f))
		}
	})
	for _, name := range f.Names() {
		if !used[name] && !strings.HasSuffix(name, ".rotary_emb.inv_freq") {
			errs = append(errs, fmt.Errorf("tensor %s is not part of this architecture: does config.json belong to these weights?", name))
		}
	}
	return errors.Join(first(errs, 5)...)
}

// read fills one parameter; vectors may be stored as [n] or [1, n].
func read(f *safetensors.File, p nn.Named, keep8 bool) error {
	info, ok := f.Info(p.Name)
	if !ok {
		return fmt.Errorf("missing tensor %s %v (the file has %d tensors)", p.Name, shape(p), len(f.Names()))
	}
	if !slices.Equal(info.Shape, shape(p)) {
		return fmt.Errorf("tensor %s has shape %v, want %v", p.Name, info.Shape, shape(p))
	}
	if keep8 && info.DType == safetensors.Q8 {
		q, d, err := f.ReadQ8(p.Name)
		if err == nil {
			p.Rest(q, d)
		}
		return err
	}
	return f.Read(p.Name, p.Value.Data)
}

func shape(p nn.Named) []int {
	if !p.Decay {
		return []int{p.Value.Cols}
	}
	return []int{p.Value.Rows, p.Value.Cols}
}

// checkTied refuses a stored head that differs from the embedding it is said
// to share.
func checkTied(m model.Model, l nn.Leaf, f *safetensors.File) error {
	info, ok := f.Info(l.Name)
	if !ok {
		return nil
	}
	embed := nn.Params(m)[0].Name // the embedding comes first
	data, own := make([]float32, info.Len()), make([]float32, info.Len())
	if err := errors.Join(f.Read(l.Name, data), f.Read(embed, own)); err != nil {
		return err
	}
	if !slices.Equal(data, own) {
		return fmt.Errorf("tensor %s differs from the embedding, but tie_word_embeddings is true: set it to false to use both", l.Name)
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
	return save(dir, m, Tensors(m), meta)
}

// SaveQ8 is Save with matrices in blocks of 8-bit integers, a quarter of the
// size. Loading and saving such a folder again changes nothing.
func SaveQ8(dir string, m model.Model, meta map[string]string) error {
	tensors := Tensors(m)
	for i, p := range nn.Params(m) {
		if p.Decay { // a matrix
			tensors[i].DType = safetensors.Q8
		}
	}
	return save(dir, m, tensors, meta)
}

func save(dir string, m model.Model, tensors []safetensors.Tensor, meta map[string]string) error {
	c, ok := m.(interface{ ConfigJSON() ([]byte, error) })
	if !ok {
		return fmt.Errorf("save model: family %s cannot write its config", m.Info().Family)
	}
	for _, p := range nn.Params(m) {
		if p.Q8 != nil {
			return fmt.Errorf("save model: %s rests in 8 bits, for serving: load the model with Load to save it", p.Name)
		}
	}
	text, err := c.ConfigJSON()
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
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
