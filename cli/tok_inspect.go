package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/tokenizer"
)

// inspection is what `weft tok inspect --json` prints; only what was asked for
// is set.
type inspection struct {
	Tokenizer   string                 `json:"tokenizer"`
	Hash        string                 `json:"hash"`
	Description *tokenizer.Description `json:"description,omitempty"`
	Longest     []inspectedToken       `json:"longest,omitempty"`
	Unreachable []inspectedToken       `json:"unreachable,omitempty"`
	Pieces      []inspectedToken       `json:"pieces,omitempty"`
	Token       *inspectedToken        `json:"token,omitempty"`
}

// inspectedToken is a token, in a text with its place.
type inspectedToken struct {
	ID    int32           `json:"id"`
	Text  string          `json:"text"` // U+FFFD for what is no whole character
	Hex   string          `json:"hex"`
	Start *int            `json:"start,omitempty"` // bytes of the text
	End   *int            `json:"end,omitempty"`
	More  tokenizer.Token `json:"token"`
}

// tokInspectCmd takes a tokenizer apart.
func (e *env) tokInspectCmd() *cobra.Command {
	var path, page, name string
	var id, longest int
	var unreachable, special bool
	c := &cobra.Command{
		Use:   "inspect [TEXT] --tokenizer T",
		Short: "Look into a tokenizer: its steps, its tokens, the pieces of a text",
		Long: `Inspect shows what a tokenizer is made of: every step of its pipeline, its added
tokens with their flags, and what its file says that is not applied. With TEXT it
shows the pieces of the text with their places; with --id or --token one token: its
bytes and the merges that make it.`,
		Example: "  weft tok inspect --tokenizer tokenizer.json\n  weft tok inspect 'naïve 猫' --tokenizer tokenizer.json\n  weft tok inspect --token ' the' --tokenizer tokenizer.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			// What was asked for decides what is looked at; only one of the three is shown.
			r := &inspection{Tokenizer: path, Hash: tok.Hash()}
			byName := cmd.Flags().Changed("token")
			switch {
			case byName || cmd.Flags().Changed("id"):
				if byName {
					found, ok := tok.Find(name)
					if !ok {
						return fmt.Errorf("%s: no token is spelled %q, nor has these bytes", path, name)
					}
					id = int(found)
				}
				one, ok := inspectToken(tok, int32(id))
				if !ok {
					return fmt.Errorf("%s: id %d is outside the vocabulary of %d tokens", path, id, tok.VocabSize())
				}
				r.Token = &one
			case len(args) == 1:
				r.Pieces = inspectText(tok, args[0], special)
			default:
				d := tok.Describe()
				r.Description = &d
				r.Longest = inspectTokens(tok, tok.Longest(longest))
				if unreachable {
					r.Unreachable = inspectTokens(tok, tok.Unreachable())
				}
			}
			if err := tok.Err(); err != nil {
				return err
			}
			return e.show(r.findings(unreachable), r, page)
		},
	}
	tokenizerFlag(c, &path)
	f := c.Flags()
	f.IntVar(&id, "id", 0, "show the token of this id")
	f.StringVar(&name, "token", "", "show the token of this name or of these bytes")
	f.IntVar(&longest, "longest", 10, "how many of the longest tokens to list")
	f.BoolVar(&unreachable, "unreachable", false, "list the tokens that no text leads to (looks at every token)")
	f.BoolVar(&special, "special", false, "TEXT is trusted: special tokens spelled in it are found")
	f.StringVar(&page, "html", "", "also write a page to this `file`")
	return c
}

// inspectToken looks at one id.
func inspectToken(tok *tokenizer.Tokenizer, id int32) (inspectedToken, bool) {
	t, ok := tok.Token(id)
	return inspectedToken{ID: id, Text: string(t.Bytes), Hex: hex.EncodeToString(t.Bytes), More: t}, ok
}

// inspectTokens looks at several; ids without a token show as empty.
func inspectTokens(tok *tokenizer.Tokenizer, ids []int32) []inspectedToken {
	out := []inspectedToken{}
	for _, id := range ids {
		t, _ := inspectToken(tok, id)
		out = append(out, t)
	}
	return out
}

// inspectText encodes a text and says where each token comes from. Trusted text
// is shown without places.
func inspectText(tok *tokenizer.Tokenizer, text string, special bool) []inspectedToken {
	if special {
		return inspectTokens(tok, tok.EncodeSpecial(text))
	}
	ids, spans := tok.EncodeOffsets(text)
	out := inspectTokens(tok, ids)
	for i := range out {
		out[i].Start, out[i].End = &spans[i].Start, &spans[i].End
	}
	return out
}

