package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weft/chat"
	"weft/internal/mapfile"
)

// byteTok encodes words byte by byte; markers come behind the bytes.
type byteTok struct{ markers []string }

func (t byteTok) Err() error { return nil }

// tardyTok is a tokenizer whose pattern gave up on a text.
type tardyTok struct{ byteTok }

var errTardy = errors.New("the pattern gave up")

func (tardyTok) Err() error { return errTardy }

func (t byteTok) Encode(text string) []int32 {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

func (t byteTok) Special(name string) (int32, bool) {
	i := slices.Index(t.markers, name)
	return int32(256 + i), i >= 0
}

func (t byteTok) decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id < 256 {
			b.WriteByte(byte(id))
		} else {
			b.WriteString(t.markers[id-256])
		}
	}
	return b.String()
}

// learned returns the text under the mask, turns divided by "|".
func (t byteTok) learned(r Rendered) string {
	var b strings.Builder
	for i, id := range r.IDs {
		if r.Mask[i] {
			b.WriteString(t.decode([]int32{id}))
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "|") {
			b.WriteByte('|')
		}
	}
	return strings.TrimSuffix(b.String(), "|")
}

func tokFor(t *Template) byteTok { return byteTok{t.Specials()} }

func named(t testing.TB, name string) *Template {
	t.Helper()
	tmpl, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// golden is the output of testdata/golden.py.
type golden struct {
	Jinja map[string]string
	Known []string
	Tools []chat.Tool
	Cases []struct {
		Template, Name, Text, Error string
		Messages                    []chat.Message
		Prompt, Tools               bool
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRenderEqualsJinja(t *testing.T) {
	g := readGolden(t)
	for _, name := range Names() {
		if g.Jinja[name] != named(t, name).Jinja() {
			t.Errorf("golden.json was made from another %s.jinja: run testdata/golden.py", name)
		}
	}
	if len(g.Cases) < 40 {
		t.Fatalf("only %d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		t.Run(fmt.Sprintf("%s/%s/%v/%v", c.Template, c.Name, c.Prompt, c.Tools), func(t *testing.T) {
			tmpl := named(t, c.Template)
			o := Options{GenerationPrompt: c.Prompt}
			if c.Tools {
				o.Tools = g.Tools
			}
			got, err := tmpl.RenderWith(tokFor(tmpl), c.Messages, o)
			if (err != nil) != (c.Error != "") {
				t.Fatalf("error %v, Jinja's %q", err, c.Error)
			}
			if diff := cmp.Diff(c.Text, got.Text); diff != "" {
				t.Error(diff)
			}
			if back := tokFor(tmpl).decode(got.IDs); back != got.Text {
				t.Errorf("ids decode to %q, text %q", back, got.Text)
			}
			if text, _ := tmpl.Text(c.Messages, o); text != got.Text {
				t.Errorf("Text gives %q, Render %q", text, got.Text)
			}
		})
	}
}

func TestMaskIsTheAnswersAndTheirEnds(t *testing.T) {
	msgs := []chat.Message{
		{Role: chat.System, Content: "s"}, {Role: chat.User, Content: "u"}, {Role: chat.Assistant, Content: "first"},
		{Role: chat.ToolResult, Content: "t"}, {Role: chat.Assistant, Content: "second"},
	}
	calls := []chat.Message{
		{Role: chat.User, Content: "u"}, {Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "a", Arguments: "{}"}}},
		{Role: chat.ToolResult, Content: "t"}, {Role: chat.Assistant, Content: "both", ToolCalls: []chat.ToolCall{{Name: "b", Arguments: "{}"}}},
	}
	for _, c := range []struct {
		name, want string
		msgs       []chat.Message
	}{
		{"weft", "first<|end|>|second<|end|>", msgs},
		{"chatml", "first<|im_end|>|second<|im_end|>", msgs},
		{"weft", `<|call|>{"name": "a", "arguments": {}}<|end|>|both<|call|>{"name": "b", "arguments": {}}<|end|>`, calls},
	} {
		tmpl := named(t, c.name)
		r, err := tmpl.RenderWith(tokFor(tmpl), c.msgs, Options{GenerationPrompt: true, Tools: toolsFor(tmpl)})
		if err != nil {
			t.Fatal(err)
		}
		if got := tokFor(tmpl).learned(r); got != c.want {
			t.Errorf("%s: learned %q, want %q", c.name, got, c.want)
		}
	}
}

