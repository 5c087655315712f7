package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weft/compute/quant"
	"weft/internal/atomicfile"
)

// exportRandom writes random weights of a shape as a GGUF, so that other programs
// can be measured on the same bytes. It means nothing, but loads everywhere: the
// vocabulary is as large as the shape says.
func (e *env) exportRandom(shape, path string, mix quant.Mixture, split partSize) (exported, error) {
	m, err := randomModel(shape, mix)
	if err != nil {
		return exported{}, &usageError{err}
	}
	text, err := randomTokenizer(m.Info().Vocab)
	if err != nil {
		return exported{}, err
	}
	dir, err := os.MkdirTemp("", "weft-random-")
	if err != nil {
		return exported{}, err
	}
	defer os.RemoveAll(dir)
	if err := atomicfile.WriteBytes(filepath.Join(dir, "tokenizer.json"), text); err != nil {
		return exported{}, err
	}
	x, err := e.exportGGUF(&loaded{name: "random " + strings.ToLower(shape), files: os.DirFS(dir)}, m, path, mix, split)
	x.Notes = append(x.Notes, "random weights and a made-up vocabulary: good for measuring speed, and nothing else")
	return x, err
}

// endToken is the last of a random vocabulary.
const endToken = "<|endoftext|>"

// randomTokenizer is a tokenizer.json of n tokens, made without any text:
// byte-level BPE whose merges spell all words of two letters, then of three, and
// so on, each from the word without its last letter.
//
//	256 bytes, printable ones first | aa ab ... zz | aaa ... zzz | aaaa ... | <|endoftext|>
func randomTokenizer(n int) ([]byte, error) {
	if n <= 256 {
		return nil, fmt.Errorf("a vocabulary of %d tokens has no room for 256 bytes and the end of a text", n)
	}
	tokens := byteTokens()
	merges := [][2]string{}
	shorter := make([]string, 0, 26)
	for c := 'a'; c <= 'z'; c++ {
		shorter = append(shorter, string(c))
	}
	for len(tokens) < n-1 {
		var longer []string
		for _, word := range shorter {
			for c := 'a'; c <= 'z' && len(tokens) < n-1; c++ {
				merges = append(merges, [2]string{word, string(c)})
				tokens, longer = append(tokens, word+string(c)), append(longer, word+string(c))
			}
		}
		shorter = longer
	}
	vocab := map[string]int{endToken: n - 1}
	for id, name := range tokens {
		vocab[name] = id
	}
	type object = map[string]any
	bytes := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return json.Marshal(object{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "post_processor": nil,
		"added_tokens": []object{{"id": n - 1, "content": endToken, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false}},
		"pre_tokenizer": bytes, "decoder": bytes,
		"model": object{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges},
	})
}

// byteTokens are the bytes as byte-level BPE spells them: printable ones of
// Latin-1 as themselves, the others from U+0100 on (encoder.py of GPT-2).
func byteTokens() (names []string) {
	var hidden []string
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			names = append(names, string(rune(b)))
		} else {
			hidden = append(hidden, string(rune(256+len(hidden))))
		}
	}
	return append(names, hidden...)
}
