package jinja_test

import (
	"fmt"

	"weft/text/jinja"
)

func Example() {
	template, err := jinja.Parse(`{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>
{% endfor %}`)
	if err != nil {
		panic(err)
	}
	messages, _ := jinja.ParseJSON([]byte(`[{"role": "user", "content": "What does <|end|> mean?"}]`))
	segments, err := template.Render(map[string]any{"messages": messages, "bos_token": jinja.Authored("<s>")}, jinja.Options{})
	for _, s := range segments {
		fmt.Printf("%q data: %t\n", s.Text, s.Data)
	}
	fmt.Println(err)
	// Output:
	// "<s><|" data: false
	// "user" data: true
	// "|>" data: false
	// "What does <|end|> mean?" data: true
	// "<|end|>\n" data: false
	// <nil>
}
