package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runFolder writes what a run shows: its state, and its metrics as given.
func runFolder(t testing.TB, root, id string, s State, metrics string) string {
	t.Helper()
	s.Version = stateVersion
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, filepath.FromSlash(id))
	for name, data := range map[string]string{"config.json": "{}", StateFile: string(text), MetricsFile: metrics} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const threeSteps = `{"kind":"eval","step":0,"loss":6,"bpb":4,"seconds":0}
{"kind":"plan","step":1,"steps":40,"seconds":1}
{"kind":"step","step":1,"loss":5,"seconds":1}
{"kind":"step","step":2,"loss":4,"se`

func TestRunsList(t *testing.T) {
	root := t.TempDir()
	runFolder(t, root, "base", State{Kind: "pretrain", Step: 1, Done: true}, threeSteps)
	live := runFolder(t, root, "deep/er/chat", State{Kind: "sft"}, "")
	old := runFolder(t, root, "old", State{Kind: "sft", Step: 7}, threeSteps)
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(old, MetricsFile), past, past); err != nil {
		t.Fatal(err)
	}
	runFolder(t, root, "much/too/deep/run", State{Kind: "sft"}, "")
	runFolder(t, root, ".hidden", State{Kind: "sft"}, "")
	_, release, err := Claim(live)
	if err != nil {
		t.Fatal(err)
	}
	got := list(t, root)
	if len(got) != 3 {
		t.Fatalf("got %d runs, want base, deep/er/chat and old: %+v", len(got), got)
	}
	if r := got["base"]; r.Kind != "pretrain" || r.State != Finished || r.Step != 1 || r.Steps != 40 || r.Damage != nil || r.Started.IsZero() || r.Updated.IsZero() {
		t.Errorf("base: got %+v, want a finished run at step 1 of 40 (half a line does not count)", r)
	}
	if r := got["deep/er/chat"]; r.Kind != "sft" || r.State != Running {
		t.Errorf("deep/er/chat: got %+v, want a running one", r)
	}
	if r := got["old"]; r.State != Stopped || r.Step != 7 {
		t.Errorf("old: got %+v, want one stopped at the step of its checkpoint", r)
	}
	all, _ := Runs{root}.List()
	if all[2].ID != "old" {
		t.Errorf("got %s last, want the one with the oldest record", all[2].ID)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if r := list(t, root)["deep/er/chat"]; r.State != Stopped {
		t.Errorf("after its process let go: got %s, want stopped", r.State)
	}
	if none, err := (Runs{filepath.Join(root, "none")}).List(); err != nil || len(none) > 0 {
		t.Errorf("a folder that is not there: got %v, %v, want no runs", none, err)
	}
}

func list(t *testing.T, root string) map[string]RunInfo {
	t.Helper()
	runs, err := Runs{root}.List()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]RunInfo{}
	for _, r := range runs {
		m[r.ID] = r
	}
	return m
}

// TestLookingDoesNotDisturb checks that whoever asks whether a run is going on
// never keeps it from beginning, nor is taken for a run.
func TestLookingDoesNotDisturb(t *testing.T) {
	root := t.TempDir()
	dir := runFolder(t, root, "run", State{Kind: "sft"}, "")
	a, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if locked(a) { // keeps its share of the lock until it closes
		t.Fatal("nobody trains here")
	}
	if s := list(t, root)["run"].State; s != Stopped {
		t.Errorf("somebody else looks: got %s, want stopped", s)
	}
	time.AfterFunc(claimWait, func() { a.Close() })
	_, release, err := Claim(dir)
	if err != nil {
		t.Fatalf("claim while somebody looks: %v", err)
	}
	release()
}

