package hub

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Name{
		"hf:acme/tiny":                        {HuggingFace, "", "acme/tiny", "", "main"},
		"hf:gpt2@v1.0":                        {HuggingFace, "", "gpt2", "", "v1.0"},
		"hf:acme/tiny:Q4_K_M":                 {HuggingFace, "", "acme/tiny", "Q4_K_M", "main"},
		"hf:acme/tiny:sub/a b.gguf@refs/pr/1": {HuggingFace, "", "acme/tiny", "sub/a b.gguf", "refs/pr/1"},
		"ollama:tiny":                         {Ollama, OllamaHost, "library/tiny", "", "latest"},
		"ollama:me/tiny:1b":                   {Ollama, OllamaHost, "me/tiny", "", "1b"},
		"ollama:host.example:8080/me/tiny:1b": {Ollama, "host.example:8080", "me/tiny", "", "1b"},
	} {
		got, err := Parse(text)
		if err != nil || got != want || got.String() != text || !Is(text) {
			t.Errorf("%s: %+v (%s), %v, want %+v", text, got, got, err, want)
		}
	}
	for _, text := range []string{
		"", "tiny", "hf:", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b:", "hf:a/b:../x", "hf:a/b:/x", "hf:a/b@", "hf:a/b@../x", "hf:a/b@x//y",
		"hf:a--b/c", "hf:a/b@" + strings.Repeat("x", 200), "ollama:", "ollama:a/b/c/d", "ollama:a:b:c", "ollama:../a", "ollama:a/..:x", "ollama:a:..", "s3:a/b", "hf:-a/b",
	} {
		if n, err := Parse(text); !errors.Is(err, ErrName) {
			t.Errorf("%q: %+v, %v, want %v", text, n, err, ErrName)
		}
	}
}

// list makes files of one byte for each letter of their names.
func list(names ...string) (files []File) {
	for _, n := range names {
		files = append(files, File{Path: n, Size: int64(len(n))})
	}
	return files
}

func TestChoose(t *testing.T) {
	single := list("README.md", "config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin", "sub/config.json")
	sharded := list("config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.model", "original/consolidated.00.pth")
	ggufs := list("tiny.Q4_K_M.gguf", "tiny-q8_0.gguf", "Q6_K/tiny-Q6_K-00001-of-00002.gguf", "Q6_K/tiny-Q6_K-00002-of-00002.gguf", "mmproj-F16.gguf", "tiny-UD-IQ2_XXS.gguf", "tiny-bf16.gguf", "config.json", "README.md")
	for _, c := range []struct {
		files     []File
		sel, main string
		want      string // or the error
	}{
		{single, "", "", "README.md config.json tokenizer.json model.safetensors"},
		{single, "safetensors", "", "README.md config.json tokenizer.json model.safetensors"},
		{append(list("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"), single...), "", "", "README.md config.json tokenizer.json model.safetensors"},
		{sharded, "", "", "config.json tokenizer.model model.safetensors.index.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors"},
		{append(single, ggufs...), "", "", "README.md config.json tokenizer.json config.json README.md model.safetensors"},
		{append(single, ggufs...), "Q8_0", "tiny-q8_0.gguf", "tiny-q8_0.gguf"},
		{ggufs, "q4_k_m", "tiny.Q4_K_M.gguf", "tiny.Q4_K_M.gguf"},
		{ggufs, "tiny.Q4_K_M.gguf", "tiny.Q4_K_M.gguf", "tiny.Q4_K_M.gguf"},
		{ggufs, "Q6_K", "Q6_K/tiny-Q6_K-00001-of-00002.gguf", "Q6_K/tiny-Q6_K-00001-of-00002.gguf Q6_K/tiny-Q6_K-00002-of-00002.gguf"},
		{ggufs, "IQ2_XXS", "tiny-UD-IQ2_XXS.gguf", "tiny-UD-IQ2_XXS.gguf"},
		{list("one.gguf"), "", "one.gguf", "one.gguf"},

		{ggufs, "", "", "there are several"}, {ggufs, "Q4_K", "", `0 of them match "Q4_K"`}, {ggufs, "nothing.gguf", "", "hf:acme/tiny:Q4_K_M"},
		{list("a/x-Q4_0.gguf", "b/x-Q4_0.gguf"), "Q4_0", "", "hf:acme/tiny:a/x-Q4_0.gguf"},
		{list("tiny-00001-of-00002.gguf"), "", "", "no set of its weights is whole"},
		{list("model.safetensors"), "", "", "want config.json"},
		{sharded[:3], "", "", "no set of its weights is whole"},
		{list("adapter_config.json", "adapter_model.safetensors"), "", "", "adapter"},
		{list("config.json", "pytorch_model.bin"), "", "", "pickles"}, {list("README.md"), "", "", "none of its 1 files"}, {nil, "", "", "none of its 0 files"},
	} {
		n := Name{Source: HuggingFace, Repo: "acme/tiny", Select: c.sel, Revision: "main"}
		v, files, err := choose(n, c.files)
		if err != nil {
			if !errors.Is(err, ErrChoice) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %q", c.sel, err, c.want)
			}
			continue
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != c.want || v.Main != c.main {
			t.Errorf("%q: %q, to open %q, want %q, %q", c.sel, got, v.Main, c.want, c.main)
		}
	}
}

// What a registry answers must end in an error or in files that lie below their
// folder, once each.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"sha":"` + commit + `","siblings":[{"rfilename":"a-Q4_0-00001-of-00001.gguf","size":1,"blobId":"` + commit + `"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:` + strings.Repeat("0", 64) + `"},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:` + strings.Repeat("1", 64) + `","size":3}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, files, err := parseRevision(data); err == nil {
			seen := map[string]bool{}
			for _, file := range files {
				if !filepath.IsLocal(filepath.FromSlash(file.Path)) || seen[file.Path] || file.Size < 0 || strings.ContainsAny(file.Digest.Hex, `./\`) {
					t.Errorf("accepted %+v", file)
				}
				seen[file.Path] = true
			}
			n := Name{Source: HuggingFace, Repo: "a/b", Revision: "main"}
			if v, picked, err := choose(n, files); err == nil && (len(picked) == 0 || v.Bytes < 0) {
				t.Errorf("chose %+v, %+v", v, picked)
			}
		} else if !errors.Is(err, ErrListing) {
			t.Errorf("error is %v, want %v", err, ErrListing)
		}
		layers, err := parseManifest(data)
		for _, l := range layers {
			if !l.digest.valid() || l.size < 0 || !word.MatchString(l.kind) {
				t.Errorf("accepted %+v", l)
			}
		}
		if err != nil && !errors.Is(err, ErrListing) {
			t.Errorf("error is %v, want %v", err, ErrListing)
		}
	})
}

// Names become paths: what is accepted must stay what it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"hf:a/b:c@d", "ollama:a/b:c", "ollama:h:1/a/b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		for _, path := range []string{n.repo("x"), n.ref("x"), n.manifest("x"), filepath.Join("x", n.Select)} {
			if rel, err := filepath.Rel("x", path); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%q leads to %s", s, path)
			}
		}
		if again, err := Parse(fmt.Sprint(n)); err != nil || again != n {
			t.Errorf("%q is %+v, written %s, read %+v, %v", s, n, n, again, err)
		}
	})
}
