package cli

import (
	"bufio"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"weft/text/corpus"
)

// worldCmd prints the small invented world that `weft up` learns from.
func (e *env) worldCmd() *cobra.Command {
	var seed uint64
	var size, n int
	text := &cobra.Command{
		Use:   "corpus",
		Short: "Print generated text, the same for the same seed",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if size < 0 {
				return &usageError{fmt.Errorf("world corpus: --bytes is %d, want 0 or more", size)}
			}
			return e.printText(corpus.Sample(seed, size))
		},
	}
	text.Flags().Uint64Var(&seed, "seed", 1, "which text")
	text.Flags().IntVar(&size, "bytes", 100_000, "about how many bytes")
	chats := &cobra.Command{
		Use:   "chats",
		Short: "Print generated conversations as jsonl, for `weft tune sft`",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if n < 0 {
				return &usageError{fmt.Errorf("world chats: --n is %d, want 0 or more", n)}
			}
			w := bufio.NewWriter(e.out)
			enc := json.NewEncoder(w)
			for _, messages := range corpus.SampleChats(seed, n) {
				if err := enc.Encode(map[string]any{"messages": messages}); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
	chats.Flags().Uint64Var(&seed, "seed", 1, "which conversations")
	chats.Flags().IntVar(&n, "n", 100, "how many")
	return group("world", "Print text and chats about a small invented world", text, chats)
}
