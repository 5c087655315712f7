package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// stop is one area of the tour.
// The words are shown as they are, so their lines are short enough for a terminal.
type stop struct {
	name  string
	title string
	about string   // two sentences
	after []string // stops whose files it uses
	visit func(*tour) error
}

// tour walks through stops in a folder of its own. Every line that it shows is
// run by the command tree itself, in this process: what it prints is what the
// same line prints in a shell.
type tour struct {
	*env
	ctx   context.Context
	quick bool
	lines []tourLine // of the current stop
}

// tourLine is a command line that ran, and what it printed.
type tourLine struct {
	Command string `json:"command"`
	Output  string `json:"output"`
}

// tourCmd is the tour; --quick is for tests, and for people in a hurry.
func (e *env) tourCmd() *cobra.Command {
	t := tour{env: e}
	var list bool
	var keep string
	c := &cobra.Command{
		Use:   "tour [STOP...]",
		Short: "See every area at work in about a minute, offline",
		Long: `Tour visits the areas of weft, or those that are named: what each does, the
command lines that show it, what they print, and how long they took. Every line
is really run. It works in a temporary folder, which --keep DIR replaces by one
that stays: there the same lines run by hand.`,
		Example: "  weft tour\n  weft tour tokenizer pretrain --keep out/tour\n  weft tour --list",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return stopNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return e.listStops()
			}
			stops, err := chooseStops(args)
			if err != nil {
				return err
			}
			t.ctx = cmd.Context()
			return t.inFolder(keep, func() error { return t.visit(stops) })
		},
	}
	c.Flags().BoolVar(&list, "list", false, "name the stops and end")
	c.Flags().StringVar(&keep, "keep", "", "work in this `folder` and keep it (default: a temporary one)")
	c.Flags().BoolVar(&t.quick, "quick", false, "a few seconds in all: models learn next to nothing")
	return c
}

// stopNames are the arguments that there are.
func stopNames() (names []string) {
	for _, s := range tourStops() {
		names = append(names, s.name)
	}
	return names
}

// listStops prints what --list asks for.
func (e *env) listStops() error {
	if e.json {
		return json.NewEncoder(e.out).Encode(stopNames())
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, s := range tourStops() {
		fmt.Fprintf(w, "%s\t%s\n", s.name, s.title)
	}
	return w.Flush()
}

// chooseStops returns the named stops, each behind those that it builds on, in
// the order of the tour; no name is all of them.
func chooseStops(names []string) ([]stop, error) {
	all, want := tourStops(), map[string]bool{}
	for _, name := range names {
		i := slices.Index(stopNames(), name)
		if i < 0 {
			return nil, &usageError{fmt.Errorf("tour: unknown stop %q%s; there are %s", name, didYouMean(name, stopNames()), strings.Join(stopNames(), ", "))}
		}
		want[name] = true
		for _, before := range all[i].after {
			want[before] = true
		}
	}
	return slices.DeleteFunc(all, func(s stop) bool { return len(names) > 0 && !want[s.name] }), nil
}

// inFolder runs fn in dir, made first, or in a temporary folder that is gone
// afterwards, whatever happens.
func (t *tour) inFolder(dir string, fn func() error) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weft-tour-"); err != nil {
			return fmt.Errorf("make a folder for the tour: %w", err)
		}
		defer func() {
			if t.ctx.Err() != nil {
				err = t.ctx.Err() // not where a stopped run can go on: it goes with the folder
			}
			err = errors.Join(err, os.RemoveAll(dir))
		}()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of --keep: %w", err)
	}
	back, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil { // so that the lines shown are the lines run
		return err
	}
	defer func() { err = errors.Join(err, os.Chdir(back)) }() // before the folder goes
	return fn()
}

// visit goes from stop to stop; the first that fails ends the tour.
func (t *tour) visit(stops []stop) error {
	start := time.Now()
	for i, s := range stops {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		t.say("%s── %d of %d: %s\n%s\n", strings.Repeat("\n", min(i, 1)), i+1, len(stops), s.title, s.about)
		t.lines = nil
		from := time.Now()
		if err := s.visit(t); err != nil {
			return fmt.Errorf("tour: %s: %w", s.name, err)
		}
		if err := t.leave(s, time.Since(from)); err != nil {
			return err
		}
	}
	t.say("\n%d stops in %s. `weft up` serves the model; `weft help` has all commands.\n", len(stops), time.Since(start).Round(100*time.Millisecond))
	return nil
}

// leave ends a stop with the last command that it ran.
func (t *tour) leave(s stop, took time.Duration) error {
	if t.json {
		return json.NewEncoder(t.out).Encode(struct {
			Stop    string     `json:"stop"`
			Seconds float64    `json:"seconds"`
			Lines   []tourLine `json:"lines"`
		}{s.name, took.Seconds(), t.lines})
	}
	t.say("\n%.1f s. This ran:  %s\n", took.Seconds(), t.lines[len(t.lines)-1].Command)
	return nil
}

// say prints for people only.
func (t *tour) say(format string, args ...any) {
	if !t.json {
		fmt.Fprintf(t.out, format, args...)
	}
}

// show prints a command line as a shell would show it.
func (t *tour) show(line string) { t.say("\n$ %s\n", line) }

// shellLine quotes what a shell would not take as one word.
func shellLine(args ...string) string {
	quoted := []string{"weft"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$&|<>()*?;#\\`!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted = append(quoted, a)
	}
	return strings.Join(quoted, " ")
}

// run shows a command line and runs it.
func (t *tour) run(args ...string) error {
	line := shellLine(args...)
	t.show(line)
	return t.execute(line, "", t.visible(), args)
}

// feed is run with text on standard input.
func (t *tour) feed(text string, args ...string) error {
	line := fmt.Sprintf("printf '%%s' '%s' | %s", text, shellLine(args...))
	t.show(line)
	return t.execute(line, text, t.visible(), args)
}

// save is run with standard output in a file.
func (t *tour) save(path string, args ...string) error {
	line := shellLine(args...) + " > " + path
	t.show(line)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(t.execute(line, "", f, args), f.Close())
}

// visible is where the output of commands goes.
func (t *tour) visible() io.Writer {
	if t.json {
		return io.Discard
	}
	return t.out
}

// execute runs a command line of the tree in this process.
func (t *tour) execute(line, in string, out io.Writer, args []string) error {
	var said bytes.Buffer
	if out == t.visible() {
		out = io.MultiWriter(out, &said)
	}
	err := t.command(t.ctx, in, out, args)
	t.lines = append(t.lines, tourLine{line, said.String()})
	return err
}

// command runs one command in an environment of its own, with the global flags
// of the tour's that are not about its own output.
func (t *tour) command(ctx context.Context, in string, out io.Writer, args []string) error {
	sub := &env{in: strings.NewReader(in), out: out, err: t.err, browser: t.browser}
	if t.json {
		sub.err = io.Discard
	}
	root := sub.root()
	if t.threads > 0 {
		args = append(slices.Clone(args), fmt.Sprintf("--threads=%d", t.threads))
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}
