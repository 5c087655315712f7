package llama

import (
	"slices"
	"strings"
	"testing"

	"weft/compute/tensor"
	"weft/model/nn"
)

func TestResized(t *testing.T) {
	for _, tied := range []bool{true, false} {
		m := New(Config{HiddenSize: 8, IntermediateSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, VocabSize: 5, TieWordEmbeddings: tied}, tensor.NewRNG(1))
		big, err := m.Resized(7, func(id int32) []int32 {
			return map[int32][]int32{4: {0}, 5: {1, 2}, 6: {3}}[id]
		})
		if err != nil {
			t.Fatal(err)
		}
		params := map[string][]float32{}
		for _, p := range nn.Params(m) {
			params[p.Name] = p.Value.Data
		}
		for _, p := range nn.Params(big) {
			old := params[p.Name]
			if p.Name != "model.embed_tokens.weight" && p.Name != "lm_head.weight" {
				if !slices.Equal(old, p.Value.Data) {
					t.Errorf("%s changed", p.Name)
				}
				continue
			}
			if p.Value.Rows != 7 || !slices.Equal(old[:4*8], p.Value.Data[:4*8]) || !slices.Equal(old[:8], p.Value.Data[4*8:5*8]) || !slices.Equal(old[3*8:4*8], p.Value.Data[6*8:]) {
				t.Errorf("tied %v: %s: old rows moved", tied, p.Name)
			}
			for i := range 8 {
				if got, want := p.Value.Data[5*8+i], old[8+i]/2+old[16+i]/2; got != want {
					t.Errorf("%s: row 5, value %d: got %v, want the mean %v", p.Name, i, got, want)
				}
			}
		}
		if big.Info().Vocab != 7 || m.Info().Vocab != 5 || big.Head.Out() != 7 {
			t.Errorf("tied %v: got %d tokens of %d", tied, big.Info().Vocab, m.Info().Vocab)
		}
		for want, fn := range map[string]func(id int32) []int32{
			"nothing to begin row 5": func(int32) []int32 { return nil },
			"begins with row 6":      func(int32) []int32 { return []int32{6} },
		} {
			if _, err := m.Resized(7, fn); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		}
		if _, err := m.Resized(4, nil); err == nil || !strings.Contains(err.Error(), "want 5 or more") {
			t.Errorf("shrinking: got %v", err)
		}
	}
}
