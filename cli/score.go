package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"weft/chat"
	"weft/eval"
	"weft/infer/engine"
	"weft/internal/atomicfile"
	"weft/llm/local"
	"weft/text/corpus/world"
)

// scoring is `weft world score`.
// It is one run of the command: its flags, and what they resolve to.
type scoring struct {
	env    *env
	engine engineOptions
	eval   eval.Options
	set    eval.Set

	tasks    []string
	split    string
	out      string
	curve    string
	compare  string
	markdown bool
	show     bool // print wrong replies

	bars   []eval.Bar
	before *eval.Report // to compare with; nil: none
}

// scoreCmd wires package eval to models of this program.
func (e *env) scoreCmd() *cobra.Command {
	s := &scoring{env: e}
	c := &cobra.Command{
		Use:   "score MODEL...",
		Short: "Measure how well models know the world, with intervals, and hold them to weft-tiny's bars",
		Long: `Score asks a model the items of each task, greedily, and judges every reply by
rule. It prints the share of right replies with its 95 % interval (Wilson), the
bar where there is one, the share that wrongly says "I don't know" or declines,
and the mean length of a reply. An error of the model is counted as an error.

With --out the report is written as JSON, one line per model, and every reply to
a .answers.jsonl beside it as it comes: interrupted, even by kill -9, the same
command goes on from there. --compare holds the same items against an earlier
report, pairwise (exact McNemar). With several models, such as those that
--keep-every left of a run, --curve draws score against training tokens.`,
		Example: "  weft world score out/tiny --out scores.json\n  weft world score out/chat/step-* out/chat --tasks fact,tool --n 200 --curve curve.svg",
		Args:    atLeastArgs("MODEL"),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return modelNames(typed), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s.show = cmd.Flags().Changed("failures")
			if err := s.validate(); err != nil {
				return err
			}
			return s.run(cmd.Context(), args)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&s.tasks, "tasks", nil, "tasks to ask, with commas between (default: all)")
	f.IntVar(&s.set.PerTask, "n", 500, "items per task")
	f.StringVar(&s.split, "split", string(world.Held), "held: people, places and phrasings never trained on; or train")
	f.Uint64Var(&s.set.Seed, "seed", 1, "which world")
	f.StringVarP(&s.out, "out", "o", "", "`file` for the report as JSON; replies are kept beside it")
	f.BoolVar(&s.markdown, "markdown", false, "print the table for a model card")
	f.IntVar(&s.eval.Failures, "failures", 5, "wrong replies kept in the report, per task; given by hand, they are printed too")
	f.StringVar(&s.compare, "compare", "", "an earlier report, as `file`: compare item by item")
	f.StringVar(&s.curve, "curve", "", "`file` for score against training tokens, as SVG")
	f.IntVar(&s.eval.Concurrency, "concurrency", 0, "requests in flight; the scores are the same for any (default 16)")
	f.IntVar(&s.eval.MaxTokens, "max-tokens", 0, "most tokens of a reply (default 256)")
	engineFlags(c, &s.engine)
	return c
}

// validate checks the flags, before any model is read.
func (s *scoring) validate() error {
	wrong := func(format string, args ...any) error {
		return &usageError{fmt.Errorf("world score: "+format, args...)}
	}
	var all []string
	for _, t := range world.Tasks() {
		all = append(all, string(t))
	}
	for _, t := range s.tasks {
		if !slices.Contains(all, t) {
			return wrong("--tasks: unknown task %q%s; there are %s", t, didYouMean(t, all), strings.Join(all, ", "))
		}
	}
	if len(s.tasks) > 0 { // in the world's order, each once
		all = slices.DeleteFunc(all, func(t string) bool { return !slices.Contains(s.tasks, t) })
	}
	s.tasks = all
	switch {
	case s.set.PerTask <= 0:
		return wrong("--n is %d, want 1 or more", s.set.PerTask)
	case s.split != string(world.Held) && s.split != string(world.Train):
		return wrong("--split is %q, want held or train", s.split)
	case s.eval.Failures < 0 || s.eval.Concurrency < 0 || s.eval.MaxTokens < 0:
		return wrong("--failures, --concurrency and --max-tokens must not be negative")
	case s.env.json && s.markdown:
		return wrong("--json and --markdown are two ways to print: give one")
	}
	// In eval.Options zero is the default; none is a negative number.
	if s.eval.Failures == 0 {
		s.eval.Failures = -1
	}
	// Reports of another version of the world, or of another split, do not compare.
	s.set.Version, s.set.Split = world.Version, world.Split(s.split)
	// The bars are about what was never trained on.
	if s.set.Split == world.Held {
		s.bars = eval.TinyBars()
	}
	if s.compare != "" {
		before, err := readReports(s.compare)
		if err != nil {
			return err
		}
		s.before = &before[0]
	}
	return nil
}

// run scores the models one after the other.
func (s *scoring) run(ctx context.Context, dirs []string) error {
	var reports []eval.Report
	// Each is printed as it comes: with many models the last is far away.
	for _, dir := range dirs {
		r, err := s.one(ctx, dir)
		if err != nil {
			return fmt.Errorf("world score %s: %w", dir, err)
		}
		reports = append(reports, r)
		if err := s.print(r); err != nil {
			return err
		}
	}
	if s.out != "" {
		var b bytes.Buffer
		for _, r := range reports {
			if err := json.NewEncoder(&b).Encode(r); err != nil {
				return err
			}
		}
		if err := atomicfile.WriteBytes(s.out, b.Bytes()); err != nil {
			return err
		}
	}
	if s.curve == "" {
		return nil
	}
	svg, err := eval.Curve(reports)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(s.curve, svg)
}

