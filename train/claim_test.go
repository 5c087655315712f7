package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestClaimIsForOneRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "run")
	found, release, err := Claim(dir)
	if err != nil || found {
		t.Fatalf("first claim: found %v, error %v", found, err)
	}
	if _, _, err := Claim(dir); !errors.Is(err, ErrBusy) {
		t.Fatalf("second claim: got %v, want ErrBusy", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unused folder stays behind: %v", err)
	}
	if _, release, err = Claim(dir); err != nil {
		t.Fatalf("claim after release: %v", err)
	}
	release()
}

func TestClaimSparesForeignWeights(t *testing.T) {
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Claim(dir); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: got %v, want ErrForeign", name, err)
		}
		// Beside a checkpoint they are the run's own.
		if err := os.MkdirAll((&Store{Dir: dir}).Path(3), 0o755); err != nil {
			t.Fatal(err)
		}
		found, release, err := Claim(dir)
		if err != nil || !found {
			t.Fatalf("%s: found %v, error %v", name, found, err)
		}
		release()
	}
}
