package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
)

// measurement is one line of `weft bench`: a speed, and what the machine could
// have done in the same run.
type measurement struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Share   float64 `json:"share"` // of the roofline below; 0: none applies
	Of      string  `json:"of"`    // which roofline
	Note    string  `json:"note,omitempty"`
}

// roofline is what this machine gives on some threads.
type roofline struct {
	pool  *par.Pool
	flops float64 // FMA peak, FLOP/s
	reads float64 // bandwidth of reading, B/s
	moves float64 // bandwidth of reading two values and writing one, B/s
}

func measureRoofline(pool *par.Pool) roofline {
	return roofline{pool, kernel.Peak(pool, 200*time.Millisecond), kernel.Bandwidth(pool, 300*time.Millisecond),
		kernel.UpdateBandwidth(pool, 300*time.Millisecond)}
}

// sampleTime is how long one sample runs at least, so that short kernels are
// timed by the hundred.
const sampleTime = 5 * time.Millisecond

// compute measures work bound by multiply-adds of float32, flop per run of fn.
func (r roofline) compute(name string, flop float64, d time.Duration, fn func()) measurement {
	return r.arithmetic(name, flop, d, fn, func() float64 { return kernel.Peak(r.pool, 0) })
}

// arithmetic measures work bound by some arithmetic, ops of it per run of fn.
// Each sample is held to the peak of the two milliseconds after it: on a shared
// machine the peak of another moment says nothing. Speed and share are medians.
func (r roofline) arithmetic(name string, ops float64, d time.Duration, fn func(), peak func() float64) measurement {
	fn()
	start := time.Now()
	fn()
	runs := 1 + int(sampleTime/max(time.Since(start), time.Microsecond))
	var speeds, shares []float64
	for start := time.Now(); len(speeds) < 3 || time.Since(start) < d; {
		t := time.Now()
		for range runs {
			fn()
		}
		speed := ops * float64(runs) / time.Since(t).Seconds()
		speeds = append(speeds, speed/1e9)
		shares = append(shares, speed/peak())
	}
	return measurement{name, r.pool.Size(), middle(speeds), "GFLOP/s", middle(shares), "FMA peak", ""}
}

// memory measures work bound by reading memory, bytes read per run of fn: median.
func (r roofline) memory(name string, bytes float64, d time.Duration, fn func()) measurement {
	return r.moving(name, bytes, d, fn).of(r.reads, "read bandwidth")
}

// update is the same for work that writes about as much as it reads.
func (r roofline) update(name string, bytes float64, d time.Duration, fn func()) measurement {
	return r.moving(name, bytes, d, fn).of(r.moves, "update bandwidth")
}

// of says what share of a roof the speed is, in bytes per second.
func (m measurement) of(roof float64, name string) measurement {
	m.Share, m.Of = m.Value*1e9/roof, name
	return m
}

func (r roofline) moving(name string, bytes float64, d time.Duration, fn func()) measurement {
	fn()
	var speeds []float64
	for start := time.Now(); len(speeds) < 3 || time.Since(start) < d; {
		t := time.Now()
		fn()
		speeds = append(speeds, bytes/time.Since(t).Seconds())
	}
	return measurement{Name: name, Threads: r.pool.Size(), Value: middle(speeds) / 1e9, Unit: "GB/s"}
}

