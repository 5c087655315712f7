package mapfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
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

func TestDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("some bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]fs.FS{"mapped": Dir(dir), "read": os.DirFS(dir)} {
		data, release, err := OpenIn(fsys, "file")
		if err != nil || string(data) != "some bytes" {
			t.Errorf("%s: got %q, %v", name, data, err)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
		for _, bad := range []string{"absent", "../" + filepath.Base(dir) + "/file", "/file"} {
			if _, _, err := OpenIn(fsys, bad); err == nil {
				t.Errorf("%s: %s opens", name, bad)
			}
		}
	}
	if _, err := fs.ReadFile(Dir(dir), "absent"); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error is %v, want one with the whole path", err)
	}
	if got, want := Path(Dir(dir), "a/b"), filepath.Join(dir, "a", "b"); got != want {
		t.Errorf("path is %q, want %q", got, want)
	}
	if err := fstest.TestFS(Dir(dir), "file"); err != nil {
		t.Error(err)
	}
}

// TestForget: what was forgotten can be read again, and what lies around it was
// never touched.
func TestForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	text := strings.Repeat("0123456789abcde\n", 4096)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	data, release, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, part := range [][]byte{data, data[5:], data[100:20000], data[1:2], nil} {
		Forget(part)
	}
	if string(data) != text {
		t.Error("the file reads differently")
	}
}
