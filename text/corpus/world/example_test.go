package world_test

import (
	"fmt"

	"weft/text/corpus/world"
)

// Every item carries its reference answer and the rule that judges a reply.
func Example() {
	w := world.New(1)
	for item := range w.Items(world.Grounded, world.Held, 1) {
		for _, m := range item.Messages {
			fmt.Printf("%s: %s\n", m.Role, m.Content)
		}
		fmt.Println(item.Label.Kind, item.Label.Accept)
	}
	// Output:
	// user: Here is something to read: These are some things that I know. The Busy Pineapple is located in Norinlin Row. The shop is a clock shop with a good name.
	// Now the question: Can you name the line of business of the Busy Pineapple?
	// assistant: The Busy Pineapple is a clock shop.
	// answer [clock shop]
}
