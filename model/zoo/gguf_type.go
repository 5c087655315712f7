package zoo

import (
	"weft/compute/quant"
	"weft/model"
	"weft/model/nn"
)

// Formats says in which format SaveGGUF stores each parameter of a model, by its
// GGUF name. What rests in that format already is stored as it is.
func Formats(m model.Model, mix quant.Mixture) map[string]quant.Format {
	mix = mixed(m, mix)
	all := map[string]quant.Format{}
	for _, p := range nn.Params(m) {
		all[p.GGUF] = quant.F32
		if p.Decay { // a matrix
			all[p.GGUF] = mix.For(p.GGUF, m.Info().Layers).Fit(p.Value.Cols)
		}
	}
	return all
}

// mixed tells a mixture of the model that it is for.
func mixed(m model.Model, mix quant.Mixture) quant.Mixture {
	info := m.Info()
	mix.Tied, mix.Groups = true, info.Heads/max(1, info.KVHeads)
	m.Walk(func(l nn.Leaf) {
		if l.GGUF == "output.weight" {
			mix.Tied = l.Tied
		}
	})
	return mix
}
