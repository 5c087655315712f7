package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this test binary as `weft`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": func() { os.Exit(Main(os.Args[1:])) }})
}

// TestScripts runs testdata/script/*.txtar: every subcommand has at least one
// happy and one error script. $MODEL is a tiny random chat model, $BASE the
// same without a chat template, $ADAPTER changes the first.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	base, chatModel := filepath.Join(dir, "base"), filepath.Join(dir, "chat")
	if err := tinyModel(base, ""); err != nil {
		t.Fatal(err)
	}
	if err := tinyModel(chatModel, "weft"); err != nil {
		t.Fatal(err)
	}
	adapter := filepath.Join(dir, "adapter")
	if err := tinyAdapter(adapter, chatModel); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for key, val := range map[string]string{"MODEL": chatModel, "BASE": base, "ADAPTER": adapter, "HOME": e.WorkDir} {
				e.Setenv(key, val)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"holdport": holdPort, "holdhub": holdHub, "empty": empty},
	})
}

// empty fails unless the folder that it is given is there and holds nothing.
func empty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: empty FOLDER")
	}
	files, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, f := range files {
		ts.Fatalf("%s holds %s, want nothing", args[0], f.Name())
	}
}
