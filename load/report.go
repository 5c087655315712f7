package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Report is what a run measured. Times in its JSON are seconds.
type Report struct {
	URL     string     `json:"url"`
	Model   string     `json:"model"`
	API     string     `json:"api"`
	Options Conditions `json:"options"`
	Words   Words      `json:"tokens_of_words"`
	Notes   []string   `json:"notes,omitempty"`
	Steps   []Step     `json:"steps"`

	// Knee is the step after which more load brings little: the one whose
	// throughput is farthest above the straight line to the last (Satopaa 2011);
	// -1: there is none among the loads tried.
	Knee int `json:"knee"`
	// Capacity is the step of the highest load at which GoodShare of the requests
	// were good, and at all below it; -1: none.
	Capacity int `json:"capacity"`
}

// GoodShare is the share of good requests that a load must keep to count.
const GoodShare = 0.95

// Conditions are the options that a result depends on.
type Conditions struct {
	Prompt       Lengths `json:"prompt_tokens"`
	Output       Lengths `json:"output_tokens"`
	PrefixTokens int     `json:"prefix_tokens,omitempty"`
	Prefixes     int     `json:"prefixes,omitempty"`
	InFlight     int     `json:"max_in_flight,omitempty"`
	Seed         uint64  `json:"seed"`
	LateTokens   int     `json:"late_tokens,omitempty"`
	TTFT         float64 `json:"slo_ttft,omitempty"`
	ITL          float64 `json:"slo_itl,omitempty"`
}

func (o *Options) conditions() Conditions {
	c := Conditions{Prompt: o.Prompt, Output: o.Output, PrefixTokens: o.PrefixTokens, InFlight: o.InFlight, Seed: o.Seed,
		LateTokens: o.LateTokens, TTFT: o.TTFT.Seconds(), ITL: o.ITL.Seconds()}
	if o.PrefixTokens > 0 {
		c.Prefixes = o.Prefixes
	}
	return c
}

// Step is what one load measured.
type Step struct {
	Loop     string         `json:"loop"` // "closed" or "open"
	Load     float64        `json:"load"` // requests in flight, or per second
	Seconds  float64        `json:"seconds"`
	Requests int            `json:"requests"` // that ended, well or not
	Errors   map[string]int `json:"errors,omitempty"`
	Examples []string       `json:"error_examples,omitempty"` // one per kind

	InTokens     int     `json:"prompt_tokens"`
	CachedTokens int     `json:"cached_tokens"`
	OutTokens    int     `json:"output_tokens"`
	RequestRate  float64 `json:"requests_per_s"` // answered
	OutRate      float64 `json:"output_tokens_per_s"`
	Good         int     `json:"good"`    // requests that kept the SLO
	Goodput      float64 `json:"goodput"` // good requests per second

	TTFT  Times `json:"ttft"`
	ITL   Times `json:"itl"`  // between two pieces of text, over all requests
	TPOT  Times `json:"tpot"` // mean between the tokens of a request, over requests
	E2E   Times `json:"e2e"`
	Queue Times `json:"queue"` // held back on this side, for want of a sender

	Late *Late `json:"late,omitempty"` // nil: no late prompt was wanted
}

// failed is how many requests ended with an error.
func (s *Step) failed() (n int) {
	for _, k := range s.Errors {
		n += k
	}
	return n
}

// throughput is what more load should bring more of: tokens in a closed loop,
// answered requests in an open one, whose load counts requests.
func (s *Step) throughput() float64 {
	if s.Loop == "open" {
		return s.RequestRate
	}
	return s.OutRate
}

// Times are exact percentiles, by nearest rank, in seconds.
type Times struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// timesOf sorts t.
func timesOf(t []time.Duration) Times {
	if len(t) == 0 {
		return Times{}
	}
	slices.Sort(t)
	var sum float64
	for _, d := range t {
		sum += d.Seconds()
	}
	at := func(q float64) float64 { return t[max(1, int(math.Ceil(q*float64(len(t)))))-1].Seconds() }
	return Times{len(t), sum / float64(len(t)), at(0.5), at(0.9), at(0.95), at(0.99), at(1)}
}

// summarize turns the samples of a step into figures. Times are of requests
// that were answered: errors are counted, and are never good.
func summarize(p point, samples []Sample, wall time.Duration, o *Options) Step {
	s := Step{Loop: "closed", Load: p.value(), Seconds: wall.Seconds(), Requests: len(samples)}
	if p.rate > 0 {
		s.Loop = "open"
	}
	var ttft, itl, tpot, e2e, queue []time.Duration
	for i := range samples {
		x := &samples[i]
		if x.Kind != "" {
			s.fail(x)
			continue
		}
		ttft, e2e, queue = append(ttft, x.TTFT()), append(e2e, x.E2E()), append(queue, x.Queue())
		itl = append(itl, x.Gaps...)
		if x.Out > 1 {
			tpot = append(tpot, x.TPOT())
		}
		s.InTokens, s.CachedTokens, s.OutTokens = s.InTokens+x.In, s.CachedTokens+x.Cached, s.OutTokens+x.Out
		if (o.TTFT == 0 || x.TTFT() <= o.TTFT) && (o.ITL == 0 || x.TPOT() <= o.ITL) {
			s.Good++
		}
	}
	if s.Seconds > 0 {
		s.RequestRate, s.OutRate, s.Goodput = float64(len(ttft))/s.Seconds, float64(s.OutTokens)/s.Seconds, float64(s.Good)/s.Seconds
	}
	s.TTFT, s.ITL, s.TPOT, s.E2E, s.Queue = timesOf(ttft), timesOf(itl), timesOf(tpot), timesOf(e2e), timesOf(queue)
	return s
}

