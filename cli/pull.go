package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"weft/model/hub"
	"weft/model/zoo"
)

// pullOptions are the flags of weft pull.
type pullOptions struct {
	force, dry bool
	jobs       int
	context    int
	stored     matrixType
	registry   string
}

// pulled is what `weft pull --json` prints.
type pulled struct {
	Name     string        `json:"name"`
	State    string        `json:"state"` // there, planned, fetched
	Path     string        `json:"path"`
	Commit   string        `json:"commit,omitempty"`
	Bytes    int64         `json:"bytes"`
	Missing  int64         `json:"bytes_to_fetch"`
	Files    []pulledFile  `json:"files"`
	Variants []hub.Variant `json:"variants,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
	Fit      *fit          `json:"fit,omitempty"` // absent: nothing is to be fetched
}

type pulledFile struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
	Have   bool   `json:"have"`
}

func (e *env) pullCmd() *cobra.Command {
	var o pullOptions
	c := &cobra.Command{
		Use:   "pull NAME",
		Short: "Fetch a model from Hugging Face or from Ollama's registry",
		Long: `Pull fetches a model: hf:org/name[:file|:quant][@revision] from Hugging Face,
ollama:[namespace/]name[:tag] from Ollama's registry. Of a repository it takes what
weft loads: safetensors with config and tokenizer, or one GGUF with all its parts.
Where there is a choice, it lists the names to type.

Before the first byte it says what the model needs (memory with keys and values,
disk, tokens per second at the read bandwidth measured now), and refuses what does
not fit; --force fetches it all the same, --dry-run only prints the plan. Memory is
reckoned for the weights as they are served: as the files store them, or encoded in
another --type when they are read (weft serve --type).

Files travel in several ranges at once and are checked against their sha256. An
interrupted pull goes on where it was: kill -9 loses the last two seconds.

Models lie where their own tools look, so that nothing is there twice: in the cache
of Hugging Face ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub), in Ollama's
($OLLAMA_MODELS, ~/.ollama/models). What is there already is used where it is:
every command that takes a MODEL takes such a name, and only pull uses the network.

