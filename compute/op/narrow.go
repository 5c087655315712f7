package op

import "weft/compute/tensor"

// Narrow goes on with the rows that are wanted alone: it returns those of x
// [rows, n], and from here on the spans describe them. A model calls it where
// nothing but keys and values of the other rows will be read again: in its last
// layer, so that of a prompt a whole layer less is computed. Attend then takes
// keys and values of all rows beside queries of some. Where all rows are wanted,
// nothing changes.
func (p *Pass) Narrow(x *tensor.Tensor) *tensor.Tensor {
	want := p.Want
	if p.Want = nil; want == nil {
		return x
	}
	if p.KV == nil {
		panic("op: a pass over some rows needs a KV, which holds the keys and values of the others")
	}
	all := p.Spans
	p.Spans, p.wide = p.wide[:0], all
	for i, n := 0, 0; i < len(want); i += n {
		for n = 0; len(all) > 0 && want[i] >= all[0].Row+all[0].Len; {
			all = all[1:]
		}
		s := all[0]
		for n = 1; i+n < len(want) && want[i+n] == want[i]+n && want[i]+n < s.Row+s.Len; n++ {
		}
		s.Pos += want[i] - s.Row
		s.Row, s.Len = i, n
		p.Spans = append(p.Spans, s)
	}
	return p.Gather(x, want)
}

// ForgetSpans drops what spans of this batch and of others before refer to.
func (p *Pass) ForgetSpans() {
	clear(p.Spans[:cap(p.Spans)])
	clear(p.wide[:cap(p.wide)])
}