func TestContinueLeavesTheAnswerOpen(t *testing.T) {
	msgs := []chat.Message{{Role: chat.User, Content: "u"}, {Role: chat.Assistant, Content: "The answer is"}}
	for name, want := range map[string]string{
		"weft":   "<|bos|><|user|>u<|end|><|assistant|>The answer is",
		"chatml": "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\nThe answer is",
	} {
		tmpl := named(t, name)
		r, err := tmpl.RenderWith(tokFor(tmpl), msgs, Options{Continue: true})
		if err != nil || r.Text != want {
			t.Errorf("%s: got %q, %v, want %q", name, r.Text, err, want)
		}
	}
	tmpl := named(t, "weft")
	_, err := tmpl.RenderWith(tokFor(tmpl), msgs[:1], Options{Continue: true})
	wantError(t, err, "of the user")
	_, err = tmpl.RenderWith(tokFor(tmpl), msgs, Options{Continue: true, GenerationPrompt: true})
	wantError(t, err, "choose one")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	tmpl := named(t, "weft")
	_, err := tmpl.Render(tokFor(tmpl), nil, true)
	if !errors.Is(err, ErrNoMessages) {
		t.Errorf("got %v, want ErrNoMessages", err)
	}
	_, err = tmpl.Render(tokFor(tmpl), []chat.Message{{Role: chat.User}, {Role: "developer"}}, true)
	if !errors.Is(err, ErrRole) {
		t.Errorf("got %v, want ErrRole", err)
	}
	wantError(t, err, "message 1", "developer", "assistant")
	_, err = tmpl.Render(byteTok{[]string{"<|bos|>"}}, []chat.Message{{Role: chat.User}}, true)
	if !errors.Is(err, ErrMarker) {
		t.Errorf("got %v, want ErrMarker", err)
	}
	wantError(t, err, "<|user|>", "--template weft")
	late := tardyTok{tokFor(tmpl)}
	if _, err := tmpl.Render(late, []chat.Message{{Role: chat.User}}, true); !errors.Is(err, errTardy) {
		t.Errorf("a pattern that gave up: %v", err)
	}
	if err := tmpl.Check(byteTok{}); !errors.Is(err, ErrMarker) {
		t.Errorf("got %v, want ErrMarker", err)
	}
	if err := tmpl.Check(tokFor(tmpl)); err != nil {
		t.Error(err)
	}
	_, err = Named("llama9")
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	wantError(t, err, "llama9", "weft, chatml")
}

// drawMessages draws conversations whose words are full of markers.
func drawMessages(t *rapid.T, tmpl *Template) []chat.Message {
	words := rapid.OneOf(rapid.String(), rapid.SampledFrom(append(tmpl.Specials(), "<|", "user", "\n")))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chat.Message {
		m := chat.Message{
			Role:    rapid.SampledFrom([]chat.Role{chat.System, chat.User, chat.Assistant, chat.ToolResult}).Draw(t, "role"),
			Content: strings.Join(rapid.SliceOfN(words, 0, 5).Draw(t, "words"), ""),
		}
		if m.Role == chat.Assistant && toolsFor(tmpl) != nil {
			for _, word := range rapid.SliceOfN(words, 0, 2).Draw(t, "calls") {
				m.ToolCalls = append(m.ToolCalls, chat.ToolCall{Name: "n" + word, Arguments: `{"a":` + quote(word) + `}`})
			}
		}
		return m
	}), 1, 6).Draw(t, "messages")
}

// toolsFor is a tool whose words are markers; none for a template without a
// form for tools.
func toolsFor(tmpl *Template) []chat.Tool {
	if tmpl.call == "" {
		return nil
	}
	return []chat.Tool{{Name: "price", Description: strings.Join(tmpl.Specials(), " ")}}
}

// callsText is what the calls of a message add to its learned text.
func callsText(m chat.Message) string {
	var s string
	for _, c := range m.ToolCalls {
		text, err := callText(c)
		if err != nil {
			panic(err)
		}
		s += "<|call|>" + text
	}
	return s
}

