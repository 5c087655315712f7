package lora

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"weft/compute/quant"
	"weft/model/weights/gguf"
)

// The keys and ends of names of an adapter in a GGUF, as llama.cpp has them
// (convert_lora_to_gguf.py, src/llama-adapter.cpp).
const (
	keyType  = "general.type"         // "adapter"
	keyArch  = "general.architecture" // of the base
	keyKind  = "adapter.type"         // "lora"
	keyAlpha = "adapter.lora.alpha"   // float32; 0 or none: the scale is 1
	keyALoRA = "adapter.alora.invocation_tokens"
	keyBase  = "general.base_model.0."

	ggufA = ".lora_a"
	ggufB = ".lora_b"
)

// ggufTensors are the matrices of such a file under PEFT's names.
type ggufTensors struct {
	file *gguf.File
	at   map[string]gguf.Tensor // by PEFT's name
	list []string
	rows map[string]int // by PEFT's name: heads whose rows stand in pairs
}

// parseGGUF finds the matrices of a file for a model; without one their modules
// have the names of the file.
func parseGGUF(data []byte, a *Adapter) (*ggufTensors, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := checkKeys(f); err != nil {
		return nil, err
	}
	g := &ggufTensors{file: f, at: map[string]gguf.Tensor{}, rows: map[string]int{}}
	names, paired := map[string]module{}, false
	if a != nil {
		arch, _ := f.Value(keyArch)
		if want := ggufArch(a.info.Family); arch != want {
			return nil, fmt.Errorf("%w: it changes a model of architecture %v, and this one is of %s", ErrBase, arch, want)
		}
		paired = gguf.Paired(ggufArch(a.info.Family))
		for _, m := range a.modules {
			names[m.gguf] = m
		}
	}
	for _, t := range f.Tensors() {
		name, isA := strings.CutSuffix(t.Name, ggufA)
		end := endA
		if !isA {
			var isB bool
			if name, isB = strings.CutSuffix(t.Name, ggufB); !isB {
				return nil, fmt.Errorf("%w: tensor %s: only NAME%s and NAME%s are read", ErrUnsupported, t.Name, ggufA, ggufB)
			}
			end = endB
		}
		m, known := names[strings.TrimSuffix(name, ".weight")]
		switch {
		case a == nil:
			m.name = name
		case !known:
			return nil, fmt.Errorf("%w: tensor %s: the model has no matrix %s, but ones such as %s.weight", ErrBase, t.Name, name, a.modules[0].gguf)
		}
		peft := prefix + m.name + end
		g.at[peft], g.list = t, append(g.list, peft)
		if paired && !isA {
			g.rows[peft] = a.pairedHeads(m.gguf)
		}
	}
	return g, nil
}

// checkKeys refuses a file that is no adapter of the kind that is read.
func checkKeys(f *gguf.File) error {
	if v, _ := f.Value(keyType); v != "adapter" {
		return fmt.Errorf("%w: %s is %v, want adapter", ErrFormat, keyType, v)
	}
	if v, _ := f.Value(keyKind); v != "lora" {
		return fmt.Errorf("%w: %s is %v, want lora", ErrUnsupported, keyKind, v)
	}
	if _, ok := f.Value(keyALoRA); ok {
		return fmt.Errorf("%w: %s: an adapter that sets in after some words is not read", ErrUnsupported, keyALoRA)
	}
	return nil
}

// ggufArch is how GGUF files call the architecture of a family.
func ggufArch(family string) string {
	if family == "mistral" {
		return "llama"
	}
	return family
}

// pairedHeads is the number of heads of a matrix whose rows such files have in
// pairs; 0: they are in order.
func (a *Adapter) pairedHeads(name string) int {
	switch name[strings.LastIndex(name, ".")+1:] {
	case "attn_q":
		return a.info.Heads
	case "attn_k":
		return a.info.KVHeads
	}
	return 0
}

func (g *ggufTensors) names() []string { return g.list }

// shape turns the sizes around: files have the fastest first.
func (g *ggufTensors) shape(name string) ([]int, bool) {
	t, ok := g.at[name]
	s := slices.Clone(t.Shape)
	slices.Reverse(s)
	return s, ok
}

func (g *ggufTensors) read(name string, dst []float32) error {
	t := g.at[name]
	f, err := quant.FromID(uint32(t.Type))
	if err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("tensor %s has shape %v, want %d values", t.Name, t.Shape, len(dst))
	}
	f.Decode(dst, g.file.Bytes(t))
	if heads := g.rows[name]; heads > 0 && t.Shape[1]%(2*heads) == 0 {
		stored, cols := slices.Clone(dst), t.Shape[0]
		for i, from := range gguf.PairOrder(t.Shape[1], heads) {
			copy(dst[i*cols:(i+1)*cols], stored[int(from)*cols:])
		}
	}
	return nil
}

// config is what an adapter_config.json would say: ranks are those of the tensors.
func (g *ggufTensors) config(a *Adapter) (c Config, err error) {
	v, _ := g.file.Value(keyAlpha)
	alpha, _ := v.(float32)
	for _, m := range a.modules {
		shape, ok := g.shape(prefix + m.name + endA)
		if !ok || len(shape) != 2 {
			continue // what is wrong with it is said where it is read
		}
		if c.Targets = append(c.Targets, m.name); c.Rank == 0 {
			c.Rank = shape[0]
		} else if shape[0] != c.Rank {
			if err := c.Ranks.Add(m.name, float64(shape[0])); err != nil {
				return c, err
			}
		}
		if alpha == 0 { // the scale, alpha/rank, is 1
			if err := c.Alphas.Add(m.name, float64(shape[0])); err != nil {
				return c, err
			}
		}
	}
	if c.Alpha = float64(alpha); alpha == 0 {
		c.Alpha = float64(max(1, c.Rank))
	}
	if c.Rank == 0 || math.IsNaN(c.Alpha) {
		return c, fmt.Errorf("%w: it holds no pair, or %s is no number", ErrFormat, keyAlpha)
	}
	return c, c.Validate()
}

// bases are the names that the file gives its base, if any: that of a repository,
// and one made for people, with spaces.
func (g *ggufTensors) bases() (names []string) {
	for _, key := range []string{"repo_url", "name"} {
		v, _ := g.file.Value(keyBase + key)
		if s, ok := v.(string); ok && s != "" {
			names = append(names, strings.ReplaceAll(s, " ", "-"))
		}
	}
	return names
}

// openGGUF reads the adapter of a GGUF file, name in dir.
func openGGUF(dir fs.FS, b Base) (*Adapter, error) {
	a := empty(Config{}, b.Model)
	f, release, err := openTensors(dir, a)
	if err != nil {
		return nil, err
	}
	defer release()
	g := f.(*ggufTensors)
	names := g.bases()
	if !slices.ContainsFunc(names, func(n string) bool { return b.check(n) == nil }) && len(names) > 0 {
		return nil, b.check(names[0])
	}
	if a.Config, err = g.config(a); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		a.Base = names[0]
	}
	return a, a.fill(f, nil)
}
