package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sort"

	"weft/compute/kernel"
	"weft/compute/quant"
)

// Options say what to plan for. Machine, Size and Type are required.
type Options struct {
	Machine Machine
	Size    Sizer         // how weights are stored
	Type    string        // what that is called: "Q4_K_M"
	KV      kernel.KVType // how keys and values are kept; float32
	Prompt  int           // tokens of a prompt; 512, or the context where that is smaller
	Context int           // positions of a request, prompt and answer; the model's
	Batch   int           // requests that run at once; 1
	Util    float64       // share of the memory that weights and cache may take; 0.9
	Draft   float64       // time of a drafted token, as a share of a step; 0: looked up, not computed
}

// Validate names the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case !(o.Machine.FLOPs > 0) || math.IsInf(o.Machine.FLOPs, 0):
		return fmt.Errorf("plan: the machine's arithmetic is %g FLOP/s, want a positive number", o.Machine.FLOPs)
	case !(o.Machine.Reads > 0) || math.IsInf(o.Machine.Reads, 0):
		return fmt.Errorf("plan: the machine reads %g bytes/s, want a positive number", o.Machine.Reads)
	case o.Machine.Memory < 0:
		return fmt.Errorf("plan: the machine's memory is %d bytes, want 0 (unknown) or more", o.Machine.Memory)
	case o.Size == nil:
		return errors.New("plan: nothing says how weights are stored: set Size")
	case !o.KV.Valid():
		return fmt.Errorf("plan: keys and values are kept as %v, want one of %v", o.KV, kernel.KVTypes())
	case o.Prompt < 0 || o.Context < 0 || o.Batch < 0:
		return fmt.Errorf("plan: prompt %d, context %d, batch %d: want none of them negative", o.Prompt, o.Context, o.Batch)
	case o.Util < 0 || o.Util > 1:
		return fmt.Errorf("plan: utilization is %g, want 0 to 1", o.Util)
	case o.Draft < 0 || o.Draft > 1:
		return fmt.Errorf("plan: a drafted token costs %g of a step, want 0 to 1", o.Draft)
	}
	return nil
}

// Report is a whole plan. Bytes are bytes, times seconds.
type Report struct {
	Shape  Shape    `json:"-"`
	Notes  []string `json:"notes,omitempty"`
	Params int64    `json:"parameters"`
	Active int64    `json:"active_parameters"` // that a token goes through

	Type        string  `json:"type"`
	WeightBytes int64   `json:"weight_bytes"`
	Bits        float64 `json:"bits_per_weight"`

	KVType     string `json:"kv_type"`
	Context    int    `json:"context"`
	KVPerToken int64  `json:"kv_bytes_per_token"`   // of all layers, before any window is full
	KVRequest  int64  `json:"kv_bytes_per_request"` // of Context positions

	Machine Machine `json:"machine"`
	Ridge   float64 `json:"ridge_flops_per_byte"` // work that does less per byte read is bound by memory
	Prompt  int     `json:"prompt"`
	Prefill Floor   `json:"prefill"`                 // of one prompt: the floor of TTFT
	Pairs   float64 `json:"prefill_attention_share"` // of its FLOPs, that grow with the square of the prompt
	Reach   int     `json:"window_reach,omitempty"`  // positions back that text can act through windows of all layers: layers * window; 0: some layer sees all
	Steps   []Step  `json:"decode"`
	Fit     Fit     `json:"fit"`

	Speculation []Speculation `json:"speculation"`
	Types       []Stored      `json:"types"` // the same model in other types
}

// Step is one pass of decoding for Batch requests that are at Context.
type Step struct {
	Batch int   `json:"batch"`
	Floor Floor `json:"floor"` // of ITL
	// TokensPerSecond is the ceiling of all requests together.
	TokensPerSecond float64 `json:"tokens_per_s"`
}

// Fit is what the memory holds.
type Fit struct {
	Budget      int64 `json:"budget_bytes"` // the share that may be taken; 0: unknown
	Fits        bool  `json:"fits"`         // weights, and Batch requests of Context
	Concurrency int   `json:"max_requests"` // of Context each
	Context     int   `json:"max_context"`  // for Batch requests at once; at most the model's
}

// Speculation is what drafting brings at a rate of acceptance, counting that a
// pass over more rows computes more.
type Speculation struct {
	Acceptance float64 `json:"acceptance"`
	Draft      int     `json:"draft"`       // tokens to draft; 0: it does not pay
	Tokens     float64 `json:"tokens"`      // a pass yields, on average
	Speedup    float64 `json:"speedup"`     // over a token per pass
	FourTokens float64 `json:"tokens_at_4"` // with drafts of 4, to compare with published figures
}

