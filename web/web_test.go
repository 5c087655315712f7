package web

import (
	"io/fs"
	"regexp"
	"testing"
)

// TestPageKeepsToItself checks what the server's content security policy
// would otherwise break at run time: every file asked for is embedded, and
// nothing comes from elsewhere, is written inline, or is parsed as HTML.
func TestPageKeepsToItself(t *testing.T) {
	forbidden := regexp.MustCompile(`https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=|style="|<style|<script>`)
	svg := regexp.MustCompile(`xmlns="http://www\.w3\.org/2000/svg"`)
	asked := regexp.MustCompile(`/static/([\w.-]+)`)
	files := 0
	err := fs.WalkDir(FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := fs.ReadFile(FS, path)
		if err != nil {
			return err
		}
		if m := forbidden.Find(svg.ReplaceAll(data, nil)); m != nil {
			t.Errorf("%s has %q, which the page's policy forbids", path, m)
		}
		for _, m := range asked.FindAllSubmatch(data, -1) {
			if _, err := fs.Stat(FS, string(m[1])); err != nil {
				t.Errorf("%s asks for %s, which is not embedded", path, m[0])
			}
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Fatalf("walked %d files, error %v, want at least 4", files, err)
	}
}
