package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weft/model/zoo"
)

// described lists the files of a run's folder that say what the weights are;
// a snapshot gets a copy of those that are there.
var described = [...]string{zoo.ConfigFile, "tokenizer.json", "tokenizer_config.json"}

// SnapshotName is the folder, inside the run's, of the model after a step.
func SnapshotName(step int) string { return fmt.Sprintf("step-%06d", step) }

// snapshot keeps the model as it stands: a folder that serves, and that knows
// its step and tokens, but cannot be trained on as the same run. A resumed run
// that comes by again writes the same bytes.
func (l *Loop) snapshot() error {
	if err := l.finiteWeights(); err != nil {
		return err
	}
	state, err := l.record()
	if err != nil {
		return err
	}
	name := SnapshotName(l.state.Step)
	final, tmp := filepath.Join(l.Dir, name), filepath.Join(l.Dir, ".new-"+name)
	err = l.writeSnapshot(tmp, l.artifacts(state))
	if err == nil {
		err = l.store.fs().RemoveAll(final)
	}
	if err == nil {
		err = l.store.fs().Rename(tmp, final)
	}
	if err != nil {
		l.store.fs().RemoveAll(tmp)
		return fmt.Errorf("train: keep the model of step %d as %s: %w", l.state.Step, final, err)
	}
	return l.store.fs().SyncDir(l.Dir)
}

// writeSnapshot fills tmp with what a checkpoint shows in the run's folder and
// with what stands beside it there.
func (l *Loop) writeSnapshot(tmp string, files []Artifact) error {
	if err := l.store.fs().RemoveAll(tmp); err != nil {
		return err
	}
	for _, f := range files {
		if f.Publish == "" {
			continue
		}
		path := filepath.Join(tmp, filepath.FromSlash(f.Publish))
		if err := l.store.fs().Mkdir(filepath.Dir(path)); err != nil {
			return err
		}
		if _, err := l.store.writeFile(path, f.Write); err != nil {
			return err
		}
	}
	for _, name := range described {
		err := l.store.copyFile(filepath.Join(l.Dir, name), filepath.Join(tmp, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return l.store.fs().SyncDir(tmp)
}
