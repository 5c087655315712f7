package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"weft/model/zoo"
)

// ErrNoRun says that no run has the name that was asked for.
var ErrNoRun = errors.New("no such run")

// RunState says what a run does now.
type RunState string

// The states of a run.
const (
	Running  RunState = "running"  // a process trains into its folder
	Finished RunState = "finished" // its plan is fulfilled
	Stopped  RunState = "stopped"  // interrupted: the same command goes on with it
)

// RunInfo is what the folder of a run shows from outside, without its weights.
type RunInfo struct {
	ID      string // path below the root, with slashes
	Kind    string // "pretrain", "sft"
	State   RunState
	Step    int // updates made
	Steps   int // updates planned; 0: not known yet
	Started time.Time
	Updated time.Time // last record
	Damage  error     // what of it could not be read; nil
}

// Records is a part of a run's metrics.
type Records struct {
	Lines []json.RawMessage // one Record each
	Next  int64             // byte of the file to ask from next; below the one asked for when a resumed run cut the file
	More  bool              // there are more by now
	State RunState
}

// Runs reads the training runs below a folder while they go on. It never
// leaves the folder: not by an id, and not by a symbolic link in it.
type Runs struct{ Root string }

// What a reader takes from one folder, so that a hostile one costs little.
const (
	runDepth    = 3       // folders between the root and a run
	maxFolders  = 10_000  // looked at in all
	maxState    = 1 << 20 // bytes of state.json
	maxLine     = 1 << 20 // bytes of a record
	maxRecords  = 10_000  // of one answer
	maxRead     = 1 << 26 // bytes of a metrics file read for one answer
	metricsTail = 1 << 16 // bytes looked at for the newest record
)

// List finds the runs, the newest record first. A root that is not there holds
// none.
func (r Runs) List() ([]RunInfo, error) {
	root, err := os.OpenRoot(r.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: look for runs: %w", err)
	}
	defer root.Close()
	ids, err := findRuns(root)
	if err != nil {
		return nil, fmt.Errorf("train: look for runs in %s: %w", r.Root, err)
	}
	var out []RunInfo
	for _, id := range ids {
		out = append(out, readRun(root, id))
	}
	slices.SortStableFunc(out, func(a, b RunInfo) int { return b.Updated.Compare(a.Updated) })
	return out, nil
}

// findRuns walks the folders, those in a run left out.
func findRuns(root *os.Root) (ids []string, err error) {
	folders := 0
	err = fs.WalkDir(root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && at == ".":
			return err
		case err != nil:
			return fs.SkipDir // a folder that is gone, or not ours to read
		case !d.IsDir():
			return nil
		case at != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		}
		if folders++; folders > maxFolders {
			return fmt.Errorf("more than %d folders: choose one that holds runs only", maxFolders)
		}
		if st, err := root.Stat(path.Join(at, StateFile)); at != "." && err == nil && st.Mode().IsRegular() {
			ids = append(ids, at)
			return fs.SkipDir
		}
		if strings.Count(at, "/") == runDepth-1 {
			return fs.SkipDir
		}
		return nil
	})
	return ids, err
}

// readRun looks at one run.
func readRun(root *os.Root, id string) RunInfo {
	r := RunInfo{ID: id, State: Stopped}
	s, err := readSmall(root, path.Join(id, StateFile))
	if err == nil {
		r.Kind, r.Step, r.Steps = s.Kind, s.Step, s.Plan.Steps
		if s.Done {
			r.State = Finished
		}
	}
	r.Damage = err
	if isRunning(root, id) {
		r.State = Running
	}
	for _, name := range []string{zoo.ConfigFile, StateFile} { // config.json is written once, when the run begins
		if st, err := root.Stat(path.Join(id, name)); err == nil && r.Started.IsZero() {
			r.Started, r.Updated = st.ModTime(), st.ModTime()
		}
	}
	last, at, err := newest(root, path.Join(id, MetricsFile))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.Damage = errors.Join(r.Damage, err)
		}
		return r
	}
	r.Step, r.Updated = max(r.Step, last.Step), at
	if last.Steps > 0 {
		r.Steps = last.Steps
	}
	return r
}

// isRunning reports whether a process has claimed the run's folder.
func isRunning(root *os.Root, id string) bool {
	d, err := root.Open(id)
	if err != nil {
		return false
	}
	defer d.Close()
	return locked(d)
}

// readSmall is ReadState for files that nobody vouches for.
func readSmall(root *os.Root, name string) (*State, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", name, err)
	}
	if len(data) > maxState {
		return nil, fmt.Errorf("train: %s: has more than %d bytes, want a run's state", name, maxState)
	}
	return parseState(data, name)
}

