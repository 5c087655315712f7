package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// On resume the records behind the checkpoint's step go, and half a line too.
func TestMetricsAreCutAtResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train", "metrics.jsonl")
	m, err := openMetrics(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 10; step++ {
		if err := m.write(Record{Kind: "step", Step: step, Loss: float64(step)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	half, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.WriteString(`{"kind":"st`); err != nil {
		t.Fatal(err)
	}
	half.Close()

	var seen []int
	m, err = openMetrics(path, 7, func(r Record) { seen = append(seen, r.Step) })
	if err != nil {
		t.Fatal(err)
	}
	if err := m.write(Record{Kind: "step", Step: 8, Loss: 8}); err != nil {
		t.Fatal(err)
	}
	m.close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 8 || !strings.Contains(lines[7], `"step":8`) || len(seen) != 7 {
		t.Errorf("after resuming at 7 and one step: %d lines, last %q, %d seen; want 8, step 8, 7", len(lines), lines[len(lines)-1], len(seen))
	}
}

func FuzzScanMetrics(f *testing.F) {
	f.Add(`{"kind":"step","step":1}`+"\n", 3)
	f.Add("{\"step\":1}\n{\"step\":9}\n{\"st", 3)
	f.Fuzz(func(t *testing.T, text string, step int) {
		good, err := scanMetrics(strings.NewReader(text), step, func(r Record) {
			if r.Step > step {
				t.Errorf("a record of step %d was kept at step %d", r.Step, step)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if kept := text[:good]; kept != "" && !strings.HasSuffix(kept, "\n") {
			t.Errorf("kept half a line: %q", kept)
		}
	})
}

func TestLosses(t *testing.T) {
	dir := runFolder(t, t.TempDir(), "run", State{Kind: "sft"}, threeSteps+"\n")
	got, err := Losses(dir)
	if err != nil || len(got) != 1 || got[0] != 5 {
		t.Errorf("got %v, %v, want the loss of the one whole step", got, err)
	}
	if _, err := Losses(t.TempDir()); err == nil {
		t.Error("a folder without metrics: got no error")
	}
}
