package zoo_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/compute/quant"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/zoo"
)

var peer = flag.String("peer", "", "folder for the models of TestLlamaCpp, which testdata/llamacpp.py reads; nothing is compared")

// TestLlamaCpp compares logits of random models with those that llama.cpp computes
// from the same files: one in every mixture, and one of each family. Matrices,
// the order of q and k, the rotation and its scalings, biases, norms and the
// vocabulary all have to be what they are there. In floats both agree to the last
// digits. In blocks llama.cpp rounds activations to 8 bits and we do not, which is
// what the bounds are for.
func TestLlamaCpp(t *testing.T) {
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
	base := wide()
	base.NumHiddenLayers = 2
	files := map[string]fs.FS{}
	dir, m := trained(t, base)
	for _, mix := range quant.MixtureNames() {
		files[strings.ToLower(mix)], _ = export(t, m, mapfile.Dir(dir), mix)
	}
	for name, cfg := range families(t) {
		if cfg.OriginalMaxPositionEmbeddings > 0 { // so that all of the prompt is past it: llama.cpp looks at that
			cfg.OriginalMaxPositionEmbeddings, cfg.RopeScaling.Original = 4, 4
		}
		if 0 < cfg.SlidingWindow && cfg.SlidingWindow < len(want.IDs) {
			cfg.SlidingWindow = 64 // which llama.cpp does not know
		}
		dir, m := trained(t, cfg)
		files[name], _ = export(t, m, mapfile.Dir(dir), "f32")
	}
	if *peer != "" {
		for name, files := range files {
			w, err := os.Create(filepath.Join(*peer, name+".gguf"))
			if err == nil {
				_, err = files.(*zoo.GGUF).WriteTo(w)
				err = errors.Join(err, w.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("wrote %d files to %s for testdata/llamacpp.py, and compared nothing", len(files), *peer)
		return
	}
	for name, files := range files {
		got, err := zoo.LoadFS(files) // with float32 products: TestGGUFFormats holds serving against them
		if err != nil {
			t.Fatal(err)
		}
		p := &op.Pass{Spans: []op.Span{{Len: len(want.IDs)}}}
		rows := got.Logits(p, p.Gather(got.Hidden(p, want.IDs), []int{len(want.IDs) - 1})).Data
		theirs := want.Logits[name]
		if len(theirs) != len(rows) {
			t.Errorf("%s: %d logits, want %d of %s", name, len(rows), len(theirs), want.Generator)
			continue
		}
		// Of the logits' root mean square: 8-bit activations err by half a percent
		// in each of nine products in a row.
		bound := 0.03
		switch name {
		case "f16", "bf16": // activations are rounded to these
			bound = 0.01
		case "f32":
			bound = 1e-5
		default:
			if _, err := quant.ParseMixture(name); err != nil { // a family, in float32
				bound = 1e-5
			}
		}
		e := distance(rows, theirs)
		t.Logf("%-13s differs by %.2g of the logits' size", name, e)
		if !(e <= bound) {
			t.Errorf("%s: logits differ by %.3g of their size, want at most %g", name, e, bound)
		}
	}
}

// trained is whole, with weights as a trained model has them: what goes in comes
// out about as large.
func trained(t *testing.T, cfg llama.Config) (dir string, m *llama.Llama) {
	dir, m = whole(t, cfg)
	rng := tensor.NewRNG(9)
	std := 0.96 / math.Sqrt(float64(cfg.HiddenSize))
	for _, p := range nn.Params(m) {
		rng.FillNormal(p.Value.Data, std)
		for i := range p.Value.Data {
			if strings.HasSuffix(p.Name, "norm.weight") {
				p.Value.Data[i]++
			}
		}
	}
	return dir, m
}
