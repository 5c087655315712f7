// Package testkit is what tests share: where the public test inputs lie, and
// tolerances that name what they compare. Only tests import it.
package testkit

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Root returns the repository root, found by its go.mod.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("testkit: no go.mod above the test's folder")
		}
		dir = up
	}
}

// Data returns the path of a public test input in ../shared/data beside the
// repository, or skips the test where that folder is absent.
func Data(tb testing.TB, rel string) string {
	tb.Helper()
	path := filepath.Join(Root(tb), "..", "shared", "data", filepath.FromSlash(rel))
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("public test input %s is not beside this checkout (../shared/data)", rel)
	}
	return path
}

// Archive yields the files of a .tar.gz among the public test inputs: name and
// text. It skips the test as Data does, and fails it on a damaged archive.
func Archive(tb testing.TB, rel string) iter.Seq2[string, string] {
	tb.Helper()
	path := Data(tb, rel)
	return func(yield func(name, text string) bool) {
		f, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				return
			}
			var text []byte
			if err == nil {
				text, err = io.ReadAll(r)
			}
			if err != nil {
				tb.Fatalf("%s: %v", path, err)
			}
			if h.Typeflag == tar.TypeReg && !yield(h.Name, string(text)) {
				return
			}
		}
	}
}

// RelErr returns the largest |got-want| divided by the largest |want|.
func RelErr(tb testing.TB, got, want []float32) float64 {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("got %d values, want %d", len(got), len(want))
	}
	var diff, size float64
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(float64(w)))
	}
	if size == 0 {
		return diff
	}
	return diff / size
}
