package cli

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// tokCmd holds the commands about tokenizers; docs/TOKENIZERS.md defines their figures.
func (e *env) tokCmd() *cobra.Command {
	return group("tok", "Train, run and look at tokenizers", e.tokTrainCmd(), e.tokEncodeCmd(), e.tokDecodeCmd(),
		e.tokTruncateCmd(), e.tokFIMCmd(), e.tokCompareCmd(), e.tokAuditCmd(), e.tokInspectCmd(), e.tokStudyCmd(), e.tokExpandCmd(), e.tokClaimCmd())
}

// readText reads standard input.
func (e *env) readText() (string, error) {
	data, err := io.ReadAll(e.in)
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(data), nil
}

// printTokens prints ids, or what they stand for.
func (e *env) printTokens(tok *tokenizer.Tokenizer, ids []int32, pieces bool) error {
	if err := tok.Err(); err != nil {
		return err
	}
	if pieces {
		return e.printPieces(tok, ids)
	}
	return e.printIDs(ids)
}

// printPieces prints what each token stands for. Bytes that are no whole
// character show as escapes, and for machines in hexadecimal.
func (e *env) printPieces(tok *tokenizer.Tokenizer, ids []int32) error {
	type piece struct {
		ID   int32  `json:"id"`
		Text string `json:"text"` // U+FFFD for what is no whole character
		Hex  string `json:"hex"`
	}
	all, quoted := []piece{}, []string{}
	for _, id := range ids {
		b := tok.Bytes(id)
		all = append(all, piece{id, string(b), hex.EncodeToString(b)})
		quoted = append(quoted, strconv.Quote(string(b)))
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(all)
	}
	_, err := fmt.Fprintln(e.out, strings.Join(quoted, " "))
	return err
}

// printIDs prints ids as `weft tok decode` reads them.
func (e *env) printIDs(ids []int32) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(ids)
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	_, err := fmt.Fprintln(e.out, b.String())
	return err
}

// tokDecodeCmd is the way back from ids, special tokens as they are spelled.
func (e *env) tokDecodeCmd() *cobra.Command {
	var path string
	var lines bool
	c := &cobra.Command{
		Use:   "decode",
		Short: "Read ids on standard input, print the exact bytes of their text",
		Long: `Decode reads ids as encode prints them, separated by spaces, commas or line breaks, with
or without the brackets of a list. With --lines each line is a text of its own.`,
		Example: "  echo 75 104 | weft tok decode --tokenizer byt5\n  weft tok decode --tokenizer DIR --lines < ids.jsonl",
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			if lines {
				return e.decodeLines(tok)
			}
			text, err := e.readText()
			if err != nil {
				return err
			}
			ids, err := parseIDs(text, tok.VocabSize())
			if err != nil {
				return err
			}
			return e.printText(tok.Decode(ids))
		},
	}
	tokenizerFlag(c, &path)
	c.Flags().BoolVar(&lines, "lines", false, "each line holds the ids of a text of its own: print it on a line")
	return c
}

// decodeLines prints the text of each line of ids, and a line break behind it.
func (e *env) decodeLines(tok *tokenizer.Tokenizer) error {
	in := bufio.NewReader(e.in)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read standard input: %w", err)
		}
		if line != "" {
			ids, err := parseIDs(line, tok.VocabSize())
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			text := tok.Decode(ids)
			if !e.json { // a JSON value ends its line itself
				text += "\n"
			}
			if err := e.printText(text); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// printText writes exact bytes, or with --json a string, which holds only UTF-8.
func (e *env) printText(text string) error {
	if !e.json {
		_, err := io.WriteString(e.out, text)
		return err
	}
	if !utf8.ValidString(text) {
		return errors.New("the text is not whole UTF-8, which a JSON string cannot hold: leave out --json for its exact bytes")
	}
	return json.NewEncoder(e.out).Encode(text)
}

// parseIDs reads ids separated by spaces or commas (JSON brackets allowed) and
// checks them against the vocabulary size.
func parseIDs(text string, vocab int) ([]int32, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]\t\r\n", r) })
	ids := make([]int32, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("id %d: %q is no token id", i, f)
		}
		if n < 0 || int(n) >= vocab {
			return nil, fmt.Errorf("id %d: %d is outside the vocabulary of %d tokens", i, n, vocab)
		}
		ids[i] = int32(n)
	}
	return ids, nil
}
