package weft_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors lists the rooms from the ground up, one floor a line. A package may
// import only packages of lower floors, or, inside its own room, packages
// that stand to its left. Moving a room needs a sentence in
// docs/ARCHITECTURE.md.
const floors = `
internal: internal
vocabulary: chat obs
services: store bus
compute: compute/par compute/tensor compute/kernel compute/quant compute/op
text: text/tokenizer text/jinja text/template text/corpus
model: model/nn model model/llama model/weights model/lora model/zoo model/hub model/tiny
infer: infer/plan infer/kv infer/sample infer/engine
train: train/optim train train/pretrain train/tune train/ptq train/dist
llm: llm/local llm/remote llm/replay llm/registry
uses: prompt rag tool safety
judges: eval load agent
gateway: gateway
server: server
web: web
cli: cli
cmd: cmd/weft
`

// pipelines lists the floors whose rooms may import each other to the left:
// the rooms of other floors are neighbours that must not know each other.
const pipelines = " internal compute text model infer train llm "

// outside says which modules a floor may import beyond the standard library,
// by prefix; "x" stands for golang.org/x. Everything else is refused.
var outside = map[string][]string{
	"compute": {"golang.org/x/"},
	"text":    {"golang.org/x/", "github.com/dlclark/regexp2/v2", "google.golang.org/protobuf/encoding/protowire"},
	"model":   {"golang.org/x/"},
	"infer":   {"golang.org/x/"},
	"train":   {"golang.org/x/", "gonum.org/v1/plot"},
	"judges":  {"gonum.org/v1/plot"},
	"server":  {"github.com/prometheus/client_golang/"},
	"cli": {
		"github.com/spf13/", "go.yaml.in/yaml/v3", "github.com/vbauerster/mpb/v8",
		"github.com/lmittmann/tint", "golang.org/x/",
	},
}

type place struct {
	floor       string
	level, slot int
}

func places(t *testing.T) map[string]place {
	m := map[string]place{}
	for level, line := range strings.Split(strings.TrimSpace(floors), "\n") {
		name, rooms, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("floor %q has no rooms", line)
		}
		for slot, room := range strings.Fields(rooms) {
			m[room] = place{name, level, slot}
		}
	}
	return m
}

// room finds the listed room that a package path lies in, the longest first.
func room(m map[string]place, pkg string) (string, place, bool) {
	for p := pkg; p != "."; p = filepath.ToSlash(filepath.Dir(p)) {
		if at, ok := m[p]; ok {
			return p, at, true
		}
	}
	return "", place{}, false
}

// goFiles calls fn for every Go file of the main module.
func goFiles(t *testing.T, fn func(path string, file *ast.File, fset *token.FileSet)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		n++
		fn(filepath.ToSlash(path), file, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 10 {
		t.Fatalf("only %d Go files found: the test looks at the wrong folder", n)
	}
}

func TestImportsPointDown(t *testing.T) {
	m := places(t)
	goFiles(t, func(path string, file *ast.File, _ *token.FileSet) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		from, at, ok := room(m, pkg)
		if !ok {
			t.Errorf("%s: package %s is on no floor", path, pkg)
			return
		}
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			rest, ours := strings.CutPrefix(imp, "weft/")
			if !ours {
				checkOutside(t, path, at.floor, imp)
				continue
			}
			to, target, ok := room(m, rest)
			switch {
			case !ok:
				t.Errorf("%s: imports %s, which is on no floor", path, imp)
			case to == from:
			case target.level == at.level:
				if !strings.Contains(pipelines, " "+at.floor+" ") || target.slot > at.slot {
					t.Errorf("%s: %s must not import its neighbour %s", path, from, to)
				}
			case target.level > at.level:
				t.Errorf("%s: %s (%s) must not import %s (%s): imports point down", path, from, at.floor, to, target.floor)
			}
		}
	})
}

func checkOutside(t *testing.T, path, floor, imp string) {
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return // standard library
	}
	for _, prefix := range outside[floor] {
		if strings.HasPrefix(imp, prefix) {
			return
		}
	}
	t.Errorf("%s: floor %s must not import %s (see `outside` in imports_test.go)", path, floor, imp)
}
