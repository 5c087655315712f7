package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// byT5 names the tokenizer that needs no file. A file of that name is ./byt5.
const byT5 = "byt5"

// patchOptions reads --patch, which is for bytes alone.
func patchOptions(cmd *cobra.Command, path, patch string) (o tokenizer.PatchOptions, err error) {
	if cmd.Flags().Changed("tokenizer") && path != byT5 {
		return o, &usageError{fmt.Errorf("tok encode: --patch groups bytes, and the tokens of %s are none: use --tokenizer %s, or leave it out", path, byT5)}
	}
	if patch == "words" {
		o.Words = true
		return o, nil
	}
	if o.Size, err = strconv.Atoi(patch); err != nil || o.Size < 1 {
		return o, &usageError{fmt.Errorf("tok encode: --patch is %q, want a number of bytes or words", patch)}
	}
	return o, nil
}

// printPatches prints the ids of each patch of standard input on a line, or its
// bytes.
func (e *env) printPatches(cmd *cobra.Command, path, patch string, pieces bool) error {
	o, err := patchOptions(cmd, path, patch)
	if err != nil {
		return err
	}
	tok, err := tokenizer.ByT5()
	if err != nil {
		return err
	}
	text, err := e.readText()
	if err != nil {
		return err
	}
	type piece struct {
		Text string `json:"text"` // U+FFFD for what is no whole character
		Hex  string `json:"hex"`
	}
	ids, texts := [][]int32{}, []piece{}
	for p := range tokenizer.Patches(text, o) {
		ids, texts = append(ids, tok.Encode(p)), append(texts, piece{p, hex.EncodeToString([]byte(p))})
		switch {
		case e.json:
		case pieces:
			_, err = fmt.Fprintln(e.out, strconv.Quote(p))
		default:
			err = e.printIDs(ids[len(ids)-1])
		}
		if err != nil {
			return err
		}
	}
	switch {
	case e.json && pieces:
		return json.NewEncoder(e.out).Encode(texts)
	case e.json:
		return json.NewEncoder(e.out).Encode(ids)
	}
	return nil
}
