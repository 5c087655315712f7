package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"weft/model/weights/llama2c"
	"weft/model/zoo"
	"weft/text/tokenizer"
)

func (e *env) importCmd() *cobra.Command {
	var tokPath string
	c := &cobra.Command{
		Use:   "import CHECKPOINT OUT",
		Short: "Turn a llama2.c checkpoint into a model folder",
		Long: `Import reads a llama2.c checkpoint (format version 0 or 1) and its tokenizer.bin
and writes a folder in the Hugging Face layout, which every other command takes.
Folders that already have that layout need no import.`,
		Example: "  weft import stories260K.bin out/stories --tokenizer tok512.bin",
		Args:    exactArgs("CHECKPOINT", "OUT"),
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := llama2c.Load(args[0])
			if err != nil {
				return err
			}
			f, err := os.Open(tokPath)
			if err != nil {
				return fmt.Errorf("tokenizer: %w", err)
			}
			defer f.Close()
			tok, err := tokenizer.FromLlama2C(f, m.Info().Vocab)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[1], 0o755); err != nil {
				return err
			}
			if err := tok.Save(filepath.Join(args[1], "tokenizer.json")); err != nil {
				return err
			}
			if err := zoo.Save(args[1], m, nil); err != nil {
				return err
			}
			i := m.Info()
			fmt.Fprintf(e.out, "%s: %s, %d parameters, %d layers, %d tokens\n", args[1], i.Family, i.Params, i.Layers, i.Vocab)
			return nil
		},
	}
	c.Flags().StringVar(&tokPath, "tokenizer", "tokenizer.bin", "the checkpoint's llama2.c tokenizer `file`")
	return c
}
