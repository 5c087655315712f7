package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"weft/model/zoo"
	"weft/train/tune"
)

// tuneCmd holds the ways to teach a trained model.
func (e *env) tuneCmd() *cobra.Command {
	return group("tune", "Teach a trained model: supervised fine-tuning", e.sftCmd())
}

// sftCmd wires train/tune; the template decides which tokens are learned.
func (e *env) sftCmd() *cobra.Command {
	var o tune.SFTOptions
	c := &cobra.Command{
		Use:   "sft",
		Short: "Fine-tune on conversations, with the loss on the assistant's tokens only",
		Long: `Sft reads conversations, one JSON object per line: {"messages": [{"role": ...,
"content": ...}]} or {"prompt": ..., "completion": ...}. A line may offer "tools", and
an assistant's message may hold "tool_calls", both as OpenAI writes them. The chat
template renders them; only what the assistant says and calls, and its end marker,
is learned.`,
		Example: "  weft tune sft --base out/base --data chats.jsonl --out out/chat",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Base != "" {
				l, err := findModel(o.Base)
				if err != nil {
					return err
				}
				// Its matrices may rest in blocks, which have no gradients.
				if _, ok := l.files.(*zoo.GGUF); ok {
					return fmt.Errorf("tune: %s is a GGUF, which is for serving: make a folder of it with `weft import %s DIR` and tune that", o.Base, o.Base)
				}
				// It has no folder: its files are in the program.
				if l.embedded {
					o.BaseFS = l.files
				}
			}
			if o.Out == "" {
				o.Out = filepath.Clean(o.Base) + "-chat"
				if o.BaseFS != nil {
					o.Out = filepath.Join("out", o.Out)
				}
			}
			o.Threads = e.threads
			var end func()
			o.Observer, end = e.observer()
			r, err := tune.SFT(cmd.Context(), o)
			end()
			if err != nil {
				return err
			}
			return e.printTrained(r)
		},
	}
	f := c.Flags()
	modelFlag(c, &o.Base, "base", "model to start from")
	f.StringVar(&o.Data, "data", "", "jsonl `file` of conversations")
	f.StringVarP(&o.Out, "out", "o", "", "folder of the run and model (default: the base's with -chat, an embedded one's in out/)")
	f.BoolVar(&o.Resume, "resume", true, "go on with the run in the folder, if there is one")
	f.StringVar(&o.Template, "template", "", "chat template: weft or chatml (default: the base's, else the one its tokenizer has the markers of)")
	f.Float64Var(&o.Epochs, "epochs", 0, "times the conversations are gone through, without --steps or --budget (default 3)")
	f.IntVar(&o.SeqLen, "seq", 0, "longest conversation in tokens (default: the base model's context)")
	f.BoolVar(&o.Truncate, "truncate", false, "cut longer conversations instead of refusing them")
	f.IntVar(&o.BatchTokens, "batch-tokens", 0, "most tokens per step (default 2048)")
	f.BoolVar(&o.AllTokens, "all-tokens", false, "learn the user's words and the markers too")
	f.Float64Var(&o.Val, "val", 0, "share of the conversations held out (default 0.1)")
	f.Uint64Var(&o.Seed, "seed", 0, "seed of the order")
	loopFlags(c, &o.Options)
	return c
}
