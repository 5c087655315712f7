// Package atomicfile writes files, and folders of them, that are either whole or
// absent: to a temporary name in the same folder, synced, then renamed over the
// target.
package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write replaces path with what fn writes. On any error the old file stays.
func Write(path string, fn func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w (the previous file, if any, is untouched)", path, err)
		}
	}()
	if err := fn(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// WriteBytes is Write for data at hand.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Dir makes a folder by what fill writes into the one that it is given; folders
// above are made where they lack. On any error there is no new folder. One that is
// there already is filled as it stands, so that what else is in it stays: then it is
// up to fill that every file is whole.
func Dir(path string, fill func(dir string) error) error {
	path = filepath.Clean(path)
	if _, err := os.Stat(path); err == nil {
		return fill(path)
	}
	above := filepath.Dir(path)
	if err := os.MkdirAll(above, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temp, err := os.MkdirTemp(above, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.RemoveAll(temp) // gone by then if all went well
	if err := fill(temp); err != nil {
		return fmt.Errorf("write %s: %w (nothing of it is left)", path, err)
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return SyncDir(above)
}

// SyncDir makes renames in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
