// Package template turns a conversation into token ids, the same way for
// training, serving and the command line: all three share one Template.
//
//	messages -> parts (marker or text, learned or not) -> ids, mask, text
//
// A marker is a special token that the template itself writes. Only markers
// become special ids; the words of a message never do, even when they spell a
// marker. The mask is true on what an assistant is to learn: its content and
// the marker that ends its turn.
//
// The package knows no model, no sampling and no Jinja interpreter: a template
// is Go code here, and its Jinja text is written beside it for other programs
// (held equal to it by a fixture made with jinja2).
package template
