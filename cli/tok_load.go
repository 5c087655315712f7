package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"weft/model/tiny"
	"weft/model/weights/gguf"
	"weft/text/tokenizer"
)

// loadTokenizer reads a tokenizer from any kind of file, by what the file holds,
// or that of a model, or makes the one that needs none.
func loadTokenizer(arg string) (*tokenizer.Tokenizer, error) {
	if slices.Contains(tiny.Names(), arg) {
		l, err := findModel(arg)
		if err != nil {
			return nil, err
		}
		return tokenizer.LoadFS(l.files)
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
		if found, _ := filepath.Glob(filepath.Join(arg, "*.gguf")); len(found) == 1 {
			return ggufTokenizer(found[0])
		}
	}
	if err == nil {
		for _, what := range t.Unapplied() {
			slog.Warn("not done, though the tokenizer's file asks for it", "what", what)
		}
	}
	return t, err
}

// ggufTokenizer reads the vocabulary inside a GGUF file.
func ggufTokenizer(path string) (*tokenizer.Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.FromGGUF(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, errors.Join(err, f.Close())
}

func tokenizerFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "tokenizer", "tokenizer.json", "`file` of a tokenizer (tokenizer.json, SentencePiece .model, GGUF, tiktoken ranks, tekken.json, vocab.json or vocab.txt), or a folder or model that holds one; byt5 is the one of plain bytes")
	_ = c.RegisterFlagCompletionFunc("tokenizer", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"json", "model", "gguf", "tiktoken", "txt"}, cobra.ShellCompDirectiveFilterFileExt
	})
}
