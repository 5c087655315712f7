package template_test

import (
	"fmt"

	"weft/chat"
	"weft/text/template"
)

func ExampleTemplate_Text() {
	t, _ := template.Named("weft")
	text, _ := t.Text([]chat.Message{{Role: chat.User, Content: "Hi"}}, template.Options{GenerationPrompt: true})
	fmt.Println(text)
	// Output: <|bos|><|user|>Hi<|end|><|assistant|>
}

func ExampleParseCall() {
	call, err := template.ParseCall(`{"name": "price", "arguments": {"item":"bread"}}`)
	fmt.Println(call.Name, call.Arguments, err)
	_, err = template.ParseCall("I would look it up.")
	fmt.Println(err)
	// Output:
	// price {"item": "bread"} <nil>
	// tool call: not JSON
}
