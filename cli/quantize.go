package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"weft/compute/quant"
	"weft/internal/atomicfile"
	"weft/internal/sysmem"
	"weft/model"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/corpus/world"
	"weft/text/template"
	"weft/train"
	"weft/train/ptq"
)

// beside lists the files of a model folder, apart from weights and config, that
// say how to use it and what is known about it.
func beside() []string {
	return []string{
		"generation_config.json", "tokenizer.json", "tokenizer_config.json",
		"special_tokens_map.json", "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "README.md", "LICENSE",
	}
}

// quantized is what `weft quantize --json` prints.
type quantized struct {
	Path   string `json:"path"`
	Before int64  `json:"bytes_before"` // of the weights' files
	After  int64  `json:"bytes_after"`
	// Bits per byte of --text; absent without it.
	BPBBefore float64 `json:"bits_per_byte_before,omitempty"`
	BPBAfter  float64 `json:"bits_per_byte_after,omitempty"`

	Method string      `json:"method,omitempty"` // of a GGUF
	Cost   *ptq.Report `json:"cost,omitempty"`   // on Text
	Text   string      `json:"text,omitempty"`   // what it was measured on

	Notes []string `json:"notes,omitempty"` // what the file cannot say, or was not done
}

func (e *env) quantizeCmd() *cobra.Command {
	var out, mix, text string
	var kv bool
	r := rounding{measure: true}
	c := &cobra.Command{
		Use:   "quantize MODEL --out DIR|FILE.gguf",
		Short: "Store a model's matrices in 8 bits or fewer: a quarter of the size, or less",
		Long: `Quantize writes a copy of a model whose matrices are stored in blocks of small
integers that share scales. Norm gains and biases stay in float32. Served, the
matrices stay in blocks in memory too; trained, they are widened.

A folder gets 8 bits: 32 integers with one scale each, the arithmetic of GGUF's
Q8_0, in an ordinary model.safetensors (docs/format/q8.md). A name that ends in
.gguf gets a GGUF in any --type (docs/format/gguf.md), with its tokenizer and chat
template inside.

--method says how values of a GGUF are rounded; those better than rtn read --calibrate
text first (docs/QUANTIZATION.md).

It measures what that costs, against the model: bits per byte, perplexity, KL
divergence and how often both have the same most probable token, with 95 %
intervals; the file says so too. --text names the text to measure on: some like what
the model will read, and not what is calibrated on. Without it it is a page of simple
English made by this program, good for comparing divergences, and nothing is measured
where two copies in float32 have no room. --measure=false leaves it out.

--compare measures every method and writes nothing. --compare-kv does so for every
type that keys and values can be kept in (--kv-type of weft serve).`,
		Example: "  weft quantize out/chat --out out/chat-q8 --text held-out.txt\n" +
			"  weft quantize out/chat --out chat.gguf --type q4_k_m --method gptq --calibrate train.txt --text held-out.txt",
		Args:              exactArgs("MODEL"),
		ValidArgsFunction: modelArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if kv {
				if text == "" {
					return &usageError{errors.New("quantize: --compare-kv needs --text FILE: text to measure on")}
				}
				return e.compareKV(cmd.Context(), args[0], text)
			}
			if out == "" && !r.compare {
				return &usageError{errors.New("quantize: --out is missing: name the folder, or the .gguf, to write")}
			}
			q, err := e.quantize(cmd.Context(), args[0], out, mix, text, &r)
			if err != nil || r.compare {
				return err
			}
			return e.printQuantized(q)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "folder, or file that ends in .gguf, to write")
	mixFlag(c, &mix)
	c.Flags().StringVar(&text, "text", "", "text or jsonl `file` to measure on what it costs (default: a page of the program's own)")
	c.Flags().BoolVar(&r.measure, "measure", true, "measure what it costs, and write that into the file")
	splitFlag(c, &r.split)
	c.Flags().BoolVar(&kv, "compare-kv", false, "write nothing: print what each type of keys and values costs on --text")
	r.register(c)
	return c
}

