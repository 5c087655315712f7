package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"weft/eval"
	"weft/internal/atomicfile"
	"weft/train"
)

// cardCmd writes a README.md, such as those of the embedded models.
func (e *env) cardCmd() *cobra.Command {
	var card eval.Card
	var scores, out, run string
	c := &cobra.Command{
		Use:   "card MODEL --scores FILE",
		Short: "Write a model card: what it is, how it was made, what it scores",
		Long: `Card writes what the model's folder, its training runs and a report of
` + "`weft world score --out`" + ` say; nothing is made up, and what is not known is left out
or said to be unknown. The report must be of exactly these weights. A copy of a
trained model, such as one in 8 bits, no longer knows its runs: name the folder
that does with --run.`,
		Example:           "  weft world card out/tiny-q8 --run out/tiny --scores scores.json --name weft-tiny --out README.md",
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(_ *cobra.Command, args []string) error {
			if scores == "" {
				return &usageError{errors.New("world card: --scores is missing: name the file that `weft world score --out` wrote")}
			}
			if run == "" {
				run = args[0]
			}
			if err := fillCard(&card, args[0], run, scores); err != nil {
				return err
			}
			text := card.Markdown()
			if out != "" {
				return atomicfile.WriteBytes(out, []byte(text))
			}
			return e.printText(text)
		},
	}
	f := c.Flags()
	f.StringVar(&scores, "scores", "", "report of `weft world score --out`, as `file`")
	f.StringVarP(&out, "out", "o", "", "`file` to write (default: print it)")
	f.StringVar(&run, "run", "", "folder of the training run behind MODEL (default: MODEL itself)")
	f.StringVar(&card.Name, "name", "", "name of the model (default: its folder's)")
	f.StringVar(&card.Recipe, "recipe", "", "command that makes the model from nothing")
	f.StringVar(&card.Data, "data", "", "sentence about the training text, such as the world's seed")
	f.StringVar(&card.License, "license", "", "licence of the weights")
	return c
}

// fillCard gathers the facts.
func fillCard(card *eval.Card, arg, run, scores string) error {
	l, err := loadModel(arg)
	if err != nil {
		return err
	}
	id, err := l.id()
	if err != nil {
		return err
	}
	reports, err := readReports(scores)
	if err != nil {
		return err
	}
	for i := range reports {
		// By hash, not by name: a card must not carry the scores of other weights.
		if reports[i].Model.ID == id {
			card.Scores = &reports[i]
		}
	}
	if card.Scores == nil {
		return fmt.Errorf("world card: %s has no scores of %s as it is now: run `weft world score %s --out %s`", scores, arg, arg, scores)
	}
	if card.Bytes, err = weightBytes(l.files); err != nil {
		return err
	}
	if card.Name == "" {
		card.Name = l.name
	}
	i := l.model.Info()
	card.Family, card.Layers, card.Dim, card.Heads, card.KVHeads = i.Family, i.Layers, i.Dim, i.Heads, i.KVHeads
	card.Context, card.Vocab, card.Parameters = i.Context, i.Vocab, i.Params
	if l.tmpl != nil {
		card.Template = l.tmpl.Name()
	}
	// Quantising makes a copy without its runs; --run names the folder that has them.
	past, err := ancestry(run)
	if err != nil {
		return err
	}
	card.Missing = past.missing
	for _, s := range past.runs {
		r, err := trainingRun(s)
		if err != nil {
			return err
		}
		card.Runs = append(card.Runs, r)
	}
	return nil
}

// trainingRun is a run in the words of a card.
func trainingRun(s *train.State) (eval.TrainingRun, error) {
	line, err := command(s)
	r := eval.TrainingRun{Kind: s.Kind, Command: line, DataHash: s.Lineage.Data, Steps: s.Step, Tokens: s.Tokens}
	if s.Latest != nil {
		r.HeldOut = heldOut(s.Latest)
	}
	return r, err
}
