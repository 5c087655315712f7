// Package tiny holds the models that are part of the program: folders in the
// Hugging Face layout, embedded, so that everything works on a machine without
// network from the moment it is built.
//
//	tiny/   tiny-s/   README.md              the model card, with measured scores
//	                  config.json            architecture
//	                  model.safetensors      weights in 8 bits (docs/format/q8.md)
//	                  tokenizer.json         the same for both
//	                  tokenizer_config.json  chat template
//	                  MANIFEST               SHA-256 of each file, as sha256sum writes it
//
// runs/tiny.sh makes them from nothing. The package knows bytes and hashes; it
// knows nothing of what the files mean.
package tiny

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

//go:embed tiny tiny-s
var embedded embed.FS

const manifest = "MANIFEST"

// Errors of this package wrap one of these.
var (
	ErrUnknown = errors.New("no embedded model of that name")
	ErrCorrupt = errors.New("corrupted model")
)

// Names lists the embedded models, the larger first.
func Names() []string { return []string{"tiny", "tiny-s"} }

// Open returns the folder of an embedded model after comparing every file with
// its hash. Its String is the model's name.
func Open(name string) (fs.FS, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("%w: %q, want %s", ErrUnknown, name, strings.Join(Names(), " or "))
	}
	sub, err := fs.Sub(embedded, name)
	if err != nil {
		return nil, fmt.Errorf("embedded model %s: %w", name, err)
	}
	if err := Verify(sub); err != nil {
		return nil, fmt.Errorf("embedded model %s: %w: this binary is damaged; build or copy it again", name, err)
	}
	return folder{sub, name}, nil
}

// folder is a file system that says its name in messages.
type folder struct {
	fs.FS
	name string
}

func (f folder) String() string { return f.name }

// Verify compares the files of a folder with its MANIFEST: each listed, each
// there, each with its hash. What is wrong wraps ErrCorrupt and names the file.
func Verify(dir fs.FS) error {
	text, err := fs.ReadFile(dir, manifest)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	sums := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || len(sum) != 2*sha256.Size || sums[name] != "" {
			return fmt.Errorf("%w: %s: line %q, want a SHA-256 and a file name, each name once", ErrCorrupt, manifest, lines.Text())
		}
		sums[name] = sum
	}
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	for _, f := range files {
		if f.Name() == manifest {
			continue
		}
		want, ok := sums[f.Name()]
		if !ok {
			return fmt.Errorf("%w: %s is not in %s", ErrCorrupt, f.Name(), manifest)
		}
		got, err := hash(dir, f.Name())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if got != want {
			return fmt.Errorf("%w: %s has SHA-256 %.12s, but %s says %.12s", ErrCorrupt, f.Name(), got, manifest, want)
		}
		delete(sums, f.Name())
	}
	for name := range sums {
		return fmt.Errorf("%w: %s is missing", ErrCorrupt, name)
	}
	return nil
}

func hash(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
