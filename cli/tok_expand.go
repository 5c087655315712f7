package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"weft/model/llama"
	"weft/model/zoo"
	"weft/text/tokenizer"
)

// expanded is what `weft tok expand --json` prints.
type expanded struct {
	Path       string `json:"path"`
	Before     int    `json:"tokens_before"`
	After      int    `json:"tokens_after"`
	ParamsThen int64  `json:"parameters_before"`
	ParamsNow  int64  `json:"parameters_after"`
	// Of --val; absent without it.
	BytesPerTokenThen float64 `json:"bytes_per_token_before,omitempty"`
	BytesPerTokenNow  float64 `json:"bytes_per_token_after,omitempty"`
	BPBThen           float64 `json:"bits_per_byte_before,omitempty"`
	BPBNow            float64 `json:"bits_per_byte_after,omitempty"`
}

// expandFlags are those of `weft tok expand`.
type expandFlags struct {
	add, text, val, out string
	n, least            int
}

// tokExpandCmd wires the two halves of a bigger vocabulary: the tokenizer, and the rows of
// the embedding that it needs.
func (e *env) tokExpandCmd() *cobra.Command {
	var o expandFlags
	c := &cobra.Command{
		Use:   "expand MODEL --add FILE --out DIR",
		Short: "Add tokens to a model's vocabulary",
		Long: `Expand writes a copy of a model folder with more tokens: those named in a file, one
per line, or, for byte-level BPE, merges learned from a text. The embedding, and the
head if it is not the same matrix, grow by rows that begin as the mean of the rows of
the pieces that spelled the token so far, never at random. Train on afterwards: with
--val it measures bits per byte before and after; on text that the model knows they
are worse at first.`,
		Example:           "  weft tok expand out/base --train german.txt --n 500 --out out/german --val german-val.txt",
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.out == "":
				return &usageError{errors.New("tok expand: --out is missing: name the folder to write")}
			case (o.add == "") == (o.text == ""):
				return &usageError{errors.New("tok expand: want one of --add FILE, with tokens by name, and --train TEXT, to learn them from")}
			}
			r, err := e.expand(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			return e.printExpanded(r)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.out, "out", "o", "", "folder to write")
	f.StringVar(&o.add, "add", "", "`file` with a token per line, to be found in any text as it is spelled")
	f.StringVar(&o.text, "train", "", "text `file` or folder to learn tokens from")
	f.IntVar(&o.n, "n", 256, "how many to learn")
	f.IntVar(&o.least, "min-freq", 2, "merge only pairs seen this often")
	f.StringVar(&o.val, "val", "", "text or jsonl `file` to measure bits per byte on, before and after")
	return c
}

// expand writes the folder only when all else has gone well, the weights last.
func (e *env) expand(ctx context.Context, arg string, o expandFlags) (r expanded, err error) {
	l, err := loadWith(arg, reading{wide: true}) // to be saved
	if err != nil {
		return r, err
	}
	if same(arg, o.out) && !l.embedded {
		return r, fmt.Errorf("tok expand: --out %s is the model's own folder: name another one, so that the weights stay", o.out)
	}
	m, ok := l.model.(*llama.Llama)
	if !ok {
		return r, fmt.Errorf("tok expand: models of family %s cannot be resized yet", l.model.Info().Family)
	}
	tok, err := e.moreTokens(ctx, l.tok, o)
	if err != nil {
		return r, err
	}
	// The model may have more rows than the tokenizer has tokens: those are used first.
	big, err := m.Resized(max(m.VocabSize, tok.VocabSize()), func(id int32) []int32 {
		if int(id) < l.tok.VocabSize() || int(id) >= tok.VocabSize() {
			return nil
		}
		// The pieces that spelled it so far; of old ids nil, so that their rows stay.
		return l.tok.Encode(string(tok.Bytes(id)))
	})
	if err != nil {
		return r, err
	}
	r = expanded{Path: o.out, Before: l.tok.VocabSize(), After: tok.VocabSize(), ParamsThen: m.Info().Params, ParamsNow: big.Info().Params}
	if o.val != "" {
		now := *l
		now.model, now.tok = big, tok
		if err := e.measureExpanded(ctx, &r, l, &now, o.val); err != nil {
			return r, err
		}
	}
	// Config, template and the like; tokenizer and weights are written anew behind them.
	if err := copyFiles(l.files, o.out); err != nil {
		return r, err
	}
	if err := tok.Save(filepath.Join(o.out, "tokenizer.json")); err != nil {
		return r, err
	}
	return r, zoo.Save(o.out, big, nil)
}

// moreTokens adds the tokens that were asked for.
func (e *env) moreTokens(ctx context.Context, tok *tokenizer.Tokenizer, o expandFlags) (*tokenizer.Tokenizer, error) {
	if o.add != "" {
		data, err := os.ReadFile(o.add)
		if err != nil {
			return nil, fmt.Errorf("tokens to add: %w", err)
		}
		var names []string
		for line := range strings.Lines(string(data)) {
			if name := strings.TrimRight(line, "\r\n"); name != "" {
				names = append(names, name)
			}
		}
		return tok.Extend(names...)
	}
	bar := e.progress("tokens")
	defer bar.end()
	return tok.ExtendTrained(ctx, texts(o.text), o.n, tokenizer.TrainOptions{MinFreq: o.least, Workers: e.threads, Warn: warnTraining,
		Progress: func(done, total int) { bar.set(done, total, "") }})
}

// measureExpanded scores the same text with both models.
func (e *env) measureExpanded(ctx context.Context, r *expanded, then, now *loaded, val string) (err error) {
	if r.BPBThen, err = e.bitsPerByte(ctx, then, then.model, val); err != nil {
		return err
	}
	if r.BPBNow, err = e.bitsPerByte(ctx, now, now.model, val); err != nil {
		return err
	}
	var before, after tokenizer.Measure
	for text, err := range texts(val) {
		if err != nil {
			return err
		}
		before.Add(then.tok.Measure(text))
		after.Add(now.tok.Measure(text))
	}
	if err := errors.Join(then.tok.Err(), now.tok.Err()); err != nil {
		return err
	}
	r.BytesPerTokenThen, r.BytesPerTokenNow = before.BytesPerToken(), after.BytesPerToken()
	return nil
}

// printExpanded says what changed, and with --val what it cost.
func (e *env) printExpanded(r expanded) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(r)
	}
	fmt.Fprintf(e.out, "%s: %d -> %d tokens, %d -> %d parameters; new rows are means of their pieces'\n", r.Path, r.Before, r.After, r.ParamsThen, r.ParamsNow)
	if r.BPBThen > 0 {
		fmt.Fprintf(e.out, "bytes per token %.3f -> %.3f\nbits per byte %.4f -> %.4f (%+.2f %%) before any training on\n",
			r.BytesPerTokenThen, r.BytesPerTokenNow, r.BPBThen, r.BPBNow, 100*(r.BPBNow/r.BPBThen-1))
	}
	return nil
}
