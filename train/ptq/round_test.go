package ptq

import (
	"math"
	"slices"
	"testing"

	"weft/compute/par"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/model/nn"
)

// objective is ||(W-Q)X||^2 of each row, from the samples themselves in float64.
func objective(w *tensor.Tensor, f quant.Format, blocks []byte, x *tensor.Tensor) []float64 {
	q := tensor.New(w.Rows, w.Cols)
	f.Decode(q.Data, blocks)
	all := make([]float64, w.Rows)
	for i := range all {
		for r := range x.Rows {
			var s float64
			for j, v := range x.Row(r) {
				s += float64(v) * (float64(w.Row(i)[j]) - float64(q.Row(i)[j]))
			}
			all[i] += s * s
		}
	}
	return all
}

func sum(all []float64) (s float64) {
	for _, v := range all {
		s += v
	}
	return s
}

// TestGPTQNeverAboveRTN: no row loses more than by rounding to nearest, and all
// together lose clearly less, in every format and order of columns.
func TestGPTQNeverAboveRTN(t *testing.T) {
	pool := par.New(3)
	defer pool.Close()
	for _, c := range []struct {
		f  quant.Format
		in int
		// lessThan is the share of RTN's loss that must not be reached.
		lessThan float64
	}{
		{quant.Q4_0, 96, 0.8}, {quant.Q4_1, 64, 0.8}, {quant.Q5_1, 64, 0.8}, {quant.Q8_0, 128, 0.8}, {quant.MXFP4, 64, 0.9},
		{quant.IQ4_NL, 96, 0.8}, {quant.Q2_K, 256, 0.9}, {quant.Q3_K, 256, 0.8}, {quant.Q4_K, 256, 0.8}, {quant.Q6_K, 256, 0.8},
	} {
		rng := tensor.NewRNG(uint64(c.f))
		x, seen := products(rng, 2*c.in, c.in)
		w := tensor.New(3, c.in)
		rng.FillNormal(w.Data, 0.1)
		plain, err := encode(nil, c.f, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		rtn := objective(w, c.f, plain, x)
		for _, actOrder := range []bool{false, true} {
			g, err := newGPTQ(nil, &seen, 0.01, actOrder)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := g.round(nil, c.f, w, &seen)
			if err != nil {
				t.Fatal(err)
			}
			got := objective(w, c.f, blocks, x)
			for i, l := range got {
				if l > rtn[i]*(1+1e-4) {
					t.Errorf("%s, act order %v: row %d loses %g, RTN %g", c.f, actOrder, i, l, rtn[i])
				}
			}
			if a, b := sum(got), sum(rtn); a > c.lessThan*b {
				t.Errorf("%s, act order %v: loses %.3f of RTN's, want at most %g", c.f, actOrder, a/b, c.lessThan)
			}
			if known := sum(errorOf(nil, c.f, w, blocks, &seen)); math.Abs(known-sum(got)) > 1e-3*sum(got) {
				t.Errorf("%s: the loss from moments is %g, from samples %g", c.f, known, sum(got))
			}
			again, err := g.round(pool, c.f, w, &seen)
			if err != nil || !slices.Equal(blocks, again) {
				t.Errorf("%s: three threads give other bytes than one (%v)", c.f, err)
			}
		}
	}
}

// outliers are activations [rows, in] of which some columns are far larger, and
// weights for them.
func outliers(rows, in, out int, factor float32) (x *tensor.Tensor, t *tap) {
	rng := tensor.NewRNG(7)
	x = tensor.New(rows, in)
	rng.FillNormal(x.Data, 1)
	for r := range rows {
		for j := 5; j < in; j += 32 {
			x.Row(r)[j] *= factor
		}
	}
	d := nn.NewDense(in, out, false)
	rng.FillNormal(d.W.Value.Data, 0.1)
	t = &tap{matrices: []matrix{{Named: nn.Named{GGUF: "blk.0.ffn_gate.weight", Param: d.W}, dense: d}}, seen: newMoments(in, true)}
	t.seen.add(nil, x)
	return x, t
}

func identity(j int) int { return j }

// TestAWQOnOutliers: with one salient column of 32, AWQ loses less than half of
// what rounding to nearest does.
func TestAWQOnOutliers(t *testing.T) {
	_, at := outliers(200, 96, 24, 40)
	f := fold{tap: at, gain: &nn.NewRMSNorm(96, 1e-5).Param, n: 96, of: identity}
	w := at.matrices[0].Value
	plain, err := encode(nil, quant.Q4_0, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	rtn := sum(errorOf(nil, quant.Q4_0, w, plain, &at.seen))
	s, err := f.awq(nil, func(nn.Named) quant.Format { return quant.Q4_0 })
	if err != nil {
		t.Fatal(err)
	}
	f.apply(s)
	blocks, err := encode(nil, quant.Q4_0, w, at.seen.Importance())
	if err != nil {
		t.Fatal(err)
	}
	awq := sum(errorOf(nil, quant.Q4_0, w, blocks, &at.seen))
	t.Logf("RTN loses %.4g, AWQ %.4g", rtn, awq)
	if awq > rtn/2 {
		t.Errorf("AWQ loses %.4g, RTN %.4g: want less than half", awq, rtn)
	}
	for j, v := range f.gain.Value.Data { // x*gain/s times W*s is x*gain times W
		if math.Abs(float64(v*s[j])-1) > 1e-6 {
			t.Fatalf("gain %d is %g for a scale of %g", j, v, s[j])
		}
	}
}

// round8 rounds rows to 8 bits with one scale a row, as integer kernels do with
// activations.
func round8(x *tensor.Tensor, divide []float32) *tensor.Tensor {
	y := tensor.New(x.Rows, x.Cols)
	for r := range x.Rows {
		var top float64
		for j, v := range x.Row(r) {
			y.Row(r)[j] = v / divide[j]
			top = max(top, math.Abs(float64(y.Row(r)[j])))
		}
		for j, v := range y.Row(r) {
			y.Row(r)[j] = float32(math.RoundToEven(float64(v)*127/top) * top / 127)
		}
	}
	return y
}

// TestSmoothQuantOnOutliers: with integer activations whose outliers take the
// whole range, moving them into the weights wins clearly.
func TestSmoothQuantOnOutliers(t *testing.T) {
	x, at := outliers(100, 64, 16, 100)
	w := at.matrices[0].Value
	exact := multiply(x, w)
	ones := make([]float32, 64)
	for j := range ones {
		ones[j] = 1
	}
	lost := func(x *tensor.Tensor) (s float64) {
		blocks, err := encode(nil, quant.Q8_0, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := tensor.New(w.Rows, w.Cols)
		quant.Q8_0.Decode(q.Data, blocks)
		for i, v := range multiply(x, q) {
			s += (v - exact[i]) * (v - exact[i])
		}
		return s
	}
	plain := lost(round8(x, ones))
	f := fold{tap: at, gain: &nn.NewRMSNorm(64, 1e-5).Param, n: 64, of: identity}
	s := f.smooth(0.5)
	f.apply(s)
	smooth := lost(round8(x, s))
	t.Logf("8-bit activations lose %.4g, after SmoothQuant %.4g", plain, smooth)
	if smooth > plain/4 {
		t.Errorf("SmoothQuant loses %.4g, plain rounding %.4g: want less than a quarter", smooth, plain)
	}
}

func multiply(x, w *tensor.Tensor) []float64 {
	var all []float64
	for r := range x.Rows {
		for i := range w.Rows {
			var s float64
			for j, v := range x.Row(r) {
				s += float64(v) * float64(w.Row(i)[j])
			}
			all = append(all, s)
		}
	}
	return all
}
