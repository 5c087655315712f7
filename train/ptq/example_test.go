package ptq_test

import (
	"context"
	"fmt"

	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
	"weft/text/corpus"
	"weft/train/ptq"
)

func Example() {
	build := func() *llama.Llama { // in place of zoo.Load
		return llama.New(llama.Config{HiddenSize: 64, IntermediateSize: 128, NumHiddenLayers: 2, NumAttentionHeads: 2, VocabSize: 50}, tensor.NewRNG(1))
	}
	text := func(yield func(corpus.Batch, error) bool) { // in place of corpus.Dataset.Eval
		b := corpus.Batch{Docs: []corpus.Range{{Len: 40}}, Counted: 40}
		for i := range int32(40) {
			b.IDs, b.Targets = append(b.IDs, i), append(b.Targets, i+1)
		}
		yield(b, nil)
	}

	method, err := ptq.ParseMethod("gptq")
	if err != nil {
		panic(err)
	}
	m := build()
	done, err := ptq.Quantize(m, ptq.Options{
		Method: method,
		Format: func(nn.Named) quant.Format { return quant.Q4_0 },
		Text:   text,
	})
	if err != nil {
		panic(err)
	}
	cost, err := ptq.Compare(context.Background(), build(), m, text, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(done.Formats["Q4_0"], "matrices in", done.Bytes, "bytes")
	fmt.Println("compared on", cost.Tokens, "tokens; perplexity within 1 %:", cost.Ratio.Value > 0.99 && cost.Ratio.Value < 1.01)
	// Output:
	// 16 matrices in 49680 bytes
	// compared on 40 tokens; perplexity within 1 %: true
}
