package cli

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"weft/model/tiny"
	"weft/model/weights/gguf"
	"weft/model/zoo"
	"weft/text/tokenizer"
)

// loadTokenizer reads a tokenizer from any kind of file, by what the file holds,
// or that of a model, or makes the one that needs none.
func loadTokenizer(arg string) (*tokenizer.Tokenizer, error) {
	// A name inside the program wins over a file of that name, which is ./tiny.
	if slices.Contains(tiny.Names(), arg) {
		l, err := findModel(arg)
		if err != nil {
			return nil, err
		}
		return l.tokenizer()
	}
	if arg == byT5 {
		return tokenizer.ByT5()
	}
	if gguf.Is(arg) {
		return ggufTokenizer(arg)
	}
	t, err := tokenizer.Open(arg)
	if errors.Is(err, fs.ErrNotExist) {
		// A folder without any tokenizer file may hold one GGUF that has it inside.
		if g, err := ggufTokenizer(arg); g != nil || err != nil {
			return g, err
		}
	}
	if err == nil {
		for _, what := range t.Unapplied() {
			slog.Warn("not done, though the tokenizer's file asks for it", "what", what)
		}
	}
	return t, err
}

// ggufTokenizer reads the vocabulary inside a GGUF file, or inside the one that a
// folder holds; nil where there is none.
func ggufTokenizer(path string) (*tokenizer.Tokenizer, error) {
	files, err := zoo.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if g, ok := files.(*zoo.GGUF); ok {
		return g.Tokenizer()
	}
	return nil, err
}

// tokenizerFlag is the flag of every command that works with one tokenizer.
func tokenizerFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "tokenizer", "tokenizer.json", "`file` of a tokenizer (tokenizer.json, SentencePiece .model, GGUF, tiktoken ranks, tekken.json, vocab.json or vocab.txt), or a folder or model that holds one; byt5 is the one of plain bytes")
	_ = c.RegisterFlagCompletionFunc("tokenizer", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"json", "model", "gguf", "tiktoken", "txt"}, cobra.ShellCompDirectiveFilterFileExt
	})
}
