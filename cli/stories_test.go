package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/testkit"
)

// TestRunTellsTheGoldenStory brings a real trained model in and continues the
// empty text greedily. The golden file was written piece by piece: its line
// feeds read <0x0A>, and it keeps the space that begins the first word, which
// llama2.c and weft leave out.
func TestRunTellsTheGoldenStory(t *testing.T) {
	golden, err := os.ReadFile(testkit.Data(t, "models/stories260k/greedy_golden.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(strings.ReplaceAll(string(golden), "<0x0A>", "\n"), " ")
	dir := filepath.Join(t.TempDir(), "stories")
	weft(t, "import", testkit.Data(t, "models/stories260k/stories260K.bin"), dir,
		"--tokenizer", testkit.Data(t, "models/stories260k/tok512.bin"))
	got := weft(t, "run", dir, "", "--temperature", "0", "--max-tokens", "200")
	if strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// weft runs one command and returns its standard output.
func weft(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	e := &env{in: strings.NewReader(""), out: &out, err: &errs}
	if code := e.main(context.Background(), args); code != 0 {
		t.Fatalf("weft %s: exit %d: %s", strings.Join(args, " "), code, &errs)
	}
	return out.String()
}
