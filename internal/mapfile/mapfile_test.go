package mapfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "some bytes"} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		data, release, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(data) != text {
			t.Errorf("got %q, want %q", data, text)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "absent")} {
		if _, _, err := Open(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}
