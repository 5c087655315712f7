package zoo_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"weft/compute/op"
	"weft/internal/mapfile"
	"weft/model/nn"
	"weft/model/zoo"
)

// resident is how much of a mapped file counts as this process's memory, in
// bytes.
func resident(t *testing.T, path string) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("the system does not say what is in memory: %v", err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 0 && strings.Contains(f[0], "-"): // a mapping begins
			inside = f[len(f)-1] == path
		case inside && len(f) > 1 && f[0] == "Rss:":
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			n += kib << 10
		}
	}
	return n
}

// TestLoadOnce: matrices that were laid out for the kernel do not stay in memory
// as the file has them as well; a table that is only looked up stays in the file.
func TestLoadOnce(t *testing.T) {
	cfg := wide()
	cfg.IntermediateSize = 4096
	dir, m := whole(t, cfg)
	g, _ := export(t, m, mapfile.Dir(dir), "q8_0")
	got, err := zoo.LoadServing(g)
	if err != nil {
		t.Fatal(err)
	}
	if n := resident(t, g.Path()); n > int(g.Bytes())/8 {
		t.Errorf("%d of %d bytes of the file are in memory beside the weights", n, g.Bytes())
	}
	for _, p := range nn.Params(got) {
		_, inFile := p.AtRest.(*op.Rows)
		if table := p.GGUF == "token_embd.weight"; p.Decay && (inFile != table || p.Value.Data != nil) {
			t.Errorf("%s: in the file %t, %d values in memory; want the table alone in the file", p.GGUF, inFile, len(p.Value.Data))
		}
	}
}
