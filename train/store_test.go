package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// faulty is a file system that fails from operation number fail on: with crash
// every later operation fails too, as after a kill; without, only file writes
// fail, as on a full disk.
type faulty struct {
	osFS
	fail, n int
	crash   bool
}

var errCrash = errors.New("crashed")

func (f *faulty) op(write bool) error {
	f.n++
	switch {
	case f.fail == 0 || f.n < f.fail:
		return nil
	case f.crash:
		return errCrash
	case write:
		return syscall.ENOSPC
	}
	return nil
}

func (f *faulty) Create(path string) (File, error) {
	if err := f.op(false); err != nil {
		return nil, err
	}
	file, err := f.osFS.Create(path)
	return &faultyFile{file, f}, err
}

func (f *faulty) Mkdir(p string) error { return errors.Join(f.op(false), f.do(f.osFS.Mkdir, p)) }
func (f *faulty) RemoveAll(p string) error {
	return errors.Join(f.op(false), f.do(f.osFS.RemoveAll, p))
}
func (f *faulty) SyncDir(p string) error { return errors.Join(f.op(false), f.do(f.osFS.SyncDir, p)) }

func (f *faulty) do(fn func(string) error, p string) error {
	if f.crash && f.fail > 0 && f.n >= f.fail {
		return nil // not done
	}
	return fn(p)
}

func (f *faulty) Rename(a, b string) error {
	if err := f.op(false); err != nil {
		return err
	}
	return f.osFS.Rename(a, b)
}

func (f *faulty) Link(a, b string) error {
	if err := f.op(false); err != nil {
		return err
	}
	return f.osFS.Link(a, b)
}

type faultyFile struct {
	File
	fs *faulty
}

// Write writes half of what it gets when it fails: a torn write.
func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.fs.op(true); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, err
	}
	return f.File.Write(b)
}

// artifacts are the files of a small checkpoint whose contents tell its step.
func artifacts(step int) []Artifact {
	text := strings.Repeat(fmt.Sprintf("step %d\n", step), 100)
	write := func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	return []Artifact{
		{Name: "a.bin", Size: int64(len(text)), Write: write, Publish: "a.bin"},
		{Name: "b.bin", Size: int64(len(text)), Write: write},
	}
}

func wantStep(t *testing.T, path string, step int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), fmt.Sprintf("step %d\n", step)) {
		t.Errorf("%s is of %.8q, want step %d", path, data, step)
	}
}

// A crash at any operation of the third save leaves the second or the third
// checkpoint, whole, and a published file of one of them; the save after the
// crash works and cleans up.
func TestCrashAtEveryPoint(t *testing.T) {
	count := &faulty{}
	s := &Store{Dir: t.TempDir(), Keep: 2, FS: count}
	for step := 1; step <= 3; step++ {
		count.n = 0
		if err := s.Save(step, artifacts(step)); err != nil {
			t.Fatal(err)
		}
	}
	if count.n < 15 {
		t.Fatalf("a save made %d operations: too few to be true", count.n)
	}
	for at := 1; at <= count.n; at++ {
		dir := t.TempDir()
		f := &faulty{}
		s := &Store{Dir: dir, Keep: 2, FS: f}
		for step := 1; step <= 2; step++ {
			if err := s.Save(step, artifacts(step)); err != nil {
				t.Fatal(err)
			}
		}
		f.n, f.fail, f.crash = 0, at, true
		if err := s.Save(3, artifacts(3)); err == nil {
			t.Fatalf("crash at operation %d was not noticed", at)
		}
		after := &Store{Dir: dir, Keep: 2}
		step, damaged, err := after.Latest()
		if err != nil || len(damaged) > 0 || step < 2 {
			t.Fatalf("crash at operation %d: latest is %d, damaged %v, error %v", at, step, damaged, err)
		}
		wantStep(t, filepath.Join(after.Path(step), "b.bin"), step)
		if err := after.Publish(step, artifacts(step)); err != nil {
			t.Fatal(err)
		}
		wantStep(t, filepath.Join(dir, "a.bin"), step)
		if err := after.Save(4, artifacts(4)); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(after.root(), ".*")); len(left) > 0 {
			t.Errorf("crash at operation %d: %v is still there after the next save", at, left)
		}
	}
}

