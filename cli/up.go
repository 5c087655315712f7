package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"weft/infer/engine"
	"weft/text/corpus"
	"weft/train"
	"weft/train/optim"
	"weft/train/pretrain"
	"weft/train/tune"
)

// The first start of `weft up` makes a model from these. Steps, not a time
// budget: the model is the same, and as good, on every machine.
const (
	upSeed  = 1
	upBytes = 3_000_000 // of generated text
	upChats = 4_000     // generated conversations
)

// upBase is the base model: 0.85M weights, 0.9M tokens, about a minute on two
// cores with AVX-512.
func upBase(out string) pretrain.Options {
	return pretrain.Options{
		Docs: corpus.ParseText(corpus.Sample(upSeed, upBytes), "generated world"), Out: out, Resume: true,
		Vocab: 512, Depth: 4, Dim: 128, Heads: 4, KVHeads: 2, SeqLen: 512, BatchTokens: 2048, Seed: upSeed,
		Options: train.Options{Steps: 450, Schedule: optim.Schedule{Peak: 3e-3}},
	}
}

// upChat teaches the base model to answer, in about half a minute.
func upChat(base, out string) tune.SFTOptions {
	return tune.SFTOptions{
		Base: base, Chats: corpus.ChatsOf(corpus.SampleChats(upSeed, upChats), "generated chats"), Out: out, Resume: true, Seed: upSeed,
		Options: train.Options{Steps: 250, Schedule: optim.Schedule{Peak: 2e-3}},
	}
}

func (e *env) upCmd() *cobra.Command {
	var l listen
	var o engine.Options
	var home string
	c := &cobra.Command{
		Use:   "up",
		Short: "A small model, served: chat page and API (the first start trains it)",
		Long: `Up serves a small chat model. The first start makes it: it writes a text about a
small invented world, trains a tokenizer and a base model on it and teaches the
model to chat, in about two minutes on two cores. Later starts serve at once.
An interrupted first start goes on where it was.

The model is tiny: it knows that world and nothing else.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if home == "" {
				home = filepath.Join(homeDir(), "up")
			}
			if err := l.check(); err != nil {
				return err
			}
			dir, err := e.upModel(cmd.Context(), home)
			if err != nil {
				return err
			}
			return e.serve(cmd.Context(), []string{dir}, l, o)
		},
	}
	l.register(c)
	engineFlags(c, &o)
	c.Flags().StringVar(&home, "home", "", "folder where the model is kept (default $XDG_DATA_HOME/weft/up)")
	return c
}

// upModel returns the folder of the chat model, made first if it is not there.
func (e *env) upModel(ctx context.Context, home string) (string, error) {
	base, chat := filepath.Join(home, "base"), filepath.Join(home, "weft-first")
	ready := filepath.Join(home, "ready")
	if _, err := os.Stat(ready); err == nil {
		return chat, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for a model in %s: %w", home, err)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for the model: %w (choose another with --home)", err)
	}
	fmt.Fprintf(e.err, "first start: training a small model, once, in %s\n", home)
	if err := e.upTrain(ctx, upBase(base), upChat(base, chat)); err != nil {
		return "", err
	}
	if err := os.WriteFile(ready, []byte("the model beside this file is whole\n"), 0o644); err != nil {
		return "", fmt.Errorf("mark the model as ready: %w", err)
	}
	return chat, nil
}

// upTrain runs both stages, each with its own progress. A stage that an earlier
// start finished costs nothing.
func (e *env) upTrain(ctx context.Context, base pretrain.Options, answer tune.SFTOptions) error {
	watch, end := e.observer()
	defer end()
	base.Observer, base.Threads = watch, e.threads
	if _, err := pretrain.Run(ctx, base); err != nil {
		return err
	}
	end()
	answer.Observer, answer.Threads = watch, e.threads
	_, err := tune.SFT(ctx, answer)
	return err
}
