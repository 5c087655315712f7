package cli

import "github.com/spf13/cobra"

// upModel is the embedded model that `weft up` serves.
const upModel = "tiny"

// upCmd is serve with a model that is always there, and a browser.
func (e *env) upCmd() *cobra.Command {
	var s serving
	var name string
	c := &cobra.Command{
		Use:   "up",
		Short: "The model inside this program, served: chat page and API",
		Long: `Up serves a model at once: a page to chat with it, to see what is loaded and to
watch training runs, and an API that existing tools understand. Nothing is
downloaded; the model is part of this program.

It is tiny and made for a small invented world: it knows that world, answers
from a text given to it, adds, calls tools, and says when it does not know.`,
		Example: "  weft up\n  weft up --model out/chat --open",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				name = upModel
			}
			if !cmd.Flags().Changed("open") {
				s.browse = !e.json && isTerminal(e.out) && hasDesktop()
			}
			// Somebody who types "weft up" twice gets a second server and no error.
			s.nextPort = !cmd.Flags().Changed("addr")
			return e.serve(cmd.Context(), []string{name}, s)
		},
	}
	s.register(c)
	modelFlag(c, &name, "model", "model folder, or the name of a model inside this program (default "+upModel+")")
	c.Flags().BoolVar(&s.browse, "open", false, "open the page in a browser (default: when started by hand on a desktop)")
	return c
}
