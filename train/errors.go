package train

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrExists says that the folder already holds a run.
	ErrExists = errors.New("the folder already holds a training run: resume it, or choose another folder")
	// ErrForeign says that a folder holds weights that no run there made.
	ErrForeign = errors.New("the folder holds a model but no training run, which would write over it: choose another folder, or move the model away")
	// ErrBusy says that another process trains into the folder.
	ErrBusy = errors.New("another process is training into this folder: wait for it, stop it, or choose another folder")
	// ErrNoCheckpoint says that a folder holds no checkpoint that loads.
	ErrNoCheckpoint = errors.New("no checkpoint")
	// ErrStopped says that a run was asked to stop; its state is saved.
	ErrStopped = errors.New("training stopped")
)

// SaveError says that a checkpoint could not be written. The one before it,
// if any, is untouched.
type SaveError struct {
	Path string // the checkpoint's folder
	Step int
	Need int64  // bytes that the checkpoint takes
	Last string // the newest good checkpoint; empty: none
	Err  error
}

func (e *SaveError) Error() string {
	keep := "there is no earlier checkpoint"
	if e.Last != "" {
		keep = "the checkpoint before it is intact: " + e.Last
	}
	return fmt.Sprintf("train: save checkpoint %s: %v (it needs %s; %s; make room, then resume)", e.Path, e.Err, byteCount(e.Need), keep)
}

func (e *SaveError) Unwrap() error { return e.Err }

// DivergedError says that the loss or the gradient is no longer a number.
// Nothing has been overwritten with it.
type DivergedError struct {
	What  string // "loss" or "gradient norm"
	Step  int
	Value float64
	LR    float64
	Last  string // the newest good checkpoint; empty: none
}

func (e *DivergedError) Error() string {
	last := "no checkpoint was written yet"
	if e.Last != "" {
		last = "the last good checkpoint is " + e.Last
	}
	return fmt.Sprintf("train: the %s is %v at step %d, learning rate %.3g: the run has diverged; %s; start again with a lower learning rate (try %.2g), a longer warm-up or stronger clipping",
		e.What, e.Value, e.Step, e.LR, last, e.LR/3)
}

// ChangedError says that a resumed run was given options that differ from
// those it was started with.
type ChangedError struct {
	Dir     string
	Changes []string // "lr: the run has 0.001, asked for 0.002"
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("train: cannot resume %s with other options: %s (drop them to resume, or choose another folder)",
		e.Dir, strings.Join(e.Changes, "; "))
}

// byteCount writes n for people: 12 B, 3.4 MB.
func byteCount(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