func TestOnlyTheTemplateWritesMarkers(t *testing.T) {
	for _, name := range Names() {
		tmpl := named(t, name)
		tok := tokFor(tmpl)
		rapid.Check(t, func(t *rapid.T) {
			msgs := drawMessages(t, tmpl)
			prompt := rapid.Bool().Draw(t, "prompt")
			o := Options{GenerationPrompt: prompt, Tools: toolsFor(tmpl)}
			got, err := tmpl.RenderWith(tok, msgs, o)
			if err != nil {
				t.Fatal(err)
			}
			empty := slices.Clone(msgs)
			for i := range empty {
				empty[i].Content = ""
				empty[i].ToolCalls = slices.Clone(empty[i].ToolCalls)
				for j := range empty[i].ToolCalls {
					empty[i].ToolCalls[j] = chat.ToolCall{Name: "n", Arguments: "{}"}
				}
			}
			bare, err := tmpl.RenderWith(tok, empty, o)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(markers(got.IDs), markers(bare.IDs)) {
				t.Fatalf("words changed the markers: %v, without words %v", markers(got.IDs), markers(bare.IDs))
			}
			if bos, ok := tok.Special(tmpl.BOS()); ok && strings.Count(fmt.Sprint(markers(got.IDs)), fmt.Sprint(bos)) != 1 {
				t.Fatalf("markers %v, want one %d", markers(got.IDs), bos)
			}
			if len(got.Mask) != len(got.IDs) || tok.decode(got.IDs) != got.Text {
				t.Fatalf("%d ids, mask of %d, %q for %q", len(got.IDs), len(got.Mask), tok.decode(got.IDs), got.Text)
			}
			learned := 0
			for _, m := range msgs {
				if m.Role == chat.Assistant {
					learned += len(m.Content) + 1 + len(callsText(m)) - len(m.ToolCalls)*(len("<|call|>")-1)
				}
			}
			if n := strings.Count(fmt.Sprint(got.Mask), "true"); n != learned {
				t.Fatalf("%d tokens learned, want %d", n, learned)
			}
		})
	}
}

func markers(ids []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return id < 256 })
}

// What was rendered for an answer is a prefix of what is rendered after it: the
// cache of a conversation stays good, and training sees what serving sees.
func TestPromptIsAPrefixOfTheAnswered(t *testing.T) {
	for _, name := range Names() {
		tmpl := named(t, name)
		rapid.Check(t, func(t *rapid.T) {
			msgs := drawMessages(t, tmpl)
			prompt, err := tmpl.Render(tokFor(tmpl), msgs, true)
			if err != nil {
				t.Fatal(err)
			}
			answered, err := tmpl.Render(tokFor(tmpl), append(msgs, chat.Message{Role: chat.Assistant, Content: "yes"}), false)
			if err != nil {
				t.Fatal(err)
			}
			if len(answered.IDs) < len(prompt.IDs) || !slices.Equal(answered.IDs[:len(prompt.IDs)], prompt.IDs) {
				t.Fatalf("%q does not begin with %q", answered.Text, prompt.Text)
			}
		})
	}
}

func TestStop(t *testing.T) {
	for name, want := range map[string][]int32{"weft": {257}, "chatml": {258, 256}} {
		tmpl := named(t, name)
		if got := tmpl.Stop(tokFor(tmpl)); !slices.Equal(got, want) {
			t.Errorf("%s: stop %v, want %v", name, got, want)
		}
	}
	if got := named(t, "chatml").Stop(byteTok{}); got != nil {
		t.Errorf("stop %v of a tokenizer without markers", got)
	}
}

