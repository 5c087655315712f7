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
	// user: Silanbar Jorenten trusts his best friend Jasper Nalaton with everything and is employed at the Busy Lobster.
	// The question: Could you say who the best friend of Silanbar Jorenten is?
	// assistant: Silanbar Jorenten's best friend is Jasper Nalaton.
	// answer [Jasper Nalaton]
}
