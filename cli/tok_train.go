package cli

import (
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
)

// tokTrainCmd wires tokenizer.Train; its zero values mean the defaults that help names.
func (e *env) tokTrainCmd() *cobra.Command {
	var o tokenizer.TrainOptions
	var out, tmpl string
	c := &cobra.Command{
		Use:   "train PATH",
		Short: "Train a tokenizer on a text file, jsonl file or folder",
		Long: `Train learns a vocabulary: byte-level BPE, which any text goes through and comes
back from exactly; Unigram, as SentencePiece has it; or WordPiece, as BERT has it.
The result is a tokenizer.json that other programs read, and is the same for any
number of threads.`,
		Example: "  weft tok train data/ --vocab 32768 --pattern o200k\n  weft tok train data/ --kind unigram --vocab 8000",
		Args:    exactArgs("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Chat markers are made special now: adding them later would change the model's size.
			t, err := template.Named(tmpl)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return fmt.Errorf("make the folder for the tokenizer: %w", err)
			}
			o.Special = append(o.Special, t.Specials()...)
			o.Workers = e.threads
			o.Warn = warnTraining
			bar := e.progress("tokens")
			o.Progress = func(done, total int) { bar.set(done, total, "") }
			tok, err := tokenizer.Train(cmd.Context(), texts(args[0]), o)
			bar.end()
			if err != nil {
				return err
			}
			// A small text has too few pairs that come twice: no error, but not what was asked.
			if tok.VocabSize() < o.VocabSize {
				slog.Warn("the text holds too few frequent pieces for the size that was asked for", "tokens", tok.VocabSize(), "asked", o.VocabSize)
			}
			if err := tok.Save(out); err != nil {
				return err
			}
			if e.json {
				return json.NewEncoder(e.out).Encode(map[string]any{"path": out, "vocab": tok.VocabSize(), "hash": tok.Hash()})
			}
			fmt.Fprintf(e.out, "%s: %d tokens, hash %.12s\n", out, tok.VocabSize(), tok.Hash())
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "tokenizer.json", "where to write the tokenizer")
	f.StringVar(&o.Kind, "kind", tokenizer.BPE, "what to learn: "+strings.Join(tokenizer.Kinds(), ", "))
	f.IntVar(&o.VocabSize, "vocab", 4096, "vocabulary size, special tokens included")
	f.IntVar(&o.MinFreq, "min-freq", 2, "merge only pairs, and consider only pieces, seen this often")
	f.StringVar(&o.Pattern, "pattern", "", "pre-tokenizer of bpe and unigram: "+strings.Join(tokenizer.Patterns(), ", ")+" (default gpt2)")
	f.StringSliceVar(&o.Special, "special", nil, "more special tokens, beside those of the template")
	f.IntVar(&o.Reserved, "reserved", 0, "placeholder ids kept for later (see `tok claim`)")
	f.StringVar(&tmpl, "template", "weft", "chat template whose markers become special tokens: weft or chatml")
	f.StringVar(&o.Ties, "ties", "bytes", "bpe: of pairs seen equally often merge the greatest by bytes, or the least by ids as Hugging Face's trainer does: bytes, ids")
	f.Float64Var(&o.Coverage, "coverage", 0, "unigram, wordpiece: share of the characters that get tokens of their own (default 0.9995)")
	f.StringVar(&o.Required, "required", "", "unigram, wordpiece: characters that get tokens of their own however rare")
	f.BoolVar(&o.NoBytes, "no-bytes", false, "unigram: no byte tokens; what the vocabulary lacks becomes <unk>")
	f.IntVar(&o.Seeds, "seeds", 0, "unigram: pieces to begin with (default 1000000)")
	f.IntVar(&o.MaxWords, "max-words", 0, "distinct words to count; the rarest beyond are forgotten, with a warning (default 8388608)")
	return c
}

// warnTraining says what a trainer had to leave out.
func warnTraining(text string) { slog.Warn("train a tokenizer: " + text) }

// texts yields the documents' texts of a corpus path.
func texts(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for doc, err := range corpus.Documents(path) {
			if !yield(doc.Text, err) || err != nil {
				return
			}
		}
	}
}
