package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/infer/engine"
	"weft/infer/plan"
	"weft/model"
	"weft/model/nn"
)

// modelBench measures prompts and generation of one model, through the engine.
type modelBench struct {
	prompts, tokens []int // of -p and -n; nil: 512 and 128, or half the context
	batches         []int // of -b: requests that generate side by side
	threads         []int // of -t; nil: all
	repeats         int
	random          string     // --random
	stored          matrixType // --type
	chunk           int        // tokens per step of the engine
	kv              kernel.KVType
	starting        bool // --start
	shortcuts       shortcuts
}

// benchRow is one test on some threads: "pp512" is a prompt of 512 tokens,
// "tg128" the generation of 128, "tg128 b8" that of 8 requests together. Speeds
// count the tokens of all.
type benchRow struct {
	Model    string    `json:"model"`
	Note     string    `json:"note,omitempty"`
	Type     string    `json:"type"` // that most weights rest in
	Bytes    int64     `json:"weight_bytes"`
	Params   int64     `json:"parameters"`
	Threads  int       `json:"threads"`
	Test     string    `json:"test"`
	Batch    int       `json:"batch"`
	Tokens   int       `json:"tokens"`
	Samples  []float64 `json:"samples"` // tokens/s
	Mean     float64   `json:"tokens_per_s"`
	Median   float64   `json:"median"`
	Spread   float64   `json:"standard_deviation"`
	GBps     float64   `json:"gb_per_s"` // of weights and cache that have to be read
	GOPs     float64   `json:"gop_per_s"`
	ReadGBps float64   `json:"read_bandwidth_gb_per_s"` // measured before and after
	PeakGOPs float64   `json:"peak_gop_per_s"`          // after each sample
	Share    float64   `json:"share"`                   // of the floor that weft plan computes
	Of       string    `json:"of"`
}

// validate checks the lists.
func (b *modelBench) validate() error {
	for _, list := range []struct {
		name string
		n    []int
		most int
	}{{"-p", b.prompts, 1 << 20}, {"-n", b.tokens, 1 << 20}, {"-b", b.batches, 1 << 10}, {"-t", b.threads, 1 << 10}} {
		for _, n := range list.n {
			if n < 1 || n > list.most {
				return fmt.Errorf("bench: %s is %d, want 1 to %d", list.name, n, list.most)
			}
		}
	}
	switch {
	case len(b.batches) == 0:
		return errors.New("bench: -b is empty, want 1 or more requests")
	case b.repeats < 1:
		return fmt.Errorf("bench: -r is %d, want 1 or more", b.repeats)
	case b.random != "" && !slices.Contains(shapeNames(), b.random):
		return fmt.Errorf("bench: --random is %q, want one of %v", b.random, shapeNames())
	}
	return nil
}

// subject is the MODEL, if one is named; what is measured must be one thing.
func (b *modelBench) subject(args []string, only string) (string, error) {
	switch {
	case len(args) > 0 && b.random != "":
		return "", errors.New("bench: a MODEL and --random are two things to measure: give one")
	case (len(args) > 0 || b.random != "") && only != "all" && only != "serve":
		return "", fmt.Errorf("bench: --only %s measures no model: leave one of them out", only)
	case len(args) == 0:
		return "", nil
	}
	return args[0], nil
}

// tests is how many rows a run prints.
func (b *modelBench) tests() int {
	return max(1, len(b.threads)) * (max(1, len(b.prompts)) + max(1, len(b.tokens))*len(b.batches))
}

