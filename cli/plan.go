package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/quant"
	"weft/infer/plan"
	"weft/internal/sysmem"
	"weft/model/weights/gguf"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
)

// planning is `weft plan`.
type planning struct {
	env          *env
	o            plan.Options
	kind         string // --type
	memory       string
	gflops, gbps float64
}

func (e *env) planCmd() *cobra.Command {
	p := &planning{env: e}
	c := &cobra.Command{
		Use:   "plan MODEL|CONFIG.JSON",
		Short: "Compute what a model needs, and how fast it could be here, before loading it",
		Long: `Plan computes, from a model's sizes alone: parameters, bytes of weights and of
the key/value cache, operations of a prompt and of a token, the least time to the
first token (TTFT) and between tokens (ITL) on this machine, what fits into its
memory, and what speculative decoding could bring. MODEL is a folder, a GGUF file,
an embedded model, or a config.json alone: nothing is loaded.

The floors come from two rates, the peak of the arithmetic (of integers where the
weights are multiplied as such, else of float32) and the bandwidth of reading
memory, both measured now unless given. No program at these rates is faster,
unless the weights fit the processor's cache; real programs are slower.`,
		Example:           "  weft plan out/chat --context 2048 --batch 8\n  weft plan config.json --type q4_k_m --kv-type f16 --gflops 989000 --gbps 3350 --memory 80GB",
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := p.report(args[0])
			if err != nil {
				return err
			}
			if e.json {
				return json.NewEncoder(e.out).Encode(r)
			}
			return printPlan(e.out, r)
		},
	}
	f := c.Flags()
	f.StringVar(&p.kind, "type", "", "how weights are stored, as Q8_0 or Q4_K_M (default: as the files, or the config, say)")
	kvTypeFlag(c, &p.o.KV)
	f.IntVar(&p.o.Context, "context", 0, "positions of a request, prompt and answer (default: the model's)")
	f.IntVar(&p.o.Prompt, "prompt", 0, "tokens of a prompt (default 512)")
	f.IntVar(&p.o.Batch, "batch", 0, "requests that run at once (default 1)")
	f.Float64Var(&p.o.Util, "util", 0, "share of the memory for weights and cache (default 0.9)")
	f.Float64Var(&p.o.Draft, "draft-cost", 0, "time of a drafted token as a share of a step; 0: looked up in the text")
	f.Float64Var(&p.gflops, "gflops", 0, "arithmetic of the machine, GFLOP/s (default: measured now)")
	f.Float64Var(&p.gbps, "gbps", 0, "bandwidth of the machine, GB/s (default: measured now)")
	f.StringVar(&p.memory, "memory", "", "memory of the machine, as 24GiB or 80GB (default: what is free now)")
	return c
}

// report reads the shape, measures what was not given and plans.
func (p *planning) report(arg string) (r plan.Report, err error) {
	wrong := func(format string, args ...any) error { return &usageError{fmt.Errorf("plan: "+format, args...)} }
	if p.gflops < 0 || p.gbps < 0 {
		return r, wrong("--gflops and --gbps must not be negative")
	}
	if p.memory != "" {
		if p.o.Machine.Memory, err = parseBytes(p.memory); err != nil {
			return r, wrong("--memory: %w", err)
		}
	}
	s, files, err := planShape(arg)
	if err != nil {
		return r, fmt.Errorf("plan %s: %w", arg, err)
	}
	var base quant.Format
	if p.o.Size, p.o.Type, base, err = storedAs(s, files, p.kind); err != nil {
		return r, fmt.Errorf("plan %s: %w", arg, err)
	}
	s.Notes = append(s.Notes, p.measure(base)...)
	if r, err = plan.New(s, p.o); err != nil && p.o.Validate() != nil {
		return r, &usageError{err}
	}
	return r, err
}

// measure fills in what this machine can do, as far as it was not given: with
// weights that are multiplied as integers, the peak of those counts. The notes
// say so.
func (p *planning) measure(base quant.Format) (notes []string) {
	pool := p.env.pool()
	defer pool.Close()
	m := &p.o.Machine
	m.FLOPs = p.gflops * 1e9
	switch {
	case m.FLOPs > 0:
	case op.HasIntegers(base):
		m.FLOPs = kernel.IntPeak(pool, kernel.IntFormat(base), 200*time.Millisecond)
		notes = append(notes, fmt.Sprintf("the arithmetic is the peak of integer products with %s weights", base))
	default:
		m.FLOPs = kernel.Peak(pool, 200*time.Millisecond)
	}
	if m.Reads = p.gbps * 1e9; m.Reads == 0 {
		m.Reads = kernel.Bandwidth(pool, 300*time.Millisecond)
	}
	if m.Memory == 0 {
		m.Memory = sysmem.Free()
	}
	return notes
}