func TestRunsRecords(t *testing.T) {
	root := t.TempDir()
	dir := runFolder(t, root, "a/run", State{Kind: "sft", Done: true}, threeSteps)
	first := int64(strings.Index(threeSteps, "\n") + 1)
	end := int64(strings.LastIndex(threeSteps, "\n") + 1)
	for _, test := range []struct {
		from  int64
		lines int
		next  int64
	}{{0, 3, end}, {first, 2, end}, {end, 0, end}, {end + 500, 0, 0}, {first + 1, 0, 0}} {
		got, err := Runs{root}.Records("a/run", test.from, 0)
		if err != nil || len(got.Lines) != test.lines || got.Next != test.next || got.State != Finished || got.More {
			t.Errorf("from %d: got %d lines, next %d, %s, more %t, %v, want %d lines, next %d, finished, no more", test.from, len(got.Lines), got.Next, got.State, got.More, err, test.lines, test.next)
		}
	}
	// The half line is there once it is whole.
	f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, `conds":2}`)
	f.Close()
	got, err := Runs{root}.Records("a/run", end, 0)
	if err != nil || len(got.Lines) != 1 || string(got.Lines[0]) != `{"kind":"step","step":2,"loss":4,"seconds":2}` {
		t.Errorf("got %s, %v, want the fourth record as it was written", got.Lines, err)
	}
	runFolder(t, root, "a/run/inside", State{Kind: "sft"}, threeSteps)
	runFolder(t, root, ".hidden", State{Kind: "sft"}, threeSteps)
	runFolder(t, root, "much/too/deep/run", State{Kind: "sft"}, threeSteps)
	for _, id := range []string{"", ".", "..", "a", "a/run/", "a/../a/run", "../" + filepath.Base(root) + "/a/run", root + "/a/run", "a/run/train", `a\run`, "a/run\x00",
		"a/run/inside", ".hidden", "much/too/deep/run"} {
		if _, err := (Runs{root}).Records(id, 0, 0); !errors.Is(err, ErrNoRun) {
			t.Errorf("id %q: got %v, want ErrNoRun", id, err)
		}
	}
	if _, err := (Runs{root}).Records("a/run", -1, 0); err == nil {
		t.Error("from -1: got no error")
	}
}

// TestRecordsOfALongRun: a run of many steps is thinned to about as many as are
// asked for, and every spike, every other record and the newest step stay; what
// comes in between two looks is read alone.
func TestRecordsOfALongRun(t *testing.T) {
	root := t.TempDir()
	var text strings.Builder
	line := func(step int) {
		loss := 3 + 1/float64(step)
		if step%7777 == 0 {
			loss = 50 // a spike
		}
		fmt.Fprintf(&text, `{"kind":"step","step":%d,"loss":%g,"lr":0.001,"seconds":1}`+"\n", step, loss)
		if step%5000 == 0 {
			fmt.Fprintf(&text, `{"kind":"eval","step":%d,"loss":2,"bpb":1,"seconds":1}`+"\n", step)
		}
	}
	const steps = 40_000
	for step := 1; step <= steps; step++ {
		line(step)
	}
	dir := runFolder(t, root, "long", State{Kind: "pretrain"}, text.String())
	all, evals, spikes := 0, 0, 0
	var last Record
	from := int64(0)
	for more := true; more; {
		got, err := Runs{root}.Records("long", from, 600)
		if err != nil || got.Next <= from {
			t.Fatalf("from %d: next %d, %v", from, got.Next, err)
		}
		from, more = got.Next, got.More
		for _, l := range got.Lines {
			rec, err := parseRecord(l)
			if err != nil {
				t.Fatal(err)
			}
			switch all++; {
			case rec.Kind == "eval":
				evals++
			case rec.Loss == 50:
				spikes++
			}
			last = rec
		}
	}
	if all < 300 || all > 800 || evals != steps/5000 || spikes != steps/7777 || last.Kind == "step" && last.Step != steps || from != int64(text.Len()) {
		t.Errorf("got %d records, %d evals, %d spikes, the last of step %d, next %d of %d", all, evals, spikes, last.Step, from, text.Len())
	}
	text.Reset()
	for step := steps + 1; step <= steps+3; step++ {
		line(step)
	}
	f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, text.String())
	f.Close()
	got, err := Runs{root}.Records("long", from, 600)
	if n := len(got.Lines); err != nil || n == 0 || n > 3 || !strings.Contains(string(got.Lines[n-1]), fmt.Sprintf(`"step":%d,`, steps+3)) {
		t.Errorf("three steps later: got %s, %v, want them, the newest last", got.Lines, err)
	}
	if whole, err := (Runs{root}).Records("long", 0, 0); err != nil || len(whole.Lines) < maxRecords || !whole.More {
		t.Errorf("not thinned: %d records, more %t, %v, want a part and more", len(whole.Lines), whole.More, err)
	}
}

