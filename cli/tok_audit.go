package cli

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/corpus"
	"weft/text/tokenizer"
)

// audit is what `weft tok audit --json` prints.
type audit struct {
	Tokenizer string         `json:"tokenizer"`
	Vocab     int            `json:"vocab"`
	Exact     int            `json:"exact"`  // languages that come back exactly
	Median    float64        `json:"median"` // tokens per character
	Scripts   []auditedText  `json:"scripts"`
	Languages []auditedText  `json:"languages"`
	Totals    map[string]int `json:"lost,omitempty"` // languages by what they lose
}

// auditedText is a language, or all languages of a script.
type auditedText struct {
	Key           string            `json:"key"`
	Name          string            `json:"name"`
	Script        string            `json:"script"`
	Count         int               `json:"languages,omitempty"`
	Measure       tokenizer.Measure `json:"counts"`
	TokensPerChar float64           `json:"tokens_per_char"`
	Fertility     float64           `json:"fertility,omitempty"`
	Partial       float64           `json:"partial_share"`
	Unknown       float64           `json:"unknown_share"`
	Exact         bool              `json:"exact"`
	Lost          *tokenizer.Lost   `json:"lost,omitempty"`
	Flags         []string          `json:"flags,omitempty"`
}

// tokAuditCmd looks at one tokenizer over many languages.
func (e *env) tokAuditCmd() *cobra.Command {
	var path, page string
	var every bool
	c := &cobra.Command{
		Use:   "audit PATH --tokenizer T",
		Short: "Audit a tokenizer over languages and scripts",
		Long: `Audit measures a collection of languages, for instance the Universal Declaration of
Human Rights from unicode.org: tokens per character, fertility, the share of tokens
that hold only a part of a character or nothing known, and whether a text comes
back exactly from its tokens, or what is lost. Outliers are flagged. PATH is a folder or
.tar.gz of .txt files or UDHR .xml files.`,
		Example: "  weft tok audit udhr_xml.tar.gz --tokenizer tokenizer.json --html audit.html",
		Args:    exactArgs("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := loadTokenizer(path)
			if err != nil {
				return err
			}
			a, err := auditTokenizer(tok, corpus.Languages(args[0]))
			if err != nil {
				return err
			}
			a.Tokenizer = path
			return e.show(a.findings(every), a, page)
		},
	}
	tokenizerFlag(c, &path)
	c.Flags().StringVar(&page, "html", "", "also write a page with charts to this `file`")
	c.Flags().BoolVar(&every, "all", false, "print every language, not only the flagged ones")
	return c
}

// auditTokenizer measures every language and flags what is out of line.
// Scripts are sorted by cost like languages, the dearest first; the median is that of
// languages.
func auditTokenizer(tok *tokenizer.Tokenizer, languages func(func(corpus.Language, error) bool)) (*audit, error) {
	a := &audit{Vocab: tok.VocabSize(), Totals: map[string]int{}}
	scripts := map[string]*auditedText{}
	for l, err := range languages {
		if err != nil {
			return nil, err
		}
		t := auditedText{Key: l.Key, Name: l.Name, Script: cmp.Or(l.Script, "none"), Measure: tok.Measure(l.Text)}
		lost := tok.RoundTrip(l.Text)
		if t.Exact = lost.Exact(); t.Exact {
			a.Exact++
		} else {
			t.Lost = &lost
			a.Totals[strings.Join(lost.What, ", ")]++
		}
		a.Languages = append(a.Languages, t)
		s := scripts[t.Script]
		if s == nil {
			s = &auditedText{Key: t.Script, Name: t.Script, Script: t.Script, Exact: true}
			scripts[t.Script] = s
		}
		s.Count++
		s.Exact = s.Exact && t.Exact
		// Counts are added and rates computed of the sum: long texts weigh more.
		s.Measure.Add(t.Measure)
	}
	if err := tok.Err(); err != nil {
		return nil, err
	}
	for _, s := range scripts {
		a.Scripts = append(a.Scripts, *s)
	}
	for _, list := range [][]auditedText{a.Scripts, a.Languages} {
		for i := range list {
			list[i].rate()
		}
		slices.SortStableFunc(list, func(x, y auditedText) int {
			return cmp.Or(cmp.Compare(y.TokensPerChar, x.TokensPerChar), strings.Compare(x.Key, y.Key))
		})
	}
	if len(a.Languages) > 0 {
		a.Median = a.Languages[len(a.Languages)/2].TokensPerChar
	}
	for i := range a.Languages {
		a.Languages[i].flag(a.Median)
	}
	return a, nil
}