// Hashes stand in checkpoints: a change of a template must be meant.
func TestHashIsPinned(t *testing.T) {
	for name, want := range map[string]string{"weft": "067c1a8c1f96b225", "chatml": "fdc38afed7b01a8d"} {
		if got := named(t, name).Hash(); got[:16] != want {
			t.Errorf("%s: hash %.16s, want %s", name, got, want)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	for _, name := range Names() {
		dir := t.TempDir()
		path := filepath.Join(dir, configFile)
		if err := os.WriteFile(path, []byte(`{"model_max_length": 100000000000000000019, "bos_token": "<s>"}`), 0o644); err != nil {
			t.Fatal(err)
		}
		tmpl := named(t, name)
		if err := tmpl.Save(dir); err != nil {
			t.Fatal(err)
		}
		got, err := LoadFS(mapfile.Dir(dir))
		if err != nil || got.Name() != name || got.Hash() != tmpl.Hash() {
			t.Fatalf("loaded %v, %v", got, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := json.Unmarshal(data, &config); err != nil {
			t.Fatal(err)
		}
		var bos any
		if tmpl.BOS() != "" {
			bos = tmpl.BOS()
		}
		if config["chat_template"] != tmpl.Jinja() || config["eos_token"] != tmpl.End() || config["bos_token"] != bos {
			t.Errorf("config %v", config)
		}
		if !strings.Contains(string(data), "100000000000000000019") {
			t.Errorf("a number of another program changed: %s", data)
		}
	}
}

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func TestLoadKnowsTemplatesByTheirText(t *testing.T) {
	known := readGolden(t).Known
	if got := slices.Sorted(slices.Values(plainChatML[:])); !slices.Equal(got, slices.Sorted(slices.Values(known))) {
		t.Errorf("golden.json was checked with other known texts: %q", known)
	}
	chatml, weft := quote(known[0]), quote(named(t, "weft").Jinja()+"\n")
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":      {nil, ""},
		"no template":  {map[string]string{configFile: `{"eos_token": "x", "chat_template": null}`}, ""},
		"known text":   {map[string]string{configFile: `{"chat_template": ` + chatml + `}`}, "chatml"},
		"own text":     {map[string]string{configFile: `{"chat_template": ` + weft + `}`}, "weft"},
		"several":      {map[string]string{configFile: `{"chat_template": [{"name": "tool_use", "template": "?"}, {"name": "default", "template": ` + chatml + `}]}`}, OfModel},
		"file":         {map[string]string{configFile: `{}`, jinjaFile: named(t, "weft").Jinja()}, "weft"},
		"before tools": {map[string]string{configFile: `{"weft_template": "weft", "chat_template": ` + quote(plainWeft) + `}`}, "weft"},
		"only file":    {map[string]string{jinjaFile: known[1]}, "chatml"},
		"name alone":   {map[string]string{configFile: `{"weft_template": "weft"}`}, "weft"},
		"name, known":  {map[string]string{configFile: `{"weft_template": "chatml", "chat_template": ` + chatml + `}`}, "chatml"},
		"empty string": {map[string]string{configFile: `{"chat_template": ""}`}, ""},
	} {
		got, err := LoadFS(mapfile.Dir(folder(t, c.files)))
		if err != nil || (got == nil) != (c.want == "") || got != nil && got.Name() != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		parts  []string
	}{
		"broken text":  {`{"chat_template": "\n{% if messages %}"}`, []string{configFile, "line"}},
		"unknown name": {`{"weft_template": "alpaca"}`, []string{"alpaca", "weft, chatml"}},
		"conflict":     {`{"weft_template": "weft", "chat_template": "x"}`, []string{"weft", "another"}},
		"no JSON":      {`{`, []string{configFile}},
		"wrong kind":   {`{"chat_template": 7}`, []string{"neither"}},
		"no default":   {`{"chat_template": [{"name": "rag", "template": "x"}]}`, []string{"default"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadFS(mapfile.Dir(folder(t, map[string]string{configFile: c.config})))
			wantError(t, err, c.parts...)
		})
	}
	dir := folder(t, map[string]string{configFile: "["})
	wantError(t, named(t, "weft").Save(dir), configFile)
	if data, _ := os.ReadFile(filepath.Join(dir, configFile)); string(data) != "[" {
		t.Errorf("a broken config was overwritten: %q", data)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"chat_template": [{"name": "default", "template": "x"}], "weft_template": "weft"}`))
	f.Add([]byte(`{"chat_template": null}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, configFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := LoadFS(mapfile.Dir(dir))
		if err != nil && got != nil {
			t.Fatalf("both %v and %v", got, err)
		}
	})
}
