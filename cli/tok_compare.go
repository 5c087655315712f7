package cli

import (
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/corpus"
	"weft/text/tokenizer"
)

// comparison is what `weft tok compare --json` prints.
type comparison struct {
	Price      float64              `json:"price_per_million_tokens,omitempty"`
	Context    int                  `json:"context_tokens"`
	Tokenizers []comparedVocabulary `json:"tokenizers"`
	Texts      []comparedText       `json:"texts"`
}

// comparedVocabulary is the cost of a vocabulary in a model.
type comparedVocabulary struct {
	Name      string  `json:"name"`
	Model     string  `json:"model"`
	Vocab     int     `json:"vocab"`
	Embedding int64   `json:"embedding_parameters,omitempty"` // with --dim
	Share     float64 `json:"embedding_share,omitempty"`      // with --params
}

// comparedText is one text by all tokenizers.
type comparedText struct {
	Name    string         `json:"name"`
	Bytes   int64          `json:"bytes"`
	Chars   int64          `json:"chars"`
	Words   int64          `json:"words"`
	Results []comparedCost `json:"results"` // in the order of the tokenizers
}

// comparedCost is one text by one tokenizer.
type comparedCost struct {
	Tokens        int64   `json:"tokens"`
	BytesPerToken float64 `json:"bytes_per_token"`
	TokensPerChar float64 `json:"tokens_per_char"`
	Fertility     float64 `json:"fertility,omitempty"` // tokens per word; absent for scripts without spaces
	Relative      float64 `json:"relative"`            // tokens beside those of the first tokenizer
	Cost          float64 `json:"cost,omitempty"`      // of this text
	ContextChars  float64 `json:"context_chars"`       // characters of such text in the context
}

// compareFlags are those of `weft tok compare`.
type compareFlags struct {
	tokenizers, only []string
	price            float64
	dim, context     int
	params           float64
	untied           bool
	page             string
}

// tokCompareCmd holds tokenizers beside each other; the first is what others relate to.
func (e *env) tokCompareCmd() *cobra.Command {
	var o compareFlags
	c := &cobra.Command{
		Use:   "compare TEXT... --tokenizer A --tokenizer B",
		Short: "Compare tokenizers by what texts cost in each",
		Long: `Compare counts the tokens of texts in each tokenizer: bytes per token, tokens per
character, fertility (tokens per word), cost beside the first tokenizer, cost at a
price, and how many characters fit into a context. TEXT is a file, a collection of
languages (a folder or .tar.gz of .txt files or UDHR .xml files), or words to count.
docs/TOKENIZERS.md says how each figure is defined.`,
		Example: "  weft tok compare README.md 'Hello 世界' --tokenizer a.json --tokenizer tiny\n  weft tok compare udhr_xml.tar.gz --only eng,cmn_hans,hin --tokenizer a.json --price 2.5 --html report.html",
		Args:    atLeastArgs("TEXT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(o.tokenizers) == 0 {
				return &usageError{errors.New("tok compare: --tokenizer is missing: name one or more")}
			}
			var all []corpus.Language
			for _, arg := range args {
				texts, err := readTexts(arg, o.only)
				if err != nil {
					return err
				}
				all = append(all, texts...)
			}
			r, err := compareTokenizers(all, o)
			if err != nil {
				return err
			}
			return e.show(r.findings(), r, o.page)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.tokenizers, "tokenizer", nil, "tokenizer `file`, or a model that holds one; once for each")
	f.StringSliceVar(&o.only, "only", nil, "of a collection, only these languages")
	f.Float64Var(&o.price, "price", 0, "price of a million tokens, in any currency")
	f.IntVar(&o.context, "context", 8192, "context in tokens")
	f.IntVar(&o.dim, "dim", 0, "width of a model, for the parameters of its embedding")
	f.Float64Var(&o.params, "params", 0, "parameters of that model in all, for the embedding's share")
	f.BoolVar(&o.untied, "untied", false, "the model has a head of its own: twice the parameters")
	f.StringVar(&o.page, "html", "", "also write a page with charts to this `file`")
	return c
}

// readTexts reads what an argument names: a file, a collection, or words.
func readTexts(arg string, only []string) ([]corpus.Language, error) {
	st, err := os.Stat(arg)
	if err != nil {
		// What looks like a path and is not there is a typo, not words to count.
		if strings.ContainsAny(arg, " \n") || !strings.ContainsAny(arg, "/.\\") {
			return []corpus.Language{{Key: clipText(arg, 24), Name: clipText(arg, 24), Text: arg}}, nil
		}
		return nil, fmt.Errorf("text: %w (words to count need a space, or no dot or slash)", err)
	}
	// A collection is a folder, or an archive by its name.
	low := strings.ToLower(arg)
	if st.IsDir() || strings.HasSuffix(low, ".tar.gz") || strings.HasSuffix(low, ".tgz") || strings.HasSuffix(low, ".tar") {
		var all []corpus.Language
		for l, err := range corpus.Languages(arg) {
			if err != nil {
				return nil, err
			}
			if len(only) == 0 || slices.Contains(only, l.Key) {
				all = append(all, l)
			}
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s: none of the languages %q is there", arg, only)
		}
		return all, nil
	}
	data, err := os.ReadFile(arg)
	if err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	return []corpus.Language{{Key: arg, Name: arg, Text: string(data)}}, nil
}

