// Package jinja runs the Jinja templates that model authors publish to turn
// conversations into text. It gives the bytes that Python's jinja2 3.1 gives in
// the environment that transformers sets up: an immutable sandbox, trim_blocks
// and lstrip_blocks on, loop controls, {% generation %}, tojson as json.dumps,
// raise_exception and strftime_now.
//
//	source -> lexer -> parser -> tree -> scopes (names to slots) -> machine -> segments
//
// A string knows for every run of its bytes whether it came out of the
// variables or was written by the template's author, through concatenation,
// slicing, split, replace, join and formatting. So a caller can let markers
// that the author wrote become special tokens, and those in a user's message
// not. Where runs make no sense (upper, tojson) all of the result counts as
// data if any of its input did. Numbers, True and None are not tracked: they
// spell no markers.
//
// The sandbox has no loader, no I/O and no reflection over Go values; steps,
// depth and the length of every string are bounded. Parsing is bounded by the
// length of the source and its nesting.
//
// Known differences to Python: strings are UTF-8, so that \ud800 is an error;
// character tables are those of Go's Unicode version; include, import, extends
// and block are errors, as are the filters urlize and random and the function
// lipsum; str.encode and set operations of dict views are not there; what
// Jinja's folding of constants makes of nonsense such as none[1:] (undefined) or
// -1 ** x (a bare minus) is computed as it is written; error messages are our
// own.
//
// The package knows no chat, no model and no tokenizer.
package jinja
