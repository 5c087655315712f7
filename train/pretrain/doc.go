// Package pretrain makes a model from text: tokenizer, shards, random weights,
// training, and a folder that can be served.
//
//	text -> tokenizer -> shards (train, held out) -> train.Loop -> run folder
//
// One dial, Depth, sets width, heads, learning rate, batch and length by rule
// (depth.go); every option overrides its part of it. The package knows nothing
// of chats, engines or terminals: progress goes to an observer.
package pretrain
