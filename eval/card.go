package eval

import (
	"fmt"
	"strings"
)

// Card is what a model card states. The caller fills in what the model's folder
// and its training runs say; what is empty is not mentioned.
type Card struct {
	Name       string
	Family     string
	Layers     int
	Dim        int
	Heads      int
	KVHeads    int
	Context    int // positions
	Vocab      int
	Parameters int64
	Bytes      int64  // of the weights on disk
	Template   string // name of the chat template
	License    string
	Data       string // a sentence about the training text
	Recipe     string // the command that makes the model from nothing
	Runs       []TrainingRun
	Missing    bool // runs before the first of Runs are not known
	Scores     *Report
}

// TrainingRun is one run behind a model, the oldest first in a Card.
type TrainingRun struct {
	Kind     string // "pretrain", "sft"
	Command  string // with every setting that decides the result
	DataHash string
	Steps    int
	Tokens   int64 // gone through
	HeldOut  string
}

// Markdown writes the card.
func (c *Card) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", c.Name, c.about())
	fmt.Fprintf(&b, "| | |\n|---|---|\n")
	row := func(name string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", name, value) }
	row("architecture", fmt.Sprintf("%s, %d layers, %d wide, %d heads (%d for keys and values)", c.Family, c.Layers, c.Dim, c.Heads, c.KVHeads))
	row("parameters", thousands(c.Parameters))
	row("weights", fmt.Sprintf("%s bytes, %.1f bits per parameter", thousands(c.Bytes), 8*float64(c.Bytes)/float64(max(1, c.Parameters))))
	row("context", fmt.Sprintf("%d tokens", c.Context))
	row("vocabulary", fmt.Sprintf("%d tokens", c.Vocab))
	if c.Template != "" {
		row("chat template", c.Template)
	}
	if c.License != "" {
		row("licence", c.License)
	}
	b.WriteString("\n")
	c.training(&b)
	c.scores(&b)
	return b.String()
}

func (c *Card) about() string {
	what := "A base language model: it continues text."
	if c.Template != "" {
		what = "A chat model."
	}
	return fmt.Sprintf("%s It has %s parameters and was made with weft, from training to this page.", what, short(c.Parameters))
}

func (c *Card) training(b *strings.Builder) {
	b.WriteString("## Training\n\n")
	if c.Data != "" {
		b.WriteString(c.Data + "\n\n")
	}
	if c.Recipe != "" {
		fmt.Fprintf(b, "Made from nothing by\n\n```\n%s\n```\n\n", c.Recipe)
	}
	switch {
	case len(c.Runs) == 0:
		b.WriteString("The folder does not say how the model was trained.\n\n")
		return
	case c.Missing:
		b.WriteString("What came before the first of these runs is not known.\n\n")
	}
	for _, r := range c.Runs {
		fmt.Fprintf(b, "- **%s**: %s steps, %s tokens", r.Kind, thousands(int64(r.Steps)), thousands(r.Tokens))
		if r.DataHash != "" {
			fmt.Fprintf(b, " (data %.12s)", r.DataHash)
		}
		if r.HeldOut != "" {
			b.WriteString("; held out: " + r.HeldOut)
		}
		fmt.Fprintf(b, "\n\n  ```\n  %s\n  ```\n\n", r.Command)
	}
}

func (c *Card) scores(b *strings.Builder) {
	r := c.Scores
	fmt.Fprintf(b, "## Scores\n\nGreedy decoding, %s items of the small world (seed %d, version %d), judged by rule; 95 %% intervals are Wilson's.\n\n",
		heldOut(r.World), r.World.Seed, r.World.Version)
	b.WriteString(r.Markdown())
	b.WriteString("\n## What it cannot do\n\n")
	for _, check := range r.Checks {
		if !check.Met {
			name := string(check.Task)
			if check.Metric != Right || check.Level > 0 {
				name += ", " + check.what()
			}
			fmt.Fprintf(b, "- %s: %s, wanted %s.\n", name, percent(check.Share), check.Bar)
		}
	}
	for _, s := range r.Scores {
		if s.Level == 0 && s.Right.High < 0.5 {
			fmt.Fprintf(b, "- %s: it is wrong more often than right (%s).\n", s.Task, percent(s.Right))
		}
	}
	fmt.Fprintf(b, "- Nothing outside these tasks was measured: take what it says about the real world as made up.\n")
	fmt.Fprintf(b, "- A conversation longer than %d tokens does not fit.\n", c.Context)
}

func heldOut(s Set) string {
	if s.Split == "held" {
		return "held-out"
	}
	return string(s.Split)
}

// thousands writes a count with commas.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a count as it is said: 3.2M, 850K.
func short(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0fK", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}
