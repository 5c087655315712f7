package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// tokClaimCmd names placeholders. Saving over the old file is allowed: ids stay, and the
// file is replaced whole.
func (e *env) tokClaimCmd() *cobra.Command {
	var path, out, reserved string
	c := &cobra.Command{
		Use:   "claim [NAME] --tokenizer T --out FILE",
		Short: "Give a reserved special token a name, without resizing anything",
		Long: `Claim binds NAME to a placeholder that was reserved when the vocabulary was made
(tok train --reserved). Its id stays, so a model needs no change. Without NAME it
lists the placeholders that are left.`,
		Example: "  weft tok train data/ --reserved 8 --out tokenizer.json\n  weft tok claim '<|think|>' --tokenizer tokenizer.json --out tokenizer.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return e.printReserved(tok.Reserved())
			}
			if out == "" {
				return &usageError{errors.New("tok claim: --out is missing: name the tokenizer.json to write, which may be the old one")}
			}
			claimed, err := tok.Claim(reserved, args[0])
			if err != nil {
				return err
			}
			if err := claimed.Save(out); err != nil {
				return err
			}
			id, _ := claimed.Special(args[0])
			if e.json {
				return json.NewEncoder(e.out).Encode(map[string]any{"path": out, "name": args[0], "id": id, "reserved": len(claimed.Reserved()), "hash": claimed.Hash()})
			}
			fmt.Fprintf(e.out, "%s: %s is token %d; placeholders left: %d\n", out, args[0], id, len(claimed.Reserved()))
			return nil
		},
	}
	tokenizerFlag(c, &path)
	c.Flags().StringVarP(&out, "out", "o", "", "where to write the tokenizer")
	c.Flags().StringVar(&reserved, "reserved", "", "the placeholder to take (default: the first)")
	return c
}

// printReserved lists placeholders.
func (e *env) printReserved(names []string) error {
	if e.json {
		if names == nil {
			names = []string{}
		}
		return json.NewEncoder(e.out).Encode(names)
	}
	for _, name := range names {
		fmt.Fprintln(e.out, name)
	}
	if len(names) == 0 {
		fmt.Fprintln(e.err, "no placeholder is left; `weft tok expand` adds tokens to a model")
	}
	return nil
}
