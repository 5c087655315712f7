package cli

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weft/text/corpus"
	"weft/text/tokenizer"
	"weft/train/pretrain"
)

// study is what `weft tok study --json` prints.
type study struct {
	Kind  string      `json:"kind"`
	Train int         `json:"train_bytes"`
	Held  int         `json:"held_out_bytes"`
	Dim   int         `json:"dim"`
	Rows  []studyRow  `json:"sizes"`
	Note  string      `json:"note"`
	set   *studyFlags // of the command
}

// studyRow is one size of vocabulary.
type studyRow struct {
	Vocab         int     `json:"vocab"`           // tokens that came out
	BytesPerToken float64 `json:"bytes_per_token"` // of held-out text
	Embedding     int64   `json:"embedding_parameters"`
	// Of a model; absent without --train-steps.
	Params int64   `json:"parameters,omitempty"`
	Share  float64 `json:"embedding_share,omitempty"`
	Steps  int     `json:"steps,omitempty"`
	BPB    float64 `json:"bits_per_byte,omitempty"`
}

// studyFlags are those of `weft tok study`.
type studyFlags struct {
	sizes                  []int
	kind, pattern, page    string
	steps, depth, dim, seq int
}

// tokStudyCmd answers how large a vocabulary should be, at the scale of the text given.
func (e *env) tokStudyCmd() *cobra.Command {
	var o studyFlags
	c := &cobra.Command{
		Use:   "study TEXT --sizes 512,1024,2048",
		Short: "Study what the size of a vocabulary brings on a text",
		Long: `Study trains a tokenizer of each size on nine tenths of a text and measures bytes
per token on the rest. With --train-steps it also trains a small model with each, on
the same bytes of text, and reports bits per byte of held-out text, which compare
over sizes where losses per token do not. Figures of small models on little text
show a trend at their own scale and nothing else.`,
		Example: "  weft tok study book.txt --sizes 512,2048,8192 --train-steps 200 --depth 2 --html study.html",
		Args:    exactArgs("TEXT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// From small to large: the smallest has the fewest updates to begin with, and sets the
			// bytes that all read.
			slices.Sort(o.sizes)
			o.sizes = slices.Compact(o.sizes)
			if len(o.sizes) == 0 || o.steps < 0 || o.dim <= 0 {
				return &usageError{errors.New("tok study: want --sizes, --dim above 0 and --train-steps of 0 or more")}
			}
			r, err := e.studySizes(cmd.Context(), args[0], &o)
			if err != nil {
				return err
			}
			return e.show(r.findings(), r, o.page)
		},
	}
	f := c.Flags()
	f.IntSliceVar(&o.sizes, "sizes", []int{512, 1024, 2048, 4096}, "vocabulary sizes")
	f.StringVar(&o.kind, "kind", tokenizer.BPE, "what to learn: "+strings.Join(tokenizer.Kinds(), ", "))
	f.StringVar(&o.pattern, "pattern", "", "pre-tokenizer, as of `tok train`")
	f.IntVar(&o.dim, "dim", 128, "width of the embedding and the model")
	f.IntVar(&o.steps, "train-steps", 0, "train a model with each size: updates with the smallest, fewer with the others, so that all see the same bytes")
	f.IntVar(&o.depth, "depth", 2, "layers of the models")
	f.IntVar(&o.seq, "seq", 128, "positions of a sequence in training")
	f.StringVar(&o.page, "html", "", "also write a page with charts to this `file`")
	return c
}

