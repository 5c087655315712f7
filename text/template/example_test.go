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
