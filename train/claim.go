package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weft/model/weights/safetensors"
)

// A folder counts as busy when it still is after so many tries.
const (
	claimTries = 5
	claimWait  = 10 * time.Millisecond
)

// Claim takes dir, made first if it is not there, for one run: until release is
// called or the process ends, however it ends, other claims fail with ErrBusy.
// found says whether dir holds a checkpoint, valid or not. A folder with
// weights but no checkpoint fails with ErrForeign: a run would write over them.
func Claim(dir string) (found bool, release func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, nil, fmt.Errorf("train: make the folder of the run: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return false, nil, fmt.Errorf("train: open the folder of the run: %w", err)
	}
	release = func() error {
		os.Remove(dir) // only succeeds on an empty folder: a run that never began leaves nothing
		return d.Close()
	}
	free := lock(d)
	for i := 0; i < claimTries && !free; i++ { // whoever looks at the run has a share of the lock for an instant
		time.Sleep(claimWait)
		free = lock(d)
	}
	if !free {
		d.Close()
		return false, nil, fmt.Errorf("train: %s: %w", dir, ErrBusy)
	}
	if found, err = HasRun(dir); err == nil && !found {
		err = refuseForeign(dir)
	}
	if err != nil {
		release()
		return false, nil, err
	}
	return found, release, nil
}

// refuseForeign fails if dir, which holds no run, holds weights.
func refuseForeign(dir string) error {
	for _, name := range []string{safetensors.SingleFile, safetensors.IndexFile} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return fmt.Errorf("train: %s: %w (%s)", dir, ErrForeign, name)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}
