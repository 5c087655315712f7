package pretrain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weft/compute/tensor"
	"weft/internal/atomicfile"
	"weft/internal/sysmem"
	"weft/model/llama"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
	"weft/train"
	"weft/train/optim"
)

// Result is what a run came to.
type Result = train.Result

// run is one call of Run.
type run struct {
	Options
	ctx      context.Context
	began    time.Time
	set      Settings
	tok      *tokenizer.Tokenizer
	tmpl     *template.Template // nil: no markers
	data     *corpus.Data
	resuming bool
}

// Run trains a model into Options.Out, or continues the run there. It blocks
// until the plan is fulfilled or ctx ends; then the run is saved, and the
// error wraps train.ErrStopped.
func Run(ctx context.Context, o Options) (res Result, err error) {
	r := &run{Options: o, ctx: ctx, began: time.Now()}
	if err := o.Validate(); err != nil {
		return res, err
	}
	if r.set, err = o.settings(); err != nil {
		return res, err
	}
	found, release, err := train.Claim(o.Out)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if found && !o.Resume {
		return res, fmt.Errorf("pretrain: %s: %w", o.Out, train.ErrExists)
	}
	if r.resuming = found; found {
		err = r.reopen()
	} else {
		err = r.prepare()
	}
	if r.data != nil {
		defer func() { err = errors.Join(err, r.data.Close()) }()
	}
	if err != nil {
		return res, err
	}
	loop, err := r.loop()
	if err != nil {
		return res, err
	}
	return loop.Run(ctx)
}

// reopen takes tokenizer, data and settings from the run in Out.
func (r *run) reopen() (err error) {
	if err := train.ResumeSettings(r.Out, kind, &r.set); err != nil {
		return err
	}
	if r.tok, err = tokenizer.Load(r.Out); err != nil {
		return err
	}
	if r.Tokenizer != "" {
		asked, err := tokenizer.Load(r.Tokenizer)
		if err != nil {
			return err
		}
		if asked.Hash() != r.tok.Hash() {
			return &train.ChangedError{Dir: r.Out, Changes: []string{"tokenizer: " + r.Tokenizer + " is not the run's"}}
		}
	}
	if r.tmpl, err = named(r.set.Template); err != nil {
		return err
	}
	dir := filepath.Join(r.Out, filepath.FromSlash(train.DataDir))
	if prepared(r.set.Data) {
		dir = r.set.Data
	}
	return r.openShards(dir)
}

// prepare makes tokenizer and data of a new run, and completes the settings.
func (r *run) prepare() error {
	docs := r.Docs
	if docs == nil && !prepared(r.Data) {
		docs = corpus.Documents(r.Data)
	}
	if r.set.Depth == 0 && r.Budget > 0 {
		r.set.Depth = depthFor(budgetShare * train.Peak(r.Threads) * r.Budget.Seconds())
	}
	if err := r.set.fill(); err != nil {
		return err
	}
	if err := r.tokenizer(docs); err != nil {
		return err
	}
	def(&r.set.Vocab, r.tok.VocabSize())
	if err := os.MkdirAll(filepath.Join(r.Out, filepath.FromSlash(train.DataDir)), 0o755); err != nil {
		return fmt.Errorf("pretrain: %w", err)
	}
	if err := r.shards(docs); err != nil {
		return err
	}
	if err := r.fits(); err != nil {
		return err
	}
	m := llama.New(r.config(), nil)
	r.set.fillSteps(m.Info().Params, r.data.Train.Tokens())
	return r.describe(m)
}

// bytesPerWeight is what AdamW in float32 keeps: weight, gradient, two moments.
const bytesPerWeight = 16

// fits refuses a model that the memory cannot hold before any of it is taken.
func (r *run) fits() error {
	weights := r.config().Weights()
	need, free := bytesPerWeight*weights, float64(sysmem.Free())
	if free > 0 && need > free {
		return fmt.Errorf("pretrain: %.4g weights need %.4g GB to train (%d bytes each) and %.4g GB are free: choose a smaller depth or width",
			weights, need/1e9, bytesPerWeight, free/1e9)
	}
	return nil
}

// tokenizer loads the one that was given, or trains one.
func (r *run) tokenizer(docs iter.Seq2[corpus.Doc, error]) (err error) {
	if r.set.Template == "" {
		r.set.Template = defaultTemplate
		if r.Tokenizer != "" {
			r.set.Template = noTemplate
		}
	}
	if r.tmpl, err = named(r.set.Template); err != nil {
		return err
	}
	if r.Tokenizer != "" {
		if r.tok, err = tokenizer.Load(r.Tokenizer); err != nil {
			return err
		}
		if r.Template == "" {
			if r.tmpl = template.For(r.tok); r.tmpl != nil {
				r.set.Template = r.tmpl.Name()
			}
		}
	} else if err := r.trainTokenizer(docs); err != nil {
		return err
	}
	if r.tmpl != nil {
		return r.tmpl.Check(r.tok)
	}
	return nil
}

func (r *run) trainTokenizer(docs iter.Seq2[corpus.Doc, error]) (err error) {
	if docs == nil {
		return fmt.Errorf("pretrain: %s holds shards, not text: give the tokenizer they were made with", r.Data)
	}
	if r.set.Vocab == 0 {
		size, err := textSize(docs)
		if err != nil {
			return err
		}
		r.set.Vocab = vocabFor(size)
	}
	if r.set.Pattern == "" {
		r.set.Pattern = defaultPattern
	}
	o := tokenizer.TrainOptions{VocabSize: r.set.Vocab, Pattern: r.set.Pattern,
		Progress: func(done, total int) { r.Observer.Tell(&train.Stage{Name: "tokenizer", Done: done, Total: total}) }}
	if r.tmpl != nil {
		o.Special = r.tmpl.Specials()
	}
	r.tok, err = tokenizer.Train(r.ctx, corpus.Texts(docs), o)
	return err
}

