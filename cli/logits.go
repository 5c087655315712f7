package cli

import (
	"bufio"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"weft/compute/op"
	"weft/model/zoo"
)

// logitsCmd is for comparing implementations: raw logits of the pass that prefill makes,
// without sampling, template or BOS.
func (e *env) logitsCmd() *cobra.Command {
	var ids string
	c := &cobra.Command{
		Use:               "logits MODEL --ids 1,2,3",
		Short:             "Print the logits after each token: one row per position",
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := findModel(args[0])
			if err != nil {
				return err
			}
			m, err := zoo.LoadServing(l.files)
			if err != nil {
				return hintFiles(err)
			}
			tokens, err := parseIDs(ids, m.Info().Vocab)
			if err != nil {
				return err
			}
			if len(tokens) == 0 {
				return &usageError{errors.New("logits: no token ids are given: name some, as in --ids 1,2,3")}
			}
			pool := e.pool()
			defer pool.Close()
			p := &op.Pass{Spans: []op.Span{{Len: len(tokens)}}, Pool: pool}
			rows := m.Logits(p, m.Hidden(p, tokens))
			w := bufio.NewWriter(e.out)
			for i := range rows.Rows {
				if err := writeRow(w, rows.Row(i), i == 0, i == rows.Rows-1, e.json); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&ids, "ids", "", "token ids, separated by commas")
	return c
}

// writeRow prints one position's logits, shortest digits that read back to the
// same float32: a line of numbers, or a line of one JSON array of arrays.
func writeRow(w *bufio.Writer, row []float32, first, last, asJSON bool) error {
	open, sep, end := "", byte(' '), "\n"
	if asJSON {
		open, sep, end = "[", ',', "],\n"
		if first {
			open = "[["
		}
		if last {
			end = "]]\n"
		}
	}
	line := []byte(open)
	for i, v := range row {
		if i > 0 {
			line = append(line, sep)
		}
		line = strconv.AppendFloat(line, float64(v), 'g', -1, 32)
	}
	_, err := w.Write(append(line, end...))
	return err
}
