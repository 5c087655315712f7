package zoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/quant"
	"weft/model"
	"weft/model/nn"
	"weft/model/weights/gguf"
	"weft/text/template"
	"weft/text/tokenizer"
)

// GGUFOptions say what SaveGGUF writes. The zero value writes float32.
type GGUFOptions struct {
	Mix  quant.Mixture // formats of the matrices; F32
	Name string        // general.name, where the model does not come from a GGUF that has one; none
	Pool *par.Pool     // encodes; one thread
	Meta []gguf.KV     // more metadata; none
	// MaxFile is how many bytes a file may have: a larger model is cut into parts
	// (gguf.SaveSplit); no bound.
	MaxFile int64
}

// Saved is what SaveGGUF wrote.
type Saved struct {
	Path    string         // of the file, or the first part
	Bytes   int64          // of all parts
	Formats map[string]int // tensors by format
	// Notes say what the file cannot say, or holds in another format than asked
	// for, one line each.
	Notes []string
}

// SaveGGUF writes a model, with the tokenizer and the template of the folder that
// it came from, as one GGUF file. The file appears whole or not at all; rows are
// encoded as they are written, so that no second copy of the model is made.
// Matrices that rest in the format that is wanted keep their bytes.
func SaveGGUF(path string, m model.Model, files fs.FS, o GGUFOptions) (Saved, error) {
	o.Mix = mixed(m, o.Mix)
	s := saver{GGUFOptions: o, model: m, files: files, saved: Saved{Formats: map[string]int{}}}
	meta, err := s.metadata()
	if err != nil {
		return s.saved, fmt.Errorf("save GGUF: %w", err)
	}
	sources, err := s.sources()
	if err != nil {
		return s.saved, fmt.Errorf("save GGUF: %w", err)
	}
	parts := []string{path}
	if o.MaxFile > 0 {
		parts, err = gguf.SaveSplit(path, meta, sources, o.MaxFile)
	} else {
		err = gguf.Save(path, meta, sources)
	}
	if err != nil {
		return s.saved, err
	}
	s.saved.Path = parts[0]
	for _, part := range parts {
		st, err := os.Stat(part)
		if err != nil {
			return s.saved, err
		}
		s.saved.Bytes += st.Size()
	}
	if len(parts) > 1 {
		s.note("it is cut into %d parts: keep them together, under their names", len(parts))
	}
	return s.saved, nil
}

// saver is one call of SaveGGUF.
type saver struct {
	GGUFOptions
	model model.Model
	files fs.FS
	arch  arch
	extra []gguf.Source // tensors that stand for something of the config
	saved Saved
}

func (s *saver) note(format string, a ...any) {
	s.saved.Notes = append(s.saved.Notes, fmt.Sprintf(format, a...))
}

// metadata is all that the file says besides the weights.
func (s *saver) metadata() ([]gguf.KV, error) {
	c, ok := s.model.(interface{ ConfigJSON() ([]byte, error) })
	if !ok {
		return nil, fmt.Errorf("family %s cannot write its config", s.model.Info().Family)
	}
	config, err := c.ConfigJSON()
	if err != nil {
		return nil, err
	}
	var shape []gguf.KV
	if s.arch, shape, s.extra, s.saved.Notes, err = metadata(config); err != nil {
		return nil, err
	}
	meta := []gguf.KV{{Key: "general.architecture", Value: s.arch.name}, {Key: "general.type", Value: "model"}}
	g, again := s.files.(*GGUF)
	if again { // it keeps its name
		if name, ok := g.text("general.name"); ok {
			s.Name = name
		}
	}
	if s.Name != "" {
		meta = append(meta, gguf.KV{Key: "general.name", Value: s.Name})
	}
	meta = append(meta, gguf.KV{Key: "general.file_type", Value: s.Mix.FileType})
	if s.Mix.Base.BlockLen() > 1 {
		meta = append(meta, gguf.KV{Key: "general.quantization_version", Value: uint32(2)})
	}
	meta = append(append(meta, shape...), s.Meta...)
	if again {
		return append(meta, g.passOn(meta)...), nil
	}
	words, err := s.words(config)
	return append(meta, words...), err
}

// passOn is what a file made of another one says as that does: where it comes
// from, its tokenizer and its template.
func (g *GGUF) passOn(have []gguf.KV) (all []gguf.KV) {
	for _, key := range g.file.Keys() {
		room, _, _ := strings.Cut(key, ".")
		known := slices.ContainsFunc(have, func(kv gguf.KV) bool { return kv.Key == key })
		if known || room != "general" && room != "tokenizer" || key == "general.alignment" || key == "general.quantization_version" {
			continue
		}
		v, _ := g.file.Value(key)
		all = append(all, gguf.KV{Key: key, Value: v})
	}
	return all
}

// words are the tokenizer and the template of a folder.
func (s *saver) words(config []byte) ([]gguf.KV, error) {
	tok, err := tokenizer.LoadFS(s.files)
	if err != nil {
		return nil, err
	}
	entries, odd, err := tok.GGUF(s.model.Info().Vocab)
	if err != nil {
		return nil, err
	}
	if odd != "" {
		s.note("other programs may not read its tokenizer: %s", odd)
	}
	var all []gguf.KV
	for _, e := range entries {
		all = append(all, gguf.KV(e))
	}
	all, err = s.markers(all, config)
	if err != nil {
		return nil, err
	}
	tmpl, err := template.LoadFS(s.files)
	if err != nil || tmpl == nil {
		return all, err
	}
	plain, tools := tmpl.Texts()
	all = append(all, gguf.KV{Key: "tokenizer.chat_template", Value: plain})
	if tools != "" {
		all = append(all, gguf.KV{Key: "tokenizer.chat_template.tool_use", Value: tools})
	}
	return all, nil
}

