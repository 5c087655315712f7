package ptq

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"weft/compute/par"
	"weft/model"
	"weft/model/weights/gguf"
	"weft/text/corpus"
)

// Importance says how much each column of a matrix matters: the mean square of
// what it is multiplied with on some text. On disk it is a GGUF file of the
// layout that llama.cpp's imatrix tool writes and its quantize tool reads
// (docs/format/imatrix.md).
type Importance struct {
	Datasets  []string // names of the texts
	Chunks    int      // pieces of text
	ChunkSize int      // tokens of a piece at most
	columns   map[string]sums
}

// sums are those of one matrix.
type sums struct {
	square []float32 // [in] of x_j^2
	rows   float32
}

// Names in the file, as llama.cpp has them (tools/imatrix/imatrix.cpp).
const (
	imatrixType   = "imatrix"
	keyDatasets   = "imatrix.datasets"
	keyChunkCount = "imatrix.chunk_count"
	keyChunkSize  = "imatrix.chunk_size"
	sumsSuffix    = ".in_sum2"
	countsSuffix  = ".counts"
)

// Measure reads text with a model and keeps the importance of every matrix's
// columns. It needs memory for one number per column.
func Measure(m model.Model, text iter.Seq2[corpus.Batch, error], pool *par.Pool, progress func(Step)) (*Importance, error) {
	taps, err := probe(m)
	if err != nil {
		return nil, err
	}
	imp := &Importance{columns: map[string]sums{}}
	// Passes the text on and counts what goes by.
	counted := func(yield func(corpus.Batch, error) bool) {
		for b, err := range text {
			imp.Chunks += len(b.Docs)
			for _, d := range b.Docs {
				imp.ChunkSize = max(imp.ChunkSize, d.Len)
			}
			if !yield(b, err) {
				return
			}
		}
	}
	q := quantizer{Options: Options{Progress: progress}}
	if err := calibrate(m, taps, false, counted, pool, q.progressRows()); err != nil {
		return nil, fmt.Errorf("ptq: measure importance: %w", err)
	}
	for _, t := range taps { // matrices of one input share its sums
		s := sums{make([]float32, t.in()), float32(t.seen.Rows)}
		for j, v := range t.seen.Square {
			s.square[j] = float32(v)
		}
		for _, w := range t.matrices {
			imp.columns[w.GGUF] = s
		}
	}
	return imp, nil
}

// Of is the importance [in] of the columns of a matrix by its GGUF name: the mean
// square of what each is multiplied with. nil where nothing is known.
func (imp *Importance) Of(name string) []float32 {
	s, ok := imp.columns[name]
	if !ok || s.rows == 0 {
		return nil
	}
	w := make([]float32, len(s.square))
	for j, v := range s.square {
		w[j] = v / s.rows
	}
	return w
}

// check compares the number of columns with a model's, and refuses a file that
// has none of its matrices. Some may be missing: llama.cpp leaves out the head.
func (imp *Importance) check(taps []*tap) error {
	found := 0
	for _, t := range taps {
		for _, w := range t.matrices {
			s, ok := imp.columns[w.GGUF]
			if ok && len(s.square) != t.in() {
				return fmt.Errorf("ptq: %w: %s has %d columns, the file knows %d", ErrImportance, w.GGUF, t.in(), len(s.square))
			}
			if ok {
				found++
			}
		}
	}
	if found == 0 {
		return fmt.Errorf("ptq: %w: of the %d matrices in the file the model has none", ErrImportance, len(imp.columns))
	}
	return nil
}

// Save writes the file, whole or not at all.
func (imp *Importance) Save(path string) error {
	meta := []gguf.KV{
		{Key: "general.type", Value: imatrixType},
		{Key: keyDatasets, Value: imp.Datasets},
		{Key: keyChunkCount, Value: uint32(imp.Chunks)},
		{Key: keyChunkSize, Value: uint32(imp.ChunkSize)},
	}
	var tensors []gguf.Source
	for _, name := range slices.Sorted(maps.Keys(imp.columns)) { // the same file every time
		s := imp.columns[name]
		add := func(suffix string, values []float32) {
			tensors = append(tensors, gguf.Source{Name: name + suffix, Type: gguf.F32, Shape: []int{len(values), 1},
				Write: func(w io.Writer) error { return gguf.Floats(w, values) }})
		}
		add(sumsSuffix, s.square)
		add(countsSuffix, []float32{s.rows})
	}
	return gguf.Save(path, meta, tensors)
}

// LoadImportance reads such a file, its own or llama.cpp's. What is none, holds
// values that are no finite numbers from 0, or knows experts wraps ErrImportance.
func LoadImportance(path string) (*Importance, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	imp, err := readImportance(f)
	if err != nil {
		return nil, fmt.Errorf("importance %s: %w", path, err)
	}
	return imp, nil
}

// readImportance takes what LoadImportance takes, from an open file.
func readImportance(f *gguf.File) (*Importance, error) {
	if kind, _ := f.Value("general.type"); kind != imatrixType {
		return nil, fmt.Errorf("%w: general.type is %v, want %q", ErrImportance, kind, imatrixType)
	}
	imp := &Importance{columns: map[string]sums{}}
	// What is not there, or of another type, is as if it were not known: it is for
	// people to read and changes no byte of a model.
	if v, ok := f.Value(keyDatasets); ok {
		imp.Datasets, _ = v.([]string)
	}
	for key, to := range map[string]*int{keyChunkCount: &imp.Chunks, keyChunkSize: &imp.ChunkSize} {
		v, _ := f.Value(key)
		n, _ := gguf.Int(v)
		*to = int(n)
	}
	for _, t := range f.Tensors() {
		name, ok := strings.CutSuffix(t.Name, sumsSuffix)
		if !ok {
			continue
		}
		counts, ok := f.Tensor(name + countsSuffix)
		if !ok {
			return nil, fmt.Errorf("%w: %s has no %s", ErrImportance, t.Name, countsSuffix)
		}
		square, err := floats(f, t)
		if err != nil {
			return nil, err
		}
		rows, err := floats(f, counts)
		if err != nil {
			return nil, err
		}
		if len(rows) != 1 || len(t.Shape) > 1 && t.Len() != t.Shape[0] {
			return nil, fmt.Errorf("%w: %s is of %d experts, which no model here has", ErrImportance, name, len(rows))
		}
		imp.columns[name] = sums{square, rows[0]}
	}
	if len(imp.columns) == 0 {
		return nil, fmt.Errorf("%w: it has no tensor %s", ErrImportance, sumsSuffix)
	}
	return imp, nil
}

// floats reads a float32 tensor of finite numbers from 0. Memory is bounded by the
// file, against which the reader of GGUF has checked the length.
func floats(f *gguf.File, t gguf.Tensor) ([]float32, error) {
	if t.Type != gguf.F32 {
		return nil, fmt.Errorf("%w: %s is %v, want F32", ErrImportance, t.Name, t.Type)
	}
	data := f.Bytes(t)
	all := make([]float32, t.Len())
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		if !(all[i] >= 0 && all[i] <= math.MaxFloat32) {
			return nil, fmt.Errorf("%w: %s: value %d is %g, want a finite number from 0", ErrImportance, t.Name, i, all[i])
		}
	}
	return all, nil
}
