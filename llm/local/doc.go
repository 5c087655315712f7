// Package local is the text side of an engine in this process: it turns
// messages or text into token ids, and token ids back into text, and so makes
// a chat.Model.
//
//	messages -> template \                                        / logprobs
//	text     -> tokenizer  > ids -> engine -> ids -> bytes -> whole characters -> chat.Delta
//	ids      -------------/                       \  \ stop strings end it here
//	                                  reasoning and tool calls, told apart by the template's parser
//
// It also keeps the trace of an answer for whoever asks (chat.Request.Trace), and
// computes an answer again from its trace (Replay).
//
// Adapters keeps a model's LoRA adapters by the names that requests ask for, and
// gives them to the engine whenever the model is in memory.
//
// It knows no weights, cache or scheduling, and no wire format.
package local