// markers adds the tokens that begin and end a text where config.json or
// generation_config.json know of more than the tokenizer.
func (s *saver) markers(all []gguf.KV, config []byte) ([]gguf.KV, error) {
	type ids struct {
		BOS any `json:"bos_token_id"`
		EOS any `json:"eos_token_id"`
	}
	var model, generation ids
	text, err := fs.ReadFile(s.files, "generation_config.json")
	if err == nil {
		err = json.Unmarshal(text, &generation)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("generation_config.json: %w", err)
	}
	if err := json.Unmarshal(config, &model); err != nil {
		return nil, err
	}
	const prefix, end = "tokenizer.ggml.", "_token_id"
	have := map[string]uint32{}
	for _, kv := range all {
		if id, ok := kv.Value.(uint32); ok && strings.HasSuffix(kv.Key, end) {
			have[kv.Key] = id
		}
	}
	set := func(key string, id uint32) bool {
		if _, taken := have[prefix+key+end]; taken {
			return false
		}
		have[prefix+key+end] = id
		all = append(all, gguf.KV{Key: prefix + key + end, Value: id})
		return true
	}
	for _, id := range idsOf(model.BOS) {
		set("bos", id)
	}
	for _, id := range append(idsOf(model.EOS), idsOf(generation.EOS)...) {
		if slices.Contains(slices.Collect(maps.Values(have)), id) || set("eos", id) || set("eot", id) || set("eom", id) {
			continue
		}
		s.note("token %d ends a text too, but a GGUF names three such tokens at most", id)
	}
	return all, nil
}

// idsOf reads one id or a list of them.
func idsOf(v any) (ids []uint32) {
	switch v := v.(type) {
	case float64:
		if v >= 0 {
			ids = append(ids, uint32(v))
		}
	case []any:
		for _, x := range v {
			ids = append(ids, idsOf(x)...)
		}
	}
	return ids
}

// sources are the weights, in the order of Walk.
func (s *saver) sources() ([]gguf.Source, error) {
	var all []gguf.Source
	odd := map[string][]string{} // matrices that got another format, by format
	for _, p := range nn.Params(s.model) {
		want := quant.F32
		if p.Decay { // a matrix
			want = s.Mix.For(p.GGUF, s.model.Info().Layers)
		}
		f := want.Fit(p.Value.Cols)
		if f != want {
			key := fmt.Sprintf("%s (rows of %d)", f, p.Value.Cols)
			odd[key] = append(odd[key], p.GGUF)
		}
		order, err := s.order(p)
		if err != nil {
			return nil, err
		}
		dims := shape(p)
		slices.Reverse(dims)
		s.saved.Formats[f.Name()]++
		all = append(all, gguf.Source{Name: p.GGUF, Type: gguf.Type(f), Shape: dims, Write: func(w io.Writer) error {
			return encode(w, p, f, order, s.Pool)
		}})
	}
	for _, key := range slices.Sorted(maps.Keys(odd)) {
		s.note("blocks do not fit: %d matrices such as %s are stored in %s", len(odd[key]), odd[key][0], key)
	}
	return append(all, s.extra...), nil
}

// order says which row of a parameter, or value of a bias, each stored one is;
// nil: in order. It undoes ggufWeights.order.
func (s *saver) order(p nn.Named) ([]int32, error) {
	heads := s.arch.heads(p.GGUF, s.model.Info().Heads, s.model.Info().KVHeads)
	if heads == 0 {
		return nil, nil
	}
	rows := p.Len()
	if p.Decay {
		rows = p.Value.Rows
	}
	if rows%(2*heads) != 0 {
		return nil, fmt.Errorf("%s: %d rows for %d heads", p.GGUF, rows, heads)
	}
	stored := gguf.PairOrder(rows, heads)
	order := make([]int32, rows)
	for i, at := range stored {
		order[at] = int32(i)
	}
	return order, nil
}

// encodeRows is how many rows are encoded at a time.
const encodeRows = 64

// encode writes a parameter in a format, rows in the given order.
func encode(w io.Writer, p nn.Named, f quant.Format, order []int32, pool *par.Pool) error {
	rows, cols := p.Value.Rows, p.Value.Cols
	if !p.Decay && order != nil {
		values := make([]float32, cols)
		for i, from := range order {
			values[i] = p.Value.Data[from]
		}
		return gguf.Floats(w, values)
	}
	stride, err := f.RowBytes(cols)
	if err != nil {
		return err
	}
	rest, _ := p.AtRest.(op.Stored)
	buf, wide, errs := make([]byte, encodeRows*stride), make([]float32, encodeRows*cols), make([]error, encodeRows)
	for from := 0; from < rows; from += encodeRows {
		n := min(encodeRows, rows-from)
		pool.Run(n, func(k int) {
			i, dst, row := from+k, buf[k*stride:(k+1)*stride], wide[k*cols:(k+1)*cols]
			if order != nil {
				i = int(order[i])
			}
			switch {
			case rest != nil && rest.Format() == f:
				rest.Blocks(dst, i)
				return
			case p.AtRest != nil:
				p.AtRest.Row(row, i)
			default:
				row = p.Value.Row(i)
			}
			if errs[k] = f.Encode(dst, row, nil); errs[k] != nil {
				errs[k] = fmt.Errorf("row %d: %w", i, errs[k])
			}
		})
		if err := errors.Join(errs[:n]...); err != nil {
			return err
		}
		if _, err := w.Write(buf[:n*stride]); err != nil {
			return err
		}
	}
	return nil
}