// middle is the median; it sorts x.
func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func (e *env) benchCmd() *cobra.Command {
	var each time.Duration
	var only string
	b := &modelBench{}
	c := &cobra.Command{
		Use:   "bench [MODEL]",
		Short: "Measure kernels, training and serving against this machine's roofline",
		Long: `Bench with a MODEL measures prompts (pp512: 512 tokens), generation (tg128) and
generation for several requests at once (tg128 b8), each -r times, as a table in
Markdown: tokens/s as mean ± standard deviation and median; gigabytes and
operations per second; and the share of the floor that weft plan computes, from
the peak measured right after each sample and the bandwidth measured before and
after all. --random measures random weights of a published shape, stored as
--type says. All of it runs through the engine, as served. --start measures
instead how long a new process takes to its first token, with the files in the
system's cache, and its peak memory. --speculate measures generation with and
without guesses of what comes next, turn by turn, and --prefix how much sooner
the first token comes when the beginning of a prompt is known.

Without a MODEL it measures kernels and a training step, and a random model of
ten million weights: medians, and beside each the share of the arithmetic peak,
or of the bandwidth of reading, or of updating (y += a*x), which moves more since
writes do not wait. On a shared machine compare shares, not speeds.`,
		Example:           "  weft bench out/chat -p 512 -n 128 -t 1,2 -b 1,8,16\n  weft bench --random 1.1b --type q4_k_m -r 3\n  weft bench chat.gguf --start",
		Args:              optionalArg("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			arg, err := b.subject(args, only)
			if err == nil && b.starting && arg == "" {
				err = errors.New("bench: --start runs a MODEL from its files: name one")
			}
			if err == nil {
				err = b.shortcuts.validate(arg, b)
			}
			if err == nil {
				err = b.validate()
			}
			switch {
			case err != nil:
			case only != "all" && only != "kernels" && only != "train" && only != "serve":
				err = fmt.Errorf("--only %s: want all, kernels, train or serve", only)
			case each <= 0:
				err = fmt.Errorf("--each is %v, want a positive time", each)
			}
			if err != nil {
				return &usageError{err}
			}
			if b.starting {
				row, err := b.start(cmd.Context(), e, arg)
				if err != nil {
					return err
				}
				return benched{Start: []startRow{row}}.print(e)
			}
			if b.shortcuts.on() {
				return b.serve(cmd.Context(), e, arg)
			}
			if arg != "" || b.random != "" {
				only = "serve"
			}
			return e.bench(cmd.Context(), only, arg, each, b)
		},
	}
	f := c.Flags()
	f.DurationVar(&each, "each", 300*time.Millisecond, "time per measurement of a kernel")
	f.StringVar(&only, "only", "all", "without a MODEL: all, kernels, train or serve")
	f.IntSliceVarP(&b.prompts, "prompt", "p", nil, "tokens of prompts (default 512, less where the context is smaller)")
	f.IntSliceVarP(&b.tokens, "generate", "n", nil, "tokens to generate (default 128, less where the context is smaller)")
	f.IntSliceVarP(&b.batches, "batch", "b", []int{1}, "requests that generate side by side")
	f.IntSliceVarP(&b.threads, "threads", "t", nil, "worker threads, several to compare (default: all cores)")
	f.IntVarP(&b.repeats, "repeat", "r", 5, "times that each test of a model is run")
	f.StringVar(&b.random, "random", "", "random weights of a shape instead of a MODEL: "+strings.Join(shapeNames(), ", "))
	f.Var(&b.stored, "type", "format to keep matrices in, as q8_0 or q4_k_m (default: as the files of MODEL store them; of --random f32)")
	completeTypes(c)
	f.BoolVar(&b.starting, "start", false, "measure processes from their start to the first token of a MODEL, -r of them")
	f.StringVar(&b.shortcuts.guesses, "speculate", "", "compare generation with and without guesses: ngram, or a smaller MODEL of the same tokenizer")
	f.StringVar(&b.shortcuts.text, "text", "", "file that prompts of --speculate are taken from (default: a sentence over and over)")
	f.IntVar(&b.shortcuts.prefix, "prefix", 0, "compare first tokens behind this many tokens that 100 requests share, cold, known, and after a restart")
	kvTypeFlag(c, &b.kv)
	f.IntVar(&b.chunk, "chunk", 0, "tokens of a prompt per step, as of weft serve (default 256)")
	return c
}

// benchLines is about how many lines a whole run prints, for the bar.
const benchLines = 47

// bench runs the parts that are wanted, and prints them all.
func (e *env) bench(ctx context.Context, only, arg string, each time.Duration, b *modelBench) error {
	var out benched
	bar := e.progress("bench")
	show := func(m measurement) {
		out.Kernels = append(out.Kernels, m)
		bar.set(len(out.Kernels), benchLines, m.Name)
	}
	err := e.benchParts(ctx, only, each, b.threads, show)
	if err == nil && (only == "all" || only == "serve") {
		if arg == "" && b.random == "" {
			b.random = "11m"
		}
		done, tests := len(out.Kernels), b.tests()
		err = b.run(ctx, e, arg, func(r benchRow) {
			out.Model = append(out.Model, r)
			bar.set(done+len(out.Model), done+tests, fmt.Sprintf("%s, %d threads", r.Test, r.Threads))
		})
	}
	bar.end()
	if err != nil {
		return err
	}
	return out.print(e)
}

