package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"weft/internal/mapfile"
)

// The file names of a Hugging Face model folder.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
)

// OpenFS opens the weights of a model folder: one file, or every shard that
// the index names. The index must agree with the shards, tensor by tensor.
// Files of a mapfile.Dir are mapped, those of another file system read.
func OpenFS(fsys fs.FS) (*File, error) {
	f, err := openIn(fsys, SingleFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	text, err := fs.ReadFile(fsys, IndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("safetensors: %s holds neither %s nor %s: %w", mapfile.Path(fsys, "."), SingleFile, IndexFile, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", mapfile.Path(fsys, IndexFile), ErrFormat, err)
	}
	all := &File{entries: map[string]entry{}}
	if err := all.shards(fsys, index.WeightMap); err != nil {
		return nil, errors.Join(err, all.Close())
	}
	return all, nil
}

func (f *File) shards(fsys fs.FS, weights map[string]string) error {
	index := mapfile.Path(fsys, IndexFile)
	if len(weights) == 0 {
		return fmt.Errorf("%s: %w: weight_map is empty", index, ErrFormat)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(weights))) {
		if !filepath.IsLocal(name) || filepath.Base(name) != name {
			return fmt.Errorf("%s: %w: shard %q is no plain file name", index, ErrFormat, name)
		}
		shard, err := openIn(fsys, name)
		if err != nil {
			return err
		}
		f.mapped, f.unmap = shard.mapped, append(f.unmap, shard.unmap...)
		for tensor, e := range shard.entries {
			if weights[tensor] != name {
				return fmt.Errorf("%s: %w: %s holds tensor %s, but the index places it in %q", index, ErrFormat, name, tensor, weights[tensor])
			}
			f.entries[tensor] = e
		}
	}
	for _, tensor := range slices.Sorted(maps.Keys(weights)) {
		if _, ok := f.entries[tensor]; !ok {
			return fmt.Errorf("%s: %w: tensor %s is not in %s", index, ErrFormat, tensor, weights[tensor])
		}
	}
	return nil
}
