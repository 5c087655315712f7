package registry_test

import (
	"context"
	"fmt"
	"iter"

	"weft/chat"
	"weft/llm/registry"
)

// parrot repeats its prompt.
type parrot struct{ name string }

func (p parrot) Generate(_ context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		yield(chat.Delta{Text: p.name + " says " + r.Prompt, Finish: chat.FinishStop}, nil)
	}
}

// Two models, and room for one.
func Example() {
	bird := func(name string) registry.Entry {
		return registry.Entry{Name: name, Bytes: 6, Load: func() (registry.Loaded, error) {
			return registry.Loaded{Model: parrot{name}, Close: func() { fmt.Println(name, "flies away") }}, nil
		}}
	}
	r, err := registry.New([]registry.Entry{bird("jack"), bird("polly")}, registry.Options{Memory: 10})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	for _, m := range r.Models() {
		for d := range m.Generate(context.Background(), chat.Request{Prompt: "hello"}) {
			fmt.Println(d.Text)
		}
	}
	// Output:
	// jack says hello
	// jack flies away
	// polly says hello
	// polly flies away
}