func (e *env) quantize(ctx context.Context, arg, out, mix, text string, r *rounding) (q quantized, err error) {
	q.Path = out
	kind, err := quant.ParseMixture(mix)
	single := r.compare || strings.HasSuffix(out, ggufEnd)
	if err == nil && !single && !strings.EqualFold(mix, "q8_0") {
		err = fmt.Errorf("a folder stores 8 bits only: for %s let --out end in %s", mix, ggufEnd)
	}
	if err != nil {
		return q, &usageError{fmt.Errorf("quantize: --type: %w", err)}
	}
	if err := r.check(single, text); err != nil {
		return q, err
	}
	if !r.measure && text != "" {
		return q, &usageError{errors.New("quantize: --text is what to measure on, and --measure=false says not to: leave one of them out")}
	}
	if text != "" { // before much is read, and anything written
		for _, err := range corpus.Documents(text) {
			if err != nil {
				return q, err
			}
			break
		}
	}
	l, err := loadWith(arg, reading{wide: true}) // to be saved
	if err != nil {
		return q, err
	}
	if r.compare {
		return q, e.compareMethods(ctx, l, kind, r, text)
	}
	if same(arg, out) && !l.embedded {
		return q, fmt.Errorf("quantize: --out %s is the model's own place: name another one, so that the weights stay", out)
	}
	if q.Before, err = weightBytes(l.files); err != nil {
		return q, err
	}
	if text == "" && r.measure && !l.hasRoom() {
		r.measure = false
		q.Notes = append(q.Notes, "what it costs was not measured: two copies of the model in float32 have no room in memory (--text measures all the same)")
	}
	if single {
		return q, e.writeRounded(ctx, l, &q, kind, r, text)
	}
	return q, atomicfile.Dir(out, func(dir string) error {
		if err := l.saveQ8(dir, &q.After, nil); err != nil || !r.measure {
			return err
		}
		m, err := zoo.Load(dir)
		if err != nil {
			return err
		}
		pool := e.pool()
		defer pool.Close()
		if err := e.measure(ctx, l, &q, m, text, pool); err != nil {
			return err
		}
		meta := q.Cost.Text(r.options.Method)
		meta[textKey] = q.Text
		return l.saveQ8(dir, &q.After, meta) // again, saying so
	})
}

// hasRoom says whether the memory that is free has room for the model once more in
// float32, and for what comparing the two takes.
func (l *loaded) hasRoom() bool {
	free := sysmem.Free()
	return free == 0 || 5*l.model.Info().Params < free
}

// saveQ8 writes a folder in 8 bits, and says how large its weights are.
func (l *loaded) saveQ8(out string, size *int64, meta map[string]string) error {
	if err := copyFiles(l.files, out); err != nil {
		return err
	}
	err := zoo.SaveQ8(out, l.model, meta)
	if err == nil {
		*size, err = weightBytes(os.DirFS(out))
	}
	return err
}

func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// weightBytes is the size of a model's weights: one file or all shards.
func weightBytes(dir fs.FS) (n int64, err error) {
	if g, ok := dir.(*zoo.GGUF); ok {
		return g.Bytes(), nil
	}
	names, err := fs.Glob(dir, "*"+filepath.Ext(safetensors.SingleFile))
	for _, name := range names {
		st, err := fs.Stat(dir, name)
		if err != nil {
			return 0, err
		}
		n += st.Size()
	}
	return n, err
}

// copyFiles copies what stands beside the weights.
func copyFiles(from fs.FS, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make the folder for the model: %w", err)
	}
	for _, name := range beside() {
		data, err := fs.ReadFile(from, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755)
		}
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(to, name), data)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return nil
}

// scoreContext is the longest context, in tokens, that a text is scored with.
const scoreContext = 512

// The text that quantising is measured on where none is named: bytes of the small
// world, and tokens read of it, which take a model of a billion weights about a
// minute on two cores.
const (
	ownText       = 24 << 10
	ownTextTokens = 2048
)

// dataset is a text as tokens, documents between the markers that pretraining
// puts there; without a path it is the program's own.
func (l *loaded) dataset(ctx context.Context, path string) (*corpus.Dataset, error) {
	var o corpus.ShardOptions
	tmpl := l.tmpl
	if tmpl == nil {
		tmpl = template.For(l.tok)
	}
	if tmpl != nil {
		o.Begin, o.End = tmpl.BOS(), tmpl.DocumentEnd()
	}
	docs := corpus.Documents(path)
	if path == "" {
		docs = world.New(1).Docs(ownText)
	}
	return corpus.Build(ctx, l.tok, docs, o)
}

// bitsPerByte scores a text with a model.
func (e *env) bitsPerByte(ctx context.Context, l *loaded, m model.Model, path string) (float64, error) {
	data, err := l.dataset(ctx, path)
	if err != nil {
		return 0, err
	}
	defer data.Close()
	pool := e.pool()
	defer pool.Close()
	var batches []corpus.Batch
	for b, err := range data.Eval(corpus.EvalOptions{SeqLen: min(scoreContext, m.Info().Context)}) {
		if err != nil {
			return 0, err
		}
		batches = append(batches, b)
	}
	return train.Score(m, pool, batches).BPB, ctx.Err()
}

func (e *env) printQuantized(q quantized) error {
	if e.json {
		return json.NewEncoder(e.out).Encode(q)
	}
	fmt.Fprintf(e.out, "%s: weights %.2f MB -> %.2f MB\n", q.Path, float64(q.Before)/1e6, float64(q.After)/1e6)
	for _, note := range q.Notes {
		fmt.Fprintf(e.out, "  note: %s\n", note)
	}
	if q.Cost != nil {
		e.printCost(q.Cost, q.Text)
	}
	return nil
}
