package jinja_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/internal/testkit"
	"weft/text/jinja"
)

// outcome is what Python's jinja2 made of one conversation: the length and hash
// of what it rendered, and the hash of what stands in generation blocks; or the
// class of the error. "raised" is raise_exception, with the hash of its message.
type outcome struct {
	Bytes   int
	Hash    string
	Learned string
	Err     string
}

func (o *outcome) UnmarshalJSON(data []byte) error {
	var list []any
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if _, ok := list[0].(string); ok {
		return json.Unmarshal(data, &[]any{&o.Err, &o.Hash})
	}
	return json.Unmarshal(data, &[]any{&o.Bytes, &o.Hash, &o.Learned})
}

// TestParity renders every conversation with every published template. The
// outcomes are in testdata/templates, made by make.py there.
func TestParity(t *testing.T) {
	sources := readTemplates(t)
	conversations := readConversations(t)
	var want map[string]map[string]json.RawMessage
	if err := json.Unmarshal(read(t, "../../testdata/templates/expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 80 || len(conversations) < 30 {
		t.Fatalf("%d templates and %d conversations: expected.json is cut short", len(want), len(conversations))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Run(name, func(t *testing.T) {
			source, ok := sources[name]
			if !ok || string(want[name][""]) != `"`+sum(source)+`"` {
				t.Fatalf("the template is not the one that jinja2 saw (found: %v)", ok)
			}
			template, err := jinja.Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range slices.Sorted(maps.Keys(conversations)) {
				var w outcome
				if err := json.Unmarshal(want[name][c], &w); err != nil {
					t.Fatal(err)
				}
				checkRender(t, c, template, conversations[c], w)
			}
		})
	}
}

func checkRender(t *testing.T, name string, template *jinja.Template, vars map[string]any, want outcome) {
	t.Helper()
	now := func() time.Time { return time.Date(2024, 7, 6, 14, 5, 9, 0, time.UTC) }
	segments, err := template.Render(vars, jinja.Options{Now: now})
	var raised *jinja.RaisedError
	var failed *jinja.Error
	switch {
	case want.Err == "raised" && (!errors.As(err, &raised) || sum(raised.Msg) != want.Hash):
		t.Errorf("%s: got error %v, want the one that the template raises", name, err)
	case want.Err == "raised":
	case want.Err != "" && !errors.As(err, &failed):
		t.Errorf("%s: got error %v, want %s", name, err, want.Err)
	case want.Err == "SecurityError" && !errors.Is(err, jinja.ErrUnsafe):
		t.Errorf("%s: got error %v, want %v", name, err, jinja.ErrUnsafe)
	case want.Err == "RecursionError" && !errors.Is(err, jinja.ErrLimit):
		t.Errorf("%s: got error %v, want %v", name, err, jinja.ErrLimit)
	case want.Err != "":
	case err != nil:
		t.Errorf("%s: %v", name, err)
	default:
		text := jinja.Text(segments)
		got := outcome{Bytes: len(text), Hash: sum(text)}
		var learned strings.Builder
		for _, s := range segments {
			if s.Learn {
				learned.WriteString(s.Text)
			}
		}
		if want.Learned != "" {
			got.Learned = sum(learned.String())
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// sum is the beginning of the hash of a text.
func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:8])
}

// readConversations returns the variables of each conversation.
func readConversations(t *testing.T) map[string]map[string]any {
	t.Helper()
	all, err := jinja.ParseJSON(read(t, "../../testdata/templates/conversations.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for _, c := range all.(jinja.Dict) {
		vars := map[string]any{}
		for _, v := range c.Value.(jinja.Dict) {
			vars[v.Key] = v.Value
		}
		out[c.Key] = vars
	}
	return out
}

// readTemplates reads the published templates, or skips where they are not.
func readTemplates(t *testing.T) map[string]string {
	t.Helper()
	out := maps.Collect(testkit.Archive(t, "chat_templates/llama.cpp.tar.gz"))
	paths, err := filepath.Glob(filepath.Join(testkit.Data(t, "chat_templates"), "chujiezheng", "chat_templates", "*.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		out["chujiezheng/"+filepath.Base(path)] = string(read(t, path))
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