// planShape finds the sizes behind an argument; files is nil for a config alone.
func planShape(arg string) (s plan.Shape, files fs.FS, err error) {
	if filepath.Ext(arg) == ".json" {
		s, err = readShape(os.DirFS(filepath.Dir(arg)), filepath.Base(arg))
		return s, nil, err
	}
	l, err := findModel(arg)
	if err != nil {
		return s, nil, err
	}
	s, err = readShape(l.files, zoo.ConfigFile)
	return s, l.files, err
}

func readShape(files fs.FS, name string) (plan.Shape, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return plan.Shape{}, err
	}
	return plan.ParseConfig(text)
}

// storedAs sizes weights as a --type has them; without one as the files do, or
// as the config says. base is the format of most.
func storedAs(s plan.Shape, files fs.FS, kind string) (size plan.Sizer, name string, base quant.Format, err error) {
	if g, ok := files.(*zoo.GGUF); ok && kind == "" {
		return sizesOf(g.Path())
	}
	if kind == "" && files != nil {
		if kind, err = mostly(files); err != nil {
			return nil, "", 0, err
		}
	}
	if kind == "" {
		kind = dtypeName(s.DType)
	}
	m, err := quant.ParseMixture(kind)
	if err != nil {
		return nil, "", 0, fmt.Errorf("%w; say how to plan for the weights with --type", err)
	}
	return s.Mixed(m), m.Name, m.Base, nil
}

// dtypeName is the format that a torch_dtype of config.json, or a dtype of
// safetensors, stands for.
func dtypeName(s string) string {
	switch strings.ToLower(s) {
	case "", "float32", "f32":
		return "F32"
	case "float16", "f16":
		return "F16"
	case "bfloat16":
		return "BF16"
	}
	return s
}

// mostly is the type that most values of a folder's weights are stored in; none
// where the folder has no weights.
func mostly(files fs.FS) (string, error) {
	f, err := safetensors.OpenFS(files)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	values := map[string]int{}
	most := ""
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		if values[info.DType] += info.Len(); most == "" || values[info.DType] > values[most] {
			most = info.DType
		}
	}
	return dtypeName(most), nil
}

// sizesOf sizes tensors as a GGUF file has them.
func sizesOf(path string) (size plan.Sizer, name string, base quant.Format, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, "", 0, err
	}
	defer f.Close()
	bytes, values := map[string]int64{}, map[quant.Format]int{}
	for _, t := range f.Tensors() {
		per, block := t.Type.Block()
		format, err := quant.FromID(uint32(t.Type))
		if per == 0 || err != nil {
			return nil, "", 0, fmt.Errorf("tensor %s is of type %s: %w", t.Name, t.Type, quant.ErrFormat)
		}
		bytes[t.Name] = int64(t.Len()) / int64(per) * int64(block)
		if values[format] += t.Len(); values[format] > values[base] {
			base = format
		}
	}
	return func(t plan.Tensor) (int64, error) {
		n, ok := bytes[t.Name]
		if !ok {
			return 0, fmt.Errorf("the file has no tensor %s", t.Name)
		}
		return n, nil
	}, "as in the file, mostly " + base.Name(), base, nil
}

// parseBytes reads a size: 24GiB, 80GB, 512MiB or plain bytes.
func parseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiBkb ")
	unit := strings.ToUpper(strings.TrimSpace(s[len(number):]))
	scales := map[string]float64{
		"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
	}
	n, err := strconv.ParseFloat(number, 64)
	scale, ok := scales[unit]
	if err != nil || !ok || !(n > 0) || n*scale >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size, want one as 24GiB or 80GB", s)
	}
	return int64(n * scale), nil
}