// run measures a model, or random weights where none is named.
func (b *modelBench) run(ctx context.Context, e *env, arg string, show func(benchRow)) error {
	row := benchRow{Model: arg}
	var m model.Model
	if arg == "" {
		sub, err := b.randomSubject()
		if err != nil {
			return err
		}
		row.Model, row.Note, m = sub.name, sub.note, sub.model
	} else {
		l, err := findModel(arg)
		if err != nil {
			return err
		}
		if m, err = (reading{as: b.stored}).load(l.files); err != nil {
			return hintFiles(err)
		}
		if b.stored.Name != "" {
			row.Model += " as " + b.stored.Name
		}
	}
	s, err := sizesOfModel(m)
	if err != nil {
		return err
	}
	prompts, tokens, err := b.lengths(m.Info().Context)
	if err != nil {
		return err
	}
	f, _ := restsAs(m)
	row.Type, row.Bytes, row.Params = f.Name(), nn.Bytes(m), m.Info().Params
	threads := b.threads
	if len(threads) == 0 {
		threads = []int{e.threads} // 0: all
	}
	for _, n := range threads {
		pool := par.New(n)
		row.Threads = pool.Size()
		err := b.onPool(ctx, pool, m, s, prompts, tokens, row, show)
		pool.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// randomSubject builds the random weights that are asked for.
func (b *modelBench) randomSubject() (subject, error) {
	mix := b.stored.Mixture // F32 unless it is set
	mix.Name = cmp.Or(mix.Name, quant.F32.Name())
	m, err := randomModel(b.random, mix)
	return subject{name: b.random + " " + mix.Name, note: "random weights, speed only", model: m}, err
}

// sizesOfModel is what a model's own config says about sizes.
func sizesOfModel(m model.Model) (plan.Shape, error) {
	c, ok := m.(interface{ ConfigJSON() ([]byte, error) })
	if !ok {
		return plan.Shape{}, fmt.Errorf("bench: family %s cannot write its config", m.Info().Family)
	}
	text, err := c.ConfigJSON()
	if err != nil {
		return plan.Shape{}, err
	}
	return plan.ParseConfig(text)
}

// lengths are those asked for, if they fit, or what is usual as far as it fits.
func (b *modelBench) lengths(context int) (prompts, tokens []int, err error) {
	prompts, tokens = b.prompts, b.tokens
	if len(prompts) == 0 {
		prompts = []int{min(512, context/2)}
	}
	if len(tokens) == 0 {
		tokens = []int{min(128, context/2)}
	}
	for _, n := range append(slices.Clone(prompts), tokens...) {
		if n+2 > context {
			return nil, nil, fmt.Errorf("bench: %d tokens do not fit the model's context of %d", n, context)
		}
	}
	return prompts, tokens, nil
}

// onPool runs all tests on some threads.
func (b *modelBench) onPool(ctx context.Context, pool *par.Pool, m model.Model, s plan.Shape, prompts, tokens []int, row benchRow, show func(benchRow)) error {
	longest, batch := max(slices.Max(prompts), slices.Max(tokens))+2, slices.Max(b.batches)
	o := engine.Options{Pool: pool, MaxBatch: batch, Queue: batch, Chunk: b.chunk, KVType: b.kv, NoPrefixCache: true}
	o.Pages = batch*(longest/kernel.BlockLen+2) + 16
	eng, err := engine.Open(m, o)
	if err != nil {
		return err
	}
	defer eng.Close()
	r := newRunner(pool, m, s, eng)
	if _, err := r.prefill(ctx, min(32, prompts[0])); err != nil { // warm up
		return err
	}
	for _, n := range prompts {
		row.Test, row.Batch, row.Tokens = fmt.Sprintf("pp%d", n), 1, n
		work, read := s.Prefill(n), r.weights
		if err := b.measure(ctx, r, row, work, read, func() (float64, error) { return r.prefill(ctx, n) }, show); err != nil {
			return err
		}
	}
	for _, batch := range b.batches {
		for _, n := range tokens {
			row.Test, row.Batch, row.Tokens = fmt.Sprintf("tg%d", n), batch, n
			if batch > 1 {
				row.Test += fmt.Sprintf(" b%d", batch)
			}
			cache := s.KVBytes(n/2+1, b.kv) // half of it is there on average
			work, read := s.Decode(n/2+1)*float64(n*batch), float64(n)*(r.weights+float64(int64(batch)*cache))
			if err := b.measure(ctx, r, row, work, read, func() (float64, error) { return r.decode(ctx, batch, n) }, show); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure repeats one test: work operations and read bytes at least, in the
// seconds that fn returns. Each sample is held to the peak of the moment after
// it, and to the best bandwidth of before and after all.
func (b *modelBench) measure(ctx context.Context, r *runner, row benchRow, work, read float64, fn func() (float64, error), show func(benchRow)) error {
	const moment = 100 * time.Millisecond
	reads := kernel.Bandwidth(r.pool, moment)
	var took, peaks []float64
	for range b.repeats {
		t, err := fn()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		took, peaks = append(took, t), append(peaks, r.peak())
	}
	reads = max(reads, kernel.Bandwidth(r.pool, moment))
	show(row.with(took, peaks, reads, work, read, r.peakName))
	return nil
}

// with fills in what samples of some seconds come to.
func (row benchRow) with(took, peaks []float64, reads, work, read float64, peakName string) benchRow {
	var shares []float64
	for i, t := range took {
		f := plan.Machine{FLOPs: peaks[i], Reads: reads}.Floor(work, read)
		shares = append(shares, f.Seconds/t)
		row.Samples = append(row.Samples, float64(row.Tokens*row.Batch)/t)
	}
	var sum, squares float64
	for _, x := range row.Samples {
		sum += x
	}
	n := float64(len(row.Samples))
	row.Mean = sum / n
	for _, x := range row.Samples {
		squares += (x - row.Mean) * (x - row.Mean)
	}
	if n > 1 {
		row.Spread = math.Sqrt(squares / (n - 1))
	}
	row.Median = middle(slices.Clone(row.Samples))
	t, peak := middle(slices.Clone(took)), middle(slices.Clone(peaks))
	row.GBps, row.GOPs, row.ReadGBps, row.PeakGOPs = read/t/1e9, work/t/1e9, reads/1e9, peak/1e9
	row.Share, row.Of = middle(shares), peakName
	if (plan.Machine{FLOPs: peak, Reads: reads}).Floor(work, read).Bound == plan.Memory {
		row.Of = "read bandwidth"
	}
	return row
}

// runner runs prompts and generations of one engine.
type runner struct {
	pool     *par.Pool
	eng      *engine.Engine
	vocab    int
	seed     uint64         // another prompt each time
	weights  float64        // bytes that a step reads
	peak     func() float64 // of the arithmetic, now
	peakName string
}

func newRunner(pool *par.Pool, m model.Model, s plan.Shape, eng *engine.Engine) *runner {
	r := &runner{pool: pool, eng: eng, vocab: m.Info().Vocab, weights: float64(nn.Bytes(m))}
	if !s.Tied { // the embedding is looked up in
		r.weights -= float64(nn.Params(m)[0].Bytes())
	}
	r.peak, r.peakName = func() float64 { return kernel.Peak(pool, 0) }, "FMA peak"
	if f, ok := restsAs(m); ok {
		r.peak, r.peakName = func() float64 { return kernel.IntPeak(pool, kernel.IntFormat(f), 0) }, "integer peak"
	}
	return r
}

// prefill times a prompt to its first token, in seconds.
func (r *runner) prefill(ctx context.Context, n int) (float64, error) {
	r.seed++
	prompt := randomIDs(n, r.vocab, r.seed)
	start := time.Now()
	for _, err := range r.eng.Generate(ctx, engine.Request{Prompt: prompt, MaxTokens: 1, Logprobs: -1}) {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

// decode lets batch requests generate side by side and returns how long n
// tokens of each take while all of them are running (see overlap).
func (r *runner) decode(ctx context.Context, batch, n int) (float64, error) {
	times := make([][]time.Time, batch) // of every token
	errs := make(chan error, batch)
	for i := range batch {
		r.seed++
		q := engine.Request{Prompt: randomIDs(1, r.vocab, r.seed), MaxTokens: n + 1, Logprobs: -1}
		go func() {
			for _, err := range r.eng.Generate(ctx, q) {
				if err != nil {
					errs <- err
					return
				}
				times[i] = append(times[i], time.Now())
			}
			errs <- nil
		}()
	}
	var failed error
	for range batch {
		failed = errors.Join(failed, <-errs)
	}
	if failed != nil {
		return 0, failed
	}
	begin, end := overlap(times)
	tokens := 0
	for _, each := range times {
		for _, t := range each {
			if t.After(begin) && !t.After(end) {
				tokens++
			}
		}
	}
	return end.Sub(begin).Seconds() * float64(n*batch) / float64(tokens), nil
}

// overlap is the time while all requests are running, by the times of their
// tokens. A small model may be done with one before another has begun: then it
// is the whole time, from the first token to the last.
func overlap(times [][]time.Time) (begin, end time.Time) {
	var firsts, lasts []time.Time
	for _, t := range times {
		firsts, lasts = append(firsts, t[0]), append(lasts, t[len(t)-1])
	}
	order := time.Time.Compare
	begin, end = slices.MaxFunc(firsts, order), slices.MinFunc(lasts, order)
	if !end.After(begin) {
		return slices.MinFunc(firsts, order), slices.MaxFunc(lasts, order)
	}
	return begin, end
}

// printRows shows rows as a table in Markdown.
func printRows(w io.Writer, rows []benchRow) {
	fmt.Fprintln(w, "| model | type | size | parameters | threads | test | tokens/s | median | GB/s | GOP/s | share | of |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---|")
	note := ""
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %s | %.2f ± %.2f | %.2f | %.1f | %.1f | %.0f %% | %s |\n", r.Model, r.Type, humanBytes(uint64(r.Bytes)),
			siUnit(float64(r.Params), ""), r.Threads, r.Test, r.Mean, r.Spread, r.Median, r.GBps, r.GOPs, 100*r.Share, r.Of)
		note = r.Note
	}
	if note != "" {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}

// benched is what `weft bench --json` prints.
type benched struct {
	Kernels []measurement `json:"kernels,omitempty"`
	Model   []benchRow    `json:"model,omitempty"`
	Start   []startRow    `json:"start,omitempty"`
	Guesses []guessRow    `json:"speculation,omitempty"`
	Prefix  []prefixRow   `json:"prefix,omitempty"`
}

func (b benched) print(e *env) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(b)
	}
	if len(b.Kernels) > 0 {
		if err := printMeasurements(e.out, b.Kernels); err != nil {
			return err
		}
	}
	if len(b.Kernels) > 0 && len(b.Model) > 0 {
		fmt.Fprintln(e.out)
	}
	if len(b.Model) > 0 {
		printRows(e.out, b.Model)
	}
	if len(b.Start) > 0 {
		return printStarts(e.out, b.Start)
	}
	if len(b.Guesses) > 0 {
		if err := printGuesses(e.out, b.Guesses); err != nil {
			return err
		}
	}
	if len(b.Prefix) > 0 {
		return printPrefixes(e.out, b.Prefix)
	}
	return nil
}
