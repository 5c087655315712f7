package hub_test

import (
	"errors"
	"fmt"

	"weft/model/hub"
)

func Example() {
	name, err := hub.Parse("hf:TinyLlama/TinyLlama-1.1B-Chat-v1.0@main")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = hub.Find(name, hub.Caches{HuggingFace: "no/such/cache"})
	fmt.Println(errors.Is(err, hub.ErrAbsent))
	fmt.Println(err)
	// Output:
	// true
	// hf:TinyLlama/TinyLlama-1.1B-Chat-v1.0: not on this machine: fetch it with `weft pull hf:TinyLlama/TinyLlama-1.1B-Chat-v1.0`
}
