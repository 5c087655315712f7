// Package template turns a conversation into token ids, and an answer back into
// content, reasoning and tool calls, the same way for training, serving and the
// command line: all three share one Template.
//
//	messages -> segments (author's or words, learned or not) -> ids, mask, text
//	answer, piece by piece -> Parser -> content, reasoning, calls
//
// A special token is what the template itself writes. The words of a message
// never become one, even when they spell it. The mask is true on what an
// assistant is to learn: its content, its tool calls with their markers, and
// the marker that ends its turn.
//
// The built-in templates are Go code, with their Jinja text beside them for
// other programs (a test holds the two equal). In ours, tools stand in front of
// the conversation, a call behind the words of its turn, and its result in a
// turn of the role tool:
//
//	<|tools|>price(item: string): Looks up a price.<|end|> ...
//	<|assistant|><|call|>{"name": "price", "arguments": {"item": "bread"}}<|end|><|tool|>3 coins<|end|>
//
// Arguments are spelled as Python's json.dumps does, however they came.
//
// Any other template is Jinja text that came with a model: Load, FromJinja,
// FromGGUF. What it can do, and how it wants to be told, is found by rendering a
// few conversations (explore.go), never by a list of known texts. Its mask comes
// from {% generation %} blocks, or from rendering the conversation up to each
// answer (mask.go). Examine says what is wrong between it and a tokenizer.
//
// Which markers stand around reasoning and calls is a table, parse_family.go. A
// template belongs to the first family whose markers it writes.
//
// The package knows no model and no sampling.
package template
