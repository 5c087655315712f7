package cli

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
)

func (e *env) tokCmd() *cobra.Command {
	return group("tok", "Train, run and look at tokenizers", e.tokTrainCmd(), e.tokEncodeCmd(), e.tokDecodeCmd())
}

func (e *env) tokTrainCmd() *cobra.Command {
	var o tokenizer.TrainOptions
	var out, tmpl string
	c := &cobra.Command{
		Use:   "train PATH",
		Short: "Train a byte-level BPE tokenizer on a text file, jsonl file or folder",
		Args:  exactArgs("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := template.Named(tmpl)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return fmt.Errorf("make the folder for the tokenizer: %w", err)
			}
			o.Special = append(o.Special, t.Specials()...)
			bar := e.progress("merges")
			o.Progress = func(done, total int) { bar.set(done, total, "") }
			tok, err := tokenizer.Train(cmd.Context(), texts(args[0]), o)
			bar.end()
			if err != nil {
				return err
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
	f.IntVar(&o.VocabSize, "vocab", 4096, "vocabulary size, special tokens included")
	f.IntVar(&o.MinFreq, "min-freq", 2, "merge only pairs seen this often")
	f.StringVar(&o.Pattern, "pattern", "gpt2", "pre-tokenizer: "+strings.Join(tokenizer.Patterns(), ", "))
	f.StringSliceVar(&o.Special, "special", nil, "more special tokens, beside those of the template")
	f.IntVar(&o.Reserved, "reserved", 0, "placeholder ids kept for later")
	f.StringVar(&tmpl, "template", "weft", "chat template whose markers become special tokens: weft or chatml")
	return c
}

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

func (e *env) tokEncodeCmd() *cobra.Command {
	var path string
	var special, pieces bool
	c := &cobra.Command{
		Use:   "encode",
		Short: "Read text on standard input, print ids separated by spaces",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(e.in)
			if err != nil {
				return fmt.Errorf("read standard input: %w", err)
			}
			encode := tok.Encode
			if special {
				encode = tok.EncodeSpecial
			}
			ids := encode(string(text))
			if pieces {
				return e.printPieces(tok, ids)
			}
			return e.printIDs(ids)
		},
	}
	tokenizerFlag(c, &path)
	c.Flags().BoolVar(&special, "special", false, "turn special-token strings in the text into their ids")
	c.Flags().BoolVar(&pieces, "pieces", false, "print the text of each token, quoted, instead of its id")
	return c
}

// printPieces prints what each token stands for. Bytes that are no whole
// character show as escapes, and for machines in hexadecimal.
func (e *env) printPieces(tok *tokenizer.Tokenizer, ids []int32) error {
	type piece struct {
		ID   int32  `json:"id"`
		Text string `json:"text"` // U+FFFD for what is no whole character
		Hex  string `json:"hex"`
	}
	all, quoted := []piece{}, []string{}
	for _, id := range ids {
		b := tok.Bytes(id)
		all = append(all, piece{id, string(b), hex.EncodeToString(b)})
		quoted = append(quoted, strconv.Quote(string(b)))
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(all)
	}
	_, err := fmt.Fprintln(e.out, strings.Join(quoted, " "))
	return err
}

func (e *env) printIDs(ids []int32) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(ids)
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	_, err := fmt.Fprintln(e.out, b.String())
	return err
}

func (e *env) tokDecodeCmd() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "decode",
		Short: "Read ids on standard input, print the exact bytes of their text",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			data, err := io.ReadAll(e.in)
			if err != nil {
				return fmt.Errorf("read standard input: %w", err)
			}
			ids, err := parseIDs(string(data), tok.VocabSize())
			if err != nil {
				return err
			}
			return e.printText(tok.Decode(ids))
		},
	}
	tokenizerFlag(c, &path)
	return c
}

// printText writes exact bytes, or with --json a string, which holds only UTF-8.
func (e *env) printText(text string) error {
	if !e.json {
		_, err := io.WriteString(e.out, text)
		return err
	}
	if !utf8.ValidString(text) {
		return errors.New("the text is not whole UTF-8, which a JSON string cannot hold: leave out --json for its exact bytes")
	}
	return json.NewEncoder(e.out).Encode(text)
}

// parseIDs reads ids separated by spaces or commas (JSON brackets allowed) and
// checks them against the vocabulary size.
func parseIDs(text string, vocab int) ([]int32, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]\t\r\n", r) })
	ids := make([]int32, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("id %d: %q is no token id", i, f)
		}
		if n < 0 || int(n) >= vocab {
			return nil, fmt.Errorf("id %d: %d is outside the vocabulary of %d tokens", i, n, vocab)
		}
		ids[i] = int32(n)
	}
	return ids, nil
}
