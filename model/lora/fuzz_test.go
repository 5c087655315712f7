package lora_test

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"weft/compute/op"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/lora"
	"weft/model/nn"
	"weft/model/weights/safetensors"
)

// FuzzOpen: whatever the two files hold, there is an adapter that runs and
// comes back from disk, or an error of the package's kinds.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"plain", "patterns", "head"} {
		dir := folder(f, name, nil, nil)
		f.Add(dir[lora.ConfigFile].Data, dir[lora.WeightsFile].Data)
	}
	m := llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2, VocabSize: 61,
	}, tensor.NewRNG(1))
	nn.Adapt(m)
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		a, err := lora.Open(fstest.MapFS{lora.ConfigFile: {Data: config}, lora.WeightsFile: {Data: weights}}, lora.Base{Model: m})
		if err != nil {
			for _, kind := range []error{lora.ErrFormat, lora.ErrUnsupported, lora.ErrBase, safetensors.ErrFormat, fs.ErrNotExist} {
				if errors.Is(err, kind) {
					return
				}
			}
			t.Fatalf("error %v is of no known kind", err)
		}
		if a.Bytes() > int64(4*len(weights)) {
			t.Fatalf("%d bytes of values from a file of %d", a.Bytes(), len(weights))
		}
		run(m, a, &op.Pass{}, []int32{1, 2})
		if _, err := a.JSON(); err != nil {
			t.Fatal(err)
		}
	})
}
