package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// oneOf completes the values of a flag that is a choice.
func oneOf(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func (e *env) tokFIMCmd() *cobra.Command {
	var path, order, prefix, middle, suffix string
	var markers []string
	var seed uint64
	var pieces bool
	c := &cobra.Command{
		Use:   "fim",
		Short: "Write text with a gap as a model that fills gaps wants it: ids",
		Long: `Fim puts the tokenizer's own markers of fill-in-the-middle around what stands in
front of a gap and behind it. With --middle it is a training example, without it
is what a model is to continue.

Without --prefix and --suffix it reads a document on standard input and makes a
gap between two random places of it, as training does; --seed chooses others.`,
		Example: "  weft tok fim --tokenizer DIR --prefix 'def f(x): return ' --suffix '\\n'\n  weft tok fim --tokenizer DIR --order spm --pieces < main.go",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			fim, err := tok.FIM(markers...)
			if err != nil {
				return fmt.Errorf("%w (see --markers, and `weft tok claim` for names)", err)
			}
			write, spm := fim.PSM, -1.0
			switch order {
			case "psm":
			case "spm":
				write, spm = fim.SPM, 1
			default:
				return &usageError{fmt.Errorf("tok fim: --order is %q, want psm or spm", order)}
			}
			var ids []int32
			given := cmd.Flags().Changed
			switch {
			case given("prefix") || given("suffix"):
				ids = write(prefix, middle, suffix)
			case given("middle"):
				return &usageError{errors.New("tok fim: --middle needs --prefix or --suffix beside it")}
			default:
				doc, err := e.readText()
				if err != nil {
					return err
				}
				ids = fim.Document(doc, 0, tokenizer.FIMOptions{Rate: 1, SPM: spm, Seed: seed})
			}
			return e.printTokens(tok, ids, pieces)
		},
	}
	tokenizerFlag(c, &path)
	f := c.Flags()
	f.StringVar(&prefix, "prefix", "", "text in front of the gap")
	f.StringVar(&middle, "middle", "", "text that fills it")
	f.StringVar(&suffix, "suffix", "", "text behind the gap")
	f.StringVar(&order, "order", "psm", "psm: prefix, suffix, middle; spm: suffix, prefix, middle")
	f.StringSliceVar(&markers, "markers", nil, "three special `tokens`: in front of prefix, suffix and middle (default: those of known models)")
	f.Uint64Var(&seed, "seed", 0, "of the random gap")
	f.BoolVar(&pieces, "pieces", false, "print the text of each token, quoted, instead of its id")
	oneOf(c, "order", "psm", "spm")
	return c
}

// keeps names what truncation keeps.
func keeps() []string { return []string{"start", "end", "ends"} }

func (e *env) tokTruncateCmd() *cobra.Command {
	var path, keep string
	var o tokenizer.TruncateOptions
	limit := -1
	c := &cobra.Command{
		Use:   "truncate --max N",
		Short: "Read text on standard input, print it cut to a number of tokens",
		Long: `Truncate prints at most N tokens of the text, and says so where it cut. A cut
never falls into a character with its accents, a flag, a joined emoji or, with
--special, a special token.`,
		Example: "  weft tok truncate --max 512 --tokenizer DIR < README.md\n  weft tok truncate --max 100 --keep ends --mark ' … ' < long.txt",
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if limit < 0 {
				return &usageError{errors.New("tok truncate: --max is missing: say how many tokens may stay")}
			}
			at := -1
			for i, name := range keeps() {
				if name == keep {
					at = i
				}
			}
			if at < 0 {
				return &usageError{fmt.Errorf("tok truncate: --keep is %q, want one of %s", keep, strings.Join(keeps(), ", "))}
			}
			o.Keep = []tokenizer.Keep{tokenizer.KeepHead, tokenizer.KeepTail, tokenizer.KeepEnds}[at]
			tok, text, err := e.tokenizerAndText(path)
			if err != nil {
				return err
			}
			return e.truncate(tok, text, limit, keep, o)
		},
	}
	tokenizerFlag(c, &path)
	f := c.Flags()
	f.IntVar(&limit, "max", -1, "tokens that may stay")
	f.StringVar(&keep, "keep", "start", "what stays: start, end, or both ends")
	f.StringVar(&o.Mark, "mark", "", "`text` that stands where something was cut away; it counts")
	f.BoolVar(&o.Trusted, "special", false, "count special tokens spelled in the text as one token each")
	oneOf(c, "keep", keeps()...)
	return c
}

// truncate prints what stays, and on standard error what went.
func (e *env) truncate(tok *tokenizer.Tokenizer, text string, limit int, keep string, o tokenizer.TruncateOptions) error {
	count := tok.Count
	if o.Trusted {
		count = func(s string) int { return len(tok.EncodeSpecial(s)) }
	}
	short, err := tok.Truncate(text, limit, o)
	if err != nil {
		return err
	}
	before, after := count(text), count(short)
	if err := tok.Err(); err != nil {
		return err
	}
	if e.json {
		return e.plainJSON(map[string]any{"text": short, "tokens": after, "of": before, "bytes_left_out": len(text) + len(o.Mark) - len(short), "cut": short != text})
	}
	if short != text {
		fmt.Fprintf(e.err, "cut: the text has %d tokens, %d are left (--max %d, --keep %s)\n", before, after, limit, keep)
	}
	_, err = io.WriteString(e.out, short)
	return err
}
