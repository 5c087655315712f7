package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Caches are the folders where models of registries lie.
type Caches struct {
	HuggingFace string   // what HF_HUB_CACHE names: models--org--name below it
	Ollama      []string // what OLLAMA_MODELS names: blobs and manifests below it; downloads go to the first
}

// Found is a model in a cache, whole.
type Found struct {
	Path   string            // a folder, or a GGUF: what a MODEL argument can be
	Commit string            // Hugging Face: the revision
	Layers map[string]string // Ollama: where template, system, params, license, ... lie, by kind
}

// Find finds a model on this machine. It uses no network and changes nothing.
func Find(n Name, c Caches) (Found, error) {
	var f Found
	var err error
	if n.Source == Ollama {
		f, err = findOllama(n, c.Ollama)
	} else {
		f, err = findHF(n, c.HuggingFace)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w: fetch it with `weft pull %s`", n, ErrAbsent, n)
	}
	return f, err
}

// repo is a repository's folder in the cache of Hugging Face.
func (n Name) repo(cache string) string {
	return filepath.Join(cache, "models--"+strings.ReplaceAll(n.Repo, "/", "--"))
}

// ref is the file that says which commit a revision is.
func (n Name) ref(cache string) string {
	return filepath.Join(n.repo(cache), "refs", filepath.FromSlash(n.Revision))
}

// maxRef bounds a ref, in bytes; maxFiles the files looked at in a snapshot.
const (
	maxRef   = 256
	maxFiles = 100_000
)

func findHF(n Name, cache string) (Found, error) {
	if cache == "" {
		return Found{}, fs.ErrNotExist
	}
	commit := n.Revision
	if !hex40.MatchString(commit) {
		data, err := readSmall(n.ref(cache), maxRef)
		if err != nil {
			return Found{}, err
		}
		if commit = string(bytes.TrimSpace(data)); !hex40.MatchString(commit) {
			return Found{}, fmt.Errorf("%s: %w: %s holds %.60q, want a commit: remove it and pull again", n, ErrAbsent, n.ref(cache), commit)
		}
	}
	dir := filepath.Join(n.repo(cache), "snapshots", commit)
	files, err := snapshot(dir)
	if err != nil {
		return Found{}, err
	}
	v, _, err := choose(n, files)
	switch {
	case err != nil && len(variants(files)) > 1 && n.Select == "":
		return Found{}, err // which of those that are here
	case err != nil:
		return Found{}, fmt.Errorf("%s: %w, or not all of it (%s): fetch it with `weft pull %s`", n, ErrAbsent, dir, n)
	}
	return Found{Path: filepath.Join(dir, filepath.FromSlash(v.Main)), Commit: commit}, nil
}

// snapshot lists the files of a folder whose links lead somewhere.
func snapshot(dir string) (files []File, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if len(files) >= maxFiles {
			return fmt.Errorf("%s holds more than %d files", dir, maxFiles)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			files = append(files, File{Path: filepath.ToSlash(rel), Size: st.Size()})
		}
		return nil
	})
	return files, err
}

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, want at most %d", path, st.Size(), limit)
	}
	return os.ReadFile(path)
}

// manifest is the file that holds an Ollama name's layers.
func (n Name) manifest(cache string) string {
	return filepath.Join(cache, "manifests", n.Host, filepath.FromSlash(n.Repo), n.Revision)
}

// blob is where a layer lies.
func (l layer) blob(cache string) string {
	return filepath.Join(cache, "blobs", l.digest.Algorithm+"-"+l.digest.Hex)
}

func findOllama(n Name, caches []string) (Found, error) {
	first := error(fs.ErrNotExist)
	for _, cache := range caches {
		f, err := findIn(n, cache)
		if err == nil {
			return f, nil
		}
		if errors.Is(first, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			first = err
		}
	}
	return Found{}, first
}

func findIn(n Name, cache string) (Found, error) {
	data, err := readSmall(n.manifest(cache), maxListing)
	if err != nil {
		return Found{}, err
	}
	layers, err := parseManifest(data)
	if err != nil {
		return Found{}, fmt.Errorf("%s: %s: %w", n, n.manifest(cache), err)
	}
	model, _, err := loadable(n, layers)
	if err != nil {
		return Found{}, err
	}
	f := Found{Path: model.blob(cache), Layers: map[string]string{}}
	if !there(f.Path, model.size) {
		return Found{}, fmt.Errorf("%s: %w, or not all of it (%s is no file of %d bytes): fetch it with `weft pull %s`", n, ErrAbsent, f.Path, model.size, n)
	}
	for _, l := range layers {
		f.Layers[l.kind] = l.blob(cache)
	}
	return f, nil
}

// loadable finds the one GGUF among layers, and says what of the rest weft does
// not use.
func loadable(n Name, layers []layer) (model layer, notes []string, err error) {
	count := 0
	for _, l := range layers {
		switch l.kind {
		case "model":
			model = l
			count++
		case "adapter":
			return layer{}, nil, fmt.Errorf("%s: %w: it is an adapter upon a model: pull the model that it was made for", n, ErrChoice)
		case "tensor":
			return layer{}, nil, fmt.Errorf("%s: %w: its weights are single tensors, not a GGUF: choose a tag with a GGUF", n, ErrChoice)
		case "projector":
			notes = append(notes, "the projector for images is fetched for other programs; weft reads text only")
		case "template":
			notes = append(notes, "Ollama's template is kept beside the weights; weft renders the chat template inside the GGUF")
		}
	}
	if count != 1 {
		return layer{}, nil, fmt.Errorf("%s: %w: its manifest holds %d models, want one GGUF (cloud models have none)", n, ErrChoice, count)
	}
	return model, notes, nil
}
