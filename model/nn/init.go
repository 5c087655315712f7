package nn

import (
	"strings"

	"weft/compute/tensor"
)

// Init draws the weights a training run starts from.
type Init struct {
	Std      float64  // of matrices and embeddings; 0.02
	Residual []string // name endings of the matrices that write into the residual stream
	Scale    float64  // their standard deviation is Std*Scale; 1
}

// Apply sets matrices to normal values, gains to one, biases to zero. The
// order of Walk fixes which weight gets which draw.
func (o Init) Apply(m Walker, rng *tensor.RNG) {
	if o.Std == 0 {
		o.Std = 0.02
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	for _, p := range Params(m) {
		std := o.Std
		for _, end := range o.Residual {
			if strings.HasSuffix(p.Name, end) {
				std *= o.Scale
			}
		}
		switch {
		case p.Decay:
			rng.FillNormal(p.Value.Data, std)
		case strings.HasSuffix(p.Name, ".bias"):
			clear(p.Value.Data)
		default:
			for i := range p.Value.Data {
				p.Value.Data[i] = 1
			}
		}
	}
	Thaw(m)
}
