package llama

import (
	"fmt"

	"weft/model/nn"
)

// Resized returns a copy of a float32 model whose embedding, and head if it has
// one of its own, have vocab rows: the old ones, then new ones. Row id begins as
// the mean of the rows that pieces names for it (Hewitt 2021), which are old ones
// and at least one: with that, a model gives a new token about the probability of
// what it stands for, and not a random one. Rows below the old size for which
// pieces names any are begun anew too. All other weights are shared.
func (m *Llama) Resized(vocab int, pieces func(id int32) []int32) (*Llama, error) {
	old := m.VocabSize
	if vocab < old {
		return nil, fmt.Errorf("llama: resize: got a vocabulary of %d, want %d or more: rows are only added", vocab, old)
	}
	cfg := m.Config
	cfg.VocabSize = vocab
	out := *m
	out.Config = cfg
	out.Embed = nn.NewEmbedding(vocab, m.HiddenSize)
	if err := fillRows(&out.Embed.Param, &m.Embed.Param, pieces); err != nil {
		return nil, err
	}
	if m.TieWordEmbeddings {
		out.Head = out.Embed.Head()
		return &out, nil
	}
	head, ok := m.Head.(*nn.Dense)
	if !ok || head.Bias != nil {
		return nil, fmt.Errorf("llama: resize: the head is %T, want a float32 matrix without bias", m.Head)
	}
	wide := nn.NewDense(m.HiddenSize, vocab, false)
	if err := fillRows(wide.W, head.W, pieces); err != nil {
		return nil, err
	}
	out.Head = wide
	return &out, nil
}

// fillRows copies the rows of from into the larger to, and sets those that
// pieces has something for to means of old rows.
func fillRows(to, from *nn.Param, pieces func(id int32) []int32) error {
	if from.AtRest != nil {
		return fmt.Errorf("llama: resize: the matrix is at rest, for serving: load the model in float32")
	}
	dim, old := from.Value.Cols, from.Value.Rows
	copy(to.Value.Data, from.Value.Data)
	for id := range to.Value.Rows {
		of := pieces(int32(id))
		if len(of) == 0 {
			if id >= old {
				return fmt.Errorf("llama: resize: nothing to begin row %d of %d with", id, to.Value.Rows)
			}
			continue
		}
		row := to.Value.Data[id*dim : (id+1)*dim]
		clear(row)
		for _, p := range of {
			if p < 0 || int(p) >= old {
				return fmt.Errorf("llama: resize: row %d begins with row %d, want one of the old %d", id, p, old)
			}
			for i, v := range from.Value.Data[int(p)*dim : (int(p)+1)*dim] {
				row[i] += v / float32(len(of))
			}
		}
	}
	return nil
}
