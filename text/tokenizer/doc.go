// Package tokenizer turns text into token ids and back.
//
//	text -> added tokens -> normaliser -> pre-tokenizer -> merges -> ids
//	        (trusted        (none, NFC,   (gpt2, cl100k,   (by rank)
//	         text only)      Llama-2)      qwen2, o200k)
//
// Two kinds of byte-pair encoding share one merge table. Byte-level BPE starts
// from the 256 bytes, so that any text has ids and every decode is exact.
// SentencePiece-style BPE, as Llama 2 and llama2.c use it, starts from
// characters with a space put in front, and falls back to one id per byte.
//
// A [Tokenizer] is trained ([Train]) or read. [Open] takes any file and finds out
// what it is: a Hugging Face tokenizer.json ([Load]), a SentencePiece model
// ([FromSentencePiece]), tiktoken ranks ([FromTiktoken]), Mistral's tekken.json
// ([FromTekken]), vocab.json with merges.txt ([FromVocab]), BERT's vocab.txt
// ([FromWordPiece]), or a tokenizer.bin of llama2.c ([FromLlama2C]). The
// vocabulary of a GGUF file comes by [FromGGUF]. All of them save to
// tokenizer.json. What a file says that this package does not do is an error
// that names it. Truncation and padding in a file are batch settings of other
// programs and not applied.
//
// Text of users and text of programs have two doors. Encode is for users: a
// special token spelled out in it becomes plain ids. EncodeSpecial is for
// trusted text, where special tokens stand for themselves. Neither adds any.
//
// The package knows nothing of models, chat templates or files of text.
package tokenizer
