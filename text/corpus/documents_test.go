package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/chat"
	"weft/internal/testkit"
)

// files writes a folder.
func files(t testing.TB, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

// collect reads to the end or the first error; sources lose the folder.
func collect(docs iter.Seq2[Doc, error], dir string) (all []Doc, err error) {
	for d, err := range docs {
		if err != nil {
			return all, err
		}
		d.Source = strings.TrimPrefix(d.Source, dir+string(filepath.Separator))
		all = append(all, d)
	}
	return all, nil
}

func TestDocumentsOfAFolder(t *testing.T) {
	dir := files(t, map[string]string{
		"b.txt":        "\ufeffone text\r\n",
		"a/two.md":     "\nfirst\n<|endoftext|>\nsecond <|endo\n<|endoftext|><|endoftext|>\n",
		"c.jsonl":      "{\"text\":\"uno\",\"id\":1}\n\n{\"text\":\"\"}\n{\"text\":\"d\\u00fcs\"}",
		"d.txt.gz":     zipped("small"),
		"e.jsonl.gz":   zipped("{\"text\":\"lines\"}\n"),
		"f.TXT":        "bad \xff\xfe bytes",
		"empty.txt":    " \n",
		"picture.png":  "not text",
		".hidden.txt":  "no",
		".git/log.txt": "no",
	})
	got, err := collect(Documents(dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Doc{
		{"first", "a/two.md#1"}, {"second <|endo", "a/two.md#2"},
		{"one text\r\n", "b.txt"},
		{"uno", "c.jsonl:1"}, {"düs", "c.jsonl:4"},
		{"small", "d.txt.gz"}, {"lines", "e.jsonl.gz:1"},
		{"bad \xff\xfe bytes", "f.TXT"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range Documents(dir) { // stopping early is allowed
		break
	}
}

func TestDocumentsErrors(t *testing.T) {
	dir := files(t, map[string]string{
		"lines.jsonl":     "{\"text\":\"a\"}\n{\"title\":\"b\",\"body\":\"c\"}\n",
		"broken.jsonl":    "{\"text\":\"a\"}\n\n{\"text\":\n",
		"bytes.jsonl":     "{\"text\":\"\xff\"}\n",
		"picture.png":     "x",
		"empty.txt":       "\n\n",
		"cut.txt.gz":      zipped(strings.Repeat("abcdef", 100))[:20],
		"nothing/x.csv":   "x",
		"notzip.jsonl.gz": "{}",
		"binary.txt":      "\x7fELF\x00\x01",
		"utf16.txt":       "\xff\xfeh\x00i\x00",
	})
	for name, parts := range map[string][]string{
		"lines.jsonl":     {"lines.jsonl:2", "\"text\"", "body, title"},
		"broken.jsonl":    {"broken.jsonl:3"},
		"bytes.jsonl":     {"bytes.jsonl:1", "UTF-8"},
		"picture.png":     {".txt, .md or .jsonl"},
		"empty.txt":       {ErrEmpty.Error()},
		"cut.txt.gz":      {"cut.txt.gz", "EOF"},
		"nothing":         {ErrEmpty.Error(), "nothing"},
		"notzip.jsonl.gz": {"notzip.jsonl.gz", "gzip"},
		"absent.txt":      {"absent.txt"},
		"binary.txt":      {"binary.txt: byte 4 is zero", "binary file"},
		"utf16.txt":       {"utf16.txt: byte 3 is zero", "UTF-16"},
	} {
		_, err := collect(Documents(filepath.Join(dir, name)), dir)
		wantError(t, err, append(parts, "corpus: ")...)
	}
	if _, err := collect(Documents(filepath.Join(dir, "absent.txt")), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want one that wraps fs.ErrNotExist", err)
	}
	_, err := collect(ParseText(" ", "here"), "")
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
}

func TestDocumentsOfRealFiles(t *testing.T) {
	shakespeare := Documents(testkit.Data(t, "text/tinyshakespeare.txt"))
	got, err := collect(shakespeare, "")
	if err != nil || len(got) != 1 || len(got[0].Text) != 1115394 {
		t.Fatalf("%d documents, %v; want one of 1115394 bytes", len(got), err)
	}
	s, err := PlanSplit(shakespeare, 0)
	if err != nil {
		t.Fatal(err)
	}
	train, err := collect(s.Train(shakespeare), "")
	if err != nil || len(train[0].Text) != 1003854 { // nanoGPT's count
		t.Fatalf("%d bytes to train on, %v; want 1003854", len(train[0].Text), err)
	}
	stories, err := collect(Documents(testkit.Data(t, "text/tinystories_10k.txt")), "")
	if err != nil || len(stories) < 1700 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
}

func TestChats(t *testing.T) {
	dir := files(t, map[string]string{
		"good.jsonl":  `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"id":3}` + "\n" + `{"prompt":"a","completion":"b"}`,
		"none.jsonl":  "{\"text\":\"a\"}",
		"role.jsonl":  `{"messages":[{"role":"bot","content":"hi"}]}`,
		"last.jsonl":  `{"messages":[{"role":"user","content":"hi"}]}`,
		"field.jsonl": `{"messages":[{"role":"assistant","content":"x","audio":1}]}`,
		"call.jsonl":  `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"["}}]}]}`,
		"asks.jsonl":  `{"messages":[{"role":"user","content":"x","tool_calls":[{"function":{"name":"f"}}]}]}`,
		"id.jsonl":    `{"messages":[{"role":"tool","content":"x","tool_call_id":"c9"}]}`,
		"who.jsonl":   `{"messages":[{"role":"user","content":"x","tool_call_id":"c9"}]}`,
		"tools.jsonl": "\n" + `{"messages":[{"role":"assistant","content":"x"}],"tools":[{}]}`,
		"odd.jsonl":   `{"messages":[{"role":"assistant","content":"x"}],"tools":[{"name":"a b"}]}`,
		"two.jsonl":   `{"prompt":"a","completion":"b"}{}`,
		"zero.jsonl":  `{"messages":[]}`,
		"empty.jsonl": "\n",
		"a.txt":       "x",
	})
	var n []int
	for c, err := range Chats(filepath.Join(dir, "good.jsonl")) {
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, len(c.Messages))
	}
	if !cmp.Equal(n, []int{2, 2}) {
		t.Errorf("messages %v, want 2 and 2", n)
	}
	for name, part := range map[string]string{
		"none.jsonl": "none.jsonl:1: no \"messages\"", "role.jsonl": "unknown role \"bot\"", "last.jsonl": "answer of the assistant",
		"zero.jsonl": "is empty", "field.jsonl": "audio", "call.jsonl": "call.jsonl:1: tool call f: its arguments",
		"asks.jsonl": "\"tool_calls\" of the user", "id.jsonl": "\"c9\", which nobody made", "who.jsonl": "\"tool_call_id\" of the user",
		"tools.jsonl": "tools.jsonl:2: tool: it has no name", "odd.jsonl": "odd.jsonl:1: a tool is named \"a b\"", "two.jsonl": "two.jsonl:1", "empty.jsonl": ErrEmpty.Error(), "a.txt": ".jsonl",
	} {
		var last error
		for _, err := range Chats(filepath.Join(dir, name)) {
			last = err
		}
		wantError(t, last, part)
	}
}

func TestChatsWithTools(t *testing.T) {
	const tool = `{"name":"price","description":"Looks up a price.","parameters":{"type":"object","properties":{"item":{"type":"string"}}}}`
	const line = `{"tools":[{"type":"function","function":` + tool + `}],"messages":[{"role":"user","content":"?"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"price","arguments":"{\"item\":\"bread\"}"}}]},
		{"role":"tool","content":"3","tool_call_id":"c1"},
		{"role":"assistant","content":"3 coins","tool_calls":[{"function":{"name":"price","arguments":{"item": "milk"}}}]}]}`
	got, err := parseChat([]byte(line), "a:1")
	want := Chat{Source: "a:1", Tools: []chat.Tool{{Name: "price", Description: "Looks up a price.", Parameters: json.RawMessage(`{"type":"object","properties":{"item":{"type":"string"}}}`)}},
		Messages: []chat.Message{
			{Role: chat.User, Content: "?"},
			{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "c1", Name: "price", Arguments: `{"item":"bread"}`}}},
			{Role: chat.ToolResult, Content: "3", ToolCallID: "c1"},
			{Role: chat.Assistant, Content: "3 coins", ToolCalls: []chat.ToolCall{{Name: "price", Arguments: `{"item": "milk"}`}}},
		}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	again, err := json.Marshal(map[string]any{"tools": got.Tools, "messages": got.Messages})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := parseChat(again, "a:1"); err != nil || !cmp.Equal(back, got) {
		t.Errorf("written and read again: %+v, %v", back, err)
	}
}

func FuzzChats(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}`))
	f.Add([]byte(`{"prompt":"a","completion":"b"}`))
	f.Add([]byte(`[{"messages":null}]`))
	f.Add([]byte(`{"tools":[{"name":"f","parameters":{"properties":{}}}],"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":{}}}]}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := parseChat(line, "here:1")
		if err == nil && len(c.Messages) == 0 {
			t.Fatal("a conversation without messages passed")
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte("a<|endoftext|>b"), false)
	f.Add([]byte("{\"text\":\"a\"}\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, lines bool) {
		read := readText
		if lines {
			read = readLines
		}
		total := 0
		err := read(bytes.NewReader(data), "here", func(d Doc) bool {
			if strings.TrimSpace(d.Text) == "" {
				t.Fatal("an empty document passed")
			}
			if !lines && strings.Contains(d.Text, Separator) {
				t.Fatal("a separator is left in a document")
			}
			total += len(d.Text)
			return true
		})
		if !lines && (err != nil || total > len(data)) {
			t.Fatalf("%d bytes of %d, %v", total, len(data), err)
		}
	})
}
