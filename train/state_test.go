package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	type settings struct {
		LR    float64 `json:"lr"`
		Steps int     `json:"steps"`
		Kind  string  `json:"kind"`
		Tied  bool    `json:"tied"`
		Seed  uint64  `json:"seed"`
	}
	run := settings{LR: 1e-3, Steps: 100, Kind: "cosine", Seed: 1<<60 + 1}
	recorded, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked settings
		want  string
	}{
		{settings{}, ""},
		{run, ""},
		{settings{LR: 2e-3}, "lr: the run has 0.001, asked for 0.002"},
		{settings{Steps: 100, Kind: "wsd", Tied: true}, "kind: the run has cosine, asked for wsd; tied: the run has false, asked for true"},
		{settings{Seed: 1<<60 + 2}, "seed: the run has 1152921504606846977, asked for 1152921504606846978"},
	} {
		got, err := Changes(json.RawMessage(recorded), c.asked)
		if err != nil || strings.Join(got, "; ") != c.want {
			t.Errorf("%+v: got %q, %v; want %q", c.asked, got, err, c.want)
		}
	}
}

func TestStateOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, StateFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{`{"version":99}`: "version is 99", `{"step":`: "state.json", `[]`: "state.json"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want an error that says %q", text, err, says)
		}
	}
}

// Whatever a checkpoint's manifest says, a folder
// with nothing else in it is an error.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"step":1,"files":{"a.bin":{"size":3,"sha256":"x"}}}`))
	f.Add([]byte(`{"files":{"../../etc/passwd":{}}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, manifestFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if verify(dir) == nil {
			t.Errorf("a folder without files passed for %q", data)
		}
	})
}
