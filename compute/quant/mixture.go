package quant

import (
	"fmt"
	"strconv"
	"strings"
)

// Mixture is a rule that gives each tensor of a model its format: what tools
// call "Q4_K_M" is Q4_K for most matrices and Q6_K for those that suffer most
// from coarse steps. The names, the ids and the rules are those of llama.cpp
// (llama_tensor_get_type_impl in src/llama-quant.cpp, state of August 2026)
// for the llama family of architectures. MXFP4 is ours for dense models: there
// only the matrices of experts get that format.
//
// The exported fields after FileType describe the model; they are the caller's
// to set before For. Their zero value is a model with its own output matrix, as
// many key heads as query heads, and no experts.
type Mixture struct {
	Name     string
	Base     Format // of most matrices
	FileType uint32 // general.file_type in GGUF

	Tied    bool // the token embedding is the output matrix too
	Groups  int  // query heads per key head
	Experts int  // in a layer

	value, down, output []pick // attention's values, ffn_down, attention's output
}

// pick gives a format to the layers that a rule holds for. Of several the first
// that holds counts, and Base where none does.
type pick struct {
	in     func(layer, layers int) bool
	format Format
}

func all(_, _ int) bool                   { return true }
func sixteenth(layer, layers int) bool    { return layer < layers/16 }
func eighth(layer, layers int) bool       { return layer < layers/8 }
func first(n int) func(layer, _ int) bool { return func(layer, _ int) bool { return layer < n } }

// sensitive is the first and the last eighth, and every third layer between.
func sensitive(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

var mixtures = [...]Mixture{
	{Name: "F32", Base: F32, FileType: 0},
	{Name: "F16", Base: F16, FileType: 1},
	{Name: "BF16", Base: BF16, FileType: 32},
	{Name: "Q4_0", Base: Q4_0, FileType: 2},
	{Name: "Q4_1", Base: Q4_1, FileType: 3},
	{Name: "Q5_0", Base: Q5_0, FileType: 8},
	{Name: "Q5_1", Base: Q5_1, FileType: 9},
	{Name: "Q8_0", Base: Q8_0, FileType: 7},
	{Name: "Q2_K", Base: Q2_K, FileType: 10, value: []pick{{all, Q3_K}}, down: []pick{{all, Q3_K}}, output: []pick{{all, Q3_K}}},
	{Name: "Q3_K_S", Base: Q3_K, FileType: 11},
	{Name: "Q3_K_M", Base: Q3_K, FileType: 12,
		value: []pick{{first(2), Q5_K}, {all, Q4_K}}, down: []pick{{sixteenth, Q5_K}, {all, Q4_K}}, output: []pick{{all, Q4_K}}},
	{Name: "Q3_K_L", Base: Q3_K, FileType: 13, value: []pick{{all, Q5_K}}, down: []pick{{all, Q5_K}}, output: []pick{{all, Q5_K}}},
	{Name: "Q4_K_S", Base: Q4_K, FileType: 14, value: []pick{{first(4), Q5_K}}, down: []pick{{eighth, Q5_K}}},
	{Name: "Q4_K_M", Base: Q4_K, FileType: 15, value: []pick{{sensitive, Q6_K}}, down: []pick{{sensitive, Q6_K}}},
	{Name: "Q5_K_S", Base: Q5_K, FileType: 16},
	{Name: "Q5_K_M", Base: Q5_K, FileType: 17, value: []pick{{sensitive, Q6_K}}, down: []pick{{sensitive, Q6_K}}},
	{Name: "Q6_K", Base: Q6_K, FileType: 18},
	{Name: "IQ4_NL", Base: IQ4_NL, FileType: 25, down: []pick{{eighth, Q5_K}}},
	{Name: "IQ4_XS", Base: IQ4_XS, FileType: 30, down: []pick{{eighth, Q5_K}}},
	{Name: "MXFP4", Base: MXFP4, FileType: 38},
}

// MixtureNames lists the names that ParseMixture takes.
func MixtureNames() []string {
	var names []string
	for _, m := range mixtures {
		names = append(names, m.Name)
	}
	return names
}

// ParseMixture is the mixture with a name, in upper or lower case. The error
// wraps ErrFormat and lists the names.
func ParseMixture(name string) (Mixture, error) {
	for _, m := range mixtures {
		if strings.EqualFold(m.Name, name) {
			return m, nil
		}
	}
	return Mixture{}, fmt.Errorf("%w: no mixture %q; known are %s", ErrFormat, name, strings.Join(MixtureNames(), " "))
}

// For is the format of the matrix with a GGUF name ("blk.3.attn_v.weight") of a
// model of so many layers. It is F32 for what is not quantised: norms, biases
// and the routers of experts. Rows that are no whole number of blocks need Fit
// as well, and tensors of one dimension stay F32 whatever their name.
func (m Mixture) For(name string, layers int) Format {
	has := func(part string) bool { return strings.Contains(name, part) }
	layer := layerOf(name)
	switch {
	case !strings.HasSuffix(name, ".weight") || has("_norm") || has("ffn_gate_inp"):
		return F32
	case m.Base.BlockLen() == 1:
		return m.Base
	case name == "output.weight" || m.Tied && name == "token_embd.weight":
		if m.Base == Q8_0 {
			return Q8_0
		}
		return Q6_K
	case has("attn_v.") || has("attn_qkv.") || has("attn_kv_b."):
		return m.values(layer, layers)
	case has("attn_k.") && m.Experts == 8:
		return Q8_0
	case has("ffn_down"):
		return m.choose(m.down, layer, layers)
	case has("attn_output.") && m.Experts == 8:
		switch m.Name {
		case "Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS":
			return Q5_K
		}
		return m.Base
	case has("attn_output."):
		return m.choose(m.output, layer, layers)
	}
	return m.Base
}

// layerOf is the layer of a GGUF name, 0 outside the layers.
func layerOf(name string) int {
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "blk."), ".")
	layer, _ := strconv.Atoi(number)
	return layer
}

func (m Mixture) choose(picks []pick, layer, layers int) Format {
	for _, p := range picks {
		if p.in(layer, layers) {
			return p.format
		}
	}
	return m.Base
}

// values is the format of attention's values. Where several query heads share
// them they are small, and more bits cost little.
func (m Mixture) values(layer, layers int) Format {
	f := m.choose(m.value, layer, layers)
	switch {
	case m.Experts == 8:
		return Q8_0
	case m.Groups >= 4 && m.Base == Q2_K:
		f = Q4_K
	case m.Groups >= 4 && (m.Base == IQ4_NL || m.Base == IQ4_XS):
		f = Q5_K
	}
	if layers == 80 && m.Groups > 1 && (f == Q3_K || f == Q4_K) { // what is known as 70B
		f = Q5_K
	}
	return f
}

// Fit is f where rows of cols values are whole blocks of it, else the format of
// 32 values that stands in for it, else F16. Source: tensor_type_fallback in
// the same file of llama.cpp.
func (f Format) Fit(cols int) Format {
	if cols%f.BlockLen() == 0 {
		return f
	}
	stand := F16
	switch f {
	case Q2_K, Q3_K:
		stand = Q4_0
	case Q4_K:
		stand = Q5_0
	case Q5_K:
		stand = Q5_1
	case Q6_K:
		stand = Q8_0
	case IQ4_XS:
		stand = IQ4_NL
	}
	if cols%stand.BlockLen() != 0 {
		return F16
	}
	return stand
}
