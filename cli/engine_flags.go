package cli

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weft/compute/kernel"
	"weft/infer/engine"
	"weft/infer/kv"
)

// engineOptions are an engine's options, and what has to be loaded for them.
type engineOptions struct {
	engine.Options
	stored   matrixType // how matrices are kept; of the draft model as its files have them
	draft    string     // MODEL that guesses ahead; none
	prefixes string     // folder for kept prefixes; none
	prefixMB int        // size of its files at most, MiB

	lora    string // folder of an adapter; none
	anyBase bool   // of a base of any name
}

// engineFlags are the knobs of the engine that commands share.
func engineFlags(c *cobra.Command, o *engineOptions) {
	f := c.Flags()
	f.IntVar(&o.Pages, "pages", 0, "key/value cache pages (default: from memory and model)")
	f.IntVar(&o.PageLen, "page-len", 0, "positions per page, a multiple of 16 (default 16)")
	storedFlag(c, &o.stored)
	kvTypeFlag(c, &o.KVType)
	f.IntVar(&o.MaxBatch, "max-batch", 0, "requests that run at once (default 16)")
	f.IntVar(&o.Chunk, "chunk", 0, "tokens per step at most: running requests first, the rest for prompts, fewer where these would keep the others waiting (default 256)")
	f.IntVar(&o.Queue, "queue", 0, "requests that may wait; more get 429 (default 64)")
	f.AddFlag(&pflag.Flag{Name: "prefix-cache", Value: (*inverse)(&o.NoPrefixCache), DefValue: "true", NoOptDefVal: "true",
		Usage: "keep what prompts begin with, for later requests that begin alike"})
	f.StringVar(&o.prefixes, "prefix-dir", "", "folder where kept prefixes outlive memory and the process (default: none)")
	f.IntVar(&o.prefixMB, "prefix-dir-mb", 4096, "size of that folder's files at most, MiB")
	f.IntVar(&o.Ngram, "ngram", 0, "longest run of tokens looked up in a request's own text to guess what follows; the answer stays the same (default: off)")
	modelFlag(c, &o.draft, "draft", "smaller model of the same tokenizer that guesses ahead; the answer stays the same (default: none)")
	f.IntVar(&o.DraftLen, "draft-max", 0, "tokens guessed at a time, at most; fewer or none where that does not pay (default 8)")
}

// kvTypeFlag says how keys and values are kept.
func kvTypeFlag(c *cobra.Command, t *kernel.KVType) {
	var names []string
	for _, k := range kernel.KVTypes() {
		names = append(names, k.String())
	}
	c.Flags().TextVar(t, "kv-type", kernel.KVF32, "how keys and values are kept: "+strings.Join(names, ", ")+"; the answer changes by their rounding (weft quantize --compare-kv)")
	_ = c.RegisterFlagCompletionFunc("kv-type", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// load prepares what the options name for a model.
func (o *engineOptions) load(l *loaded) error {
	o.Warn = func(err error) { slog.Warn(err.Error()) }
	if err := o.loadDraft(l); err != nil {
		return err
	}
	if o.prefixes == "" {
		return nil
	}
	if o.prefixMB < 1 {
		return &usageError{fmt.Errorf("--prefix-dir-mb is %d, want at least 1", o.prefixMB)}
	}
	key, err := prefixKey(l)
	if err != nil {
		return fmt.Errorf("--prefix-dir: %w", err)
	}
	o.PrefixDisk = kv.DiskOptions{Dir: o.prefixes, Key: key, Bytes: int64(o.prefixMB) << 20, Warn: o.Warn}
	return nil
}

// prefixKey names all that the bits of a prefix depend on: the model's files,
// its tokenizer, this very program and the kernels it has chosen.
func prefixKey(l *loaded) (string, error) {
	model, err := l.id()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := fileHash(os.DirFS(filepath.Dir(self)), filepath.Base(self))
	if err != nil {
		return "", err
	}
	key := []string{model, l.stored, l.tok.Hash(), program, kernel.Name()}
	weights, err := fs.Glob(l.files, "*.gguf")
	if err != nil {
		return "", err
	}
	for _, name := range weights {
		sum, err := fileHash(l.files, name)
		if err != nil {
			return "", err
		}
		key = append(key, sum)
	}
	return strings.Join(key, " "), nil
}

// loadDraft reads the draft model for a model.
func (o *engineOptions) loadDraft(l *loaded) error {
	if o.draft == "" {
		return nil
	}
	d, err := loadModel(o.draft)
	if err != nil {
		return fmt.Errorf("--draft: %w", err)
	}
	if d.tok.Hash() != l.tok.Hash() {
		return fmt.Errorf("--draft %s: its tokenizer is not that of %s: want a smaller model trained with the same one", o.draft, l.name)
	}
	o.Draft = d.model
	return nil
}

// inverse is a flag that is on by default, over an option that turns off.
type inverse bool

func (b *inverse) String() string { return strconv.FormatBool(!bool(*b)) }
func (b *inverse) Type() string   { return "bool" }

// Set implements pflag.Value.
func (b *inverse) Set(s string) error {
	on, err := strconv.ParseBool(s)
	*b = inverse(!on)
	return err
}
