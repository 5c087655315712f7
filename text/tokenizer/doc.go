// Package tokenizer turns text into token ids and back.
//
//	text -> added tokens -> normalizers -> pre-tokenizers -> model -> post-processor
//	        (special ones   (NFC, case,    (bytes, words,    (BPE, Unigram,   (BOS, [CLS])
//	         in trusted      accents,       patterns,         WordPiece,
//	         text only)      spaces)        Metaspace)        WordLevel)
//
// A tokenizer is data: a vocabulary, one of four models, and steps around it in
// the words of Hugging Face's tokenizer.json, whatever file it came from. Every
// component of that format runs here, and gives the ids of the tokenizers library
// (0.23), whose view of Unicode comes along (properties.txt). Ids differ in one
// thing on purpose: no text of users leads to a special token, even where a
// vocabulary spells one as an ordinary piece.
//
// Byte-level BPE starts from the 256 bytes, so that any text has ids and every
// decode is exact. Decode gives bytes as they are where the library shows U+FFFD.
//
// A [Tokenizer] is trained ([Train]) or read. [Open] takes any file and finds out
// what it is: a Hugging Face tokenizer.json, a SentencePiece model, tiktoken ranks,
// Mistral's tekken.json, vocab.json with merges.txt, BERT's vocab.txt, or a
// tokenizer.bin of llama2.c, which [FromLlama2C] reads when the model says how many
// tokens it has. The vocabulary of a GGUF file comes by [FromGGUF]. All of them save
// to tokenizer.json. What a file says that this package does not know is an error
// that names the place in the file. Truncation and padding are batch settings of
// other programs and not applied: see [Tokenizer.Unapplied].
//
// Text of users and text of programs have two doors. Encode is for users: a
// special token spelled out in it becomes plain ids. EncodeSpecial is for
// trusted text, where special tokens stand for themselves. Neither adds any;
// Options.Marked does, as the post-processor says.
//
// The package knows nothing of models, chat templates or files of text.
package tokenizer
