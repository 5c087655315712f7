package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"weft/compute/kernel"
	"weft/compute/quant"
	"weft/infer/plan"
	"weft/internal/sysmem"
	"weft/model/hub"
	"weft/model/zoo"
)

// fit is what a model needs, against what this machine has. Sizes are bytes,
// zero where nobody says.
type fit struct {
	Family   string   `json:"family,omitempty"`
	Weights  int64    `json:"weights_bytes"` // in memory
	Context  int      `json:"context"`       // positions that Cache is for
	Cache    int64    `json:"kv_bytes"`
	Room     int      `json:"context_at_most"` // positions that memory has room for, at most the model's; 0: none, or nobody says
	Made     int      `json:"context_of_model"`
	Memory   int64    `json:"memory_bytes"` // of the machine or the container
	Free     int64    `json:"memory_free_bytes"`
	Fetch    int64    `json:"disk_needed_bytes"`
	Disk     int64    `json:"disk_free_bytes"`
	GBPS     float64  `json:"read_gb_per_s"`    // measured now
	Speed    float64  `json:"tokens_per_s"`     // at most: every weight is read once a token
	Problems []string `json:"problems"`         // why it is refused
	Advice   string   `json:"advice,omitempty"` // what would fit

	shape plan.Shape
}

const (
	pullContext = 4096      // positions that memory is reckoned for
	maxContext  = 1 << 24   // positions that may be asked for
	peekConfig  = 1 << 20   // bytes of a config.json
	peekGGUF    = 256 << 10 // bytes of a GGUF that hold its shapes
	diskReserve = 64 << 20  // bytes that a pull leaves free
)

// fitOf reads what describes the model, a few KiB, and measures the machine for
// a third of a second.
func (e *env) fitOf(ctx context.Context, c *hub.Client, p *hub.Plan, o pullOptions) (*fit, error) {
	shape, problem, err := shapeOf(ctx, c, p)
	if err != nil {
		return nil, err
	}
	f := &fit{
		Family: shape.Family, Weights: p.WeightBytes(), Context: o.context, Made: shape.Context, shape: shape,
		Memory: sysmem.Limit(), Free: sysmem.Free(), Disk: int64(diskFree(filepath.Dir(p.Path))), Problems: []string{},
	}
	read := p.WeightBytes() // by a token
	if o.stored.Name != "" && shape.Layers > 0 {
		if f.Weights, err = encodedBytes(shape, o.stored.Mixture); err != nil {
			return nil, err
		}
		read = f.Weights
	}
	if f.Context == 0 {
		f.Context = pullContext
		if shape.Context > 0 {
			f.Context = min(f.Context, shape.Context)
		}
	}
	f.Cache = shape.KVBytes(f.Context, kernel.KVF32)
	if f.Memory > f.Weights && shape.Layers > 0 {
		f.Room = sort.Search(shape.Context, func(n int) bool { return shape.KVBytes(n+1, kernel.KVF32) > f.Memory-f.Weights })
	}
	_, f.Fetch = p.Bytes()
	pool := e.pool()
	defer pool.Close()
	f.GBPS = kernel.Bandwidth(pool, 300*time.Millisecond) / 1e9
	if read > 0 {
		f.Speed = f.GBPS * 1e9 / float64(read)
	}
	f.judge(p.Variants, problem)
	return f, nil
}

// shapeOf reads the description of a plan's model; where it says too little, the
// family alone. The problem is why weft could not load it.
func shapeOf(ctx context.Context, c *hub.Client, p *hub.Plan) (s plan.Shape, problem, err error) {
	weights := p.Items[len(p.Items)-1]
	for _, it := range p.Items {
		if it.Weights {
			weights = it
			break // of a split GGUF the first part describes it
		}
	}
	var text []byte
	if config := p.Item(zoo.ConfigFile); config != nil {
		if text, err = c.Peek(ctx, config, peekConfig); err == nil {
			problem = zoo.CheckConfig(text)
		}
	} else if text, err = c.Peek(ctx, weights, peekGGUF); err == nil {
		if text, err = zoo.Describe(text); err == nil {
			problem = zoo.CheckFamily(text)
		}
	}
	if err != nil {
		return s, nil, err
	}
	if s, err = plan.ParseConfig(text); errors.Is(err, plan.ErrConfig) {
		s, err = plan.Shape{Family: s.Family}, nil
	}
	return s, problem, err
}