HF_TOKEN is the token for gated models; it goes to HF_ENDPOINT (https://huggingface.co)
and to no other host. HTTPS_PROXY and NO_PROXY are heeded. With HF_HUB_OFFLINE=1
nothing is asked of the network.`,
		Example: `  weft pull hf:TinyLlama/TinyLlama-1.1B-Chat-v1.0
  weft pull hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF:Q4_K_M --dry-run
  weft pull ollama:tinyllama && weft chat ollama:tinyllama`,
		Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := hub.Parse(args[0])
			if err != nil {
				return &usageError{fmt.Errorf("pull: %w", err)}
			}
			if o.context < 0 || o.context > maxContext {
				return &usageError{fmt.Errorf("pull: --context is %d, want 1 to %d, or 0 for the default", o.context, maxContext)}
			}
			return e.pull(cmd.Context(), name, o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.force, "force", false, "fetch also what does not fit this machine, or what weft cannot run yet")
	f.BoolVar(&o.dry, "dry-run", false, "print what would be fetched and what it needs, fetch nothing")
	f.IntVar(&o.jobs, "jobs", 4, "ranges of a file that travel at once")
	f.IntVar(&o.context, "context", 0, "positions to reckon memory for (default: 4096, or what the model was made for if less)")
	f.Var(&o.stored, "type", "format to reckon memory for, as q4_k_m, if the model will be served with the same --type (default: as the files store it)")
	completeTypes(c)
	f.StringVar(&o.registry, "registry", "", "`address` of a mirror of Ollama's registry")
	return c
}

// pull plans, checks and fetches.
func (e *env) pull(ctx context.Context, name hub.Name, o pullOptions) error {
	caches, err := modelCaches()
	if err != nil {
		return err
	}
	here, absent := hub.Find(name, caches)
	if os.Getenv("HF_HUB_OFFLINE") == "1" {
		if absent != nil {
			return fmt.Errorf("pull: HF_HUB_OFFLINE is 1, so nothing is asked of the network: %w", absent)
		}
		return e.printPulled(pulled{Name: name.String(), State: "there", Path: here.Path, Commit: here.Commit})
	}
	var bar *fetchBar
	c, err := hub.New(hub.Options{
		Endpoint: os.Getenv("HF_ENDPOINT"), Registry: o.registry, Token: os.Getenv("HF_TOKEN"), Caches: caches,
		Jobs: o.jobs, Proxy: http.ProxyFromEnvironment, Progress: func(done, total int64) { bar.show(done, total) },
	})
	if err != nil {
		return &usageError{fmt.Errorf("pull: %w", err)}
	}
	p, err := c.Plan(ctx, name)
	if err != nil {
		if absent == nil {
			return fmt.Errorf("pull %w (a copy is here already, and works: %s)", err, here.Path)
		}
		return fmt.Errorf("pull %w", err)
	}
	r := describePull(p)
	if r.Missing > 0 {
		if r.Fit, err = e.fitOf(ctx, c, p, o); err != nil {
			return fmt.Errorf("pull %s: %w", name, err)
		}
	}
	if o.dry {
		return e.printPulled(r)
	}
	if r.Fit != nil && len(r.Fit.Problems) > 0 && !o.force {
		return fmt.Errorf("pull %s: %w", name, r.Fit.refusal())
	}
	if r.Missing > 0 {
		r.State = "fetched"
		if !e.json {
			r.plan(e.err)
		}
	}
	bar = e.fetchBar()
	err = c.Fetch(ctx, p)
	bar.end()
	if err != nil {
		return fmt.Errorf("pull %w", err)
	}
	return e.printPulled(r)
}

// describePull puts a plan into what is printed.
func describePull(p *hub.Plan) pulled {
	r := pulled{Name: p.Name.String(), State: "planned", Path: p.Path, Commit: p.Commit, Variants: p.Variants, Notes: p.Notes}
	r.Bytes, r.Missing = p.Bytes()
	if r.Missing == 0 {
		r.State = "there"
	}
	for _, it := range p.Items {
		r.Files = append(r.Files, pulledFile{it.Path, it.Size, it.Digest.String(), it.Have})
	}
	return r
}

// modelCaches is where models of registries lie on this machine.
func modelCaches() (c hub.Caches, err error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return c, fmt.Errorf("find the caches of models: %w", err)
	}
	env := func(name string, otherwise ...string) string {
		if dir := os.Getenv(name); dir != "" {
			return dir
		}
		return filepath.Join(otherwise...)
	}
	hf := env("HF_HOME", env("XDG_CACHE_HOME", home, ".cache"), "huggingface")
	c.HuggingFace = env("HF_HUB_CACHE", hf, "hub")
	c.Ollama = []string{env("OLLAMA_MODELS", home, ".ollama", "models")}
	if os.Getenv("OLLAMA_MODELS") == "" {
		c.Ollama = append(c.Ollama, "/usr/share/ollama/.ollama/models") // where its Linux service keeps them
	}
	return c, nil
}

// cachedModel finds the model that a MODEL argument names in a registry, on this
// machine and without the network; nil: the argument is no such name.
func cachedModel(arg string) (*loaded, error) {
	if !hub.Is(arg) {
		return nil, nil
	}
	name, err := hub.Parse(arg)
	if err != nil {
		return nil, fmt.Errorf("model %w", err)
	}
	caches, err := modelCaches()
	if err != nil {
		return nil, err
	}
	found, err := hub.Find(name, caches)
	if err != nil {
		return nil, fmt.Errorf("model %w", err)
	}
	files, err := zoo.Open(found.Path)
	return &loaded{name: name.String(), files: files}, err
}

// fetchBar shows bytes as they come.
type fetchBar struct {
	*progress
	before int64 // bytes that were there at the start
	begun  bool
	full   bool
}

func (e *env) fetchBar() *fetchBar {
	b := &fetchBar{progress: e.progress("fetch")}
	b.unit = " MiB"
	return b
}

// show implements hub.Options.Progress.
func (b *fetchBar) show(done, total int64) {
	if !b.begun {
		b.before, b.progress.from, b.begun = done, int(done>>20), true
	}
	if b.full && done == total {
		return // files are being checked
	}
	b.full = done == total
	rate := float64(done-b.before) / max(time.Since(b.start).Seconds(), 1e-3)
	b.set(int(done>>20), int(total>>20), humanBytes(uint64(max(rate, 0)))+"/s")
}

func (e *env) printPulled(r pulled) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(r)
	}
	switch r.State {
	case "planned":
		r.plan(e.out)
	case "there":
		fmt.Fprintf(e.out, "%s is already there: %s\n", r.Name, r.Path)
	case "fetched":
		fmt.Fprintf(e.out, "%s: %s\n", r.Name, r.Path)
	}
	if r.State != "planned" {
		fmt.Fprintf(e.out, "use it by its name: weft run %s 'Hello'\n", r.Name)
	}
	return nil
}

// errTooBig marks a refusal of weft pull.
var errTooBig = errors.New("it does not fit")
