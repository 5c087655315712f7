package zoo

import (
	"fmt"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/model/weights/gguf"
)

// ggufWeights are the tensors of a GGUF in the layout of config.json.
type ggufWeights struct {
	*GGUF
	arch           arch
	heads, kvHeads int
}

// weights are the tensors, to load a model from.
func (g *GGUF) weights() (weights, error) {
	c, err := g.configKeys()
	if err != nil {
		return nil, err
	}
	name, _ := g.text("general.architecture")
	a, err := archNamed(name)
	if err != nil {
		return nil, err
	}
	heads, _ := c["num_attention_heads"].(int64)
	kv, ok := c["num_key_value_heads"].(int64)
	if !ok {
		kv = heads
	}
	return ggufWeights{g, a, int(heads), int(kv)}, nil
}

// heads is the number of heads whose rows a tensor of this architecture has in
// pairs; 0: its rows are in order.
func (a arch) heads(name string, q, kv int) int {
	parts := strings.Split(name, ".") // blk.N.LEAF.weight or bias
	switch {
	case !gguf.Paired(a.name) || len(parts) != 4 || parts[0] != "blk":
		return 0
	case parts[2] == "attn_q":
		return q
	case parts[2] == "attn_k":
		return kv
	}
	return 0
}

// Close leaves the file open: matrices at rest lie in it.
func (w ggufWeights) Close() error { return nil }

func (w ggufWeights) name(_, gguf string) string { return gguf }

// names leaves out factors of the rotation, which the config says, and what old
// files carry and nobody reads.
func (w ggufWeights) names() []string {
	factors := []string{ropeFactors, ropeLong, ropeShort}
	var all []string
	for _, t := range w.file.Tensors() {
		if !slices.Contains(factors, t.Name) && !strings.HasSuffix(t.Name, ".attn_rot_embd") && !strings.HasSuffix(t.Name, ".attn_rot_embd.weight") {
			all = append(all, t.Name)
		}
	}
	return all
}

// shape turns the sizes around: files have the fastest first.
func (w ggufWeights) shape(name string) ([]int, bool) {
	t, ok := w.file.Tensor(name)
	s := slices.Clone(t.Shape)
	slices.Reverse(s)
	return s, ok
}

func (w ggufWeights) values() (n float64) {
	for _, t := range w.file.Tensors() {
		n += float64(t.Len())
	}
	return n
}

// read decodes a tensor, its rows in the order of config.json's layout.
func (w ggufWeights) read(name string, dst []float32) error {
	t, _ := w.file.Tensor(name)
	if err := w.decode(t, dst); err != nil {
		return err
	}
	if order := w.order(t); order != nil {
		cols := len(dst) / len(order)
		stored := slices.Clone(dst)
		for i, from := range order {
			copy(dst[i*cols:(i+1)*cols], stored[int(from)*cols:])
		}
	}
	return nil
}

// decode writes the values of a tensor as they are stored.
func (w ggufWeights) decode(t gguf.Tensor, dst []float32) error {
	f, err := quant.FromID(uint32(t.Type))
	if err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("tensor %s has shape %v, want %d values", t.Name, t.Shape, len(dst))
	}
	f.Decode(dst, w.file.Bytes(t))
	return nil
}

// order says where a tensor's rows, or the values of a bias, are stored; nil: in
// order. Where they are paired, inside a head, row i and row half+i are stored as rows 2i and 2i+1
// (LlamaModel.permute of llama.cpp's convert_hf_to_gguf.py).
func (w ggufWeights) order(t gguf.Tensor) []int32 {
	heads := w.arch.heads(t.Name, w.heads, w.kvHeads)
	if heads <= 0 || len(t.Shape) == 0 {
		return nil
	}
	rows := t.Shape[len(t.Shape)-1] // of a bias, [n], its values
	if strings.HasSuffix(t.Name, ".weight") && len(t.Shape) != 2 || rows%(2*heads) != 0 {
		return nil // of no shape that fill accepts
	}
	return gguf.PairOrder(rows, heads)
}

func (w ggufWeights) format(name string) (quant.Format, bool) {
	t, _ := w.file.Tensor(name)
	f, err := quant.FromID(uint32(t.Type))
	return f, err == nil
}

// rest keeps blocks as they are: laid out for the kernel where it knows the
// format, others, and tables, where they lie in the file. What the file
// has in float32 is float32 here.
func (w ggufWeights) rest(name string, table bool) (op.AtRest, error) {
	t, _ := w.file.Tensor(name)
	f, err := quant.FromID(uint32(t.Type))
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	if f == quant.F32 {
		return nil, nil
	}
	rows, err := op.NewRows(f, w.file.Bytes(t), t.Shape[1], t.Shape[0], w.order(t), w.GGUF)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	if table {
		return rows, nil
	}
	packed, err := rows.Packed(w.file.Forget)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	return packed, nil
}
