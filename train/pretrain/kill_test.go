package pretrain

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/train"
)

// Kill the trainer at random moments: go test ./train/pretrain -run Kill -kills 10
var (
	kills    = flag.Int("kills", 2, "how many times TestKill kills the trainer")
	killSeed = flag.Uint64("killseed", uint64(time.Now().UnixNano()), "seed of the moments of TestKill")
)

// killEnv tells the test binary, run again, to train into a folder.
const killEnv = "WEFT_TEST_TRAIN"

func killOptions(data, out string) Options {
	o := small(data, out)
	o.Steps, o.SaveEvery, o.EvalEvery, o.Resume = 90, 3, 20, true
	return o
}

func TestMain(m *testing.M) {
	if job := os.Getenv(killEnv); job != "" {
		data, out, _ := strings.Cut(job, "\n")
		if _, err := Run(context.Background(), killOptions(data, out)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Killed at random moments with SIGKILL and resumed each time, a run ends with
// the bits of one that was left alone, and no step is twice in its metrics.
func TestKill(t *testing.T) {
	data := textFile(t, strings.Repeat(verse, 100))
	whole := filepath.Join(t.TempDir(), "whole")
	from := time.Now()
	if _, err := Run(context.Background(), killOptions(data, whole)); err != nil {
		t.Fatal(err)
	}
	span := time.Since(from)
	rng := rand.New(rand.NewPCG(*killSeed, 0))
	t.Logf("seed %d, the whole run takes %v", *killSeed, span)

	out, done := filepath.Join(t.TempDir(), "run"), 0
	for killed := 0; killed < *kills; {
		after := time.Duration(rng.Float64() * float64(span))
		if !trainAndKill(t, data, out, after) {
			// It was faster: look at it, and begin another run.
			sameRun(t, whole, out)
			out, done = filepath.Join(t.TempDir(), fmt.Sprint("run", killed)), 0
			continue
		}
		killed++
		step := -1
		if s, err := train.NewestState(out); err == nil {
			step = s.Step
		} else if done > 0 {
			t.Fatalf("after the kill no checkpoint loads: %v", err)
		}
		if step < done-1 {
			t.Errorf("kill %d lost steps: the newest checkpoint is of %d, before it was %d", killed, step, done)
		}
		done = max(step, 0)
		t.Logf("kill %d after %v: checkpoint of step %d", killed, after.Round(time.Millisecond), step)
	}
	if _, err := Run(context.Background(), killOptions(data, out)); err != nil {
		t.Fatal(err)
	}
	sameRun(t, whole, out)
}

// trainAndKill runs a trainer for a while; false if it was done before.
func trainAndKill(t *testing.T, data, out string, after time.Duration) bool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), killEnv+"="+data+"\n"+out)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("the trainer failed: %v", err)
		}
		return false
	case <-time.After(after):
	}
	_ = cmd.Process.Kill() // SIGKILL; it may have ended by now
	return (<-ended) != nil
}

// sameRun compares weights, held-out loss and metrics, times left out.
func sameRun(t *testing.T, a, b string) {
	t.Helper()
	read := func(dir, name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if string(read(a, "model.safetensors")) != string(read(b, "model.safetensors")) {
		t.Errorf("the final weights of %s differ from those of the whole run", b)
	}
	lines := func(dir string) string {
		var out strings.Builder
		for line := range strings.Lines(string(read(dir, train.MetricsFile))) {
			var r train.Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			r.Seconds, r.Speed, r.MFU = 0, 0, 0
			fmt.Fprintf(&out, "%+v\n", r)
		}
		return out.String()
	}
	if want, got := lines(a), lines(b); want != got {
		t.Errorf("the metrics of %s differ from those of the whole run:\n%s", b, firstDifference(want, got))
	}
}

// firstDifference shows the first line that two texts do not share.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d: got  %s\n         want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}
