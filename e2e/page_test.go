package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weft/internal/testkit"
	"weft/server"
	"weft/text/corpus/world"
	"weft/web"
)

// TestPage walks through the page in Chromium: against a scripted model, whose
// answers the test can foresee, and against the built program while it trains
// beside it. The walk fails on any error of the page and on any request off
// its origin. WEFT_PAGE_SHOTS names a folder to keep the screenshots in.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser: not in short mode")
	}
	root := testkit.Root(t)
	chromium := browser(t, root)
	shots := os.Getenv("WEFT_PAGE_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	walk := func(t *testing.T, script string, env ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", script)
		cmd.Dir = filepath.Join(root, "e2e", "page")
		cmd.Env = append(append(os.Environ(), "WEFT_CHROMIUM="+chromium, "WEFT_PAGE_SHOTS="+shots), env...)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
	}
	t.Run("scripted", func(t *testing.T) {
		url := serveScripted(t)
		walk(t, "modules.mjs", "WEFT_URL="+url)
		walk(t, "scripted.mjs", "WEFT_URL="+url)
	})
	t.Run("live", func(t *testing.T) {
		s := serve(t, root)
		trainBeside(t, s)
		walk(t, "live.mjs", "WEFT_URL="+s.url, "WEFT_KEY="+s.key)
		if t.Failed() {
			t.Logf("the server said:\n%s", s.log.String())
		}
	})
}

// TestPageOffersTheToolsOfTheWorld holds the page's copy of the tools against
// those that the embedded models were taught.
func TestPageOffersTheToolsOfTheWorld(t *testing.T) {
	want, err := json.Marshal(world.Tools())
	if err != nil {
		t.Fatal(err)
	}
	data, err := web.FS.ReadFile("tools.json")
	if err != nil {
		t.Fatal(err)
	}
	var got, canon bytes.Buffer
	if err := json.Compact(&got, data); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&canon, want); err != nil {
		t.Fatal(err)
	}
	if got.String() != canon.String() {
		t.Errorf("web/tools.json has\n%s\nwant\n%s", got.String(), canon.String())
	}
}

// browser finds Chromium and the client that drives it.
func browser(t *testing.T, root string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "e2e/page/node_modules/playwright-core")); err != nil {
		lacking(t, "the browser's client is not installed (cd e2e/page && npm ci)")
	}
	for _, name := range []string{os.Getenv("WEFT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	lacking(t, "no Chromium in PATH (apt-get install chromium, or name one in WEFT_CHROMIUM)")
	return ""
}

// serveScripted serves the page over the scripted model.
func serveScripted(t *testing.T) string {
	t.Helper()
	said := &script{}
	stats := func() server.Stats {
		return server.Stats{Running: int(said.running.Load()), PagesFree: 60, PagesUsed: 4, PagesTotal: 64}
	}
	h, err := server.New(server.Options{Page: web.FS, Models: []server.Model{
		{ID: "scripted", Model: said, Context: scriptContext, Stats: stats, About: server.About{
			Family: "script", Parameters: 4_200_000, Bytes: 4_300_000, Vocab: 2048, Template: "weft", Tiny: true,
			Card: "# Scripted\n\nIt says what the test wants, on\none line.", Examples: []string{"Who sells bread?", "When does the mill open?"}}},
		{ID: "base", Model: &script{base: true}, Context: scriptContext, About: server.About{Family: "script"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(hangUp(h))
	t.Cleanup(s.Close)
	return s.URL
}

// hangUp closes the connection of a client that asks for it, in the middle of
// the answer.
func hangUp(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body := new(bytes.Buffer)
			body.ReadFrom(r.Body)
			if bytes.Contains(body.Bytes(), []byte("hang up")) {
				w = &cutter{ResponseWriter: w, left: 60_000}
			}
			r.Body = readCloser{body}
		}
		next.ServeHTTP(w, r)
	})
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// cutter passes so many bytes on and then hangs up, when the browser has had time
// to read them: a stream that fails forgets what nobody has read of it.
type cutter struct {
	http.ResponseWriter
	left int
}

// Unwrap lets http.ResponseController reach the connection.
func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		time.Sleep(2 * time.Second)
		conn, _, err := http.NewResponseController(c.ResponseWriter).Hijack()
		if err == nil {
			conn.Close()
		}
		return 0, http.ErrHandlerTimeout
	}
	return c.ResponseWriter.Write(b)
}

// trainBeside trains a little model until the test ends, into the folder that
// the server looks for runs in. It yields to the server and the browser.
func trainBeside(t *testing.T, s *served) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs/LOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "text.txt"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nice", "-n", "19", s.bin, "train", "text.txt", "--out", "runs/live", "--vocab", "256", "--template", "none", "--depth", "1", "--dim", "32",
		"--heads", "2", "--seq", "32", "--batch-tokens", "1024", "--steps", "200000", "--eval-tokens", "512", "--threads", "1")
	var log lockedBuffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait() // interrupted: it says so
		if t.Failed() {
			t.Logf("weft train said:\n%s", log.String())
		}
	})
}
