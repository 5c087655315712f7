package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/compute/par"
	"weft/infer/engine"
	"weft/llm/local"
	"weft/model"
	"weft/model/tiny"
	"weft/model/zoo"
	"weft/text/template"
	"weft/text/tokenizer"
)

// loaded is a model folder, or file, brought to life: weights, tokenizer, template.
type loaded struct {
	name     string
	files    fs.FS  // the folder
	stored   string // mixture that its matrices were encoded in when they were read; empty: as in the files
	embedded bool   // it is part of this program
	model    model.Model
	tok      *tokenizer.Tokenizer
	tmpl     *template.Template // nil: a base model without a chat template
}

// loadModel reads the model that a MODEL argument names (findModel), to serve.
func loadModel(arg string) (*loaded, error) { return loadWith(arg, reading{}) }

func loadWith(arg string, how reading) (*loaded, error) {
	l, err := findModel(arg)
	if err != nil {
		return nil, err
	}
	if err := mustFit(l, how); err != nil {
		return nil, err
	}
	if l.model, err = how.load(l.files); err != nil {
		return nil, hintFiles(err)
	}
	l.stored = how.as.String()
	if l.tok, err = l.tokenizer(); err != nil {
		return nil, hintFiles(err)
	}
	if have, want := l.tok.VocabSize(), l.model.Info().Vocab; have > want {
		return nil, fmt.Errorf("model %s: its tokenizer has %d tokens but the model only %d: they do not belong together", arg, have, want)
	}
	if l.tmpl, err = template.LoadFS(l.files); err != nil {
		return nil, err
	}
	return l, nil
}

// tokenizer reads the tokenizer in the files.
func (l *loaded) tokenizer() (*tokenizer.Tokenizer, error) {
	if g, ok := l.files.(*zoo.GGUF); ok {
		return g.Tokenizer()
	}
	return tokenizer.LoadFS(l.files)
}

// findModel finds the folder that a MODEL argument names, and reads none of its
// weights yet: an embedded model by its name, a model of a registry (hf:org/name,
// ollama:name) in the caches of this machine, else what zoo.Open takes: a folder
// in the Hugging Face layout, or a GGUF file, which stands for one. A folder of
// the same name as an embedded model is written ./tiny.
func findModel(arg string) (*loaded, error) {
	if slices.Contains(tiny.Names(), arg) {
		files, err := tiny.Open(arg)
		return &loaded{name: arg, files: files, embedded: true}, err
	}
	if l, err := cachedModel(arg); l != nil || err != nil {
		return l, err
	}
	if _, err := os.Stat(arg); err != nil {
		return nil, fmt.Errorf("model %s: %w (train one with `weft train`, bring one in with `weft import`, or use one inside this program: %s)",
			arg, err, strings.Join(tiny.Names(), ", "))
	}
	files, err := zoo.Open(arg)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return nil, err
	}
	return &loaded{name: strings.TrimSuffix(filepath.Base(abs), ggufEnd), files: files}, nil
}

// ggufEnd is how the names of GGUF files end.
const ggufEnd = ".gguf"

// hintFiles says what a model folder holds when a file of it is missing.
func hintFiles(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (a model is a GGUF file, or a folder with config.json, model.safetensors and tokenizer.json)", err)
	}
	return err
}

// live starts an engine over the model. Close the engine when done.
func (l *loaded) live(pool *par.Pool, o engineOptions) (*local.Model, *engine.Engine, error) {
	if err := o.Validate(); err != nil {
		return nil, nil, &usageError{err}
	}
	o.Pool = pool
	if err := o.load(l); err != nil {
		return nil, nil, err
	}
	if o.lora != "" {
		o.MaxAdapters = 1
	}
	eng, err := engine.Open(l.model, o.Options)
	if err != nil {
		return nil, nil, err
	}
	m := local.New(l.tok, l.tmpl, eng, l.model.Info())
	if err := o.adapt(m, eng, l); err != nil {
		eng.Close()
		return nil, nil, err
	}
	return m, eng, nil
}

// withModel brings a model folder to life for the time of fn.
func (e *env) withModel(dir string, o engineOptions, fn func(*loaded, *local.Model, *engine.Engine) error) error {
	l, err := loadWith(dir, reading{as: o.stored})
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

// modelArg completes the names of embedded models and of folders.
func modelArg(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return modelNames(typed), cobra.ShellCompDirectiveDefault
}

// modelNames lists the embedded models that begin with what is typed. Shells
// add files themselves.
func modelNames(typed string) []string {
	return slices.DeleteFunc(tiny.Names(), func(name string) bool { return !strings.HasPrefix(name, typed) })
}

// modelFlag registers a flag that names a model, with its completion.
func modelFlag(c *cobra.Command, p *string, name, usage string) {
	c.Flags().StringVar(p, name, "", usage)
	_ = c.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return modelNames(typed), cobra.ShellCompDirectiveDefault
	})
}
