package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := WriteBytes(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, func(w io.Writer) error {
		if _, err := w.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that wraps %v and names %s", err, broken, path)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("after a failed write: %q, %v, want the first text", got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files left, want the one: %v", len(entries), err)
	}
	if err := WriteBytes(filepath.Join(dir, "no", "folder"), nil); err == nil {
		t.Error("no error for a missing folder")
	}
}

func TestDir(t *testing.T) {
	above := filepath.Join(t.TempDir(), "above")
	path := filepath.Join(above, "folder")
	broken := errors.New("broken")
	half := func(dir string) error {
		return errors.Join(WriteBytes(filepath.Join(dir, "a"), []byte("half")), broken)
	}
	if err := Dir(path, half); !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that wraps %v and names %s", err, broken, path)
	}
	if entries, err := os.ReadDir(above); err != nil || len(entries) > 0 {
		t.Errorf("left are %v (%v), want nothing", entries, err)
	}
	for _, name := range []string{"a", "b"} { // made, then added to
		fill := func(dir string) error { return WriteBytes(filepath.Join(dir, name), []byte(name)) }
		if err := Dir(path+"/", fill); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(got) != name {
			t.Errorf("%s holds %q (%v)", name, got, err)
		}
	}
	if err := Dir(path, half); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if got, err := os.ReadFile(filepath.Join(path, "b")); err != nil || string(got) != "b" {
		t.Errorf("what was there is %q (%v)", got, err)
	}
	if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
		t.Errorf("left are %v (%v), want the folder", entries, err)
	}
	if err := Dir(filepath.Join(path, "a", "x"), half); err == nil {
		t.Error("a folder inside a file is made")
	}
}
