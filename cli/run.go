package cli

import (
	"github.com/spf13/cobra"

	"weft/chat"
	"weft/infer/engine"
	"weft/llm/local"
)

// runCmd is one completion, for scripts and for a first look at a model.
func (e *env) runCmd() *cobra.Command {
	var s samplingFlags
	var o engineOptions
	var asChat, echo bool
	c := &cobra.Command{
		Use:   "run MODEL PROMPT",
		Short: "Continue a text, or answer one message with --chat",
		Long: `Run continues PROMPT as raw text, exactly as it stands: no template is applied.
With --chat the prompt is one user message, rendered by the model's template.`,
		Example:           "  weft run out/shakespeare 'ROMEO:' --max-tokens 200 --temperature 0.8",
		Args:              exactArgs("MODEL", "PROMPT"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := s.request(cmd)
			if err != nil {
				return err
			}
			r.Prompt, r.Echo, r.Adapter = args[1], echo, o.adapter()
			if asChat {
				// A request holds a prompt or messages, never both.
				r.Prompt, r.Messages = "", []chat.Message{{Role: chat.User, Content: args[1]}}
			}
			return e.withModel(args[0], o, func(_ *loaded, m *local.Model, _ *engine.Engine) error {
				return e.printCompletion(m.Generate(cmd.Context(), r))
			})
		},
	}
	s.register(c, 0.8)
	engineFlags(c, &o)
	loraFlags(c, &o)
	c.Flags().BoolVar(&asChat, "chat", false, "treat the prompt as a user message")
	c.Flags().BoolVar(&echo, "echo", false, "print the prompt before its continuation")
	return c
}
