package plan

import (
	"fmt"
	"math"

	"weft/compute/quant"
)

// Tensor is one weight, or the same one of all experts of a layer.
type Tensor struct {
	Name       string // as GGUF has it: "blk.3.attn_q.weight"
	Layer      int    // -1: outside the layers
	Rows, Cols int    // a vector is one row
	Count      int    // matrices: experts, else 1
	Used       int    // of them, how many a token is multiplied with; 0: a vector, or looked up
	Lookup     bool   // a token reads one row
}

// Params is the number of values.
func (t Tensor) Params() int64 { return int64(t.Rows) * int64(t.Cols) * int64(t.Count) }

// head says whether the tensor projects to the vocabulary.
func (t Tensor) head() bool { return t.Layer < 0 && t.Used > 0 }

// Tensors lists every weight, embedding first.
func (s Shape) Tensors() []Tensor {
	embed := Tensor{Name: "token_embd.weight", Layer: -1, Rows: s.Vocab, Cols: s.Dim, Count: 1, Used: 1}
	if !s.Tied {
		embed.Used, embed.Lookup = 0, true
	}
	all := []Tensor{embed}
	for i := range s.Layers {
		l := layer{i, &all}
		l.vector("attn_norm.weight", s.Dim)
		s.attention(l)
		l.vector("ffn_norm.weight", s.Dim)
		s.feedForward(l)
	}
	all = append(all, Tensor{Name: "output_norm.weight", Layer: -1, Rows: 1, Cols: s.Dim, Count: 1})
	if !s.Tied {
		all = append(all, Tensor{Name: "output.weight", Layer: -1, Rows: s.Vocab, Cols: s.Dim, Count: 1, Used: 1})
	}
	return all
}

// layer collects the tensors of one layer.
type layer struct {
	i   int
	all *[]Tensor
}

func (l layer) vector(name string, n int) {
	*l.all = append(*l.all, Tensor{Name: fmt.Sprintf("blk.%d.%s", l.i, name), Layer: l.i, Rows: 1, Cols: n, Count: 1})
}

// matrix adds one [rows, cols], with its bias if it has one.
func (l layer) matrix(name string, rows, cols int, bias bool) {
	l.experts(name, rows, cols, 1, 1)
	if bias {
		l.vector(name+".bias", rows)
	}
}

func (l layer) experts(name string, rows, cols, count, used int) {
	*l.all = append(*l.all, Tensor{fmt.Sprintf("blk.%d.%s.weight", l.i, name), l.i, rows, cols, count, used, false})
}

func (s Shape) attention(l layer) {
	if a := s.Latent; a != nil {
		if a.Query > 0 {
			l.matrix("attn_q_a", a.Query, s.Dim, false)
			l.vector("attn_q_a_norm.weight", a.Query)
			l.matrix("attn_q_b", s.Heads*(a.Plain+a.Rope), a.Query, false)
		} else {
			l.matrix("attn_q", s.Heads*(a.Plain+a.Rope), s.Dim, false)
		}
		l.matrix("attn_kv_a_mqa", a.KV+a.Rope, s.Dim, false)
		l.vector("attn_kv_a_norm.weight", a.KV)
		l.matrix("attn_kv_b", s.Heads*(a.Plain+a.Value), a.KV, false)
		l.matrix("attn_output", s.Dim, s.Heads*a.Value, false)
		return
	}
	if s.Fused {
		l.matrix("attn_qkv", (s.Heads+2*s.KVHeads)*s.HeadDim, s.Dim, s.QKVBias)
	} else {
		l.matrix("attn_q", s.Heads*s.HeadDim, s.Dim, s.QKVBias)
		l.matrix("attn_k", s.KVHeads*s.HeadDim, s.Dim, s.QKVBias)
		l.matrix("attn_v", s.KVHeads*s.HeadDim, s.Dim, s.QKVBias)
	}
	l.matrix("attn_output", s.Dim, s.Heads*s.HeadDim, s.OutBias)
	if s.QKNorm {
		l.vector("attn_q_norm.weight", s.HeadDim)
		l.vector("attn_k_norm.weight", s.HeadDim)
	}
}

func (s Shape) feedForward(l layer) {
	e := s.Experts
	if e == nil || l.i < e.Dense {
		if s.Fused {
			l.matrix("ffn_up", 2*s.FFN, s.Dim, s.FFNBias)
		} else {
			l.matrix("ffn_gate", s.FFN, s.Dim, s.FFNBias)
			l.matrix("ffn_up", s.FFN, s.Dim, s.FFNBias)
		}
		l.matrix("ffn_down", s.Dim, s.FFN, s.FFNBias)
		return
	}
	l.matrix("ffn_gate_inp", e.Count, s.Dim, false)
	l.experts("ffn_gate_exps", e.FFN, s.Dim, e.Count, e.Chosen)
	l.experts("ffn_up_exps", e.FFN, s.Dim, e.Count, e.Chosen)
	l.experts("ffn_down_exps", s.Dim, e.FFN, e.Count, e.Chosen)
	if e.Shared > 0 {
		l.matrix("ffn_gate_shexp", e.Shared, s.Dim, false)
		l.matrix("ffn_up_shexp", e.Shared, s.Dim, false)
		l.matrix("ffn_down_shexp", s.Dim, e.Shared, false)
	}
}

// Params is the number of weights, and of those that a token goes through:
// with experts fewer. Memory is always that of all.
func (s Shape) Params() (total, active int64) {
	for _, t := range s.Tensors() {
		total += t.Params()
		active += t.Params()
		if t.Count > 1 {
			active -= t.Params() / int64(t.Count) * int64(t.Count-t.Used)
		}
	}
	return total, active
}

// Sizer says how many bytes a tensor takes.
type Sizer func(Tensor) (int64, error)

// Mixed sizes tensors as a mixture of block formats stores them.
func (s Shape) Mixed(m quant.Mixture) Sizer {
	m.Tied, m.Groups = s.Tied, s.Heads/max(1, s.KVHeads)
	if s.Experts != nil {
		m.Experts = s.Experts.Count
	}
	return func(t Tensor) (int64, error) {
		f := quant.F32
		if t.Rows > 1 {
			f = m.For(t.Name, s.Layers).Fit(t.Cols)
		}
		row, err := f.RowBytes(t.Cols)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", t.Name, err)
		}
		return int64(row) * int64(t.Rows) * int64(t.Count), nil
	}
}

// Weights are the bytes of all weights, and those that one step reads which
// computes rows tokens: all but the table that is looked up in, and of experts
// those that at least one of the tokens is expected to choose, if all were
// chosen alike: count * (1 - (1 - chosen/count)^rows).
func (s Shape) Weights(size Sizer, rows int) (total int64, read float64, err error) {
	for _, t := range s.Tensors() {
		n, err := size(t)
		if err != nil {
			return 0, 0, err
		}
		total += n
		share := 1.0
		switch {
		case t.Lookup:
			share = min(1, float64(rows)/float64(t.Rows))
		case t.Count > 1:
			share = 1 - math.Pow(1-float64(t.Used)/float64(t.Count), float64(rows))
		}
		read += share * float64(n)
	}
	return total, read, nil
}
