package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"weft/compute/quant"
	"weft/internal/atomicfile"
	"weft/model"
	"weft/model/weights/gguf"
	"weft/model/weights/llama2c"
	"weft/model/zoo"
	"weft/text/tokenizer"
)

func (e *env) importCmd() *cobra.Command {
	var tokPath string
	c := &cobra.Command{
		Use:   "import CHECKPOINT OUT",
		Short: "Turn a GGUF file or a llama2.c checkpoint into a model folder",
		Long: `Import reads a GGUF file of llama.cpp, with its tokenizer and its chat template, or a
llama2.c checkpoint (format version 0 or 1) and its tokenizer.bin, and writes a
folder in the Hugging Face layout: to be tuned, or for other programs. Weights are
written as float32; what the file had rounded stays rounded.

To serve or to chat a GGUF needs no import: every command takes it as a MODEL.`,
		Example: "  weft import model.gguf out/model\n  weft import stories260K.bin out/stories --tokenizer tok512.bin",
		Args:    exactArgs("CHECKPOINT", "OUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var m model.Model
			var err error
			if gguf.Is(args[0]) {
				if cmd.Flags().Changed("tokenizer") {
					return &usageError{errors.New("import: --tokenizer is for llama2.c checkpoints: a GGUF has its own inside")}
				}
				m, err = importGGUF(args[0], args[1])
			} else {
				m, err = importLlama2C(args[0], tokPath, args[1])
			}
			if err != nil {
				return err
			}
			i := m.Info()
			fmt.Fprintf(e.out, "%s: %s, %d parameters, %d layers, %d tokens\n", args[1], i.Family, i.Params, i.Layers, i.Vocab)
			return nil
		},
	}
	c.Flags().StringVar(&tokPath, "tokenizer", "tokenizer.bin", "a llama2.c checkpoint's tokenizer `file`")
	return c
}

// importGGUF writes a GGUF as a folder.
func importGGUF(path, out string) (model.Model, error) {
	l, err := loadWith(path, reading{wide: true})
	if err != nil {
		return nil, err
	}
	return l.model, l.saveFolder(out, quant.F32)
}

// saveFolder writes a model as a folder in the Hugging Face layout, whole or not
// at all, its matrices as F32, F16 or BF16.
func (l *loaded) saveFolder(out string, f quant.Format) error {
	return atomicfile.Dir(out, func(dir string) error {
		if err := copyFiles(l.files, dir); err != nil {
			return err
		}
		if f == quant.F32 {
			return zoo.Save(dir, l.model, nil)
		}
		return zoo.SaveHalf(dir, l.model, f, nil)
	})
}

// importLlama2C writes a checkpoint and its tokenizer as a folder.
func importLlama2C(path, tokPath, out string) (model.Model, error) {
	m, err := llama2c.Load(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(tokPath)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	tok, err := tokenizer.FromLlama2C(f, m.Info().Vocab)
	if err != nil {
		return nil, err
	}
	return m, atomicfile.Dir(out, func(dir string) error {
		if err := tok.Save(filepath.Join(dir, "tokenizer.json")); err != nil {
			return err
		}
		return zoo.Save(dir, m, nil)
	})
}