// one scores one model.
func (s *scoring) one(ctx context.Context, arg string) (rep eval.Report, err error) {
	o := s.eval
	if s.out != "" {
		// Replies of all models go to one file, told apart by the hash of the model.
		o.Answers = strings.TrimSuffix(s.out, filepath.Ext(s.out)) + ".answers.jsonl"
	}
	past, err := ancestry(arg)
	if err != nil {
		return rep, err
	}
	err = s.env.withModel(arg, s.engine, func(l *loaded, m *local.Model, _ *engine.Engine) error {
		if o.ModelID, err = l.id(); err != nil {
			return err
		}
		bar := s.env.progress("score " + l.name)
		o.Progress = func(done, total, found int) {
			note := ""
			if found > 0 {
				note = fmt.Sprintf("%d found in %s", found, o.Answers)
			}
			bar.set(done-found, total-found, note) // the time left is that of asking
		}
		rep, err = eval.Run(ctx, m, s.items(), o)
		bar.end()
		rep.Model.Name, rep.Model.Parameters = l.name, m.Info().Params
		return err
	})
	rep.Model.Trained, rep.World = past.tokens(), s.set
	rep.Checks = rep.Check(s.bars)
	return rep, err
}

// items are the first PerTask items of every task. Where a bar is about one
// level, more items of that level follow until there are as many of it; the
// task as a whole then has more of that level than of others.
func (s *scoring) items() iter.Seq[world.Item] {
	const most = 20 // times PerTask that are looked through for a level
	w, n := world.New(s.set.Seed), s.set.PerTask
	return func(yield func(world.Item) bool) {
		for _, task := range s.tasks {
			want := map[int]int{} // items still wanted, by level
			for _, b := range s.bars {
				if string(b.Task) == task && b.Level > 0 {
					want[b.Level] = n
				}
			}
			i, open := 0, len(want)
			for it := range w.Items(world.Task(task), s.set.Split, most*n) {
				left, special := want[it.Level]
				if (i < n || special && left > 0) && !yield(it) {
					return
				}
				if special && left > 0 {
					if want[it.Level]--; left == 1 {
						open--
					}
				}
				if i++; i >= n && open == 0 {
					break
				}
			}
		}
	}
}

// print shows a report in the way asked for.
func (s *scoring) print(r eval.Report) error {
	var pairs []eval.Comparison
	if s.before != nil {
		var err error
		if pairs, err = eval.Compare(*s.before, r); err != nil {
			return err
		}
	}
	w := s.env.out
	switch {
	case s.env.json:
		return json.NewEncoder(w).Encode(struct {
			eval.Report
			Comparison []eval.Comparison `json:"comparison,omitempty"`
		}{r, pairs})
	case s.markdown:
		fmt.Fprint(w, r.Markdown())
	default:
		fmt.Fprintf(w, "%s: %d items of world %d, split %s, greedy\n", r.Model.Name, len(r.Results), r.World.Seed, r.World.Split)
		if err := r.WriteText(w); err != nil {
			return err
		}
	}
	if pairs != nil {
		if err := printComparison(w, s.before.Model.Name, pairs); err != nil {
			return err
		}
	}
	if s.show && !s.markdown {
		printFailures(w, r.Failures)
	}
	return nil
}

// printComparison holds two reports against each other, task by task.
func printComparison(w io.Writer, name string, pairs []eval.Comparison) error {
	fmt.Fprintf(w, "\nagainst %s, the same items (exact McNemar; seen: the smallest difference found 4 times out of 5)\n", name)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "task\titems\tbefore\tnow\tlost\twon\tp\tseen\t")
	for _, c := range pairs {
		fmt.Fprintf(t, "%s\t%d\t%.1f %%\t%.1f %%\t%d\t%d\t%.3g\t%.1f points\t%s\n", c.Task, c.Items, 100*c.Before.Rate, 100*c.After.Rate,
			c.Lost, c.Won, c.P, 100*c.Detectable, c.Verdict())
	}
	return t.Flush()
}

// printFailures shows wrong replies with the conversation in front of them.
func printFailures(w io.Writer, failures []eval.Failure) {
	for _, f := range failures {
		fmt.Fprintf(w, "\n%s (level %d): %s\n", f.Item.ID, f.Item.Level, f.Why)
		last := len(f.Item.Messages) - 1
		for _, m := range f.Item.Messages[:last] {
			fmt.Fprintf(w, "  %s: %s\n", m.Role, spoken(m.Content, m.ToolCalls))
		}
		fmt.Fprintf(w, "  said: %s\n  want: %s\n", spoken(f.Reply.Content, f.Reply.ToolCalls),
			spoken(f.Item.Messages[last].Content, f.Item.Messages[last].ToolCalls))
	}
}

// readReports reads what --out wrote, at least one report.
func readReports(path string) ([]eval.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read scores: %w", err)
	}
	defer f.Close()
	var out []eval.Report
	// One report per line, one per model.
	for d := json.NewDecoder(f); ; {
		var r eval.Report
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) && len(out) > 0 {
			return out, nil
		}
		if err != nil || len(r.Results) == 0 {
			return nil, fmt.Errorf("read scores %s: it is not what `weft world score --out` writes", path)
		}
		out = append(out, r)
	}
}

// spoken is a message's text with its calls behind it, indented below its name.
func spoken(text string, calls []chat.ToolCall) string {
	for _, c := range calls {
		text += fmt.Sprintf(" [%s %s]", c.Name, c.Arguments)
	}
	return strings.ReplaceAll(text, "\n", "\n        ")
}