// printPlan shows a plan to a person.
func printPlan(out io.Writer, r plan.Report) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("model", "%s", r.Shape)
	active := ""
	if r.Active != r.Params {
		active = fmt.Sprintf(", %s of them for a token", siUnit(float64(r.Active), ""))
	}
	line("parameters", "%s%s", siUnit(float64(r.Params), ""), active)
	line("weights", "%s (%s, %.2f bits each)", siUnit(float64(r.WeightBytes), "B"), r.Type, r.Bits)
	line("cache", "%s per token as %s; %s for a request of %d", siUnit(float64(r.KVPerToken), "B"), r.KVType, siUnit(float64(r.KVRequest), "B"), r.Context)
	memory := "memory unknown"
	if r.Machine.Memory > 0 {
		memory = siUnit(float64(r.Machine.Memory), "B") + " of memory"
	}
	line("machine", "%s, reads %s (ridge %.3g FLOP/B), %s", siUnit(r.Machine.FLOPs, "FLOP/s"), siUnit(r.Machine.Reads, "B/s"), r.Ridge, memory)
	line("TTFT", "at least %s for a prompt of %d: %s, %.0f %% of it attention, bound by %s", seconds(r.Prefill.Seconds), r.Prompt,
		siUnit(r.Prefill.FLOPs, "FLOP"), 100*r.Pairs, r.Prefill.Bound)
	for _, s := range r.Steps {
		line("ITL", "at least %s, batch %d, at %d positions: %s and %s read, bound by %s; at most %.3g tokens/s", seconds(s.Floor.Seconds),
			s.Batch, r.Context, siUnit(s.Floor.FLOPs, "FLOP"), siUnit(s.Floor.Bytes, "B"), s.Floor.Bound, s.TokensPerSecond)
	}
	line("fits", "%s", fitSentence(r))
	if r.Reach > 0 {
		line("window", "text acts through all layers over %d positions at most", r.Reach)
	}
	for _, n := range r.Notes {
		line("note", "%s", n)
	}
	fmt.Fprintln(w, "\nspeculation: right\tdraft\ttokens per pass\tspeed-up\t")
	for _, s := range r.Speculation {
		fmt.Fprintf(w, "%.0f %%\t%d\t%.2f\t%.2f\t\n", 100*s.Acceptance, s.Draft, s.Tokens, s.Speedup)
	}
	fmt.Fprintln(w, "\nstored as\tweights\tbits\ttokens/s at most\tfits\t")
	for _, t := range r.Types {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.3g\t%s\t\n", t.Type, siUnit(float64(t.Bytes), "B"), t.Bits, t.TokensPerSecond, map[bool]string{true: "yes", false: "no"}[t.Fits])
	}
	return w.Flush()
}

// fitSentence says what the memory holds, and what would fit where this does not.
func fitSentence(r plan.Report) string {
	f, batch := r.Fit, r.Steps[len(r.Steps)-1].Batch
	switch {
	case f.Budget == 0:
		return "nobody knows: the system does not say how much memory is free (give --memory)"
	case f.Fits:
		return fmt.Sprintf("%d requests of %d in %s; %d at once may have %d positions each", f.Concurrency, r.Context, siUnit(float64(f.Budget), "B"), batch, f.Context)
	}
	var instead []string
	for _, t := range r.Types {
		if t.Fits && t.Bytes < r.WeightBytes {
			instead = append(instead, t.Type)
		}
	}
	s := fmt.Sprintf("not: %s for weights and %d of %d positions is too little", siUnit(float64(f.Budget), "B"), batch, r.Context)
	if f.Context > 0 {
		s += fmt.Sprintf("; it would do for %d positions each", f.Context)
	}
	if len(instead) > 0 {
		s += "; stored as " + strings.Join(instead, ", ") + " it would fit"
	}
	return s
}

// siUnit prints a figure with a decimal prefix: 10.7 GB.
func siUnit(x float64, unit string) string {
	const prefixes = " kMGTPE"
	i := 0
	for ; x >= 999.5 && i < len(prefixes)-1; i++ {
		x /= 1000
	}
	return fmt.Sprintf("%.4g %s", x, strings.TrimSpace(prefixes[i:i+1])+unit)
}

// seconds prints a time from nanoseconds to days.
func seconds(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.3g us", 1e6*s)
	case s < 1:
		return fmt.Sprintf("%.3g ms", 1e3*s)
	case s < 600:
		return fmt.Sprintf("%.3g s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
