package tiny_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"weft/model/tiny"
	"weft/model/zoo"
	"weft/text/template"
	"weft/text/tokenizer"
)

// maxBytes is what all embedded models may add to the program.
const maxBytes = 12 << 20

// The embedded models open, load with their tokenizer and template, share one
// tokenizer, carry a card, and stay small.
func TestEmbeddedModels(t *testing.T) {
	total, hash := int64(0), ""
	for _, name := range tiny.Names() {
		dir, err := tiny.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := zoo.LoadFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.LoadFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := template.LoadFS(dir)
		if err != nil || tmpl == nil {
			t.Fatalf("%s: template %v, %v", name, tmpl, err)
		}
		if err := tmpl.Check(tok); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if have, want := tok.VocabSize(), m.Info().Vocab; have != want {
			t.Errorf("%s: the tokenizer has %d tokens, the model %d", name, have, want)
		}
		if hash != "" && tok.Hash() != hash {
			t.Errorf("%s has another tokenizer than the models before it", name)
		}
		hash = tok.Hash()
		card, err := fs.ReadFile(dir, "README.md")
		if err != nil || !strings.HasPrefix(string(card), "# weft-"+name+"\n") {
			t.Errorf("%s: the card begins with %.20q, %v", name, card, err)
		}
		files, err := fs.ReadDir(dir, ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size()
		}
		t.Logf("%s: %d weights", name, m.Info().Params)
	}
	if total > maxBytes {
		t.Errorf("the models take %d bytes, want at most %d", total, maxBytes)
	}
}

func TestOpenUnknown(t *testing.T) {
	if _, err := tiny.Open("../tiny"); !errors.Is(err, tiny.ErrUnknown) || !strings.Contains(err.Error(), "tiny or tiny-s") {
		t.Errorf("error is %v, want one that lists the names", err)
	}
}

// Any change to a folder is found, and the file named.
func TestVerify(t *testing.T) {
	const (
		sum   = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
		lines = sum + "  config.json\n" + sum + "  model.safetensors\n"
	)
	good := func() fstest.MapFS {
		return fstest.MapFS{"config.json": {Data: []byte("hello")}, "model.safetensors": {Data: []byte("hello")}, "MANIFEST": {Data: []byte(lines)}}
	}
	if err := tiny.Verify(good()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(fstest.MapFS){
		"model.safetensors has SHA-256":   func(f fstest.MapFS) { f["model.safetensors"].Data = []byte("hellp") },
		"config.json has SHA-256 e3b0c44": func(f fstest.MapFS) { f["config.json"].Data = nil },
		"config.json is missing":          func(f fstest.MapFS) { delete(f, "config.json") },
		"extra.bin is not in MANIFEST":    func(f fstest.MapFS) { f["extra.bin"] = &fstest.MapFile{} },
		"MANIFEST: file does not exist":   func(f fstest.MapFS) { delete(f, "MANIFEST") },
		`line "abc  config.json"`:         func(f fstest.MapFS) { f["MANIFEST"].Data = []byte("abc  config.json\n") },
		"each name once":                  func(f fstest.MapFS) { f["MANIFEST"].Data = []byte(lines + lines) },
	} {
		f := good()
		change(f)
		err := tiny.Verify(f)
		if !errors.Is(err, tiny.ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

// One flipped bit anywhere in a real model's weights is found.
func TestVerifyFindsABit(t *testing.T) {
	dir, err := tiny.Open("tiny-s")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = &fstest.MapFile{Data: slices.Clone(data)}
	}
	weights := files["model.safetensors"].Data
	for _, at := range []int{0, len(weights) / 2, len(weights) - 1} {
		weights[at] ^= 4
		if err := tiny.Verify(files); !errors.Is(err, tiny.ErrCorrupt) {
			t.Errorf("a bit of byte %d: error is %v", at, err)
		}
		weights[at] ^= 4
	}
}

func ExampleOpen() {
	dir, err := tiny.Open("tiny")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := zoo.LoadFS(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(dir, m.Info().Family)
	// Output: tiny llama
}