// A full disk at any write is an error that names the path and the bytes; the
// checkpoints before it stay, nothing half-made is left.
func TestDiskFull(t *testing.T) {
	for at := 1; at <= 30; at++ {
		f := &faulty{}
		s := &Store{Dir: t.TempDir(), Keep: 2, FS: f}
		for step := 1; step <= 2; step++ {
			if err := s.Save(step, artifacts(step)); err != nil {
				t.Fatal(err)
			}
		}
		f.n, f.fail = 0, at
		err := s.Save(3, artifacts(3))
		if err == nil {
			continue // no write came after operation at
		}
		var e *SaveError
		if !errors.As(err, &e) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want a SaveError of a full disk", err)
		}
		if e.Need != 1400 || e.Path != s.Path(3) || e.Last != s.Path(2) {
			t.Errorf("error says %+v", e)
		}
		for _, want := range []string{s.Path(3), "1.4 KB", s.Path(2), "no space left"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(s.root(), ".*")); len(left) > 0 {
			t.Errorf("%v is left over", left)
		}
		if step, _, _ := s.Latest(); step != 2 {
			t.Errorf("latest is %d, want 2", step)
		}
	}
}

// Damage of any kind is noticed, and the checkpoint before is taken.
func TestDamagedCheckpoints(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"one bit": func(dir string) error {
			p := filepath.Join(dir, "b.bin")
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			data[50] ^= 1
			return os.WriteFile(p, data, 0o644)
		},
		"cut":               func(dir string) error { return os.Truncate(filepath.Join(dir, "b.bin"), 10) },
		"file missing":      func(dir string) error { return os.Remove(filepath.Join(dir, "a.bin")) },
		"manifest missing":  func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) },
		"manifest cut":      func(dir string) error { return os.Truncate(filepath.Join(dir, manifestFile), 20) },
		"empty folder":      func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) },
		"file in its place": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644)) },
	} {
		s := &Store{Dir: t.TempDir(), Keep: 2}
		for step := 1; step <= 2; step++ {
			if err := s.Save(step, artifacts(step)); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(s.Path(2)); err != nil {
			t.Fatal(err)
		}
		step, damaged, err := s.Latest()
		if err != nil || step != 1 || len(damaged) != 1 {
			t.Errorf("%s: latest is %d, damaged %v, error %v; want 1 and one report", name, step, damaged, err)
		}
		if err := s.Save(2, artifacts(2)); err != nil {
			t.Errorf("%s: save over it: %v", name, err)
		}
		if step, _, _ := s.Latest(); step != 2 {
			t.Errorf("%s: latest after saving again is %d, want 2", name, step)
		}
	}
}

func TestKeep(t *testing.T) {
	s := &Store{Dir: t.TempDir(), Keep: 3}
	for step := 10; step <= 100; step += 10 {
		if err := s.Save(step, artifacts(step)); err != nil {
			t.Fatal(err)
		}
	}
	if steps, _ := s.steps(); fmt.Sprint(steps) != "[100 90 80]" {
		t.Errorf("kept %v, want the last three", steps)
	}
	wantStep(t, filepath.Join(s.Dir, "a.bin"), 100)
	if _, _, err := (&Store{Dir: t.TempDir()}).Latest(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("an empty folder gives %v, want ErrNoCheckpoint", err)
	}
}

// Showing a checkpoint that is on view already leaves nothing lying about.
func TestPublishTwice(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if err := s.Save(1, artifacts(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(1, artifacts(1)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s stays behind", e.Name())
		}
	}
	wantStep(t, filepath.Join(s.Dir, "a.bin"), 1)
}
