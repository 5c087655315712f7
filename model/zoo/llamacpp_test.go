package zoo_test

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/model/nn"
	"weft/model/zoo"
)

var peer = flag.String("peer", "", "folder for the models of TestLlamaCpp, which testdata/llamacpp.py reads; nothing is compared")

// TestLlamaCpp compares logits of a random model, in every mix, with those that
// llama.cpp computes from the same files: matrices, the order of q and k, the
// rotation, biases and the vocabulary all have to be what they are there. In
// floats both agree to the last digits. In blocks llama.cpp rounds activations to
// 8 bits and we do not, which is what the bounds are for.
func TestLlamaCpp(t *testing.T) {
	cfg := wide()
	cfg.NumHiddenLayers = 2
	dir, m := whole(t, cfg)
	rng := tensor.NewRNG(9)
	for _, p := range nn.Params(m) { // as a trained model has them: what goes in comes out about as large
		rng.FillNormal(p.Value.Data, 0.06)
		for i := range p.Value.Data {
			if strings.HasSuffix(p.Name, "norm.weight") {
				p.Value.Data[i]++
			}
		}
	}
	if *peer != "" {
		for _, x := range zoo.Mixes() {
			if _, err := zoo.SaveGGUF(filepath.Join(*peer, x.Name+".gguf"), m, mapfile.Dir(dir), zoo.GGUFOptions{Mix: x}); err != nil {
				t.Fatal(err)
			}
		}
		t.Skipf("wrote %s", *peer)
	}
	var want struct {
		Generator string
		IDs       []int32
		Logits    map[string][]float32
	}
	text, err := os.ReadFile("testdata/llamacpp.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, mix := range zoo.MixNames() {
		g, _ := export(t, m, mapfile.Dir(dir), mix)
		got, err := zoo.LoadFS(g) // with float32 products: TestGGUFFormats holds serving against them
		if err != nil {
			t.Fatal(err)
		}
		p := &op.Pass{Spans: []op.Span{{Len: len(want.IDs)}}}
		rows := got.Logits(p, p.Gather(got.Hidden(p, want.IDs), []int{len(want.IDs) - 1})).Data
		theirs := want.Logits[mix]
		if len(theirs) != len(rows) {
			t.Errorf("%s: %d logits, want %d of %s", mix, len(rows), len(theirs), want.Generator)
			continue
		}
		var diff, size float64
		for i, x := range rows {
			diff += math.Pow(float64(x-theirs[i]), 2)
			size += math.Pow(float64(theirs[i]), 2)
		}
		// Of the logits' root mean square: 8-bit activations err by half a percent
		// in each of nine products in a row.
		bound := 0.03
		switch mix {
		case "f32":
			bound = 1e-5
		case "f16", "bf16": // activations are rounded to these
			bound = 0.01
		}
		e := math.Sqrt(diff / size)
		t.Logf("%-7s differs by %.2g of the logits' size", mix, e)
		if !(e <= bound) {
			t.Errorf("%s: logits differ by %.3g of their size, want at most %g", mix, e, bound)
		}
	}
}