// compareTokenizers counts every text in every tokenizer.
// Tokenizers are read one after the other: the largest take hundreds of megabytes.
func compareTokenizers(texts []corpus.Language, o compareFlags) (*comparison, error) {
	r := &comparison{Price: o.price, Context: o.context}
	for _, l := range texts {
		m := tokenizer.MeasureText(l.Text)
		r.Texts = append(r.Texts, comparedText{Name: l.Name, Bytes: m.Bytes, Chars: m.Chars, Words: m.Words})
	}
	for _, name := range o.tokenizers {
		tok, err := loadTokenizer(name)
		if err != nil {
			return nil, err
		}
		v := comparedVocabulary{Name: name, Model: tok.Describe().Model, Vocab: tok.VocabSize(), Embedding: int64(tok.VocabSize()) * int64(o.dim)}
		if o.untied {
			v.Embedding *= 2
		}
		if o.params > 0 {
			v.Share = float64(v.Embedding) / o.params
		}
		r.Tokenizers = append(r.Tokenizers, v)
		for i, l := range texts {
			t := &r.Texts[i]
			t.Results = append(t.Results, r.cost(tok.Measure(l.Text), t.Results))
		}
		if err := tok.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

// cost turns counts into figures; before holds the results of the tokenizers
// that stand in front.
func (r *comparison) cost(m tokenizer.Measure, before []comparedCost) comparedCost {
	c := comparedCost{Tokens: m.Tokens, BytesPerToken: m.BytesPerToken(), TokensPerChar: m.TokensPerChar(),
		Cost: float64(m.Tokens) * r.Price / 1e6, Relative: 1}
	if f, ok := m.Fertility(); ok {
		c.Fertility = f
	}
	if len(before) > 0 && before[0].Tokens > 0 {
		c.Relative = float64(m.Tokens) / float64(before[0].Tokens)
	}
	if c.TokensPerChar > 0 {
		c.ContextChars = float64(r.Context) / c.TokensPerChar
	}
	return c
}

// findings shows a comparison to people.
func (r *comparison) findings() *findings {
	out := &findings{title: "Tokenizers compared"}
	v := part{Title: "Vocabularies", Words: 2, Head: []string{"tokenizer", "model", "tokens", "embedding", "share"}}
	var names []string
	for _, t := range r.Tokenizers {
		names = append(names, t.Name)
	}
	names = shortNames(names)
	for i, t := range r.Tokenizers {
		row := []string{names[i], t.Model, fmt.Sprint(t.Vocab), "–", "–"}
		if t.Embedding > 0 {
			row[3] = fmt.Sprintf("%.3g M", float64(t.Embedding)/1e6)
		}
		if t.Share > 0 {
			row[4] = percent1(t.Share)
		}
		v.Rows = append(v.Rows, row)
	}
	p := part{Title: "Texts", Words: 2, Note: fmt.Sprintf("Relative: tokens beside those of %s. Context: characters of such text in %d tokens.", names[0], r.Context),
		Head: []string{"text", "tokenizer", "tokens", "bytes/token", "tokens/char", "tokens/word", "relative", "context"}}
	if r.Price > 0 {
		p.Head = append(p.Head, "cost", "cost/M chars")
	}
	// A series of bars for each tokenizer, a group for each text.
	perChar := make([][]float64, len(names))
	var labels []string
	for _, t := range r.Texts {
		labels = append(labels, t.Name)
	}
	labels = shortNames(labels)
	for n, t := range r.Texts {
		for i, c := range t.Results {
			perChar[i] = append(perChar[i], c.TokensPerChar)
			row := []string{labels[n], names[i], fmt.Sprint(c.Tokens), fmt.Sprintf("%.2f", c.BytesPerToken), fmt.Sprintf("%.3f", c.TokensPerChar),
				orDash(c.Fertility), fmt.Sprintf("%.2f", c.Relative), fmt.Sprintf("%.0f", c.ContextChars)}
			if r.Price > 0 {
				row = append(row, fmt.Sprintf("%.4g", c.Cost), fmt.Sprintf("%.4g", c.TokensPerChar*r.Price))
			}
			p.Rows = append(p.Rows, row)
		}
	}
	p.Charts = []template.HTML{barChart("tokens per character", labels, names, perChar)}
	out.parts = []part{v, p}
	return out
}

// shortNames drops the folders that all names of files can do without, each as
// long as it must be to differ from the others.
func shortNames(names []string) []string {
	last := func(name string, n int) string {
		parts := strings.Split(filepath.ToSlash(name), "/")
		return strings.Join(parts[max(0, len(parts)-n):], "/")
	}
	out := make([]string, len(names))
	for i, name := range names {
		// One folder more each time, until no other name ends alike.
		for n := 1; ; n++ {
			short := last(name, n)
			same := 0
			for _, other := range names {
				if last(other, n) == short {
					same++
				}
			}
			if same == 1 || short == filepath.ToSlash(name) {
				out[i] = short
				break
			}
		}
	}
	return out
}

// orDash is a figure, or a dash where there is none.
func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}
