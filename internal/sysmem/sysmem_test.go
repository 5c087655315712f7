package sysmem

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func TestFree(t *testing.T) {
	free, total := Free(), Total()
	if runtime.GOOS == "linux" && total <= 0 {
		t.Errorf("total is %d bytes", total)
	}
	if free < 0 || free > total {
		t.Errorf("free %d of %d bytes", free, total)
	}
	if limit := Limit(); limit > total || limit <= 0 && total > 0 {
		t.Errorf("limit %d of %d bytes", limit, total)
	}
}

func TestField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(path, []byte("anon 12\nfile 34\nlast"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, name string
		want       int64
		ok         bool
	}{{path, "anon", 12, true}, {path, "file", 34, true}, {path, "last", 0, false}, {path, "none", 0, false}, {path, "", 0, false}, {path + "x", "anon", 0, false}} {
		if got, ok := field(c.path, c.name); got != c.want || ok != c.ok {
			t.Errorf("field %q: %d, %t, want %d, %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestPeak(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if peak := Peak(c.ProcessState); runtime.GOOS == "linux" && (peak < 1<<20 || peak > 1<<33) {
		t.Errorf("a process that does nothing had %d bytes", peak)
	}
}
