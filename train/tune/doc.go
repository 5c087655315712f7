// Package tune teaches a trained model to answer: supervised fine-tuning on
// conversations, with the loss on the assistant's words and tool calls alone.
//
//	chats -> template.Render (ids, mask) -> corpus.Examples (packed) -> train.Loop
//
// The result is a run folder of its own, with the hash of the model it came
// from, of its tokenizer and of its template. The package knows nothing of
// engines, servers or terminals.
package tune
