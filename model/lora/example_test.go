package lora_test

import (
	"fmt"
	"os"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/model/llama"
	"weft/model/lora"
	"weft/model/nn"
)

// An adapter is made, saved as PEFT saves one, and used by one of two texts in
// a batch.
func Example() {
	m := llama.New(llama.Config{HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, VocabSize: 50}, tensor.NewRNG(1))
	a, err := lora.New(m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{"q_proj", "v_proj"}}, tensor.NewRNG(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range a.Params() { // as if it had been trained
		tensor.NewRNG(3).FillNormal(p.Value.Data, 1)
	}
	dir, _ := os.MkdirTemp("", "adapter")
	defer os.RemoveAll(dir)
	if err := a.Save(dir); err != nil {
		fmt.Println(err)
		return
	}
	b, err := lora.Open(mapfile.Dir(dir), lora.Base{Model: m})
	if err != nil {
		fmt.Println(err)
		return
	}
	nn.Adapt(m)
	p := &op.Pass{Spans: []op.Span{{Len: 2}, {Row: 2, Len: 2, Adapter: b}}}
	logits := m.Logits(p, m.Hidden(p, []int32{7, 9, 7, 9}))
	fmt.Println(len(b.Params()), "matrices, the same text says the same:", logits.Row(1)[0] == logits.Row(3)[0])
	// Output: 8 matrices, the same text says the same: false
}
