package eval_test

import (
	"fmt"

	"weft/chat"
	"weft/eval"
	"weft/text/corpus/world"
)

func ExampleGrade() {
	label := world.Label{Kind: world.KindAnswer, Accept: []string{"13 coins"}}
	for _, reply := range []string{"That costs 13 coins.", "132 coins"} {
		v := eval.Grade(label, chat.Message{Role: chat.Assistant, Content: reply})
		fmt.Printf("%v %q\n", v.Right, v.Why)
	}
	fmt.Printf("%.3f\n", eval.Wilson(81, 263))
	// Output:
	// true ""
	// false "does not say [\"13 coins\"]"
	// {0.255 0.366}
}
