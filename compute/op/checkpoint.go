package op

import "weft/compute/tensor"

// Checkpoint runs fn, one block of a model, and bounds what it leaves behind.
// fn reads no activation but x, and gives the same result each time.
//
//	not recording:  only the result stays in the arena
//	recording:      activations stay; the gradients made inside are freed after
//	                the block's backward
//	with Remat:     only the result stays; the backward runs fn once more
//	                (Chen 2016); gradients have the same bits as without
func (p *Pass) Checkpoint(x *tensor.Tensor, fn func(x *tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	if p.Record && !p.Remat {
		return p.segment(x, fn)
	}
	record := p.Record
	p.Record = false
	mark := p.Arena.Mark()
	y := fn(x)
	p.Record = record
	out := p.keep(mark, x, y)
	if record {
		out.Grad = []float32{}
		p.record(func() {
			p.reserve(x)
			mark := p.Arena.Mark()
			base := len(p.tape)
			again := fn(x)
			again.Grad = out.Grad
			p.backwardTo(base)
			p.Arena.Release(mark)
		})
	}
	return out
}

// segment runs fn recording, between two closures that free its gradients.
func (p *Pass) segment(x *tensor.Tensor, fn func(x *tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	var mark tensor.Mark
	p.record(func() { p.Arena.Release(mark) })
	y := fn(x)
	p.record(func() {
		p.reserve(x)
		mark = p.Arena.Mark()
	})
	return y
}

// keep frees the arena down to mark, all but y, which moves there. Nothing
// moves when y is x itself.
func (p *Pass) keep(mark tensor.Mark, x, y *tensor.Tensor) *tensor.Tensor {
	if p.Arena == nil || y == x {
		return y
	}
	data, rows, cols := y.Data, y.Rows, y.Cols
	p.Arena.Release(mark)
	out := p.Arena.Tensor(rows, cols)
	copy(out.Data, data) // the two may overlap
	return out
}
