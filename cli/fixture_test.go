package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/lora"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/corpus/world"
	"weft/text/template"
	"weft/text/tokenizer"
)

// tinyModel writes a model of random weights with a real tokenizer, and with
// the named chat template unless it is empty.
func tinyModel(dir, tmpl string) error {
	weft, err := template.Named("weft")
	if err != nil {
		return err
	}
	docs := world.New(1).Docs(20_000)
	tok, err := tokenizer.Train(context.Background(), corpus.Texts(docs), tokenizer.TrainOptions{VocabSize: 300, Special: weft.Specials()})
	if err != nil {
		return err
	}
	m := llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		VocabSize: tok.VocabSize(), MaxPositionEmbeddings: 256, TieWordEmbeddings: true,
	}, tensor.NewRNG(1))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := tok.Save(filepath.Join(dir, "tokenizer.json")); err != nil {
		return err
	}
	if err := zoo.Save(dir, m, nil); err != nil {
		return err
	}
	if tmpl == "" {
		return nil
	}
	t, err := template.Named(tmpl)
	if err != nil {
		return err
	}
	return t.Save(dir)
}

// tinyAdapter writes an adapter for the model of tinyModel in a folder.
func tinyAdapter(dir, base string) error {
	m, err := zoo.Load(base)
	if err != nil {
		return err
	}
	a, err := lora.New(m, lora.Config{Base: base, Rank: 4, Alpha: 16, Targets: []string{"q_proj", "v_proj", "up_proj", "down_proj"}}, tensor.NewRNG(1))
	if err != nil {
		return err
	}
	rng := tensor.NewRNG(2)
	for _, p := range a.Params() {
		rng.FillNormal(p.Value.Data, 0.3)
	}
	return a.Save(dir)
}

// holdPort listens on a free loopback port for the rest of the script and
// puts its address into an environment variable.
func holdPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: holdport NAME")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}