// Stored is the model in another type.
type Stored struct {
	Type            string  `json:"type"`
	Bytes           int64   `json:"bytes"`
	Bits            float64 `json:"bits_per_weight"`
	TokensPerSecond float64 `json:"tokens_per_s"` // ceiling of one request at Context
	Fits            bool    `json:"fits"`         // with Batch requests of Context
}

// New computes the plan for a shape.
func New(s Shape, o Options) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	o.Context, o.Batch = cmp.Or(o.Context, s.Context), cmp.Or(o.Batch, 1)
	o.Prompt = cmp.Or(o.Prompt, min(512, o.Context))
	if o.Util == 0 {
		o.Util = 0.9
	}
	if o.Prompt > o.Context {
		return Report{}, fmt.Errorf("plan: a prompt of %d tokens does not fit requests of %d positions", o.Prompt, o.Context)
	}
	r := Report{Shape: s, Notes: s.Notes, Type: o.Type, KVType: o.KV.String(), Context: o.Context, Prompt: o.Prompt, Machine: o.Machine}
	if o.Context > s.Context {
		r.Notes = append(r.Notes[:len(r.Notes):len(r.Notes)], fmt.Sprintf("the model was made for %d positions, not %d", s.Context, o.Context))
	}
	r.Params, r.Active = s.Params()
	p := planner{s, o}
	var err error
	if r.WeightBytes, _, err = s.Weights(o.Size, 1); err != nil {
		return Report{}, err
	}
	r.Bits = 8 * float64(r.WeightBytes) / float64(r.Params)
	r.KVPerToken, r.KVRequest = p.kv(1), p.kv(o.Context)
	r.Prefill, r.Ridge = p.prefill(), o.Machine.FLOPs/o.Machine.Reads
	r.Pairs = s.pairsOf(o.Prompt) / r.Prefill.FLOPs
	if s.Sliding == s.Layers {
		r.Reach = s.Sliding * s.Window
	}
	batches := []int{1}
	if o.Batch > 1 {
		batches = append(batches, o.Batch)
	}
	for _, b := range batches {
		f := p.step(o.Size, b, 1)
		r.Steps = append(r.Steps, Step{b, f, float64(b) / f.Seconds})
	}
	r.Fit = p.fit(r.WeightBytes)
	r.Speculation = p.speculation()
	r.Types, err = p.types()
	return r, err
}

// planner holds checked options with their defaults filled in.
type planner struct {
	Shape
	o Options
}

// kv is the cache of a request of n positions.
func (p planner) kv(n int) int64 { return p.KVBytes(n, p.o.KV) }

// prefill reads every weight at least once, and writes its cache.
func (p planner) prefill() Floor {
	_, read, _ := p.Weights(p.o.Size, p.o.Prompt)
	return p.o.Machine.Floor(p.Shape.Prefill(p.o.Prompt), read)
}

// step is one pass for batch requests at the end of their context, with rows
// tokens of each: more than one when a draft is checked.
func (p planner) step(size Sizer, batch, rows int) Floor {
	_, read, _ := p.Weights(size, batch*rows)
	read += float64(batch) * float64(p.kv(p.o.Context))
	return p.o.Machine.Floor(float64(batch*rows)*p.Decode(p.o.Context), read)
}

func (p planner) fit(weights int64) Fit {
	f := Fit{Budget: int64(p.o.Util * float64(p.o.Machine.Memory))}
	left := f.Budget - weights
	if left <= 0 {
		return f
	}
	f.Concurrency = int(min(left/max(1, p.kv(p.o.Context)), math.MaxInt32))
	f.Fits = f.Concurrency >= p.o.Batch
	f.Context = sort.Search(p.Shape.Context, func(n int) bool { return int64(p.o.Batch)*p.kv(n+1) > left })
	return f
}

func (p planner) speculation() (all []Speculation) {
	var times [MaxDraft + 2]float64 // of a pass over so many rows of each request
	for rows := 1; rows < len(times); rows++ {
		times[rows] = p.step(p.o.Size, p.o.Batch, rows).Seconds
	}
	verify := func(rows int) float64 { return times[rows] / times[1] }
	for _, a := range []float64{0.5, 0.6, 0.7, 0.8, 0.9} {
		k, speedup := BestDraft(a, p.o.Draft, verify)
		all = append(all, Speculation{a, k, Tokens(a, k), speedup, Tokens(a, 4)})
	}
	return all
}

// types are those in common use, the largest first.
func (p planner) types() (all []Stored, err error) {
	params, _ := p.Params()
	for _, name := range []string{"F32", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"} {
		m, err := quant.ParseMixture(name)
		if err != nil {
			return nil, err
		}
		size := p.Mixed(m)
		bytes, _, err := p.Weights(size, 1)
		if err != nil {
			return nil, err
		}
		all = append(all, Stored{
			name, bytes, 8 * float64(bytes) / float64(params), 1 / p.step(size, 1, 1).Seconds, p.fit(bytes).Fits,
		})
	}
	return all, nil
}
