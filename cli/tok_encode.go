package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// tokEncodeCmd prints ids, the one thing that all tools agree on.
func (e *env) tokEncodeCmd() *cobra.Command {
	var path, patch string
	var lines, pieces bool
	var o tokenizer.Options
	c := &cobra.Command{
		Use:   "encode",
		Short: "Read text on standard input, print ids separated by spaces",
		Long: `Encode prints the ids of all of standard input, or with --lines of each of its
lines, which are encoded on all cores. Text is that of a user: special tokens
spelled in it are plain text, and no token is put around it. --special --marked
gives what other programs give by default.

Training that should not depend on one segmentation draws others: BPE with
--dropout, a Unigram vocabulary with --sample. The same --seed draws the same; with
--lines the next line has the next seed.`,
		Example: "  echo Hello | weft tok encode --tokenizer DIR\n  echo Hello | weft tok encode --tokenizer byt5\n" +
			"  weft tok encode --tokenizer DIR --lines --json < corpus.txt > ids.jsonl\n" +
			"  echo Hello | weft tok encode --tokenizer DIR --dropout 0.1 --seed 7 --pieces\n" +
			"  echo Hello | weft tok encode --patch 8",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if patch != "" {
				for _, other := range []string{"lines", "special", "marked", "dropout", "sample", "nbest", "alpha", "seed"} {
					if cmd.Flags().Changed(other) {
						return &usageError{fmt.Errorf("tok encode: --patch groups the bytes of one text: leave out --%s", other)}
					}
				}
				return e.printPatches(cmd, path, patch, pieces)
			}
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			if err := checkSampling(cmd, tok, o); err != nil {
				return err
			}
			if lines {
				return e.encodeLines(tok, o, pieces)
			}
			text, err := e.readText()
			if err != nil {
				return err
			}
			return e.printTokens(tok, tok.EncodeWith(text, o), pieces)
		},
	}
	tokenizerFlag(c, &path)
	f := c.Flags()
	f.BoolVar(&lines, "lines", false, "each line is a text of its own, without its line break: print its ids on a line")
	f.BoolVar(&o.Trusted, "special", false, "turn special-token strings in the text into their ids")
	f.BoolVar(&o.Marked, "marked", false, "put the tokens around the text that the tokenizer's file asks for, such as BOS")
	f.BoolVar(&pieces, "pieces", false, "print the text of each token, quoted, instead of its id")
	f.Float64Var(&o.Dropout, "dropout", 0, "BPE: probability that a merge is passed over")
	f.BoolVar(&o.Sample, "sample", false, "Unigram: draw a segmentation by its probability")
	f.IntVar(&o.NBest, "nbest", 0, "of --sample: draw among so many of the best (default: among all)")
	f.Float64Var(&o.Alpha, "alpha", 1, "of --sample: exponent of the probabilities; less is more even")
	f.Uint64Var(&o.Seed, "seed", 0, "of what is drawn")
	f.StringVar(&patch, "patch", "", "print bytes in groups, one a line, for models that read patches: `N` bytes each (MEGABYTE), or words (SpaceByte)")
	oneOf(c, "patch", "8", "words")
	return c
}

// checkSampling refuses what a tokenizer would ignore: dropout is of BPE's merges,
// sampling of Unigram's probabilities.
func checkSampling(cmd *cobra.Command, tok *tokenizer.Tokenizer, o tokenizer.Options) error {
	wrong := func(format string, args ...any) error {
		return &usageError{fmt.Errorf("tok encode: "+format, args...)}
	}
	given := cmd.Flags().Changed
	drawn := o.Dropout > 0 || o.Sample
	switch kind := tok.Describe().Model; {
	case !(o.Dropout >= 0 && o.Dropout <= 1):
		return wrong("--dropout is %v, want 0 to 1", o.Dropout)
	case o.NBest < 0:
		return wrong("--nbest is %d, want 1 or more, or 0 for all", o.NBest)
	case !(o.Alpha > 0):
		return wrong("--alpha is %v, want more than 0", o.Alpha)
	case o.Dropout > 0 && kind != "BPE":
		return wrong("--dropout passes merges of BPE over, and the tokenizer is %s", kind)
	case o.Sample && kind != "Unigram":
		return wrong("--sample draws by the probabilities of Unigram, and the tokenizer is %s", kind)
	case !o.Sample && (given("nbest") || given("alpha")):
		return wrong("--nbest and --alpha are of --sample, which is missing")
	case !drawn && given("seed"):
		return wrong("--seed is of --dropout or --sample, and neither is given")
	}
	return nil
}

// lineGroup is about how many bytes of lines are encoded at once: enough for every
// core, and little memory however long the input is.
const lineGroup = 1 << 20

// encodeLines prints the tokens of each line of standard input on a line.
func (e *env) encodeLines(tok *tokenizer.Tokenizer, o tokenizer.Options, pieces bool) error {
	in := bufio.NewReader(e.in)
	for {
		lines, err := readLines(in, lineGroup)
		for _, ids := range tok.EncodeBatch(lines, o) {
			if err := e.printTokens(tok, ids, pieces); err != nil {
				return err
			}
		}
		o.Seed += uint64(len(lines))
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// readLines reads whole lines, of size bytes or a little more together. With io.EOF
// come the last ones; the last of all need not have a line break.
func readLines(in *bufio.Reader, size int) (lines []string, err error) {
	for size > 0 && err == nil {
		var line string
		if line, err = in.ReadString('\n'); line != "" {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
			size -= len(line)
		}
	}
	return lines, err
}
