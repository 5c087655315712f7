package gguf

import (
	"fmt"
	"strings"
)

// The keys of a split model, as gguf-split of llama.cpp writes them. The first
// part holds the metadata of the model; the others only these.
const (
	splitNo      = "split.no"            // from 0
	splitCount   = "split.count"         // parts
	splitTensors = "split.tensors.count" // of all parts together
)

// splitEnd is how the name of a part ends.
func splitEnd(no, count int) string { return fmt.Sprintf("-%05d-of-%05d.gguf", no+1, count) }

// split says which part of how many this file is: 0 of 1 for a whole model.
func (f *File) split() (no, count int, err error) {
	if _, ok := f.values[splitCount]; !ok {
		return 0, 1, nil
	}
	n, ok1 := Int(f.values[splitCount])
	i, ok2 := Int(f.values[splitNo])
	if !ok1 || !ok2 || n > 0 && (i < 0 || i >= n) || n < 0 || n > 99999 {
		return 0, 0, fmt.Errorf("%w: %s is %v and %s is %v, want a part below the number of parts", ErrFormat, splitNo, f.values[splitNo], splitCount, f.values[splitCount])
	}
	return int(i), max(int(n), 1), nil
}

// join makes f, part no of count, the whole model: its parts are opened by their
// names, the first gives the metadata, all give tensors.
func (f *File) join(path string, no, count int) error {
	prefix, ok := strings.CutSuffix(path, splitEnd(no, count))
	if !ok {
		return fmt.Errorf("%w: it is part %d of %d, but its name does not end in %s, so that the others cannot be found: give all parts their names back",
			ErrFormat, no+1, count, splitEnd(no, count))
	}
	var all []*File
	for i := range count {
		part := f
		if i != no {
			var err error
			if part, err = openPart(prefix + splitEnd(i, count)); err != nil {
				return fmt.Errorf("part %d of %d: %w", i+1, count, err)
			}
			f.unmap = append(f.unmap, part.unmap...)
		}
		if is, of, err := part.split(); err != nil || is != i || of != count {
			return fmt.Errorf("%w: %s says that it is part %d of %d (%v)", ErrFormat, prefix+splitEnd(i, count), is+1, of, err)
		}
		all = append(all, part)
	}
	return f.adopt(all)
}

// adopt takes the metadata of the first part and the tensors of all.
func (f *File) adopt(all []*File) error {
	first := all[0]
	whole := File{Version: first.Version, Alignment: first.Alignment, keys: first.keys, values: first.values, byName: map[string]int{}, unmap: f.unmap}
	for i, part := range all {
		whole.parts = append(whole.parts, part.parts[0])
		for _, t := range part.tensors {
			if _, twice := whole.byName[t.Name]; twice {
				return fmt.Errorf("%w: two parts hold tensor %q", ErrFormat, t.Name)
			}
			t.part = i
			whole.byName[t.Name] = len(whole.tensors)
			whole.tensors = append(whole.tensors, t)
		}
	}
	if want, ok := Int(first.values[splitTensors]); ok && want != int64(len(whole.tensors)) {
		return fmt.Errorf("%w: the %d parts hold %d tensors, but %s is %d: are they parts of one model?", ErrFormat, len(all), len(whole.tensors), splitTensors, want)
	}
	*f = whole
	return nil
}

// Int is the whole number that a metadata value is, of whatever width.
func Int(v any) (int64, bool) {
	switch n := v.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= 1<<63-1
	}
	return 0, false
}

// IsLaterPart says whether a file's name is that of a part of a split model, and
// not of the first.
func IsLaterPart(path string) bool {
	var no, count int
	if i := len(path) - len(splitEnd(0, 1)); i < 0 {
		return false
	} else if n, err := fmt.Sscanf(path[i:], "-%05d-of-%05d.gguf", &no, &count); err != nil || n != 2 {
		return false
	}
	return no > 1
}
