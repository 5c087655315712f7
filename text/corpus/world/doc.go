// Package world is a small invented town of which everything is known: who
// lives where, what a shop asks for a lamp, when the boat leaves. From a seed it
// yields a corpus to pretrain on, and questions, conversations, tool calls and
// preference pairs with exact labels to tune and to measure on.
//
//	New(seed) -> World -> Corpus | Items | Chats | Pairs | Passages
//
// Facts are data (town.go, fact.go). Phrasings are data too: the files in
// grammar, one section per kind of fact. A teller joins facts to sentences and
// sentences to documents, and a question is put together from a core and from
// what may stand around it, so that the same fact hardly ever comes twice in
// the same words.
//
// Two halves never meet. Train is Ottermill, with the strangers of its passages;
// Held is Larkhaven, with other names, other phrasings and other operands. No
// word of Held is in the corpus or the chats; tests prove it by scanning both.
//
// The package knows no model and no tokenizer. All of it is synthetic: a good
// score says that a model has learned this town and nothing about the real
// world. docs/WORLD.md is the data card.
package world
