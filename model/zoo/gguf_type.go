package zoo

import (
	"fmt"
	"strconv"
	"strings"

	"weft/compute/quant"
	"weft/model"
	"weft/model/nn"
)

// Mix says which block format each matrix of a GGUF gets: nearly all of them
// plain, those that matter most (the head, or the embedding that serves as one;
// in some, values and down projections of chosen layers) more.
type Mix struct {
	Name     string // as on the command line: "q4_k_m"
	plain    quant.Format
	more     quant.Format // of chosen layers; plain where there are none
	head     quant.Format
	fileType uint32 // general.file_type (enum llama_ftype)
}

// Mixes lists them, the most exact first. They are those of llama.cpp
// (llama_tensor_get_type in src/llama-quant.cpp), for models without experts.
func Mixes() []Mix {
	same := func(name string, f quant.Format, id uint32) Mix { return Mix{name, f, f, f, id} }
	head6 := func(name string, f, more quant.Format, id uint32) Mix { return Mix{name, f, more, quant.Q6_K, id} }
	return []Mix{
		same("f32", quant.F32, 0), same("bf16", quant.BF16, 32), same("f16", quant.F16, 1),
		same("q8_0", quant.Q8_0, 7), same("q6_k", quant.Q6_K, 18),
		head6("q5_k_m", quant.Q5_K, quant.Q6_K, 17), head6("q5_1", quant.Q5_1, quant.Q5_1, 9), head6("q5_0", quant.Q5_0, quant.Q5_0, 8),
		head6("q4_k_m", quant.Q4_K, quant.Q6_K, 15), head6("q4_1", quant.Q4_1, quant.Q4_1, 3), head6("q4_0", quant.Q4_0, quant.Q4_0, 2),
		head6("iq4_nl", quant.IQ4_NL, quant.IQ4_NL, 25), head6("iq4_xs", quant.IQ4_XS, quant.IQ4_XS, 30),
	}
}

// MixNames lists the names that ParseMix takes.
func MixNames() []string {
	var names []string
	for _, m := range Mixes() {
		names = append(names, m.Name)
	}
	return names
}

// ParseMix finds a mix by its name, in upper or lower case.
func ParseMix(name string) (Mix, error) {
	for _, m := range Mixes() {
		if strings.EqualFold(m.Name, name) {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("%w: type %q of a GGUF; known are %s", quant.ErrFormat, name, strings.Join(MixNames(), " "))
}

// format chooses for a matrix [rows, cols] by its GGUF name. Rows that are no
// whole number of blocks get the next format whose blocks fit (tensor_type_fallback
// there): ok is false then.
func (m Mix) format(name string, layers, cols int, tied bool) (f quant.Format, ok bool) {
	f = m.plain
	block, leaf, inBlock := strings.Cut(strings.TrimPrefix(name, "blk."), ".")
	layer, err := strconv.Atoi(block)
	switch {
	case name == "output.weight" || name == "token_embd.weight" && tied:
		f = m.head
	case inBlock && err == nil && (leaf == "attn_v.weight" || leaf == "ffn_down.weight") && moreBits(layer, layers):
		f = m.more
	}
	for ok = true; cols%f.BlockLen() != 0; ok = false {
		f = fallback(f)
	}
	return f, ok
}

// Formats says in which format SaveGGUF stores each parameter of a model, by its
// GGUF name. What rests in that format already is stored as it is.
func (m Mix) Formats(of model.Model) map[string]quant.Format {
	tied, layers := tiedHead(of), of.Info().Layers
	all := map[string]quant.Format{}
	for _, p := range nn.Params(of) {
		all[p.GGUF] = quant.F32
		if p.Decay { // a matrix
			all[p.GGUF], _ = m.format(p.GGUF, layers, p.Value.Cols, tied)
		}
	}
	return all
}

// tiedHead says whether the embedding is the output matrix too.
func tiedHead(m model.Model) bool {
	tied := true
	m.Walk(func(l nn.Leaf) {
		if l.GGUF == "output.weight" {
			tied = l.Tied
		}
	})
	return tied
}

// moreBits chooses the first and last eighth of the layers, and every third
// between them.
func moreBits(layer, layers int) bool {
	eighth := layers / 8
	return layer < eighth || layer >= 7*layers/8 || (layer-eighth)%3 == 2
}

// fallback is the format for rows that do not divide into a format's blocks.
func fallback(f quant.Format) quant.Format {
	switch f {
	case quant.Q4_K:
		return quant.Q5_0
	case quant.Q5_K:
		return quant.Q5_1
	case quant.Q6_K:
		return quant.Q8_0
	case quant.IQ4_XS, quant.Q2_K, quant.Q3_K:
		return quant.IQ4_NL
	}
	return quant.F16
}
