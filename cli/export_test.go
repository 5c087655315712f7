package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/testkit"
)

// TestGoldenStoryThroughGGUF sends the trained model of stories through every
// layout, and it tells the same story each time: as a folder, as a GGUF, as the
// folder made of that, and from a GGUF of 8 bits as from a folder of 8 bits.
func TestGoldenStoryThroughGGUF(t *testing.T) {
	golden, err := os.ReadFile(testkit.Data(t, "models/stories260k/greedy_golden.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimRight(strings.TrimPrefix(strings.ReplaceAll(string(golden), "<0x0A>", "\n"), " "), "\n")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	weft(t, "import", testkit.Data(t, "models/stories260k/stories260K.bin"), at("folder"),
		"--tokenizer", testkit.Data(t, "models/stories260k/tok512.bin"))
	if out := weft(t, "export", at("folder"), "--gguf", at("m.gguf"), "--type", "f32"); strings.Contains(out, "note") {
		t.Errorf("export says %s", out)
	}
	weft(t, "import", at("m.gguf"), at("back"))
	for _, model := range []string{"m.gguf", "back"} {
		if got := strings.TrimRight(weft(t, "run", at(model), "", "--temperature", "0", "--max-tokens", "200"), "\n"); got != want {
			t.Errorf("%s: got  %q\nwant %q", model, got, want)
		}
	}
}

// TestTinyThroughGGUF holds the embedded model against its GGUF: the same logits
// to the last digit, the same answer, and the same scores of a text.
func TestTinyThroughGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if out := weft(t, "export", "tiny", "--gguf", path); strings.Contains(out, "note") {
		t.Errorf("export says %s", out)
	}
	for _, args := range [][]string{
		{"logits", "--ids", "2040,17,300,2043"},
		{"run", "--chat", "--temperature", "0", "--max-tokens", "40", "Who are you?"},
		{"run", "--temperature", "0", "--max-tokens", "40", "The market"},
	} {
		if a, b := weft(t, append([]string{args[0], "tiny"}, args[1:]...)...), weft(t, append([]string{args[0], path}, args[1:]...)...); a != b {
			t.Errorf("%q: the embedded model says %q, its GGUF %q", args, a, b)
		}
	}
}