// fail counts an error, and keeps the first of its kind.
func (s *Step) fail(x *Sample) {
	if s.Errors == nil {
		s.Errors = map[string]int{}
	}
	if s.Errors[x.Kind]++; s.Errors[x.Kind] == 1 {
		s.Examples = append(s.Examples, fmt.Sprintf("%s: %.200s", x.Kind, x.Detail))
	}
}

// conclude finds knee and capacity.
func (r *Report) conclude() {
	r.Capacity = -1
	order := make([]int, len(r.Steps)) // by load
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Steps[a].Load, r.Steps[b].Load) })
	var x, y []float64
	kept := true
	for _, i := range order {
		s := &r.Steps[i]
		x, y = append(x, s.Load), append(y, s.throughput())
		if kept = kept && float64(s.Good) >= GoodShare*float64(s.Requests); kept {
			r.Capacity = i
		}
	}
	r.Knee = knee(x, y)
	if r.Knee >= 0 {
		r.Knee = order[r.Knee]
	}
}

// knee finds where a curve of throughput y over rising load x bends: both are
// scaled to 1, and the point highest above the diagonal counts if it is a tenth
// above it. -1: the curve does not bend, or has fewer than three points.
func knee(x, y []float64) int {
	if len(x) < 3 {
		return -1
	}
	right, top := x[len(x)-1], slices.Max(y)
	best, at := 0.1, -1
	for i := range x {
		if above := y[i]/top - x[i]/right; above > best {
			best, at = above, i
		}
	}
	return at
}

// Markdown is the report as tables.
func (r *Report) Markdown() string {
	var b strings.Builder
	c := r.Options
	fmt.Fprintf(&b, "%s at %s, %s; prompts of %s tokens, answers of %s", r.Model, r.URL, r.API, c.Prompt, c.Output)
	if c.PrefixTokens > 0 {
		fmt.Fprintf(&b, "; %d shared beginnings of %d tokens", c.Prefixes, c.PrefixTokens)
	}
	fmt.Fprintf(&b, "; seed %d\n\n", c.Seed)
	if len(r.Steps) == 0 {
		return b.String() + "nothing was measured\n"
	}
	unit := "in flight"
	if r.Steps[0].Loop == "open" {
		unit = "requests/s"
	}
	fmt.Fprintf(&b, "| %s | requests | errors | answered/s | output tokens/s | prompt tokens | cached | good/s | good |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n", unit)
	for i := range r.Steps {
		s := &r.Steps[i]
		fmt.Fprintf(&b, "| %.4g | %d | %d | %.4g | %.4g | %d | %d | %.4g | %.0f %% |\n", s.Load, s.Requests, s.failed(), s.RequestRate, s.OutRate,
			s.InTokens, s.CachedTokens, s.Goodput, 100*float64(s.Good)/float64(max(1, s.Requests)))
	}
	fmt.Fprintf(&b, "\n| %s | milliseconds | mean | p50 | p90 | p95 | p99 | max |\n|---:|---|---:|---:|---:|---:|---:|---:|\n", unit)
	for i := range r.Steps {
		s := &r.Steps[i]
		for _, m := range s.metrics() {
			t := m.times
			fmt.Fprintf(&b, "| %.4g | %s", s.Load, m.name)
			for _, x := range []float64{t.Mean, t.P50, t.P90, t.P95, t.P99, t.Max} {
				fmt.Fprintf(&b, " | %.4g", 1e3*x)
			}
			b.WriteString(" |\n")
		}
	}
	b.WriteString("\n" + r.verdict(unit))
	return b.String()
}

// metric is one row of percentiles.
type metric struct {
	name  string
	times Times
}

// metrics lists what was seen; a closed loop has no queue on this side.
func (s *Step) metrics() []metric {
	all := []metric{{"TTFT", s.TTFT}, {"ITL", s.ITL}, {"time per token", s.TPOT}, {"end to end", s.E2E}}
	if s.Loop == "open" {
		all = append(all, metric{"queue here", s.Queue})
	}
	return all
}

// verdict says what the tables come to.
func (r *Report) verdict(unit string) string {
	var b strings.Builder
	switch {
	case r.Knee >= 0:
		fmt.Fprintf(&b, "- knee: %.4g %s; more load brings little more throughput\n", r.Steps[r.Knee].Load, unit)
	case len(r.Steps) < 3:
		b.WriteString("- knee: it takes three loads to find one\n")
	default:
		b.WriteString("- knee: none among these loads\n")
	}
	if slo := r.slo(); slo != "" {
		if r.Capacity >= 0 {
			fmt.Fprintf(&b, "- %s: kept by %.0f %% of the requests up to %.4g %s\n", slo, 100*GoodShare, r.Steps[r.Capacity].Load, unit)
		} else {
			fmt.Fprintf(&b, "- %s: kept by %.0f %% of the requests at no load tried\n", slo, 100*GoodShare)
		}
	}
	for i := range r.Steps {
		if l := r.Steps[i].Late; l != nil {
			b.WriteString(l.line(r.Steps[i].Load, unit))
		}
		for _, e := range r.Steps[i].Examples {
			kind, _, _ := strings.Cut(e, ": ")
			fmt.Fprintf(&b, "- %d errors at %.4g %s: %s\n", r.Steps[i].Errors[kind], r.Steps[i].Load, unit, e)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

// slo is the objective in words; "": none was set.
func (r *Report) slo() string {
	var parts []string
	if r.Options.TTFT > 0 {
		parts = append(parts, fmt.Sprintf("TTFT within %.4g ms", 1e3*r.Options.TTFT))
	}
	if r.Options.ITL > 0 {
		parts = append(parts, fmt.Sprintf("a token every %.4g ms", 1e3*r.Options.ITL))
	}
	return strings.Join(parts, ", ")
}
