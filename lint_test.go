package weft_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const maxFileLines = 1000

// TestFilesAreTidy holds what a reviewer should not have to say.
func TestFilesAreTidy(t *testing.T) {
	comments := map[string]int{} // package folder -> package comments
	goFiles(t, func(path string, file *ast.File, _ *token.FileSet) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := format.Source(src); err != nil || !bytes.Equal(src, want) {
			t.Errorf("%s: not gofmt'd", path)
		}
		if n := bytes.Count(src, []byte("\n")); n > maxFileLines && !ast.IsGenerated(file) {
			t.Errorf("%s: %d lines, want at most %d", path, n, maxFileLines)
		}
		for _, word := range []string{"TODO" + ":", "FIX" + "ME", "XXX" + ":"} {
			if bytes.Contains(src, []byte(word)) {
				t.Errorf("%s: holds %q: finish it or say it in docs/LOG.md", path, word)
			}
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if strings.HasSuffix(path, "_test.go") || dir == "." {
			return
		}
		n := 0
		if file.Doc != nil {
			n = 1
		}
		comments[dir] += n
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s: %d package comments, want one", dir, n)
		}
	}
}
