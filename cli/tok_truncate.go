package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// keeps names what truncation keeps, in the order of tokenizer.Keep.
func keeps() []string { return []string{"start", "end", "ends"} }

// truncateFlags are those of `weft tok truncate`.
type truncateFlags struct {
	tokenizer, keep, messages string
	limit                     int // -1: not given
	tokenizer.TruncateOptions
}

// tokTruncateCmd cuts by tokens and never in silence.
func (e *env) tokTruncateCmd() *cobra.Command {
	var o truncateFlags
	c := &cobra.Command{
		Use:   "truncate --max N",
		Short: "Read text on standard input, print it cut to a number of tokens",
		Long: `Truncate prints at most N tokens of the text, and says so where it cut. A cut
never falls into a character with its accents, a flag, a joined emoji or, with
--special, a special token.

With --messages it cuts the contents of a conversation to N tokens together: short
messages stay whole, the long ones get the same number each. What a chat template
puts around them does not count.`,
		Example: "  weft tok truncate --max 512 --tokenizer DIR < README.md\n  weft tok truncate --max 100 --keep ends --mark ' … ' < long.txt\n" +
			"  weft tok truncate --max 1500 --messages chat.json --tokenizer DIR > short.json",
		Args: exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if o.limit < 0 {
				return &usageError{errors.New("tok truncate: --max is missing: say how many tokens may stay")}
			}
			at := slices.Index(keeps(), o.keep)
			if at < 0 {
				return &usageError{fmt.Errorf("tok truncate: --keep is %q, want one of %s", o.keep, strings.Join(keeps(), ", "))}
			}
			o.Keep = tokenizer.Keep(at)
			tok, err := loadTokenizer(o.tokenizer)
			if err != nil {
				return err
			}
			if o.messages != "" {
				return e.truncateMessages(tok, o)
			}
			text, err := e.readText()
			if err != nil {
				return err
			}
			return e.truncate(tok, text, o.limit, o.keep, o.TruncateOptions)
		},
	}
	tokenizerFlag(c, &o.tokenizer)
	f := c.Flags()
	f.IntVar(&o.limit, "max", -1, "tokens that may stay")
	f.StringVar(&o.keep, "keep", "start", "what stays: start, end, or both ends")
	f.StringVar(&o.Mark, "mark", "", "`text` that stands where something was cut away; it counts")
	f.BoolVar(&o.Trusted, "special", false, "count special tokens spelled in the text as one token each")
	f.StringVar(&o.messages, "messages", "", "JSON `file` of a conversation to cut, as OpenAI writes it; - is standard input")
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

// truncateMessages prints a conversation with shorter contents, and on standard
// error which messages were cut.
func (e *env) truncateMessages(tok *tokenizer.Tokenizer, o truncateFlags) error {
	msgs, _, err := e.conversation(o.messages, "")
	if err != nil {
		return fmt.Errorf("tok truncate: %w", err)
	}
	texts := make([]string, len(msgs))
	for i, m := range msgs {
		texts[i] = m.Content
	}
	short, err := tok.TruncateAll(texts, o.limit, o.TruncateOptions)
	if err == nil {
		err = tok.Err()
	}
	if err != nil {
		return err
	}
	for i := range msgs {
		if short[i] != texts[i] && !e.json {
			fmt.Fprintf(e.err, "cut: message %d (%s) had %d tokens, %d are left\n", i, msgs[i].Role, tok.Count(texts[i]), tok.Count(short[i]))
		}
		msgs[i].Content = short[i]
	}
	return e.plainJSON(msgs)
}
