package gguf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"weft/internal/atomicfile"
)

// SaveSplit is Save in parts of at most so many bytes each, as gguf-split of
// llama.cpp cuts and names them: of m.gguf, m-00001-of-00003.gguf and so on. The
// first holds all of meta, each its run of the tensors. A tensor is never cut, so
// a part that holds a large one alone is larger. A model that fits is one file, at
// path. All parts appear, the first of them last, or none does; paths lists them.
func SaveSplit(path string, meta []KV, tensors []Source, most int64) (paths []string, err error) {
	parts, err := cut(meta, tensors, most)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if len(parts) == 1 {
		return []string{path}, Save(path, meta, tensors)
	}
	if len(parts) > math.MaxUint16 {
		return nil, fmt.Errorf("gguf: parts of %d bytes would be %d files, want at most %d: let them be larger", most, len(parts), math.MaxUint16)
	}
	temp, err := os.MkdirTemp(filepath.Dir(path), ".split-*")
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	defer os.RemoveAll(temp)
	stem := strings.TrimSuffix(path, ".gguf")
	for i, part := range parts {
		name := stem + splitEnd(i, len(parts))
		if err := Save(filepath.Join(temp, filepath.Base(name)), partMeta(meta, i, len(parts), len(tensors)), part); err != nil {
			return nil, err
		}
		paths = append(paths, name)
	}
	for i := len(paths) - 1; i >= 0; i-- {
		if err := os.Rename(filepath.Join(temp, filepath.Base(paths[i])), paths[i]); err != nil {
			for _, done := range paths[i+1:] {
				err = errors.Join(err, os.Remove(done))
			}
			return nil, fmt.Errorf("gguf: %w", err)
		}
	}
	return paths, atomicfile.SyncDir(filepath.Dir(path))
}

// partMeta is the metadata of part i: that of the model in the first, and in all
// which part of what it is.
func partMeta(meta []KV, i, count, tensors int) (all []KV) {
	for _, kv := range meta {
		if i == 0 || kv.Key == alignment { // which holds for each file
			all = append(all, kv)
		}
	}
	return append(all, KV{splitNo, uint16(i)}, KV{splitCount, uint16(count)}, KV{splitTensors, int32(tensors)})
}

// cut deals tensors out to parts in their order.
func cut(meta []KV, tensors []Source, most int64) (parts [][]Source, err error) {
	_, directory, err := header(meta, tensors) // all of them, to know sizes and what is wrong
	if err != nil {
		return nil, err
	}
	align := int64(noAlign)
	for _, kv := range meta {
		if n, ok := kv.Value.(uint32); ok && kv.Key == alignment {
			align = int64(n)
		}
	}
	var room [2]int64 // for tensors in the first part, and in later ones
	for i := range room {
		head, _, err := header(partMeta(meta, i, math.MaxUint16, len(tensors)), nil)
		if err != nil {
			return nil, err
		}
		room[i] = most - int64(len(head)) - align // entries may need another multiple
	}
	left := room[0]
	parts = [][]Source{nil}
	for i, t := range directory {
		entry := int64(len(t.Name) + 8*len(t.Shape) + 24) // lengths, type and offset
		need := entry + (int64(t.size)+align-1)/align*align
		if last := len(parts) - 1; len(parts[last]) > 0 && need > left {
			parts, left = append(parts, nil), room[1]
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], tensors[i])
		left -= need
	}
	return parts, nil
}