// benchParts measures kernels on each number of threads, one and all by
// default, and training on the most.
func (e *env) benchParts(ctx context.Context, only string, each time.Duration, threads []int, show func(measurement)) error {
	most := par.New(e.threads)
	defer most.Close()
	if len(threads) == 0 {
		threads = slices.Compact([]int{1, most.Size()})
	}
	if only == "all" || only == "kernels" {
		for _, n := range threads {
			pool := par.New(n)
			err := benchKernels(ctx, measureRoofline(pool), each, show)
			pool.Close()
			if err != nil {
				return err
			}
		}
	}
	if only == "all" || only == "train" {
		return benchTraining(ctx, measureRoofline(most), each, show)
	}
	return nil
}

func printMeasurements(out io.Writer, all []measurement) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "what\tthreads\tspeed\tshare\tof\t")
	for _, m := range all {
		share := ""
		if m.Share > 0 {
			share = fmt.Sprintf("%.0f %%", 100*m.Share)
		}
		fmt.Fprintf(w, "%s\t%d\t%.4g %s\t%s\t%s\t%s\n", m.Name, m.Threads, m.Value, m.Unit, share, m.Of, m.Note)
	}
	return w.Flush()
}

// benchKernels measures single kernels on one roofline.
func benchKernels(ctx context.Context, r roofline, each time.Duration, show func(measurement)) error {
	show(measurement{"FMA peak, float32", r.pool.Size(), r.flops / 1e9, "GFLOP/s", 1, "FMA peak", ""})
	show(measurement{"read bandwidth", r.pool.Size(), r.reads / 1e9, "GB/s", 1, "read bandwidth", ""})
	show(measurement{"update bandwidth", r.pool.Size(), r.moves / 1e9, "GB/s", 1, "update bandwidth", ""})
	rng := tensor.NewRNG(1)
	random := func(n int) []float32 {
		x := tensor.Alloc(n) // as weights and activations are
		few := min(n, 4099)
		rng.FillNormal(x[:few], 1)
		for done := few; done < n; done *= 2 {
			copy(x[done:], x[:done])
		}
		return x
	}
	for _, s := range []struct{ m, n, k int }{{512, 512, 512}, {1024, 1024, 1024}, {512, 5632, 2048}} {
		a, b, c := random(s.m*s.k), random(s.k*s.n), tensor.Alloc(s.m*s.n)
		flop := 2 * float64(s.m) * float64(s.n) * float64(s.k)
		x, w := kernel.Matrix{Data: a, Stride: s.k}, kernel.Matrix{Data: b, Stride: s.k, T: true}
		name := fmt.Sprintf("GEMM %dx%dx%d", s.m, s.n, s.k)
		show(r.compute(name, flop, each, func() { kernel.Gemm(r.pool, c, s.n, x, w, s.m, s.n, s.k, false) }))
		packed := kernel.Pack(w, s.k, s.n)
		show(r.compute(name+", weights packed", flop, each, func() { kernel.GemmPacked(r.pool, c, s.n, x, packed, s.m, false) }))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	const n, k = 32768, 2048
	w := kernel.Pack(kernel.Matrix{Data: random(n * k), Stride: k, T: true}, k, n)
	x, y := random(k), make([]float32, n)
	show(r.memory("matrix-vector 32768x2048", 4*n*k, each, func() {
		kernel.GemmPacked(r.pool, y, n, kernel.Matrix{Data: x, Stride: k}, w, 1, false)
	}))
	benchIntegers(r, each, random, show)
	benchAttention(r, each, random, show)
	benchVectors(r, each, random, show)
	return ctx.Err()
}

// benchIntegers measures products with weights that stay integers: one row
// against the bandwidth, as generation has it, and many against the peak of
// the instructions that they consist of.
func benchIntegers(r roofline, each time.Duration, random func(int) []float32, show func(measurement)) {
	const n, k, many = 2048, 2048, 65536 // the many do not fit a cache
	rows := 512
	if kernel.Name() == "generic" { // a product of so many would take a minute
		rows = 16
	}
	x, y := kernel.Matrix{Data: random(rows * k), Stride: k}, make([]float32, max(rows*n, many))
	for _, f := range []quant.Format{quant.Q8_0, quant.Q4_0, quant.Q4_K} {
		stride, _ := f.RowBytes(k)
		row := make([]byte, stride)
		if err := f.Encode(row, random(k), nil); err != nil {
			panic(err) // of normal values
		}
		pack := func(n int) *kernel.PackedInt {
			w, err := kernel.PackInt(r.pool, kernel.IntFormat(f), k, n, func(int) []byte { return row })
			if err != nil {
				panic(err)
			}
			return w
		}
		tall, w := pack(many), pack(n)
		show(r.memory(fmt.Sprintf("matrix-vector %dx%d, %s", many, k, f), float64(tall.Bytes()), each, func() {
			kernel.GemmInt(r.pool, y, many, x, tall, 1)
		}))
		line := r.arithmetic(fmt.Sprintf("product %dx%dx%d, %s", rows, n, k, f), 2*float64(rows)*n*k, each, func() {
			kernel.GemmInt(r.pool, y, n, x, w, rows)
		}, func() float64 { return kernel.IntPeak(r.pool, kernel.IntFormat(f), 0) })
		line.Unit, line.Of = "GOP/s", "integer peak"
		show(line)
	}
}

// benchAttention counts the causal half only: 4*D FLOP per pair forward, 10*D
// backward (scores again, and four products).
func benchAttention(r roofline, each time.Duration, random func(int) []float32, show func(measurement)) {
	const n, heads, dim = 256, 6, 64
	h := kernel.Heads{Q: heads, KV: heads, Dim: dim}
	spec := kernel.AttnSpec{Heads: h}
	q, k, v, dout := random(n*heads*dim), random(n*heads*dim), random(n*heads*dim), random(n*heads*dim)
	out, lse := make([]float32, n*heads*dim), make([]float32, n*heads)
	dq, dk, dv := make([]float32, n*heads*dim), make([]float32, n*heads*dim), make([]float32, n*heads*dim)
	blocks := make([]kernel.Block, n/kernel.BlockLen)
	for i := range blocks {
		blocks[i] = kernel.Block{K: make([]float32, h.BlockFloats()), V: make([]float32, h.BlockFloats())}
		for slot := range kernel.BlockLen {
			row := (i*kernel.BlockLen + slot) * heads * dim
			blocks[i].Store(slot, k[row:], v[row:], h)
		}
	}
	pairs := float64(heads) * n * (n + 1) / 2
	show(r.compute("attention forward, n=256 d=64", 4*dim*pairs, each, func() {
		r.pool.Run(heads, func(kv int) { kernel.Attend(out, q, lse, blocks, n, 0, kv, spec) })
	}))
	show(r.compute("attention backward, n=256 d=64", 10*dim*pairs, each, func() {
		r.pool.Run(heads, func(kv int) { kernel.AttendBackward(dq, dk, dv, dout, q, k, v, out, lse, n, kv, spec) })
	}))
}

// benchVectors runs the elementwise kernels on slices that fit no cache.
func benchVectors(r roofline, each time.Duration, random func(int) []float32, show func(measurement)) {
	const rows, cols = 4096, 2048
	a, b, c, d := random(rows*cols), random(rows*cols), random(rows*cols), random(rows*cols)
	gain := random(cols)
	perRow := func(name string, bytesPerElement float64, fn func(lo, hi int)) {
		show(r.update(name, bytesPerElement*rows*cols, each, func() {
			r.pool.Run(rows, func(i int) { fn(i*cols, (i+1)*cols) })
		}))
	}
	perRow("RMSNorm", 8, func(lo, hi int) { kernel.RMSNorm(c[lo:hi], a[lo:hi], gain, 1e-6) })
	perRow("SwiGLU", 12, func(lo, hi int) { kernel.SwiGLU(c[lo:hi], a[lo:hi], b[lo:hi]) })
	perRow("cross-entropy with gradient", 8, func(lo, hi int) { kernel.CrossEntropy(c[lo:hi], a[lo:hi], 7, 1) })
	o := kernel.AdamWParams{LR: 1e-4, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Correct1: 0.1, Correct2: 0.05, GradScale: 1}
	for i := range d {
		d[i] *= d[i]
	}
	perRow("AdamW", 28, func(lo, hi int) { kernel.AdamW(a[lo:hi], b[lo:hi], c[lo:hi], d[lo:hi], o) })
}
