package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/quant"
	"weft/infer/kv"
	"weft/infer/plan"
	"weft/internal/sysmem"
	"weft/model"
	"weft/model/weights/gguf"
	"weft/model/weights/safetensors"
	"weft/model/zoo"
)

// errTooLarge says that a model does not fit the memory; the text says what would.
var errTooLarge = errors.New("it does not fit")

// footprint is what a model takes in memory when it is served, computed from its
// files before any weight is loaded. Sizes are bytes.
type footprint struct {
	shape   plan.Shape
	weights int64 // in the form that they are served in, of the draft model too
	scratch int64 // of one pass
	page    int64 // of the cache, of the draft model too
	pageLen int   // positions
	batch   int   // requests at once
}

// What a model must at least be able to take to be worth loading, and what an
// engine takes where nothing else is said.
const (
	leastContext = 1024 // positions; the model's own, where that is less
	defaultBatch = 16
	defaultChunk = 256
)

// footprintOf reads the sizes of a model's files.
func footprintOf(l *loaded, o engineOptions) (f footprint, err error) {
	if f.shape, err = readShape(l.files, zoo.ConfigFile); err != nil {
		return f, err
	}
	if o.stored.Name != "" {
		f.weights, err = encodedBytes(f.shape, o.stored.Mixture)
	} else {
		f.weights, err = servedBytes(l.files)
	}
	if err != nil {
		return f, err
	}
	f.pageLen, f.batch = cmp.Or(o.PageLen, kernel.BlockLen), cmp.Or(o.MaxBatch, defaultBatch)
	f.page = pageBytes(f.shape, o)
	rows := int64(f.batch + cmp.Or(o.Chunk, defaultChunk))
	f.scratch = 4 * (rows*int64(8*f.shape.Dim+3*f.shape.FFN) + int64(f.batch*f.shape.Vocab)) // activations of a layer, and logits
	if o.draft == "" {
		return f, nil
	}
	d, err := findModel(o.draft)
	if err != nil {
		return f, fmt.Errorf("--draft: %w", err)
	}
	o.draft, o.stored = "", matrixType{}
	small, err := footprintOf(d, o)
	if err != nil {
		return f, fmt.Errorf("--draft: %w", err)
	}
	f.weights, f.scratch, f.page = f.weights+small.weights, f.scratch+small.scratch, f.page+small.page
	return f, nil
}

// pageBytes is the size of a cache page of a model.
func pageBytes(s plan.Shape, o engineOptions) int64 {
	states := make([]model.State, s.Layers)
	for i := range states {
		states[i] = model.State{KVHeads: s.KVHeads, HeadDim: s.HeadDim}
	}
	return max(1, kv.PageBytes(states, kv.Options{PageLen: o.PageLen, Type: o.KVType}))
}

// encodedBytes is servedBytes of a model whose matrices are encoded when they are
// read.
func encodedBytes(s plan.Shape, mix quant.Mixture) (int64, error) {
	n, _, err := s.Weights(s.Mixed(mix), 1)
	return n + n/32, err // rows filled up to whole panels
}

// servedBytes is the memory of a model's weights once they are served: blocks and
// 16 bits as the file has them, the rest in float32.
func servedBytes(files fs.FS) (n int64, err error) {
	if g, ok := files.(*zoo.GGUF); ok {
		f, err := gguf.Open(g.Path())
		if err != nil {
			return 0, err
		}
		defer f.Close()
		for _, t := range f.Tensors() {
			per, block := t.Type.Block()
			size := int64(t.Len()) / int64(max(1, per)) * int64(block)
			if format, err := quant.FromID(uint32(t.Type)); err == nil && len(t.Shape) > 1 && op.HasIntegers(format) {
				size += size / 32 // scales laid out for the kernel, and rows filled up to whole panels
			}
			n += size
		}
		return n, nil
	}
	f, err := safetensors.OpenFS(files)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		switch values := int64(info.Len()); {
		case info.DType == safetensors.Q8:
			n += values + values/16 // a scale of two bytes per 32
		case len(info.Shape) == 2:
			width := 4
			if info.DType == "F16" || info.DType == "BF16" {
				width = 2
			}
			const panel = 32 // rows that kernels read side by side
			n += int64(width) * int64((info.Shape[0]+panel-1)/panel*panel) * int64(info.Shape[1])
		default:
			n += 4 * values
		}
	}
	return n, nil
}