// rate turns counts into shares.
func (t *auditedText) rate() {
	t.TokensPerChar, t.Partial, t.Unknown = t.Measure.TokensPerChar(), t.Measure.PartialShare(), t.Measure.UnknownShare()
	if f, ok := t.Measure.Fertility(); ok {
		t.Fertility = f
	}
}

// The bounds beyond which a language is an outlier.
const (
	dearAs      = 3.0  // times the median tokens per character
	mostPartial = 0.5  // share of tokens with a part of a character
	mostUnknown = 0.01 // share of tokens that stand for nothing known
)

// flag names what is out of line.
// Each flag says how far, so that a reader may draw another line.
func (t *auditedText) flag(median float64) {
	add := func(format string, a ...any) { t.Flags = append(t.Flags, fmt.Sprintf(format, a...)) }
	if !t.Exact {
		add("loses %s", strings.Join(t.Lost.What, ", "))
	}
	if t.Unknown > mostUnknown {
		add("%s unknown", percent1(t.Unknown))
	}
	if median > 0 && t.TokensPerChar > dearAs*median {
		add("%.1f times the median", t.TokensPerChar/median)
	}
	if t.Partial > mostPartial {
		add("%s parts of characters", percent1(t.Partial))
	}
}

// findings shows an audit to people.
func (a *audit) findings(every bool) *findings {
	out := &findings{title: "Audit of " + a.Tokenizer}
	note := fmt.Sprintf("%d of %d languages come back exactly; the median language costs %.3f tokens per character.", a.Exact, len(a.Languages), a.Median)
	keys := make([]string, 0, len(a.Totals))
	for what := range a.Totals {
		keys = append(keys, what)
	}
	slices.SortFunc(keys, func(x, y string) int { return cmp.Or(a.Totals[y]-a.Totals[x], strings.Compare(x, y)) })
	for _, what := range keys {
		note += fmt.Sprintf(" %d lose %s.", a.Totals[what], what)
	}
	scripts := part{Title: "Scripts", Note: note, Words: 1, Head: []string{"script", "languages", "tokens/char", "tokens/word", "partial", "unknown", "exact"}}
	var labels []string
	perChar, partial := make([]float64, 0, len(a.Scripts)), make([]float64, 0, len(a.Scripts))
	for _, s := range a.Scripts {
		scripts.Rows = append(scripts.Rows, []string{s.Name, fmt.Sprint(s.Count), fmt.Sprintf("%.3f", s.TokensPerChar), orDash(s.Fertility), percent1(s.Partial), percent1(s.Unknown), yes(s.Exact)})
		labels, perChar, partial = append(labels, s.Name), append(perChar, s.TokensPerChar), append(partial, s.Partial)
	}
	scripts.Charts = []template.HTML{
		barChart("tokens per character, by script", labels, []string{"tokens per character"}, [][]float64{perChar}),
		barChart("share of tokens that hold only a part of a character", labels, []string{"share"}, [][]float64{partial})}
	head := []string{"key", "language", "script", "flags", "tokens/char", "tokens/word", "partial", "unknown"}
	flagged := part{Title: "Out of line", Words: 4, Head: head}
	all := part{Title: "Languages", Words: 4, Head: head, PageOnly: !every}
	for _, t := range a.Languages {
		row := []string{t.Key, clipText(t.Name, 32), t.Script, strings.Join(t.Flags, "; "), fmt.Sprintf("%.3f", t.TokensPerChar), orDash(t.Fertility), percent1(t.Partial), percent1(t.Unknown)}
		all.Rows = append(all.Rows, row)
		if len(t.Flags) > 0 {
			flagged.Rows = append(flagged.Rows, row)
		}
	}
	// A table without rows would look like one that failed.
	if flagged.Rows == nil {
		flagged.Head, flagged.Note = nil, "No language is flagged."
	} else if most := 20; len(flagged.Rows) > most && !every {
		flagged.Note = fmt.Sprintf("The first %d of %d flagged languages; --all prints every language.", most, len(flagged.Rows))
		flagged.Rows = flagged.Rows[:most]
	}
	out.parts = []part{scripts, flagged, all}
	return out
}

// yes is a bool in a table.
func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}