// judge fills Problems and Advice.
func (f *fit) judge(variants []hub.Variant, problem error) {
	refuse := func(format string, args ...any) { f.Problems = append(f.Problems, fmt.Sprintf(format, args...)) }
	if problem != nil {
		refuse("weft cannot run it: %v", problem)
	}
	if need := f.Weights + f.Cache; f.Memory > 0 && need > f.Memory {
		refuse("it needs %s of memory (%s weights, %s keys and values of %d positions), and there are %s", bytes64(need), bytes64(f.Weights), bytes64(f.Cache), f.Context, bytes64(f.Memory))
		f.Advice = f.alternative(variants)
	}
	if f.Disk > 0 && f.Fetch+diskReserve > f.Disk {
		refuse("it needs %s of disk, and %s are free: make room, or set HF_HUB_CACHE (OLLAMA_MODELS) to another disk", bytes64(f.Fetch), bytes64(f.Disk))
	}
}

// alternative names what would fit the memory.
func (f *fit) alternative(variants []hub.Variant) string {
	room := f.Memory - f.Cache
	best := -1
	for i, v := range variants {
		if v.Main != "" && v.Bytes <= room && (best < 0 || v.Bytes > variants[best].Bytes) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return fmt.Sprintf("of this repository :%s would fit (%s)", variants[best].Select, bytes64(variants[best].Bytes))
	case f.encoded(room) != "":
		return f.encoded(room)
	case room <= 0:
		return fmt.Sprintf("a smaller --context would fit better: %d positions alone take %s", f.Context, bytes64(f.Cache))
	}
	return fmt.Sprintf("weights of up to %s would fit: about %.1f billion parameters in Q4_K_M, %.1f in Q8_0", bytes64(room), float64(room)/0.6/1e9, float64(room)/1.07/1e9)
}

// encoded names a type that the model would fit in when it is encoded while it is
// read; "": none, or its shape is not known.
func (f *fit) encoded(room int64) string {
	if params, _ := f.shape.Params(); f.shape.Layers == 0 || 8*params < f.Weights { // not what the files hold
		return ""
	}
	for _, name := range []string{"Q8_0", "Q5_K_M", "Q4_K_M"} {
		mix, err := quant.ParseMixture(name)
		if err != nil {
			continue
		}
		if n, err := encodedBytes(f.shape, mix); err == nil && n <= room && n < f.Weights {
			return fmt.Sprintf("with --type %s it would fit (%s of weights): give the same to weft serve, which encodes it while it is read", strings.ToLower(name), bytes64(n))
		}
	}
	return ""
}

// refusal is the error of a pull that is not carried out.
func (f *fit) refusal() error {
	text := strings.Join(f.Problems, "; ")
	if f.Advice != "" {
		text += "; " + f.Advice
	}
	return fmt.Errorf("%w: %s (--force fetches it all the same)", errTooBig, text)
}

// plan prints what a pull would do.
func (r *pulled) plan(w io.Writer) {
	fmt.Fprintf(w, "%s -> %s\n", r.Name, r.Path)
	for _, f := range r.Files {
		have := ""
		if f.Have {
			have = "  (there)"
		}
		fmt.Fprintf(w, "  %10s  %s%s\n", bytes64(f.Bytes), f.Path, have)
	}
	fmt.Fprintf(w, "fetch %s of %s\n", bytes64(r.Missing), bytes64(r.Bytes))
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	if r.Fit != nil {
		r.Fit.print(w)
	}
}

func (f *fit) print(w io.Writer) {
	fmt.Fprintf(w, "memory: %s = %s weights + ", bytes64(f.Weights+f.Cache), bytes64(f.Weights))
	if f.Cache > 0 {
		fmt.Fprintf(w, "%s keys and values of %d positions", bytes64(f.Cache), f.Context)
	} else {
		fmt.Fprint(w, "keys and values of unknown size")
	}
	fmt.Fprintf(w, "; this machine has %s, %s free now\n", bytes64(f.Memory), bytes64(f.Free))
	if f.Room > 0 {
		fmt.Fprintf(w, "context: memory has room for %d positions; the model was made for %d\n", f.Room, f.Made)
	}
	fmt.Fprintf(w, "disk: %s needed, %s free\n", bytes64(f.Fetch), bytes64(f.Disk))
	fmt.Fprintf(w, "speed: at most %.1f tokens/s, if every weight is read once a token at %.1f GB/s, measured now\n", f.Speed, f.GBPS)
	for _, p := range f.Problems {
		fmt.Fprintf(w, "does not fit: %s\n", p)
	}
	if f.Advice != "" {
		fmt.Fprintf(w, "what would: %s\n", f.Advice)
	}
}

func bytes64(n int64) string { return humanBytes(uint64(max(n, 0))) }
