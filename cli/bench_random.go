package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/zoo"
)

// shapes are those that --random builds: of published models, so that speeds
// can be compared, and one of ten million weights.
func shapes() map[string]llama.Config {
	return map[string]llama.Config{
		"11m": benchConfig(),
		"15m": {HiddenSize: 288, IntermediateSize: 768, NumHiddenLayers: 6, NumAttentionHeads: 6,
			VocabSize: 32000, MaxPositionEmbeddings: 2048, TieWordEmbeddings: true}, // stories15M
		"0.5b": {ModelType: "qwen2", HiddenSize: 896, IntermediateSize: 4864, NumHiddenLayers: 24, NumAttentionHeads: 14, NumKeyValueHeads: 2,
			VocabSize: 151936, MaxPositionEmbeddings: 32768, TieWordEmbeddings: true}, // Qwen2.5-0.5B
		"1.1b": {HiddenSize: 2048, IntermediateSize: 5632, NumHiddenLayers: 22, NumAttentionHeads: 32, NumKeyValueHeads: 4,
			VocabSize: 32000, MaxPositionEmbeddings: 2048}, // TinyLlama
	}
}

// shapeNames lists them, as they are written.
func shapeNames() []string { return slices.Sorted(maps.Keys(shapes())) }

// patternRows is how many rows of a random matrix differ: speed does not depend
// on what they hold, and drawing a billion values takes longer than measuring.
const patternRows = 61

// randomModel builds a model of a shape with random weights, its matrices
// stored as a mixture of block formats says.
func randomModel(name string, mix quant.Mixture) (model.Model, error) {
	cfg, ok := shapes()[strings.ToLower(name)]
	if !ok {
		return nil, fmt.Errorf("--random %s: want a shape of %s", name, strings.Join(shapeNames(), ", "))
	}
	m := llama.New(cfg, nil) // zeros, which take no memory until they are written
	formats := zoo.Formats(m, mix)
	rng := tensor.NewRNG(1)
	for _, p := range nn.Params(m) {
		if !p.Decay { // a vector: gains stay one, biases zero
			continue
		}
		rows, cols := p.Value.Rows, p.Value.Cols
		pattern := make([]float32, patternRows*cols)
		rng.FillNormal(pattern, 0.02)
		f := formats[p.GGUF]
		if f == quant.F32 {
			for i := range rows {
				copy(p.Value.Row(i), pattern[i%patternRows*cols:][:cols])
			}
			continue
		}
		w, err := randomAtRest(f, pattern, rows, cols)
		if err != nil {
			return nil, fmt.Errorf("random weights for %s: %w", p.Name, err)
		}
		p.RestAs(w)
	}
	return m, nil
}

// randomAtRest repeats the rows of a pattern, stored in a block format.
func randomAtRest(f quant.Format, pattern []float32, rows, cols int) (op.AtRest, error) {
	stride, err := f.RowBytes(cols)
	if err != nil {
		return nil, err
	}
	blocks := make([]byte, patternRows*stride)
	if err := f.Encode(blocks, pattern, nil); err != nil {
		return nil, err
	}
	if op.HasIntegers(f) {
		return op.NewIntegers(f, rows, cols, func(i int) []byte { return blocks[i%patternRows*stride:][:stride] })
	}
	if op.HasHalves(f) {
		return op.NewHalves(f, rows, cols, func(i int) []byte { return blocks[i%patternRows*stride:][:stride] }), nil
	}
	data := make([]byte, rows*stride)
	for at := 0; at < len(data); at += len(blocks) {
		copy(data[at:], blocks)
	}
	return op.NewRows(f, data, rows, cols, nil, nil)
}

// restsAs is the format that most values of a model's matrices rest in, and
// whether they are multiplied as integers.
func restsAs(m model.Model) (f quant.Format, integers bool) {
	values := map[quant.Format]int{}
	for _, p := range nn.Params(m) {
		at := quant.F32
		if s, ok := p.AtRest.(op.Stored); ok {
			at = s.Format()
		}
		if values[at] += p.Len(); values[at] > values[f] {
			f = at
		}
	}
	return f, op.HasIntegers(f)
}
