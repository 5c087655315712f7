package engine_test

import (
	"context"
	"fmt"

	"weft/compute/tensor"
	"weft/infer/engine"
	"weft/infer/sample"
	"weft/model/llama"
)

func ExampleEngine_Generate() {
	m := llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, VocabSize: 100, MaxPositionEmbeddings: 64,
	}, tensor.NewRNG(1))
	e := engine.New(m, engine.Options{})
	defer e.Close()
	r := engine.Request{Prompt: []int32{1, 2, 3}, MaxTokens: 4, Params: sample.Params{Temperature: 1, Seed: 9}}
	for tok, err := range e.Generate(context.Background(), r) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if tok.Usage != nil {
			fmt.Println(tok.Finish, tok.Usage.PromptTokens, "+", tok.Usage.CompletionTokens)
		}
	}
	for _, err := range e.Generate(context.Background(), engine.Request{Prompt: make([]int32, 60), MaxTokens: 10}) {
		fmt.Println(err)
	}
	// Output:
	// length 3 + 4
	// the prompt has 60 tokens and asks for 10 more, but the context is 64 tokens: shorten the prompt or lower max_tokens
}
