package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"weft/compute/par"
	"weft/infer/engine"
	"weft/llm/local"
	"weft/model"
	"weft/model/zoo"
	"weft/text/template"
	"weft/text/tokenizer"
)

// loaded is a model folder brought to life: weights, tokenizer, template.
type loaded struct {
	name  string
	model model.Model
	tok   *tokenizer.Tokenizer
	tmpl  *template.Template // nil: a base model without a chat template
}

// loadModel reads a model folder in the Hugging Face layout.
func loadModel(dir string) (*loaded, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w (train one with `weft train`, or bring one in with `weft import`)", dir, err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("model %s: is a file, want a folder with config.json, model.safetensors and tokenizer.json (see `weft import`)", dir)
	}
	m, err := zoo.Load(dir)
	if err != nil {
		return nil, hintFiles(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, hintFiles(err)
	}
	if have, want := tok.VocabSize(), m.Info().Vocab; have > want {
		return nil, fmt.Errorf("model %s: tokenizer.json has %d tokens but the model only %d: they do not belong together", dir, have, want)
	}
	tmpl, err := template.Load(dir)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &loaded{name: filepath.Base(abs), model: m, tok: tok, tmpl: tmpl}, nil
}

// hintFiles says what a model folder holds when a file of it is missing.
func hintFiles(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (a model folder has config.json, model.safetensors and tokenizer.json)", err)
	}
	return err
}

// live starts an engine over the model. Close the engine when done.
func (l *loaded) live(pool *par.Pool, o engine.Options) (*local.Model, *engine.Engine, error) {
	if err := o.Validate(); err != nil {
		return nil, nil, &usageError{err}
	}
	o.Pool = pool
	eng, err := engine.Open(l.model, o)
	if err != nil {
		return nil, nil, err
	}
	return local.New(l.tok, l.tmpl, eng, l.model.Info()), eng, nil
}

// withModel brings a model folder to life for the time of fn.
func (e *env) withModel(dir string, o engine.Options, fn func(*loaded, *local.Model, *engine.Engine) error) error {
	l, err := loadModel(dir)
	if err != nil {
		return err
	}
	pool := e.pool()
	defer pool.Close()
	m, eng, err := l.live(pool, o)
	if err != nil {
		return err
	}
	defer eng.Close()
	return fn(l, m, eng)
}

// engineFlags are the knobs of the engine that commands share.
func engineFlags(c *cobra.Command, o *engine.Options) {
	f := c.Flags()
	f.IntVar(&o.Pages, "pages", 0, "key/value cache pages (default: from memory and model)")
	f.IntVar(&o.PageLen, "page-len", 0, "positions per page, a multiple of 16 (default 16)")
	f.IntVar(&o.MaxBatch, "max-batch", 0, "requests that run at once (default 16)")
	f.IntVar(&o.Chunk, "chunk", 0, "tokens per step: running requests first, the rest for prompts (default 256)")
	f.IntVar(&o.Queue, "queue", 0, "requests that may wait; more get 429 (default 64)")
}

// modelArg completes folder names.
func modelArg(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}