// pages is the number of them that so many positions take.
func (f footprint) pages(positions int) int { return (positions + f.pageLen - 1) / f.pageLen }

// least is the fewest pages that the model is loaded with.
func (f footprint) least() int { return f.pages(min(leastContext, f.shape.Context)) }

// bytes is all of it, with a cache of so many pages.
func (f footprint) bytes(pages int) int64 { return f.weights + f.scratch + int64(pages)*f.page }

// fit chooses the number of pages: as many as a share of the memory leaves room
// for, up to a whole context for every request of a batch, and at least a few,
// if all of the memory has room for those. Else it is an errTooLarge that says
// what would fit.
func (f footprint) fit(share, all int64) (pages int, err error) {
	share -= share / 32 // what is computed beforehand is not exact
	whole := f.batch * f.pages(f.shape.Context)
	pages = int(min(max(0, share-f.bytes(0))/f.page, int64(whole)))
	if pages = max(pages, f.least()); f.bytes(pages) > all {
		return 0, f.tooLarge(all)
	}
	return pages, nil
}

// tooLarge says what a memory has no room for, and what it would have.
func (f footprint) tooLarge(all int64) error {
	return fmt.Errorf("%w: it needs %s (%s weights, %s keys and values of %d positions, the rest for computing), and there are %s; %s", errTooLarge,
		bytes64(f.bytes(f.least())), bytes64(f.weights), bytes64(int64(f.least())*f.page), f.least()*f.pageLen, bytes64(all), f.alternative(all))
}

// alternative names the best form of the same model that would fit.
func (f footprint) alternative(all int64) string {
	room := all - f.bytes(f.least()) + f.weights
	if room <= 0 {
		return "that is too little for computing alone: fewer requests at once (--max-batch) and smaller steps (--chunk) take less"
	}
	for _, name := range []string{"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"} {
		m, err := quant.ParseMixture(name)
		if err != nil {
			continue
		}
		if n, _, err := f.shape.Weights(f.shape.Mixed(m), 1); err == nil && n <= room && n < f.weights {
			kind := strings.ToLower(name)
			return fmt.Sprintf("in %s it would fit, with %s of weights: --type %s encodes it while it is read, weft quantize --type %s makes a file of it", name, bytes64(n), kind, kind)
		}
	}
	return fmt.Sprintf("a model with up to %s of weights would", bytes64(room))
}

// mustFit refuses a model that this machine has no memory for, before it is
// loaded. Where nobody says how much there is, or the sizes cannot be told
// beforehand, loading tells.
func mustFit(l *loaded, how reading) error {
	limit := sysmem.Limit()
	if l.embedded || limit == 0 || fileBytes(l.files) < limit/16 { // 2 bits in files are 4 bytes here at most
		return nil
	}
	f, err := footprintOf(l, engineOptions{stored: how.as})
	if err != nil {
		return nil
	}
	if how.wide {
		return fitsWide(l.name, f.shape, limit)
	}
	if f.bytes(f.least()) > limit {
		return fmt.Errorf("model %s: %w", l.name, f.tooLarge(limit))
	}
	return nil
}

// fitsWide refuses a model whose weights have no room in float32, as which they
// are trained and written to folders.
func fitsWide(name string, s plan.Shape, limit int64) error {
	n, _ := s.Params()
	if n > limit/4 {
		return fmt.Errorf("model %s: %w: in float32, in which it is read here, its weights take %s, and there are %s; "+
			"weft export --gguf needs no float32, and weft serve --type q4_k_m none either", name, errTooLarge, bytes64(4*n), bytes64(limit))
	}
	return nil
}

// fileBytes is the size of a model's files of weights.
func fileBytes(files fs.FS) (n int64) {
	if g, ok := files.(*zoo.GGUF); ok {
		return g.Bytes()
	}
	names, _ := globAll(files, weightPatterns)
	for _, name := range names {
		if st, err := fs.Stat(files, name); err == nil {
			n += st.Size()
		}
	}
	return n
}

// describeFiles lists the files of a folder that its weights are read from, with
// size and time, to see whether they have changed.
func describeFiles(files fs.FS) (string, error) {
	var all []string
	names, err := globAll(files, weightPatterns)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		st, err := fs.Stat(files, name)
		if err != nil {
			return "", err
		}
		all = append(all, fmt.Sprint(name, st.Size(), st.ModTime().UnixNano()))
	}
	return strings.Join(all, "\n"), nil
}
