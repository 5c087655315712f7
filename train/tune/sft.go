package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weft/compute/tensor"
	"weft/internal/atomicfile"
	"weft/internal/mapfile"
	"weft/model"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
	"weft/train"
)

// Result is what a run came to.
type Result = train.Result

const (
	kind            = "sft"
	defaultTemplate = "weft"
)

// run is one call of SFT.
type run struct {
	SFTOptions
	began   time.Time
	set     Settings
	model   model.Model
	tok     *tokenizer.Tokenizer
	tmpl    *template.Template
	lineage train.Lineage
	learn   *corpus.Examples
	held    *corpus.Examples // nil: too few
}

// SFT fine-tunes the model in Base into the run folder Out, or continues the
// run there. It blocks until the plan is fulfilled or ctx ends; then the run
// is saved, and the error wraps train.ErrStopped.
func SFT(ctx context.Context, o SFTOptions) (res Result, err error) {
	r := &run{SFTOptions: o, began: time.Now()}
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
	switch {
	case found && !o.Resume:
		return res, fmt.Errorf("tune: %s: %w", o.Out, train.ErrExists)
	case !found && o.Base == "":
		return res, errNoBase
	case !found && o.Data == "" && o.Chats == nil:
		return res, errNoData
	case found:
		err = r.reopen()
	default:
		err = r.prepare(ctx)
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

// base is where the files of the base model are.
func (r *run) base() fs.FS {
	if r.BaseFS != nil {
		return r.BaseFS
	}
	return mapfile.Dir(r.Base)
}

// prepare reads the base model and the conversations of a new run.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.model, err = zoo.LoadFS(r.base()); err != nil {
		return err
	}
	if err := r.texts(r.base()); err != nil {
		return err
	}
	if err := r.ancestry(); err != nil {
		return err
	}
	info := r.model.Info()
	if have := r.tok.VocabSize(); have > info.Vocab {
		return fmt.Errorf("tune: %s: %w: the tokenizer has %d tokens, the model %d", r.Base, ErrLineage, have, info.Vocab)
	}
	if err := r.set.fill(info.Dim, info.Context); err != nil {
		return err
	}
	if err := r.examples(ctx); err != nil {
		return err
	}
	if r.set.Steps == 0 && r.set.Budget == 0 {
		if r.set.Steps, err = r.steps(); err != nil {
			return err
		}
	}
	return r.describe()
}

// reopen takes model, texts and settings from the run in Out.
func (r *run) reopen() (err error) {
	if err := train.ResumeSettings(r.Out, kind, &r.set); err != nil {
		return err
	}
	if r.model, err = zoo.Load(r.Out); err != nil {
		return err
	}
	if err := r.texts(mapfile.Dir(r.Out)); err != nil {
		return err
	}
	if r.Base != "" {
		if r.lineage.Parent, err = fileHash(r.base(), safetensors.SingleFile); err != nil {
			return err
		}
	}
	return r.examples(context.Background())
}

// texts loads the tokenizer of a folder and chooses the template.
func (r *run) texts(dir fs.FS) (err error) {
	if r.tok, err = tokenizer.LoadFS(dir); err != nil {
		return err
	}
	if r.set.Template != "" && r.set.Template != template.OfModel {
		r.tmpl, err = template.Named(r.set.Template)
	} else {
		r.tmpl, err = template.LoadFS(dir)
	}
	if err == nil && r.tmpl == nil { // a base model: its tokenizer was made for one
		r.tmpl = template.For(r.tok)
	}
	if err == nil && r.tmpl == nil {
		r.tmpl, err = template.Named(defaultTemplate)
	}
	if err != nil {
		return err
	}
	if err := r.tmpl.Check(r.tok); err != nil {
		return fmt.Errorf("tune: %s: %w", mapfile.Path(dir, "."), err)
	}
	r.set.Template = r.tmpl.Name()
	r.lineage.Tokenizer, r.lineage.Template = r.tok.Hash(), r.tmpl.Hash()
	return nil
}

// ancestry notes where the base model came from, and refuses one whose folder
// says that it was trained with another tokenizer or template.
func (r *run) ancestry() (err error) {
	if r.lineage.Parent, err = fileHash(r.base(), safetensors.SingleFile); err != nil {
		return err
	}
	if r.BaseFS != nil { // no folder, and no run, to name
		r.lineage.ParentPath = r.Base
		return nil
	}
	if r.lineage.ParentPath, err = filepath.Abs(r.Base); err != nil {
		return err
	}
	parent, err := train.ReadState(r.Base)
	if errors.Is(err, os.ErrNotExist) {
		return nil // not one of ours: nothing is known
	}
	if err != nil {
		return err
	}
	if l := parent.Lineage; l.Tokenizer != r.lineage.Tokenizer {
		return fmt.Errorf("tune: %s: %w: it was trained with tokenizer %.12s, but holds %.12s: put the right tokenizer.json back", r.Base, ErrLineage, l.Tokenizer, r.lineage.Tokenizer)
	} else if parent.Kind == kind && l.Template != r.lineage.Template {
		return fmt.Errorf("tune: %s: %w: it was tuned with another chat template than %q: use the one it knows", r.Base, ErrLineage, r.tmpl.Name())
	}
	return nil
}

// steps is the number of updates in Epochs, found by packing them.
func (r *run) steps() (int, error) {
	loader := r.learn.Loader()
	batches := 0
	for loader.Epoch() < r.set.Epochs {
		if _, err := loader.Next(); err != nil {
			return 0, err
		}
		batches++
	}
	return max(1, (batches+r.set.Accumulate-1)/r.set.Accumulate), nil
}

// describe writes what makes Out a model folder, but for the weights.
func (r *run) describe() error {
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	config, err := fs.ReadFile(r.base(), zoo.ConfigFile)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(r.Out, zoo.ConfigFile), config); err != nil {
		return err
	}
	if err := r.tok.Save(filepath.Join(r.Out, "tokenizer.json")); err != nil {
		return err
	}
	return r.tmpl.Save(r.Out)
}

// loop puts the run together.
func (r *run) loop() (*train.Loop, error) {
	s := r.set
	var held []corpus.Batch
	if r.held != nil {
		for b, err := range r.held.Eval() {
			if err != nil {
				return nil, err
			}
			held = append(held, b)
		}
	}
	l := &train.Loop{
		Options: r.Options, Dir: r.Out, Kind: kind, Resume: r.Resume, Began: r.began, Model: r.model,
		Source: r.learn.Loader(), HeldOut: held, SeqLen: s.SeqLen, BatchLen: s.rows() * s.SeqLen * s.Accumulate,
		DataLen: r.learned(), Settings: s, Lineage: r.lineage, RNG: *tensor.NewRNG(s.Seed),
	}
	s.apply(&l.Options)
	return l, nil
}
