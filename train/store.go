package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names in a run's folder.
const (
	StateFile   = "train/state.json"
	MetricsFile = "train/metrics.jsonl"
	CurveFile   = "train/curve.svg"
	DataDir     = "train/data"

	checkpoints  = "train/checkpoints"
	manifestFile = "manifest.json"
)

// Artifact is one file of a checkpoint.
type Artifact struct {
	Name    string // in the checkpoint's folder
	Size    int64  // bytes, for the message when the disk is full
	Publish string // path in the run's folder that shows the newest one; empty: none
	Write   func(io.Writer) error
}

// Store keeps a run's checkpoints. Each is a folder that is written under a
// temporary name, synced and renamed, with a manifest of checksums: it is
// there whole or not at all. The newest valid one is found by looking.
type Store struct {
	Dir  string // the run's folder
	Keep int    // newest checkpoints kept; 2
	FS   FS     // the operating system's
}

// manifest lists what a checkpoint must hold; it is its last file.
type manifest struct {
	Step  int                 `json:"step"`
	Files map[string]fileInfo `json:"files"`
}

type fileInfo struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (s *Store) fs() FS {
	if s.FS == nil {
		return osFS{}
	}
	return s.FS
}

func (s *Store) root() string { return filepath.Join(s.Dir, filepath.FromSlash(checkpoints)) }

// Path is the folder of the checkpoint of a step.
func (s *Store) Path(step int) string { return filepath.Join(s.root(), fmt.Sprintf("step-%08d", step)) }

// Save writes the checkpoint of a step, shows its files in the run's folder
// and removes the oldest ones. On error the ones before it stay.
func (s *Store) Save(step int, files []Artifact) error {
	need := int64(0)
	for _, f := range files {
		need += f.Size
	}
	tmp := filepath.Join(s.root(), fmt.Sprintf(".new-%08d", step))
	err := s.write(tmp, step, files)
	if err == nil {
		err = s.commit(tmp, s.Path(step))
	}
	if err == nil {
		err = s.Publish(step, files)
	}
	if err != nil {
		s.fs().RemoveAll(tmp)
		e := &SaveError{Path: s.Path(step), Step: step, Need: need, Err: err}
		if last, _, lerr := s.Latest(); lerr == nil {
			e.Last = s.Path(last)
		}
		return e
	}
	return s.prune()
}

// write fills the folder tmp with the files and their manifest.
func (s *Store) write(tmp string, step int, files []Artifact) error {
	if err := s.fs().RemoveAll(tmp); err != nil {
		return err
	}
	if err := s.fs().Mkdir(tmp); err != nil {
		return err
	}
	m := manifest{Step: step, Files: map[string]fileInfo{}}
	for _, f := range files {
		info, err := s.writeFile(filepath.Join(tmp, f.Name), f.Write)
		if err != nil {
			return err
		}
		m.Files[f.Name] = info
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.writeFile(filepath.Join(tmp, manifestFile), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return s.fs().SyncDir(tmp)
}

// writeFile creates, fills and syncs a file, and sums it up on the way.
func (s *Store) writeFile(path string, fn func(io.Writer) error) (info fileInfo, err error) {
	f, err := s.fs().Create(path)
	if err != nil {
		return info, err
	}
	sum, count := sha256.New(), new(countWriter)
	w := bufio.NewWriterSize(io.MultiWriter(f, sum, count), 1<<20)
	err = fn(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return fileInfo{Size: int64(*count), SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

type countWriter int64

func (c *countWriter) Write(b []byte) (int, error) {
	*c += countWriter(len(b))
	return len(b), nil
}

// commit gives the finished folder its name. A folder of that name can only be
// a damaged one: a run never reaches a step twice from a valid checkpoint.
func (s *Store) commit(tmp, final string) error {
	if err := s.remove(final); err != nil {
		return err
	}
	if err := s.fs().Rename(tmp, final); err != nil {
		return err
	}
	return s.fs().SyncDir(s.root())
}

// Publish shows a checkpoint's files in the run's folder, each replaced at
// once: by a hard link, or by a copy where the file system has none.
func (s *Store) Publish(step int, files []Artifact) error {
	for _, f := range files {
		if f.Publish == "" {
			continue
		}
		from, to := filepath.Join(s.Path(step), f.Name), filepath.Join(s.Dir, filepath.FromSlash(f.Publish))
		tmp := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".new")
		if err := s.fs().RemoveAll(tmp); err != nil {
			return err
		}
		if err := s.fs().Link(from, tmp); err != nil {
			if err := s.copyFile(from, tmp); err != nil {
				return err
			}
		}
		if err := s.fs().Rename(tmp, to); err != nil {
			return err
		}
		// Renaming between two links to one file does nothing.
		if err := s.fs().RemoveAll(tmp); err != nil {
			return err
		}
	}
	return s.fs().SyncDir(s.Dir)
}

func (s *Store) copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = s.writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	return err
}

// remove deletes a checkpoint, first out of sight, so that a half-deleted one
// is never looked at.
func (s *Store) remove(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old := filepath.Join(s.root(), ".old-"+filepath.Base(path))
	if err := s.fs().RemoveAll(old); err != nil {
		return err
	}
	if err := s.fs().Rename(path, old); err != nil {
		return err
	}
	return s.fs().RemoveAll(old)
}

// prune removes all but the newest checkpoints, and what a crash left behind.
func (s *Store) prune() error {
	steps, err := s.steps()
	if err != nil {
		return err
	}
	keep := s.Keep
	if keep <= 0 {
		keep = 2
	}
	for _, step := range steps[min(keep, len(steps)):] {
		if err := s.remove(s.Path(step)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(s.root())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			if err := s.fs().RemoveAll(filepath.Join(s.root(), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// steps lists the steps of all checkpoints, newest first.
func (s *Store) steps() ([]int, error) {
	entries, err := os.ReadDir(s.root())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), "step-"); ok {
			if step, err := strconv.Atoi(name); err == nil {
				steps = append(steps, step)
			}
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps, nil
}

// Latest finds the newest checkpoint whose files match its manifest. damaged
// says what was wrong with the newer ones that were passed over.
func (s *Store) Latest() (step int, damaged []error, err error) {
	steps, err := s.steps()
	if err != nil {
		return 0, nil, err
	}
	for _, step := range steps {
		verr := verify(s.Path(step))
		if verr == nil {
			return step, damaged, nil
		}
		damaged = append(damaged, verr)
	}
	return 0, damaged, fmt.Errorf("train: %s: %w", s.root(), errors.Join(append([]error{ErrNoCheckpoint}, damaged...)...))
}

// verify compares a checkpoint's files with its manifest.
func verify(path string) error {
	data, err := os.ReadFile(filepath.Join(path, manifestFile))
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("checkpoint %s: %s: %w", path, manifestFile, err)
	}
	if len(m.Files) == 0 {
		return fmt.Errorf("checkpoint %s: %s lists no files", path, manifestFile)
	}
	for name, want := range m.Files {
		if err := verifyFile(filepath.Join(path, filepath.Base(name)), want); err != nil {
			return fmt.Errorf("checkpoint %s: %w", path, err)
		}
	}
	return nil
}

func verifyFile(path string, want fileInfo) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n != want.Size {
		return fmt.Errorf("%s has %d bytes, want %d", filepath.Base(path), n, want.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("%s is damaged: its SHA-256 is %.12s…, want %.12s…", filepath.Base(path), got, want.SHA256)
	}
	return nil
}
