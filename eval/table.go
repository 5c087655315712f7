package eval

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// header and rows are the columns that tables have for people.
var header = [...]string{"task", "items", "score", "95 % interval", "bar", "", "unknown", "refused", "tokens"}

// rows lists the scores, each task's levels below it, and below a task the
// bars on what should not happen.
func (r *Report) rows() [][]string {
	var out [][]string
	for _, s := range r.Scores {
		name := string(s.Task)
		if s.Level > 0 {
			name = fmt.Sprintf("  level %d", s.Level)
		}
		row := []string{name, fmt.Sprint(s.Right.Of), percent(s.Right), interval(s.Right), "", "", percent(s.Abstained), percent(s.Refused), fmt.Sprintf("%.0f", s.Tokens)}
		if s.Errors > 0 {
			row[5] = fmt.Sprintf("%d errors", s.Errors)
		}
		var more [][]string
		for _, c := range r.Checks {
			switch {
			case c.Task != s.Task:
			case c.Level == s.Level && c.Metric == Right:
				row[4], row[5] = c.Bar.String(), c.Verdict()
			case s.Level == 0 && (c.Metric != Right || r.levels(c) == 0):
				more = append(more, []string{"  " + c.what(), fmt.Sprint(c.Share.Of), percent(c.Share), interval(c.Share), c.Bar.String(), c.Verdict(), "", "", ""})
			}
		}
		out = append(append(out, row), more...)
	}
	return out
}

// levels says how many rows there are for the level of a check.
func (r *Report) levels(c Check) (n int) {
	for _, s := range r.Scores {
		if s.Task == c.Task && s.Level == c.Level {
			n++
		}
	}
	return n
}

func (c Check) what() string {
	switch c.Metric {
	case Abstained:
		return "wrongly unknown"
	case Refused:
		return "wrongly refused"
	}
	return fmt.Sprintf("level %d", c.Level)
}

func percent(s Share) string {
	if s.Of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Rate)
}

func interval(s Share) string { return fmt.Sprintf("%.1f – %.1f", 100*s.Low, 100*s.High) }

// WriteText writes the table for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(header[:], "\t"))
	for _, row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// Markdown is the table of a model card: the columns that a reader needs.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("| task | items | score | 95 % interval | bar | |\n|---|---:|---:|---|---|---|\n")
	for _, row := range r.rows() {
		name := strings.Replace(row[0], "  ", "– ", 1)
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(row[1:6], " | "))
	}
	return b.String()
}