// shards tokenises the text into the run's folder, or opens given shards.
func (r *run) shards(docs iter.Seq2[corpus.Doc, error]) (err error) {
	if docs == nil {
		return r.openShards(r.Data)
	}
	o := corpus.PrepareOptions{Dir: filepath.Join(r.Out, filepath.FromSlash(train.DataDir)), Val: r.set.Val}
	o.SeqLen = r.set.SeqLen
	o.Workers = r.Threads
	o.Progress = func(p corpus.Progress) { r.Observer.Tell(&train.Stage{Name: "tokens", Done: int(p.Tokens)}) }
	if r.tmpl != nil {
		o.Begin, o.End = r.tmpl.BOS(), r.tmpl.DocumentEnd()
	}
	if r.data, err = corpus.Prepare(r.ctx, r.tok, docs, o); err != nil {
		return err
	}
	r.Observer.Tell(&train.Note{Text: r.data.Split.String()})
	return nil
}

// openShards opens the folder of a run's data, or one prepared by hand.
func (r *run) openShards(dir string) (err error) {
	r.data = new(corpus.Data)
	if r.data.Train, err = corpus.Open(filepath.Join(dir, "train"), r.tok.Hash()); err != nil {
		r.data = nil
		return err
	}
	if _, serr := os.Stat(filepath.Join(dir, "val")); serr == nil {
		r.data.Val, err = corpus.Open(filepath.Join(dir, "val"), r.tok.Hash())
	}
	return err
}

// describe writes what makes Out a model folder, but for the weights. It gets
// no chat template: a base model has the markers, but never saw a chat.
func (r *run) describe(m *llama.Llama) error {
	text, err := m.ConfigJSON()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(r.Out, zoo.ConfigFile), text); err != nil {
		return err
	}
	return r.tok.Save(filepath.Join(r.Out, "tokenizer.json"))
}

func (r *run) config() llama.Config {
	var bos, eos []int32
	if r.tmpl != nil {
		if id, ok := r.tok.Special(r.tmpl.BOS()); ok {
			bos = []int32{id}
		}
		eos = r.tmpl.Stop(r.tok)
	}
	return r.set.config(r.tok.VocabSize(), bos, eos)
}

const kind = "pretrain"

// loop puts the run together.
func (r *run) loop() (*train.Loop, error) {
	s := r.set
	held, err := r.heldOut()
	if err != nil {
		return nil, err
	}
	rng := tensor.NewRNG(s.Seed)
	l := &train.Loop{
		Options: r.Options.Options, Dir: r.Out, Kind: kind, Resume: r.Resume, Began: r.began,
		Model: llama.New(r.config(), rng),
		Source: r.data.Train.Loader(corpus.LoaderOptions{Rows: s.rows(), SeqLen: s.SeqLen, Seed: s.Seed,
			Pack: r.data.Train.Docs() >= manyDocs && !s.Random, Random: s.Random}),
		HeldOut: held, SeqLen: s.SeqLen, BatchLen: s.step(), DataLen: r.data.Train.Tokens(), Settings: s, RNG: *rng,
		Lineage: train.Lineage{Tokenizer: r.tok.Hash(), Data: r.data.Train.ID()},
	}
	if r.tmpl != nil {
		l.Lineage.Template = r.tmpl.Hash()
	}
	l.Steps, l.Accumulate, l.Warmup = s.Steps, s.Accumulate, s.Warmup
	l.Budget = time.Duration(s.Budget * float64(time.Second))
	l.Schedule = optim.Schedule{Kind: s.Schedule, Peak: s.LR, Floor: s.Floor, Decay: s.Decay}
	l.Optim = optim.Options{Kind: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.Eps, WeightDecay: s.Weight, Clip: s.Clip}
	l.NoDecay = strings.Fields(s.NoDecay)
	return l, nil
}

// manyDocs is from where on whole documents are packed instead of windows cut.
const manyDocs = 100

// heldOut gathers the batches of every evaluation.
func (r *run) heldOut() (held []corpus.Batch, err error) {
	if r.data.Val == nil {
		return nil, nil
	}
	o := corpus.EvalOptions{Rows: r.set.rows(), SeqLen: r.set.SeqLen, MaxTokens: int64(max(0, r.set.EvalTokens))}
	for b, err := range r.data.Val.Eval(o) {
		if err != nil {
			return nil, err
		}
		held = append(held, b)
	}
	return held, nil
}

// named finds a template; "none" has none.
func named(name string) (*template.Template, error) {
	if name == noTemplate {
		return nil, nil
	}
	return template.Named(name)
}

// prepared says whether path is a folder of shards.
func prepared(path string) bool {
	if path == "" {
		return false
	}
	st, err := os.Stat(filepath.Join(path, "train"))
	return err == nil && st.IsDir()
}

// textSize counts the bytes of all documents.
func textSize(docs iter.Seq2[corpus.Doc, error]) (n int64, err error) {
	for d, err := range docs {
		if err != nil {
			return 0, err
		}
		n += int64(len(d.Text))
	}
	return n, nil
}