// TestHostileRuns reads folders that somebody wrote by hand.
func TestHostileRuns(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	good := threeSteps[:strings.LastIndex(threeSteps, "\n")+1]
	for id, metrics := range map[string]string{
		"words": good + "not json\n", "array": good + "[1]\n", "other": good + `{"a":1}` + "\n", "huge": good + strings.Repeat("x", maxLine+1) + "\n",
		"type": good + `{"kind":"step","step":"many"}` + "\n",
	} {
		runFolder(t, root, id, State{Kind: "sft"}, metrics)
		first, err := Runs{root}.Records(id, 0, 0)
		if err != nil || len(first.Lines) != 3 || first.Next != int64(len(good)) {
			t.Errorf("%s: got %d records, next %d, %v, want the 3 in front of the damage", id, len(first.Lines), first.Next, err)
		}
		if _, err := (Runs{root}).Records(id, int64(len(good)), 0); err == nil || !strings.Contains(err.Error(), id+"/train/metrics.jsonl: line 4: ") {
			t.Errorf("%s: got %v, want the file and the line", id, err)
		}
	}
	damaged := runFolder(t, root, "state", State{Kind: "sft"}, good)
	if err := os.WriteFile(filepath.Join(damaged, StateFile), []byte(`{"version":99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := list(t, root)["state"]; r.Damage == nil || !strings.Contains(r.Damage.Error(), "version is 99") {
		t.Errorf("a state of another version: got %+v, want it said", r)
	}
	// Links must not lead out of the root.
	runFolder(t, outside, "run", State{Kind: "sft"}, good)
	linked := runFolder(t, root, "linked", State{Kind: "sft"}, "")
	link(t, filepath.Join(outside, "run"), filepath.Join(root, "away"))
	os.Remove(filepath.Join(linked, MetricsFile))
	link(t, filepath.Join(outside, "run", MetricsFile), filepath.Join(linked, MetricsFile))
	if _, err := (Runs{root}).Records("away", 0, 0); !errors.Is(err, ErrNoRun) {
		t.Errorf("a folder linked from outside: got %v, want ErrNoRun", err)
	}
	if got, err := (Runs{root}).Records("linked", 0, 0); err == nil {
		t.Errorf("metrics linked from outside: got %d records, want an error", len(got.Lines))
	}
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Symlink(from, to); err != nil {
		t.Fatal(err)
	}
}

// FuzzRecords reads any bytes as metrics: what is passed on is always whole
// records, asking again from Next gets no line twice, and thinning invents none.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(threeSteps), int64(1), 0)
	f.Add([]byte("\n{}\n"), int64(0), 3)
	f.Add([]byte(strings.Repeat(`{"kind":"step","step":1,"loss":2}`+"\n", 50)), int64(0), 4)
	f.Fuzz(func(t *testing.T, data []byte, from int64, points int) {
		from, points = max(0, from), max(0, points%1000)
		read := func(from int64, points int) (Records, error) {
			var r Records
			err := r.read(strings.NewReader(string(data)), int64(len(data)), "metrics", from, points)
			return r, err
		}
		r, err := read(from, points)
		if r.Next > int64(len(data)) || err == nil && r.Next != 0 && (r.Next < from || data[r.Next-1] != '\n') {
			t.Errorf("from %d of %d bytes: next is %d", from, len(data), r.Next)
		}
		for _, line := range r.Lines {
			if _, err := parseRecord(line); err != nil || !strings.Contains(string(data), string(line)) {
				t.Errorf("passed on %q: %v", line, err)
			}
		}
		if whole, _ := read(from, 0); len(whole.Lines) < len(r.Lines) || whole.Next != r.Next && len(whole.Lines) < maxRecords {
			t.Errorf("thinned to %d records up to %d, of %d up to %d", len(r.Lines), r.Next, len(whole.Lines), whole.Next)
		}
	})
}
