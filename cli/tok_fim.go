package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// oneOf completes the values of a flag that is a choice.
func oneOf(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// tokFIMCmd shows what a model that fills gaps is given, or is taught.
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
		Example: "  weft tok fim --tokenizer DIR --prefix 'def f(x): return ' --suffix ' + 1'\n  weft tok fim --tokenizer DIR --order spm --pieces < main.go",
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
			// A share of documents in SPM order: none, or all.
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
				// Rate 1: this document gets a gap, whatever chance says.
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
