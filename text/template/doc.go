// Package template turns a conversation into token ids, the same way for
// training, serving and the command line: all three share one Template.
//
//	messages -> parts (marker or text, learned or not) -> ids, mask, text
//
// A marker is a special token that the template itself writes. Only markers
// become special ids; the words of a message never do, even when they spell a
// marker. The mask is true on what an assistant is to learn: its content,
// its tool calls with their markers, and the marker that ends its turn.
//
// Tools stand in front of the conversation, a call behind the words of its
// turn, and its result in a turn of the role tool:
//
//	<|tools|>price(item: string): Looks up a price.<|end|> ...
//	<|assistant|><|call|>{"name": "price", "arguments": {"item": "bread"}}<|end|><|tool|>3 coins<|end|>
//
// Arguments are spelled as Python's json.dumps does, however they came. A Jinja
// interpreter does so when they are objects and not text.
//
// The package knows no model, no sampling and no Jinja interpreter: a template
// is Go code here, and its Jinja text is written beside it for other programs
// (held equal to it by a fixture made with jinja2).
package template