// openRegular opens a file, and no pipe, which would block.
func openRegular(root *os.Root, name string) (*os.File, error) {
	st, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("train: %s: is no regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return f, nil
}

// newest reads the last whole record of a metrics file, and when it was
// written. A line in the tail that is no record is passed over here: Records
// names it.
func newest(root *os.Root, name string) (last Record, at time.Time, err error) {
	f, err := openRegular(root, name)
	if err != nil {
		return last, at, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return last, at, fmt.Errorf("train: %w", err)
	}
	from := max(0, st.Size()-metricsTail)
	tail := make([]byte, st.Size()-from)
	n, err := f.ReadAt(tail, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return last, at, fmt.Errorf("train: %w", err)
	}
	tail = tail[:n]
	for line := range bytes.Lines(tail[:bytes.LastIndexByte(tail, '\n')+1]) {
		var rec Record
		if json.Unmarshal(line, &rec) == nil {
			last.Step = max(last.Step, rec.Step)
			if rec.Steps > 0 { // the plan may grow and shrink
				last.Steps = rec.Steps
			}
		}
	}
	return last, st.ModTime(), nil
}

// Records returns a run's metrics from a place in the file on: 0, or the Next of
// an earlier answer; only what is new is read. A last line without its end is
// still being written and is left out. Of a run with more than points steps
// about as many are picked (see picker); 0 takes them all. One answer has at most
// 10,000 records, of at most 64 MiB of the file; More says that there are others.
// Records in front of a damaged line come alone; asking from that line on is an
// error that names it. An id that List does not show fails with ErrNoRun.
func (r Runs) Records(id string, from int64, points int) (Records, error) {
	if from < 0 || points < 0 {
		return Records{}, fmt.Errorf("train: records of %s: from %d, points %d: want neither negative", id, from, points)
	}
	root, err := os.OpenRoot(r.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return Records{}, fmt.Errorf("train: %q: %w", id, ErrNoRun)
	}
	if err != nil {
		return Records{}, fmt.Errorf("train: look for runs: %w", err)
	}
	defer root.Close()
	if !isRun(root, id) {
		return Records{}, fmt.Errorf("train: %q: %w", id, ErrNoRun)
	}
	// The state first: a run that ends in between is asked once more.
	out := Records{State: readRun(root, id).State, Lines: []json.RawMessage{}}
	name := path.Join(id, MetricsFile)
	f, err := openRegular(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return Records{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Records{}, fmt.Errorf("train: %w", err)
	}
	return out, out.read(f, st.Size(), name, from, points)
}

// isRun says whether List shows an id: a path of real folders, not too deep, of
// which the last alone holds a run.
func isRun(root *os.Root, id string) bool {
	if !fs.ValidPath(id) || id == "." || strings.Count(id, "/") >= runDepth {
		return false
	}
	at := ""
	for _, part := range strings.Split(id, "/") {
		if strings.HasPrefix(part, ".") || at != "" && hasState(root, at) {
			return false
		}
		at = path.Join(at, part)
		if st, err := root.Lstat(at); err != nil || !st.IsDir() {
			return false
		}
	}
	return hasState(root, id)
}

// hasState says whether a folder holds a run.
func hasState(root *os.Root, id string) bool {
	st, err := root.Stat(path.Join(id, StateFile))
	return err == nil && st.Mode().IsRegular()
}

// read appends whole lines of a metrics file of a size, from a place on. A place
// that no line begins at is of another file than this one: Next is then 0, which
// tells the reader to begin again.
func (r *Records) read(f io.ReaderAt, size int64, name string, from int64, points int) error {
	if before := [1]byte{'\n'}; from > 0 {
		if _, err := f.ReadAt(before[:], from-1); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("train: %w", err)
		}
		if from > size || before[0] != '\n' {
			return nil
		}
	}
	rest := min(size-from, maxRead)
	in := bufio.NewReaderSize(io.NewSectionReader(f, from, rest), int(min(rest+1, maxLine)))
	p := newPicker(f, size, points)
	for r.Next = from; len(r.Lines) < maxRecords; {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var rec Record
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			err = fmt.Errorf("has more than %d bytes, want a record", maxLine)
		case err == nil:
			rec, err = parseRecord(line)
		}
		if err != nil && r.Next > from { // what is in front of the damage comes alone
			break
		}
		if err != nil {
			return fmt.Errorf("train: %s: line %d: %w", name, lineAt(f, r.Next), err)
		}
		r.Next += int64(len(line))
		r.Lines = append(r.Lines, p.take(rec, line)...)
	}
	r.Lines = append(r.Lines, p.flush()...)
	r.More = r.Next-from >= maxRead-maxLine || len(r.Lines) >= maxRecords
	return nil
}

// lineAt is the number of the line that begins at a place, counted from 1.
func lineAt(f io.ReaderAt, at int64) int {
	in := bufio.NewReader(io.NewSectionReader(f, 0, at))
	for n := 1; ; n++ {
		if _, err := in.ReadSlice('\n'); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return n
		} else if err != nil {
			n--
		}
	}
}

// parseRecord wants one JSON object that is a Record.
func parseRecord(line []byte) (rec Record, err error) {
	if err := json.Unmarshal(line, &rec); err != nil {
		return rec, err
	}
	if rec.Kind == "" {
		return rec, errors.New(`has no "kind", want a record of a training run`)
	}
	return rec, nil
}
