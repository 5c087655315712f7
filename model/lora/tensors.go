package lora

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"weft/internal/mapfile"
	"weft/model/weights/safetensors"
)

// tensors are an adapter's matrices under PEFT's names, [rows, columns], wherever
// they come from.
type tensors interface {
	names() []string
	shape(name string) ([]int, bool)
	read(name string, dst []float32) error
}

// file is an adapter that is one file, a GGUF, as the folder that it stands for.
type file struct {
	fs.FS
	name string
}

// String is the path of the file.
func (f file) String() string { return mapfile.Path(f.FS, f.name) }

// At is what a path names, for Open: a folder, or a GGUF file.
func At(name string) fs.FS {
	if st, err := os.Stat(name); err == nil && !st.IsDir() {
		return file{mapfile.Dir(filepath.Dir(name)), filepath.Base(name)}
	}
	return mapfile.Dir(name)
}

// In is At for a name in a file system.
func In(fsys fs.FS, name string) (fs.FS, error) {
	if st, err := fs.Stat(fsys, name); err == nil && !st.IsDir() {
		dir, err := fs.Sub(fsys, path.Dir(name))
		return file{dir, path.Base(name)}, err
	}
	return fs.Sub(fsys, name)
}

// ggufOf is the GGUF file of an adapter: what At found, or the one in a folder
// without PEFT's files. "": there is none.
func ggufOf(dir fs.FS) (fs.FS, string, error) {
	if f, ok := dir.(file); ok {
		return f.FS, f.name, nil
	}
	if _, err := fs.Stat(dir, ConfigFile); err == nil {
		return dir, "", nil
	}
	found, err := fs.Glob(dir, "*.gguf")
	switch {
	case err != nil || len(found) == 0:
		return dir, "", nil // what is missing is said where it is read
	case len(found) > 1:
		return nil, "", fmt.Errorf("%w: the folder holds %q: name the file", ErrFormat, found)
	}
	return dir, found[0], nil
}

// openTensors opens the matrices of an adapter, for a model's modules; without
// them, to be measured. The data goes with release.
func openTensors(dir fs.FS, a *Adapter) (f tensors, release func() error, err error) {
	in, name, err := ggufOf(dir)
	if err != nil {
		return nil, nil, err
	}
	weights := name
	if name == "" {
		weights = WeightsFile
	}
	data, release, err := openFile(in, weights, a)
	if err != nil {
		return nil, nil, err
	}
	if name != "" {
		f, err = parseGGUF(data, a)
	} else {
		var s *safetensors.File
		s, err = safetensors.Parse(data)
		f = peft{s}
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", weights, err), release())
	}
	return f, release, nil
}

// openFile shows a file of tensors as memory, unless it is larger than any adapter
// of the model can be.
func openFile(dir fs.FS, name string, a *Adapter) (data []byte, release func() error, err error) {
	st, err := fs.Stat(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, old := fs.Stat(dir, "adapter_model.bin"); old == nil {
			return nil, nil, fmt.Errorf("%w: adapter_model.bin is a pickle, which can run programs: save the adapter anew with PEFT (safe_serialization)", ErrUnsupported)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if a != nil {
		most := int64(16 << 20) // the header
		for _, m := range a.modules {
			most += 4 * MaxRank * int64(m.in+m.out)
		}
		if st.Size() > most {
			return nil, nil, fmt.Errorf("%w: %s has %d bytes, and all pairs of rank %d for this model have %d", ErrBase, name, st.Size(), MaxRank, most)
		}
	}
	return mapfile.OpenIn(dir, name)
}

// peft are the tensors of PEFT's own file.
type peft struct{ *safetensors.File }

func (f peft) names() []string { return f.Names() }

func (f peft) shape(name string) ([]int, bool) {
	info, ok := f.Info(name)
	return info.Shape, ok
}

func (f peft) read(name string, dst []float32) error { return f.Read(name, dst) }
