package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weft/chat"
	"weft/internal/testkit"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/corpus/world"
	"weft/text/tokenizer"
	"weft/train/tune"
)

// TestOfficialClients builds the program, serves a model that knows one
// conversation, and lets the official OpenAI clients walk through the API.
func TestOfficialClients(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and starts it: not in short mode")
	}
	root := testkit.Root(t)
	clients := []struct {
		name, missing, hint string
		command             []string
	}{
		{"js", filepath.Join(root, "e2e/js/node_modules/openai"), "cd e2e/js && npm ci", []string{"node", "client.mjs"}},
		{"python", filepath.Join(root, "e2e/python/.venv/bin/python"),
			"python3 -m venv e2e/python/.venv && e2e/python/.venv/bin/pip install -r e2e/python/requirements.txt",
			[]string{filepath.Join(root, "e2e/python/.venv/bin/python"), "client.py"}},
	}
	var s *served
	for _, c := range clients {
		if _, err := os.Stat(c.missing); err == nil && s == nil {
			s = serve(t, root)
		}
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(c.missing); err != nil {
				lacking(t, "the client is not installed (%s)", c.hint)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
			cmd.Dir = filepath.Join(root, "e2e", c.name)
			cmd.Env = append(os.Environ(), "OPENAI_BASE_URL="+s.url+"/v1", "OPENAI_API_KEY="+s.key, "WEFT_MODEL="+s.model, "NO_PROXY=127.0.0.1")
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("%v; the server said:\n%s", err, s.log.String())
			}
		})
	}
}

// lacking skips a test for want of a program that it drives, and fails in CI,
// which installs them all.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// served is a running program, in a folder of its own.
type served struct {
	dir, bin        string
	url, key, model string
	log             lockedBuffer
}

// serve builds the program, writes a model folder and starts it until the
// test ends; then the program must stop by itself when asked to. Its folder of
// runs is "runs".
func serve(t *testing.T, root string) *served {
	t.Helper()
	dir := t.TempDir()
	bin, folder := filepath.Join(dir, "weft"), filepath.Join(dir, "tiny")
	build := exec.Command("go", "build", "-o", bin, "./cmd/weft")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	writeModel(t, folder)

	s := &served{dir: dir, bin: bin, key: "key-of-the-test", model: "tiny"}
	cmd := exec.Command(bin, "serve", folder, "--addr", "127.0.0.1:0", "--api-key", s.key, "--runs", "runs", "--memory", "1GB", "--idle-unload", "10m")
	cmd.Dir, cmd.Stderr = dir, &s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("weft serve did not stop cleanly: %v\n%s", err, s.log.String())
		}
	})
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url = address.FindString(lines.Text())
	}
	if s.url == "" {
		t.Fatalf("weft serve printed no address:\n%s", s.log.String())
	}
	go io.Copy(io.Discard, out)
	return s
}

// writeModel makes a model folder: a tokenizer trained on a little text, and
// weights that were tuned on one conversation until they know it by heart. It
// calls the tool that the clients offer.
func writeModel(t *testing.T, dir string) {
	t.Helper()
	base := t.TempDir()
	tmpl := weftTemplate(t)
	text := func(yield func(string, error) bool) {
		yield(world.New(1).Text(20_000)+strings.Repeat(`price(item: string): Looks up what an item costs. {"name": "price", "arguments": {"item": "bread"}} `, 9), nil)
	}
	tok, err := tokenizer.Train(t.Context(), text, tokenizer.TrainOptions{VocabSize: 400, Special: tmpl.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"tokenizer": tok.Save(filepath.Join(base, "tokenizer.json")),
		"model":     zoo.Save(base, tinyLlama(tok.VocabSize()), nil),
	} {
		if err != nil {
			t.Fatalf("save %s: %v", what, err)
		}
	}
	one := func(yield func(corpus.Chat, error) bool) { yield(priceOfBread(), nil) }
	o := tune.SFTOptions{Base: base, Out: dir, Chats: one}
	o.Steps, o.Schedule.Peak = 150, 2e-2
	res, err := tune.SFT(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("tuned to a loss of %.4f in %v", res.Loss, res.Elapsed)
}

// priceOfBread is a conversation with a tool call.
func priceOfBread() corpus.Chat {
	return corpus.Chat{
		Tools: []chat.Tool{{Name: "price", Description: "Looks up what an item costs.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}`)}},
		Messages: []chat.Message{
			{Role: chat.User, Content: "What does bread cost?"},
			{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "1", Name: "price", Arguments: `{"item": "bread"}`}}},
			{Role: chat.ToolResult, Content: "3 coins", ToolCallID: "1"},
			{Role: chat.Assistant, Content: "Bread costs 3 coins."},
		},
	}
}

// lockedBuffer is written by the program's output and read by a failing test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
