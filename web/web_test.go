package web

import (
	"io/fs"
	"path"
	"regexp"
	"testing"
)

// TestPageKeepsToItself checks what the server's content security policy
// would otherwise break at run time, and what the page promises: every file
// asked for is embedded, every file embedded is asked for, and nothing comes
// from elsewhere, is written inline, or is parsed as HTML.
func TestPageKeepsToItself(t *testing.T) {
	forbidden := regexp.MustCompile(`https?://|(?:inner|outer)HTML|setHTML|insertAdjacentHTML|createContextualFragment|DOMParser|srcdoc|` +
		`document\.write|\beval\(|new Function|setTimeout\(["'` + "`" + `]|javascript:|\son\w+=|style="|<style|<script>`)
	namespace := regexp.MustCompile(`"http://www\.w3\.org/2000/svg"`) // names SVG, is never fetched
	asks := regexp.MustCompile(`/static/([\w.-]+)|(?:from|import) "\./([\w.-]+)"|@import|url\(`)
	asked := map[string]bool{"index.html": true}
	files := 0
	err := fs.WalkDir(FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := fs.ReadFile(FS, name)
		if err != nil {
			return err
		}
		data = namespace.ReplaceAll(data, nil)
		if m := forbidden.Find(data); m != nil {
			t.Errorf("%s has %q, which the page's policy forbids", name, m)
		}
		for _, m := range asks.FindAllSubmatch(data, -1) {
			target := string(m[1]) + string(m[2])
			asked[target] = true
			if _, err := fs.Stat(FS, target); err != nil {
				t.Errorf("%s asks for %s, which is not embedded", name, m[0])
			}
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Fatalf("walked %d files, error %v, want at least 4", files, err)
	}
	entries, err := fs.Glob(FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range entries {
		if !asked[path.Base(name)] {
			t.Errorf("%s is embedded, but nothing asks for it", name)
		}
	}
}

// TestFilesAreShort holds the page's files to the length of the program's.
func TestFilesAreShort(t *testing.T) {
	entries, err := fs.Glob(FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`\n`)
	for _, name := range entries {
		data, err := fs.ReadFile(FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(lines.FindAllIndex(data, -1)); n > 500 {
			t.Errorf("%s has %d lines, want at most 500", name, n)
		}
	}
}