// findings shows an inspection to people.
func (r *inspection) findings(unreachable bool) *findings {
	out := &findings{title: "Tokenizer " + r.Tokenizer}
	switch {
	case r.Token != nil:
		out.parts = []part{r.Token.part()}
	case r.Description == nil:
		out.parts = []part{tokenTable("Pieces", r.Pieces)}
	default:
		out.parts = append(describe(r.Description), tokenTable("Longest tokens", r.Longest))
		if unreachable {
			p := tokenTable("Tokens that no text leads to", r.Unreachable)
			p.Note = fmt.Sprintf("%d of %d tokens.", len(r.Unreachable), r.Description.Plain)
			out.parts = append(out.parts, p)
		}
	}
	return out
}

// part shows one token.
func (t *inspectedToken) part() part {
	p := part{Title: "Token " + strconv.Itoa(int(t.ID)), Words: 2, Head: []string{"", ""}}
	add := func(name, value string) { p.Rows = append(p.Rows, []string{name, value}) }
	// The name is how the file spells it, the text what it stands for.
	add("name", t.More.Name)
	add("text", strconv.Quote(string(t.More.Bytes)))
	add("bytes", t.Hex)
	add("kind", t.More.Kind)
	if t.More.Rank >= 0 {
		add("rank of its merge", strconv.Itoa(t.More.Rank))
		add("merges", t.More.Tree)
	}
	if t.More.Score != 0 {
		add("score", figure(t.More.Score))
	}
	add("text leads to it", yes(t.More.Reached))
	return p
}

// tokenTable lists tokens, with their places where they have any.
func tokenTable(title string, list []inspectedToken) part {
	p := part{Title: title, Words: 2, Head: []string{"text", "hex", "id"}}
	// Trusted text has none: see inspectText.
	places := len(list) > 0 && list[0].Start != nil
	if places {
		p.Head = append(p.Head, "from", "to")
	}
	for _, t := range list {
		row := []string{strconv.Quote(string(t.More.Bytes)), t.Hex, strconv.Itoa(int(t.ID))}
		if places {
			row = append(row, strconv.Itoa(*t.Start), strconv.Itoa(*t.End))
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

// describe shows the steps and the added tokens.
func describe(d *tokenizer.Description) []part {
	// Only what there is is said: most vocabularies have no holes.
	count := fmt.Sprintf("%d ids: %d tokens that text is made of, %d added", d.Vocab, d.Plain, len(d.Added))
	for _, c := range []struct {
		n    int
		what string
	}{{d.Fallback, "bytes"}, {d.Literal, "that no text leads to"}, {d.Holes, "ids without a token"}, {d.Merges, "merges"}, {d.Missing, "bytes without a token, which text loses"}} {
		if c.n > 0 {
			count += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	p := part{Title: "Steps", Note: count + ".", Words: 2, Head: []string{"step", "what"}}
	for _, s := range []struct {
		name string
		list []json.RawMessage
	}{{"normalizer", d.Normalizer}, {"pre-tokenizer", d.PreTokenizer}, {"model", nil}, {"post-processor", d.PostProcessor}, {"decoder", d.Decoder}} {
		switch {
		case s.name == "model":
			p.Rows = append(p.Rows, []string{s.name, d.Model})
		case len(s.list) == 0:
			p.Rows = append(p.Rows, []string{s.name, "none"})
		}
		for _, step := range s.list {
			p.Rows = append(p.Rows, []string{s.name, string(step)})
		}
	}
	for _, m := range []struct{ name, value string }{{"unknown token", d.Unknown}, {"begins a text", d.BOS}, {"ends a text", d.EOS}} {
		if m.value != "" {
			p.Rows = append(p.Rows, []string{m.name, m.value})
		}
	}
	for _, what := range d.NotApplied {
		p.Rows = append(p.Rows, []string{"not applied", what})
	}
	a := part{Title: "Added tokens", Words: 2, Head: []string{"text", "flags", "id"}}
	const most = 40 // on a terminal and a page; --json has all
	for _, t := range d.Added[:min(most, len(d.Added))] {
		var flags []string
		for _, f := range []struct {
			on   bool
			name string
		}{{t.Special, "special"}, {t.LStrip, "lstrip"}, {t.RStrip, "rstrip"}, {t.Normalized, "normalized"}} {
			if f.on {
				flags = append(flags, f.name)
			}
		}
		a.Rows = append(a.Rows, []string{strconv.Quote(t.Text), strings.Join(flags, " "), strconv.Itoa(int(t.ID))})
	}
	if len(d.Added) > most {
		a.Note = fmt.Sprintf("The first %d of %d; --json has all.", most, len(d.Added))
	}
	return []part{p, a}
}
