package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
)

// spec is what defines a tokenizer; all else follows from it. Whoever reads a
// file format or trains a vocabulary fills one in and calls build. The steps
// around the model stay in the words of tokenizer.json, whatever format they
// came from: there is one parser for them, and Save writes them as they are.
type spec struct {
	tokens []token // by id
	added  []added // tokens that are cut out of text before any step, by id
	modelSpec

	// The sections of tokenizer.json of these names, nil where it has null.
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage

	// exact is how SentencePiece prepares text, for a vocabulary of its own whose
	// normalizer and pre_tokenizer can only come close: it goes before them, and
	// they are what Save writes. nil: the sections say it all.
	exact *spmText

	// Settings of other programs' batches: written again by Save, not applied.
	truncation, padding json.RawMessage
}

// token is one entry of a vocabulary. text is how the model spells it: bytes in
// byte-level BPE (the pre-tokenizer ends in ByteLevel), otherwise the name that
// the file gives it, such as "▁the" or "##ing".
type token struct {
	text string
	kind kind
}

// kind says how text comes to a token, if at all.
type kind uint8

const (
	absent   kind = iota // no token has this id
	plain                // the model makes text of it
	literal              // in the file's vocabulary, but no text leads to it
	fallback             // <0xNN>; text is the one byte
	special              // an added token that the model never yields
)

// modelKind is the "type" of a model in tokenizer.json.
type modelKind string

const (
	bpeModel       modelKind = "BPE"
	unigramModel   modelKind = "Unigram"
	wordPieceModel modelKind = "WordPiece"
	wordLevelModel modelKind = "WordLevel"
)

// modelSpec is a model but for its tokens. The zero value is a BPE model without
// merges. Fields of other models than kind are ignored.
type modelSpec struct {
	kind    modelKind // "" means BPE
	unk     string    // name of the token for what the vocabulary lacks; "" none
	merges  []merge   // BPE: by rank
	whole   bool      // BPE: a piece that is a token as it stands is not merged (ignore_merges)
	byteful bool      // BPE, Unigram: bytes of unknown characters become fallback tokens (byte_fallback)
	fuse    bool      // BPE: neighbouring unknowns become one (fuse_unk)
	prefix  string    // BPE, WordPiece: stands in front of tokens inside a word (continuing_subword_prefix)
	suffix  string    // BPE: stands behind the last token of a word (end_of_word_suffix)
	dropout float64   // BPE: what the file asks for; applied by Options only
	scores  []float64 // Unigram: log probability by id
	longest int       // WordPiece: words of more characters are unknown (max_input_chars_per_word)
}

// model turns one piece of pre-tokenized text into ids, which it appends to dst.
// It is immutable and safe for concurrent use. With drop it samples among the
// segmentations; nil asks for the best one.
type model interface {
	encode(dst []int32, piece string, drop *dropout) []int32
}

// dropout says how a model samples. It belongs to one call and one goroutine.
type dropout struct {
	rate  float64 // BPE: probability that a merge is passed over (Provilkov et al. 2020)
	nbest int     // Unigram: sample among this many best segmentations; 0: among all
	alpha float64 // Unigram: exponent of their probabilities (Kudo 2018)
	rng   *rand.Rand
}

// scored is one entry of a Unigram vocabulary, by id.
type scored struct {
	text  string
	score float64
	kind  kind // only plain tokens are made of text; fallback tokens hold one byte
}
