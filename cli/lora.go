package cli

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/infer/engine"
	"weft/llm/local"
	"weft/model/lora"
	"weft/model/zoo"
	"weft/server"
)

// loraOptions say which adapters a server has, and where it may get more from.
type loraOptions struct {
	named   []string // NAME=PATH
	dir     string   // below which clients may load more; none
	max     int      // at once
	anyBase bool     // the name that an adapter gives its base does not matter
}

func (o *loraOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.named, "lora", nil, "LoRA adapter, a folder in PEFT's layout or a GGUF file, as `NAME=PATH`: asked for as the model NAME, it changes the first MODEL for that request alone; may be given several times")
	f.StringVar(&o.dir, "lora-dir", "", "folder below which clients may load adapters while the server runs, with /v1/load_lora_adapter (default: they may not)")
	f.IntVar(&o.max, "max-loras", 16, "adapters that may be loaded at once")
	anyBaseFlag(c, &o.anyBase)
}

func anyBaseFlag(c *cobra.Command, p *bool) {
	c.Flags().BoolVar(p, "lora-any-base", false, "take an adapter although it says that it was made for a model of another name")
}

// give lets the first model have the adapters.
func (o *loraOptions) give(all []*offer) error {
	bad := func(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }
	if len(o.named) == 0 && o.dir == "" {
		return nil
	}
	if o.max < max(1, len(o.named)) || o.max > 1<<16 {
		return bad("--max-loras is %d, want %d to %d", o.max, max(1, len(o.named)), 1<<16)
	}
	seen := map[string]bool{}
	for _, f := range all {
		seen[f.name] = true
	}
	for _, arg := range o.named {
		name, dir, ok := strings.Cut(arg, "=")
		if !ok || name == "" || dir == "" {
			return bad("--lora is %q, want NAME=PATH", arg)
		}
		if seen[name] {
			return bad("--lora %s: the name is taken: choose another", arg)
		}
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("--lora %s: %w", name, err)
		}
		seen[name] = true
	}
	if o.dir != "" {
		if st, err := os.Stat(o.dir); err != nil {
			return fmt.Errorf("--lora-dir: %w", err)
		} else if !st.IsDir() {
			return bad("--lora-dir %s: it is no folder", o.dir)
		}
	}
	f := all[0]
	l, err := findModel(f.arg)
	if err != nil {
		return err
	}
	f.engine.MaxAdapters = o.max
	f.adapters = local.NewAdapters(local.AdapterOptions{Names: l.baseNames(o.anyBase, f.name), Dir: o.dir})
	for _, arg := range o.named {
		name, dir, _ := strings.Cut(arg, "=")
		if err := f.adapters.Declare(name, dir); err != nil {
			return bad("--lora %s: %w", arg, err)
		}
	}
	return nil
}

// laterRank is the rank of adapters that room is left for.
const laterRank = 16

// memory is what the named adapters take of a model's share of the memory, and what
// is left for those that clients may load: as many as there may be, of a common
// rank, within an eighth of the share.
func (o *loraOptions) memory(f *offer, share int64) (declared, later int64, err error) {
	for _, arg := range o.named {
		name, dir, _ := strings.Cut(arg, "=")
		size, err := lora.Measure(lora.At(dir))
		if err != nil {
			return 0, 0, fmt.Errorf("--lora %s: %w", name, err)
		}
		declared += size.Bytes()
	}
	if o.dir != "" {
		s := f.size.shape
		heads := s.HeadDim * (s.Heads + s.KVHeads)
		sides := int64(s.Layers) * int64(2*heads+4*s.Dim+3*(s.Dim+s.FFN)) // in and out of q, k, v, o, gate, up, down
		later = min(share/8, int64(o.max-len(o.named))*laterRank*8*sides)
	}
	return declared, later, nil
}

// baseNames is what a model is called, by itself and by others, for adapters that
// name their base; none: any will do.
func (l *loaded) baseNames(anyBase bool, more ...string) []string {
	if anyBase {
		return nil
	}
	names := append([]string{l.name}, more...)
	var c struct {
		Name string `json:"_name_or_path"`
	}
	if text, err := fs.ReadFile(l.files, zoo.ConfigFile); err == nil && json.Unmarshal(text, &c) == nil && c.Name != "" {
		names = append(names, c.Name)
	}
	if g, ok := l.files.(*zoo.GGUF); ok {
		if v, _ := g.Value("general.name"); v != nil {
			names = append(names, fmt.Sprint(v))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// adapt serves the adapters of a model that was loaded.
func (f *offer) adapt(m *local.Model, eng *engine.Engine, l *loaded) error {
	if f.adapters == nil {
		return nil
	}
	return attach(f.adapters, m, eng, l)
}

func attach(all *local.Adapters, m *local.Model, eng *engine.Engine, l *loaded) error {
	if err := all.Attach(m, eng, l.model); err != nil {
		return fmt.Errorf("--lora: %w", err)
	}
	return nil
}

// loraStats is what /metrics shows of an engine's adapters.
func loraStats(s engine.Stats) *server.LoRA {
	if s.MaxAdapters == 0 {
		return nil
	}
	out := &server.LoRA{Max: s.MaxAdapters}
	for _, a := range s.Adapters {
		if a.Running > 0 {
			out.Running = append(out.Running, a.Name)
		}
		if a.Waiting > 0 {
			out.Waiting = append(out.Waiting, a.Name)
		}
	}
	return out
}

// oneAdapter is the name of the adapter of commands that have one.
const oneAdapter = "lora"

// loraFlags register the adapter of such a command.
func loraFlags(c *cobra.Command, o *engineOptions) {
	c.Flags().StringVar(&o.lora, "lora", "", "LoRA adapter, a folder in PEFT's layout or a GGUF file, which changes the model (default: none)")
	anyBaseFlag(c, &o.anyBase)
}

// adapter is the name that requests of such a command ask for.
func (o *engineOptions) adapter() string {
	if o.lora == "" {
		return ""
	}
	return oneAdapter
}

// adapt serves the one adapter of such a command.
func (o *engineOptions) adapt(m *local.Model, eng *engine.Engine, l *loaded) error {
	if o.lora == "" {
		return nil
	}
	all := local.NewAdapters(local.AdapterOptions{Names: l.baseNames(o.anyBase)})
	if err := all.Declare(oneAdapter, o.lora); err != nil {
		return err
	}
	return attach(all, m, eng, l)
}

// merge adds an adapter to the weights, which are in float32.
func (l *loaded) merge(dir string, anyBase bool) error {
	a, err := lora.Open(lora.At(dir), lora.Base{Model: l.model, Names: l.baseNames(anyBase)})
	if err == nil {
		err = a.Merge(l.model)
	}
	if err != nil {
		return fmt.Errorf("--adapter: %w", err)
	}
	return nil
}
