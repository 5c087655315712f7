package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"weft/model/weights/safetensors"
	"weft/model/zoo"
)

const (
	weightsFile   = safetensors.SingleFile
	optimizerFile = "optim.safetensors"
	stateFile     = "state.json"
	stepKey       = "step" // in the metadata of optimizerFile
)

// save writes a checkpoint of where the run stands.
func (l *Loop) save() error {
	from := time.Now()
	if err := l.finiteWeights(); err != nil {
		return err
	}
	text, err := l.record()
	if err != nil {
		return err
	}
	if err := l.metrics.sync(); err != nil {
		return err
	}
	step := l.state.Step
	if err := l.store.Save(step, l.artifacts(text)); err != nil {
		return err
	}
	l.clock.saved = time.Now()
	l.clock.save = time.Since(from)
	l.Observer.Tell(&Saved{Step: step, Path: l.store.Path(step), Took: l.clock.save})
	return nil
}

// record is state.json of where the run stands.
func (l *Loop) record() (text []byte, err error) {
	s := l.state
	s.Version, s.Kind, s.Lineage, s.RNG = stateVersion, l.Kind, l.Lineage, l.RNG
	s.Seconds = l.clock.elapsed().Seconds()
	s.Cursor = l.Source.Cursor()
	s.Speed = l.speed()
	if s.Settings, err = json.Marshal(l.Settings); err != nil {
		return nil, err
	}
	return json.MarshalIndent(s, "", "  ")
}

// artifacts are the files of a checkpoint; weights and state are shown in the
// run's folder.
func (l *Loop) artifacts(state []byte) []Artifact {
	weights := zoo.Tensors(l.Model)
	var moments []safetensors.Tensor
	for _, m := range l.opt.Moments() {
		moments = append(moments, safetensors.Tensor{Name: m.Name, Shape: []int{m.Rows, m.Cols}, Data: m.Data})
	}
	meta := map[string]string{"format": "pt"}
	return []Artifact{
		{Name: weightsFile, Size: tensorBytes(weights), Publish: weightsFile, Write: func(w io.Writer) error {
			return safetensors.Write(w, weights, meta)
		}},
		{Name: optimizerFile, Size: tensorBytes(moments), Write: func(w io.Writer) error {
			return safetensors.Write(w, moments, map[string]string{stepKey: strconv.Itoa(l.opt.Steps())})
		}},
		{Name: stateFile, Size: int64(len(state)), Publish: StateFile, Write: func(w io.Writer) error {
			_, err := w.Write(append(state, '\n'))
			return err
		}},
	}
}

func tensorBytes(ts []safetensors.Tensor) (n int64) {
	for _, t := range ts {
		n += 4 * int64(len(t.Data))
	}
	return n
}

// finiteWeights keeps weights that are not numbers out of checkpoints.
func (l *Loop) finiteWeights() error {
	if sum := l.opt.WeightSquares(); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return &DivergedError{What: "sum of squared weights", Step: l.state.Step, Value: sum,
			LR: l.Schedule.LR(l.state.Plan, max(0, l.state.Step-1)), Last: l.lastGood()}
	}
	return nil
}

// restore brings the run to its newest valid checkpoint, or to the beginning.
func (l *Loop) restore() error {
	l.state = State{Plan: l.firstPlan()}
	step, damaged, err := l.store.Latest()
	switch {
	case err != nil && !errors.Is(err, ErrNoCheckpoint):
		return err
	case err != nil && len(damaged) > 0:
		return err // there is a run, but nothing of it loads: do not write over it
	case err != nil:
		return nil
	case !l.Resume:
		return fmt.Errorf("train: %s: %w", l.Dir, ErrExists)
	}
	for _, d := range damaged {
		l.Observer.Tell(&Note{fmt.Sprintf("passed over a damaged checkpoint: %v", d)})
	}
	path := l.store.Path(step)
	s, err := readState(filepath.Join(path, stateFile))
	if err != nil {
		return err
	}
	if err := l.check(s); err != nil {
		return err
	}
	if err := l.load(path, s); err != nil {
		return fmt.Errorf("train: resume from %s: %w", path, err)
	}
	l.state, l.resumed, l.RNG = *s, step, s.RNG
	l.evaluated = s.Plan.Progress(step)
	// A kill between a checkpoint and its showing leaves older files on view.
	return l.store.Publish(step, l.artifacts(nil))
}

// check compares a checkpoint with the run that wants to go on from it.
func (l *Loop) check(s *State) error {
	if s.Kind != l.Kind {
		return &ChangedError{l.Dir, []string{fmt.Sprintf("kind: the run is %q, asked for %q", s.Kind, l.Kind)}}
	}
	changes, err := Changes(s.Settings, l.Settings)
	if err != nil {
		return err
	}
	lineage, err := Changes(s.Lineage, l.Lineage)
	if err != nil {
		return err
	}
	if changes = append(changes, lineage...); len(changes) > 0 {
		return &ChangedError{l.Dir, changes}
	}
	return nil
}

// load reads weights, moments and the place in the data.
func (l *Loop) load(path string, s *State) error {
	err := withTensors(filepath.Join(path, weightsFile), func(f *safetensors.File) error {
		for _, t := range zoo.Tensors(l.Model) {
			if err := f.Read(t.Name, t.Data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = withTensors(filepath.Join(path, optimizerFile), func(f *safetensors.File) error {
		updates, err := strconv.Atoi(f.Metadata[stepKey])
		if err != nil {
			return fmt.Errorf("%s: number of updates: %w", optimizerFile, err)
		}
		return l.opt.Restore(updates, func(name string) ([]float32, error) {
			info, ok := f.Info(name)
			if !ok {
				return nil, fmt.Errorf("missing in %s", optimizerFile)
			}
			data := make([]float32, info.Len())
			return data, f.Read(name, data)
		})
	})
	if err != nil {
		return err
	}
	return l.Source.Seek(s.Cursor)
}

func withTensors(path string, fn func(*safetensors.File) error) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}

// NewestState returns the state of the newest valid checkpoint of a run.
func NewestState(dir string) (*State, error) {
	s := &Store{Dir: dir}
	step, _, err := s.Latest()
	if err != nil {
		return nil, err
	}
	return readState(filepath.Join(s.Path(step), stateFile))
}

// ResumeSettings completes settings, which point to a struct, by those that the
// run in dir recorded. A run of another kind is refused, and so is one that
// recorded another value for a field that is set, with a *ChangedError.
func ResumeSettings(dir, kind string, settings any) error {
	state, err := NewestState(dir)
	if err != nil {
		return err
	}
	if state.Kind != kind {
		return fmt.Errorf("train: %s is a run of kind %q: resume it with the command that made it", dir, state.Kind)
	}
	changes, err := Changes(state.Settings, settings)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		return &ChangedError{Dir: dir, Changes: changes}
	}
	if err := json.Unmarshal(state.Settings, settings); err != nil {
		return fmt.Errorf("train: %s: settings: %w", dir, err)
	}
	return nil
}
