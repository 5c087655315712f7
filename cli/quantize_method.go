package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/model"
	"weft/model/nn"
	"weft/model/weights/gguf"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/train/ptq"
)

// rounding is how `weft quantize` rounds the matrices of a GGUF.
type rounding struct {
	name      string
	calibrate string // text
	tokens    int64  // of it
	imatrix   string // file
	compare   bool
	measure   bool // what it costs
	split     partSize
	options   ptq.Options
}

func (r *rounding) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.name, "method", "", "how values are rounded in a GGUF: "+strings.Join(ptq.MethodNames(), ", ")+" (default rtn, or imatrix where there is importance)")
	f.StringVar(&r.calibrate, "calibrate", "", "text or jsonl `file` that the model reads first, to see what its matrices are applied to")
	f.Int64Var(&r.tokens, "calibrate-tokens", 32768, "how many tokens of it")
	f.StringVar(&r.imatrix, "imatrix", "", "`file` with the importance of columns to read, or with --calibrate to write (docs/format/imatrix.md)")
	f.BoolVar(&r.compare, "compare", false, "write nothing: print what each method costs on --text")
	f.BoolVar(&r.options.ActOrder, "act-order", false, "gptq: round columns of large activations first")
	f.Float64Var(&r.options.Damp, "damp", 0, "gptq: damping, in means of the diagonal (default 0.01)")
	f.Float64Var(&r.options.Alpha, "alpha", 0, "smoothquant: how much of the outliers moves into the weights, 0 to 1 (default 0.5)")
	_ = c.RegisterFlagCompletionFunc("method", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return ptq.MethodNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// check completes the flags; single says that a GGUF is written.
func (r *rounding) check(single bool, text string) error {
	wrong := func(format string, a ...any) error {
		return &usageError{fmt.Errorf("quantize: "+format, a...)}
	}
	if r.name == "" {
		r.name = "rtn"
		if r.imatrix != "" || r.calibrate != "" {
			r.name = "imatrix"
		}
	}
	m, err := ptq.ParseMethod(r.name)
	r.options.Method = m
	switch {
	case err != nil:
		return wrong("--method: %w", err)
	case r.tokens <= 0:
		return wrong("--calibrate-tokens is %d, want 1 or more", r.tokens)
	case r.compare && text == "":
		return wrong("--compare needs --text FILE: text that is not calibrated on")
	case !single && m.Calibrates():
		return wrong("--method %s is for a GGUF: let --out end in %s", m, ggufEnd)
	case m.Calibrates() && r.calibrate == "" && (m.Round != ptq.Weighted || m.Scale != ptq.Plain || r.imatrix == ""):
		return wrong("--method %s needs --calibrate FILE: text for the model to read", m)
	}
	return nil
}

// text is a file as batches of a model's tokens, documents between the markers
// that pretraining puts there; at most tokens of it, 0: all.
func (l *loaded) text(ctx context.Context, path string, tokens int64) (ptqText, func() error, error) {
	data, err := l.dataset(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	return data.Eval(corpus.EvalOptions{SeqLen: min(scoreContext, l.model.Info().Context), MaxTokens: tokens}), data.Close, nil
}

// textKey is where a file says what it was measured on.
const textKey = "weft.quantize.text"

// ptqText is text to read more than once.
type ptqText = func(yield func(corpus.Batch, error) bool)

// round quantises a copy of the model that arg names, in the formats of mix.
func (e *env) round(ctx context.Context, l *loaded, mix quant.Mixture, r *rounding, pool *par.Pool) (model.Model, ptq.Result, error) {
	m, err := zoo.LoadFS(l.files)
	if err != nil {
		return nil, ptq.Result{}, err
	}
	o := r.options
	formats := zoo.Formats(m, mix)
	o.Format = func(p nn.Named) quant.Format { return formats[p.GGUF] }
	o.Pool = pool
	if r.calibrate != "" && o.Method.Calibrates() {
		text, done, err := l.text(ctx, r.calibrate, r.tokens)
		if err != nil {
			return nil, ptq.Result{}, err
		}
		defer done()
		o.Text = text
	}
	bar := e.progress("quantize " + o.Method.String())
	defer bar.end()
	read, rounded := 0, 0
	o.Progress = func(s ptq.Step) {
		if read += s.Rows; s.Matrix != "" {
			rounded++
		}
		bar.set(rounded, len(nn.Params(m)), fmt.Sprintf("matrices; %d tokens read", read))
	}
	if o.Method.Round == ptq.Weighted {
		if o.Importance, err = r.importance(m, o); err != nil {
			return nil, ptq.Result{}, err
		}
	}
	result, err := ptq.Quantize(m, o)
	return m, result, err
}

// importance reads the file of --imatrix, or measures and writes it.
func (r *rounding) importance(m model.Model, o ptq.Options) (*ptq.Importance, error) {
	if r.imatrix == "" || o.Method.Scale != ptq.Plain {
		return nil, nil
	}
	if o.Text == nil {
		return ptq.LoadImportance(r.imatrix)
	}
	imp, err := ptq.Measure(m, o.Text, o.Pool, o.Progress)
	if err != nil {
		return nil, err
	}
	imp.Datasets = []string{filepath.Base(r.calibrate)}
	return imp, imp.Save(r.imatrix)
}

// measure fills in what quantising cost, on a text or without one on the program's
// own.
func (e *env) measure(ctx context.Context, l *loaded, q *quantized, m model.Model, text string, pool *par.Pool) (err error) {
	if q.Text = filepath.Base(text); text == "" {
		q.Text = "the program's own text"
	}
	if q.Cost, err = e.cost(ctx, l, m, text, pool); err == nil {
		q.BPBBefore, q.BPBAfter = q.Cost.ParentBPB, q.Cost.BPB
	}
	return err
}

// cost compares a quantised model with its parent on a text.
func (e *env) cost(ctx context.Context, l *loaded, m model.Model, path string, pool *par.Pool) (*ptq.Report, error) {
	var most int64 // all
	if path == "" {
		most = ownTextTokens
	}
	text, done, err := l.text(ctx, path, most)
	if err != nil {
		return nil, err
	}
	defer done()
	r, err := ptq.Compare(ctx, l.model, m, text, pool)
	return &r, err
}

// writeRounded writes a GGUF by a method, and what it cost into it.
func (e *env) writeRounded(ctx context.Context, l *loaded, q *quantized, mix quant.Mixture, r *rounding, text string) error {
	if !r.options.Method.Calibrates() && !r.measure { // rounded while it is written
		x, err := e.exportGGUF(l, l.model, q.Path, mix, r.split)
		q.written(x)
		return err
	}
	pool := e.pool()
	defer pool.Close()
	m, result, err := e.round(ctx, l, mix, r, pool)
	if err != nil {
		return err
	}
	q.Method = r.options.Method.String()
	meta := []gguf.KV{{Key: "weft.quantize.method", Value: q.Method}}
	if r.measure {
		if err := e.measure(ctx, l, q, m, text, pool); err != nil {
			return err
		}
		meta = append(q.Cost.Meta(r.options.Method), gguf.KV{Key: textKey, Value: q.Text})
	}
	x, err := e.exportGGUF(l, m, q.Path, mix, r.split, meta...)
	q.written(x)
	if n := len(result.Plain); n > 0 {
		q.Notes = append(q.Notes, fmt.Sprintf("rounded without importance: %d matrices such as %s", n, result.Plain[0]))
	}
	return err
}

// written fills in what became of the file.
func (q *quantized) written(x exported) {
	q.Path, q.After, q.Notes = x.Path, x.Bytes, append(q.Notes, x.Notes...)
}

// compared is one line of `weft quantize --compare`.
type compared struct {
	Method string      `json:"method"`
	Type   string      `json:"type"`
	Bytes  int64       `json:"bytes"` // of the matrices
	Cost   *ptq.Report `json:"cost"`
}

// compareMethods prints what each method costs; those that calibrate only with
// text for it.
func (e *env) compareMethods(ctx context.Context, l *loaded, mix quant.Mixture, r *rounding, text string) error {
	pool := e.pool()
	defer pool.Close()
	var all []compared
	for _, name := range ptq.MethodNames() {
		method, err := ptq.ParseMethod(name)
		if err != nil || method.Calibrates() && r.calibrate == "" {
			continue
		}
		one := *r
		one.imatrix, one.options.Method = "", method
		m, result, err := e.round(ctx, l, mix, &one, pool)
		if errors.Is(err, ptq.ErrFold) {
			fmt.Fprintf(e.err, "%s: %v\n", name, err)
			continue
		}
		if err != nil {
			return err
		}
		cost, err := e.cost(ctx, l, m, text, pool)
		if err != nil {
			return err
		}
		all = append(all, compared{name, mix.Name, result.Bytes, cost})
	}
	if e.json {
		return json.NewEncoder(e.out).Encode(all)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "method\tMB\tperplexity\tx parent's\tKL, nats/token\tsame top token\tbits per byte")
	fmt.Fprintf(w, "(parent)\t\t%.4f\t\t\t\t%.4f\n", all[0].Cost.ParentPerplexity.Value, all[0].Cost.ParentBPB)
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%.2f\t%.4f\t%s\t%s\t%s\t%.4f\n", c.Method, float64(c.Bytes)/1e6, c.Cost.Perplexity.Value,
			within("%.4f", c.Cost.Ratio, 1), within("%.5f", c.Cost.KL, 1), within("%.1f%%", c.Cost.Top1, 100), c.Cost.BPB)
	}
	return w.Flush()
}

// within writes an estimate with its interval.
func within(format string, e ptq.Estimate, times float64) string {
	return fmt.Sprintf(format+" ["+format+", "+format+"]", e.Value*times, e.Low*times, e.High*times)
}

// printCost says what quantising cost.
func (e *env) printCost(c *ptq.Report, text string) {
	fmt.Fprintf(e.out, "bits per byte %.4f -> %.4f (%+.2f %%)\n", c.ParentBPB, c.BPB, 100*(c.BPB/c.ParentBPB-1))
	fmt.Fprintf(e.out, "perplexity %s -> %s\n", within("%.4g", c.ParentPerplexity, 1), within("%.4g", c.Perplexity, 1))
	fmt.Fprintf(e.out, "times the parent's %s, KL %s nats per token, same top token %s\n",
		within("%.4f", c.Ratio, 1), within("%.5f", c.KL, 1), within("%.1f %%", c.Top1, 100))
	fmt.Fprintf(e.out, "on %d tokens of %s; in brackets 95 %% intervals\n", c.Tokens, text)
}
