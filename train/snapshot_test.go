package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weft/model/zoo"
)

// keeping is a run that keeps its model every four steps of ten.
func keeping(t *testing.T, dir string) *Loop {
	l := tiny(t, dir, 10)
	l.KeepEvery = 4
	config, err := l.Model.(interface{ ConfigJSON() ([]byte, error) }).ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, zoo.ConfigFile), config, 0o644); err != nil {
		t.Fatal(err)
	}
	return l
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSnapshotsServe(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, keeping(t, dir))
	for _, step := range []int{4, 8} {
		kept := filepath.Join(dir, SnapshotName(step))
		if _, err := zoo.Load(kept); err != nil {
			t.Fatal(err)
		}
		s, err := ReadState(kept)
		if err != nil || s.Step != step || s.Tokens != int64(step*256) || s.Done {
			t.Errorf("step %d: the state is %+v, %v", step, s, err)
		}
		if found, err := HasRun(kept); found || err != nil {
			t.Errorf("step %d: taken for a run that can go on (%v)", step, err)
		}
	}
	for _, name := range []string{SnapshotName(10), ".new-" + SnapshotName(8)} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there (%v)", name, err)
		}
	}

	// The model of step 4 is that of a run which ended there on the same plan.
	short := t.TempDir()
	l := tiny(t, short, 10)
	ctx, cancel := context.WithCancel(t.Context())
	l.Observer = func(e any) {
		if s, ok := e.(*Step); ok && s.Step == 4 {
			cancel()
		}
	}
	if _, err := l.Run(ctx); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, short, weightsFile), read(t, dir, SnapshotName(4), weightsFile)) {
		t.Error("the kept weights are not those of step 4")
	}
}

// TestSnapshotAgain: a run that was set back behind a kept model keeps it anew,
// with the same bytes.
func TestSnapshotAgain(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, keeping(t, dir))
	first := read(t, dir, SnapshotName(8), weightsFile)
	// As if killed before the checkpoint of the last step, when that of step 5
	// was the newest.
	store := &Store{Dir: dir}
	if err := os.RemoveAll(store.Path(10)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, SnapshotName(8), weightsFile), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := keeping(t, dir)
	l.Resume = true
	if res := mustRun(t, l); res.ResumedFrom != 5 {
		t.Fatalf("resumed from %d, want 5", res.ResumedFrom)
	}
	if !bytes.Equal(first, read(t, dir, SnapshotName(8), weightsFile)) {
		t.Error("the model kept again differs")
	}
}
