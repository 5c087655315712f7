package ptq

import (
	"fmt"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model"
	"weft/model/nn"
)

// matrix is one weight to round, and how to watch what it is applied to.
type matrix struct {
	nn.Named
	dense *nn.Dense
	leaf  *nn.Linear // where the model holds it
	table bool       // it is an embedding too
}

// tap is one input of matrices: activations [rows, in] that all of them, and no
// others, are applied to, such as those of queries, keys and values.
type tap struct {
	matrices []matrix
	seen     Moments
}

func (t *tap) in() int { return t.matrices[0].Value.Cols }

// spy stands before a leaf and notes its input x [rows, in].
type spy struct {
	nn.Linear
	see func(p *op.Pass, x *tensor.Tensor)
}

func (s *spy) Apply(p *op.Pass, x *tensor.Tensor) *tensor.Tensor {
	s.see(p, x)
	return s.Linear.Apply(p, x)
}

// watch puts a spy before leaves until the function that it returns is called.
func watch(leaves []*nn.Linear, see func(i int) func(*op.Pass, *tensor.Tensor)) (end func()) {
	was := make([]nn.Linear, len(leaves))
	for i, l := range leaves { // two leaves may share a weight, but never a place
		was[i] = *l
		*l = &spy{*l, see(i)}
	}
	return func() {
		for i, l := range leaves {
			*l = was[i]
		}
	}
}

// matrices lists the linear leaves, in the order of Walk. A weight that is a table
// as well (a tied head) is marked: the embedding's own leaf comes first.
func matrices(m model.Model) ([]matrix, error) {
	owner := map[*nn.Param]nn.Named{}
	for _, p := range nn.Params(m) {
		owner[p.Param] = p
	}
	tables := map[*nn.Param]bool{}
	var all []matrix
	var err error
	m.Walk(func(l nn.Leaf) {
		if l.Param != nil {
			tables[l.Param] = true
			return
		}
		d, ok := (*l.Linear).(*nn.Dense)
		switch {
		case !ok:
			err = fmt.Errorf("ptq: %s is a %T: only plain matrices can be quantised; merge adapters first", l.Name, *l.Linear)
		case d.W.AtRest != nil:
			err = fmt.Errorf("ptq: %s is at rest already: load the model with zoo.Load", l.Name)
		default:
			all = append(all, matrix{owner[d.W], d, l.Linear, tables[d.W]})
		}
	})
	return all, err
}

// probe runs two tokens through a model and sorts its matrices by what they are
// applied to, in the order of their first use. Without an arena no two
// activations of the pass share memory, so that one address is one input.
func probe(m model.Model) ([]*tap, error) {
	all, err := matrices(m)
	if err != nil {
		return nil, err
	}
	leaves := make([]*nn.Linear, len(all))
	for i, w := range all {
		leaves[i] = w.leaf
	}
	var taps []*tap
	var inputs []*tensor.Tensor    // [taps]; keeps them alive and apart
	done := make([]bool, len(all)) // of a leaf that is applied twice the first input counts
	end := watch(leaves, func(i int) func(*op.Pass, *tensor.Tensor) {
		return func(_ *op.Pass, x *tensor.Tensor) {
			if done[i] {
				return
			}
			done[i] = true
			for k, other := range inputs {
				if other == x {
					taps[k].matrices = append(taps[k].matrices, all[i])
					return
				}
			}
			taps, inputs = append(taps, &tap{matrices: all[i : i+1 : i+1]}), append(inputs, x)
		}
	})
	defer end()
	p := &op.Pass{Spans: []op.Span{{Len: 2}}} // no arena
	m.Logits(p, m.Hidden(p, []int32{0, 0}))
	return taps, nil
}
