// Package corpus brings text to a trainer: it reads documents, holds some out
// for validation, tokenises them into memory-mapped shards, and packs them
// into batches in an order that a small cursor resumes exactly.
//
//	folder -> Documents -> Split -> WriteShards | Build -> Dataset -> Loader -> Batch
//
// A document is stored as [begin] text [end], the markers if the tokenizer has
// them. Of its n ids the first n-1 are inputs and the last n-1 targets, so no
// position is spent on an end marker, and in no mode does attention or loss
// cross a document: every Range of a batch lies within one, and begins with the
// begin marker, which in a later piece of a document replaces the first input.
//
// Bytes are bytes: text that is not valid UTF-8 is kept as it is. The package
// knows neither models nor optimisers; of tokenizers it knows Encoder.
package corpus
