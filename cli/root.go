// Package cli is the command line of weft: one file per subcommand, and all
// wiring between the rooms below. Configuration is read here and nowhere else;
// the packages below take options structs.
//
// It holds no model logic: a command reads flags, builds the parts, runs them
// under one cancellable context and prints the result for people or, with
// --json, for machines.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"weft/compute/par"
	"weft/train"
)

// env is what every command shares: the streams, and the global flags.
type env struct {
	in       io.Reader
	out, err io.Writer

	config  string
	threads int
	json    bool
	verbose bool

	// browser opens a page on the desktop.
	browser func(url string) error

	// interrupt, when set, takes the next Ctrl-C instead of ending the command.
	interrupt atomic.Pointer[context.CancelFunc]
}

// Main runs the command line and returns the exit code: 0 done, 1 failed,
// 2 misused, 130 interrupted.
func Main(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e := &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, browser: openBrowser}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			if stop := e.interrupt.Swap(nil); stop != nil && s == os.Interrupt {
				(*stop)()
				continue
			}
			cancel()
		}
	}()
	return e.main(ctx, args)
}

// main runs one command line; errors go to standard error, with the code that Main names.
func (e *env) main(ctx context.Context, args []string) int {
	root := e.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintf(e.err, "weft: interrupted%s\n", afterInterrupt(err))
		return 130
	case errors.As(err, &usage):
		fmt.Fprintf(e.err, "weft: %v\n", err)
		return 2
	}
	fmt.Fprintf(e.err, "weft: %v\n", err)
	return 1
}

// afterInterrupt says what became of an interrupted training run.
func afterInterrupt(err error) string {
	var unsaved *train.SaveError
	switch {
	case errors.As(err, &unsaved):
		return ": " + unsaved.Error()
	case errors.Is(err, train.ErrStopped):
		return ": " + err.Error()
	}
	return ""
}

// usageError marks a wrong command line.
type usageError struct{ error }

// root builds the whole command tree; tests build their own.
func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "weft",
		Short:         "One binary for the whole life of a language model",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          help,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := applySettings(cmd); err != nil {
				return &usageError{err}
			}
			if e.threads < 0 {
				return &usageError{fmt.Errorf("--threads is %d, want 1 or more, or 0 for all cores", e.threads)}
			}
			// Activations and pages live in arenas; what the collector sees is small.
			debug.SetGCPercent(400)
			level := slog.LevelInfo
			if e.verbose {
				level = slog.LevelDebug
			}
			slog.SetDefault(slog.New(tint.NewHandler(e.err, &tint.Options{
				Level: level, TimeFormat: "15:04:05", NoColor: !isTerminal(e.err),
			})))
			return nil
		},
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&e.config, "config", "", "settings `file` (default: ./weft.yaml when it exists)")
	f.IntVar(&e.threads, "threads", 0, "worker threads (default: all cores)")
	f.BoolVar(&e.json, "json", false, "print for machines: one JSON value, or one per line")
	f.BoolVarP(&e.verbose, "verbose", "v", false, "log debug detail to standard error")
	root.AddGroup(&cobra.Group{ID: "life", Title: "The life of a model:"}, &cobra.Group{ID: "look", Title: "Look and measure:"})
	for _, c := range []*cobra.Command{
		e.upCmd(), e.tourCmd(), e.worldCmd(), e.tokCmd(), e.trainCmd(), e.tuneCmd(), e.quantizeCmd(), e.importCmd(), e.exportCmd(), e.pullCmd(), e.runCmd(), e.chatCmd(), e.serveCmd(), e.replayCmd(),
	} {
		c.GroupID = "life"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{e.templateCmd(), e.logitsCmd(), e.planCmd(), e.benchCmd(), e.loadCmd(), e.doctorCmd(), e.versionCmd()} {
		c.GroupID = "look"
		root.AddCommand(c)
	}
	return root
}

const rootLong = `weft is one binary for the whole life of a language model.

  weft up                       the model inside this program, served: chat page and API
  weft tour                     every area at work, in about a minute, offline
  weft train data.txt           tokenizer + pretraining, with held-out bits per byte
  weft tune sft --data x.jsonl  supervised fine-tuning on chats
  weft serve DIR                OpenAI-compatible API for a model folder

Every flag can also be set in weft.yaml under its command's name, or in the
environment as WEFT_<COMMAND>_<FLAG>; a flag given by hand wins.`

// pool returns the workers for a command.
func (e *env) pool() *par.Pool { return par.New(e.threads) }

// isTerminal reports whether a stream is a terminal that can be drawn on.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && terminal(f)
}

// exactArgs is cobra.ExactArgs with an error that names what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		name := strings.TrimPrefix(cmd.CommandPath(), "weft ")
		if len(args) < len(names) {
			return &usageError{fmt.Errorf("%s: %s is missing (usage: %s)", name, names[len(args)], cmd.UseLine())}
		}
		if len(args) > len(names) {
			return &usageError{fmt.Errorf("%s: unexpected argument %q (usage: %s)", name, args[len(names)], cmd.UseLine())}
		}
		return nil
	}
}

// optionalArg takes one argument or none.
func optionalArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return exactArgs(name)(cmd, args)
		}
		return nil
	}
}

// group is a command that only holds others: alone it explains itself.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: noCommand, RunE: help}
	c.AddCommand(commands...)
	return c
}

// noCommand is reached with an argument where a command should stand.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return &usageError{fmt.Errorf("unknown command %q for %q%s; see %s --help", args[0], cmd.CommandPath(), didYouMean(args[0], names), cmd.CommandPath())}
}

// help is what a command without a job of its own does.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// atLeastArgs wants one argument or more.
func atLeastArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exactArgs(name)(cmd, args)
		}
		return nil
	}
}
