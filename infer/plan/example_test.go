package plan_test

import (
	"fmt"

	"weft/compute/kernel"
	"weft/infer/plan"
)

func ExampleShape_KVBytes() {
	s, err := plan.ParseConfig([]byte(`{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,
		"num_hidden_layers":80,"num_attention_heads":64,"num_key_value_heads":8,"vocab_size":128256}`))
	if err != nil {
		panic(err)
	}
	token := s.KVBytes(1, kernel.KVF16)
	request := s.KVBytes(32768, kernel.KVF16)
	fmt.Printf("%d KiB per token, %.1f GB for 32768\n", token>>10, float64(request)/1e9)
	fmt.Printf("4 drafted tokens, 70 %% right: %.2f tokens per pass\n", plan.Tokens(0.7, 4))
	// Output:
	// 320 KiB per token, 10.7 GB for 32768
	// 4 drafted tokens, 70 % right: 2.77 tokens per pass
}