// studySizes trains and measures every size.
func (e *env) studySizes(ctx context.Context, path string, o *studyFlags) (*study, error) {
	var all strings.Builder
	for text, err := range texts(path) {
		if err != nil {
			return nil, err
		}
		all.WriteString(text + "\n")
	}
	text := all.String()
	// The held-out part begins with a line, not inside of a word.
	cut := len(text) * 9 / 10
	cut += strings.IndexByte(text[cut:], '\n') + 1
	r := &study{Kind: o.kind, Train: cut, Held: len(text) - cut, Dim: o.dim, set: o,
		Note: fmt.Sprintf("One text of %.2f MB, nine tenths of it for training: small figures, for their own scale only.", float64(len(text))/1e6)}
	if r.Held == 0 {
		return nil, fmt.Errorf("tok study: %s: nothing is left to hold out: want text of several lines", path)
	}
	// Models of a study are thrown away; only their figures stay.
	dir, err := os.MkdirTemp("", "weft-study-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bar := e.progress("sizes")
	defer bar.end()
	for i, size := range o.sizes {
		bar.set(i, len(o.sizes), fmt.Sprint("vocabulary of ", size))
		row, err := e.studySize(ctx, r, dir, size, text[:cut], text[cut:])
		if err != nil {
			return nil, fmt.Errorf("vocabulary of %d: %w", size, err)
		}
		r.Rows = append(r.Rows, row)
	}
	bar.set(len(o.sizes), len(o.sizes), "")
	return r, nil
}

// studySize is one size: a tokenizer, and a model with it if one is asked for.
func (e *env) studySize(ctx context.Context, r *study, dir string, size int, text, held string) (row studyRow, err error) {
	one := func(yield func(string, error) bool) { yield(text, nil) }
	tok, err := tokenizer.Train(ctx, one, tokenizer.TrainOptions{Kind: r.Kind, Pattern: r.set.pattern, VocabSize: size, Workers: e.threads, Warn: warnTraining})
	if err != nil {
		return row, err
	}
	row = studyRow{Vocab: tok.VocabSize(), BytesPerToken: tok.Measure(held).BytesPerToken(), Embedding: int64(tok.VocabSize()) * int64(r.Dim)}
	if r.set.steps == 0 {
		return row, nil
	}
	file := filepath.Join(dir, fmt.Sprint(size, ".json"))
	if err := tok.Save(file); err != nil {
		return row, err
	}
	row.Steps = r.set.steps
	if len(r.Rows) > 0 { // fewer tokens for the same bytes
		row.Steps = max(1, int(float64(r.Rows[0].Steps)*r.Rows[0].BytesPerToken/row.BytesPerToken+0.5))
	}
	// The same text for all, divided by the trainer itself.
	p := pretrain.Options{Docs: corpus.ParseText(text+held, "text"), Out: filepath.Join(dir, fmt.Sprint(size)), Tokenizer: file, Template: "none",
		Depth: r.set.depth, Dim: r.Dim, SeqLen: r.set.seq, EvalTokens: -1}
	p.Steps, p.Threads, p.EvalEvery = row.Steps, e.threads, -1
	res, err := pretrain.Run(ctx, p)
	if err != nil {
		return row, err
	}
	if res.After == nil {
		return row, errors.New("no text was held out: want a longer text")
	}
	row.Params, row.BPB = res.Params, res.After.BPB
	row.Share = float64(row.Embedding) / float64(row.Params)
	return row, nil
}

// findings shows a study to people.
func (r *study) findings() *findings {
	p := part{Note: r.Note, Head: []string{"tokens", "bytes/token", "embedding"}}
	x, perToken, bits := []float64{}, []float64{}, []float64{}
	if r.set.steps > 0 {
		p.Head = append(p.Head, "parameters", "share", "steps", "bits/byte")
	}
	for _, row := range r.Rows {
		cells := []string{fmt.Sprint(row.Vocab), fmt.Sprintf("%.3f", row.BytesPerToken), fmt.Sprint(row.Embedding)}
		if r.set.steps > 0 {
			cells = append(cells, fmt.Sprint(row.Params), percent1(row.Share), fmt.Sprint(row.Steps), fmt.Sprintf("%.4f", row.BPB))
		}
		p.Rows = append(p.Rows, cells)
		x, perToken, bits = append(x, float64(row.Vocab)), append(perToken, row.BytesPerToken), append(bits, row.BPB)
	}
	p.Charts = []template.HTML{lineChart("bytes per token of held-out text, by tokens of the vocabulary", x, []string{r.Kind}, [][]float64{perToken})}
	if r.set.steps > 0 {
		p.Charts = append(p.Charts, lineChart("bits per byte of held-out text: small models, the same bytes of training text", x, []string{r.Kind}, [][]float64{bits}))
	}
	return &findings{title: "Vocabulary sizes", parts: []part{p}}
}
