package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveInTest runs a command that serves, until the test ends, and returns what it
// printed with --json.
func serveInTest(t *testing.T, browser func(string) error, args ...string) (address, *strings.Builder) {
	t.Helper()
	from, to := io.Pipe()
	errs := new(strings.Builder)
	e := &env{in: strings.NewReader(""), out: to, err: errs, browser: browser}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- e.main(ctx, append(args, "--json"))
		to.Close()
	}()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if c := <-code; c != 0 {
			t.Errorf("weft %s ended with %d: %s", strings.Join(args, " "), c, errs)
		}
	})
	line, err := bufio.NewReader(from).ReadString('\n')
	if err != nil {
		t.Fatalf("weft %s printed nothing: %v", strings.Join(args, " "), err)
	}
	go io.Copy(io.Discard, from)
	var a address
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return a, errs
}

// get reads JSON from the server.
func get(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", url, resp.StatusCode, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

// TestUp serves a folder on the page's endpoints, with a run that goes on.
func TestUp(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "small")
	if err := tinyModel(name, "weft"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(name, cardFile), []byte("# small\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("a small town by the sea has a market. ", 200)), 0o644); err != nil {
		t.Fatal(err)
	}
	weft(t, "train", text, "--out", filepath.Join(dir, "runs", "deep", "base"), "--depth", "1", "--dim", "32", "--heads", "2", "--vocab", "300",
		"--seq", "32", "--batch-tokens", "64", "--steps", "3", "--json")
	opened := make(chan string, 1)
	at, _ := serveInTest(t, func(url string) error { opened <- url; return nil },
		"up", "--model", name, "--addr", "127.0.0.1:0", "--runs", filepath.Join(dir, "runs"), "--open")
	if at.BaseURL != at.URL+"/v1" || at.NeedKey || len(at.Models) != 1 || at.Models[0] != "small" {
		t.Errorf("got %+v", at)
	}
	if url := <-opened; url != at.URL {
		t.Errorf("the browser was sent to %s, want %s", url, at.URL)
	}
	var models struct {
		Models []struct {
			ID, Family, Template, Card string
			Parameters, Bytes          int64
			Vocab, Context             int
			Stats                      struct {
				Total int `json:"pages_total"`
			}
		}
	}
	get(t, at.URL+"/api/models", &models)
	if m := models.Models[0]; m.ID != "small" || m.Family != "llama" || m.Template != "weft" || m.Card != "# small\n" ||
		m.Parameters == 0 || m.Bytes < 4*m.Parameters || m.Bytes > 5*m.Parameters || m.Vocab != 300 || m.Context != 256 || m.Stats.Total == 0 {
		t.Errorf("got %+v", m)
	}
	var runs struct {
		Runs []struct {
			ID, Kind, State string
			Step, Steps     int
			Started         time.Time
		}
	}
	get(t, at.URL+"/api/runs", &runs)
	if len(runs.Runs) != 1 || runs.Runs[0].ID != "deep/base" || runs.Runs[0].State != "finished" || runs.Runs[0].Step != 3 || runs.Runs[0].Steps != 3 || runs.Runs[0].Started.IsZero() {
		t.Errorf("got runs %+v", runs)
	}
	var records struct {
		Records []struct{ Kind string }
		Next    int
		More    bool
		State   string
	}
	get(t, at.URL+"/api/runs/deep/base", &records)
	if len(records.Records) < 3 || records.Next == 0 || records.More || records.State != "finished" {
		t.Errorf("got records %+v", records)
	}
	get(t, at.URL+fmt.Sprintf("/api/runs/deep/base?from=%d&points=10", records.Next), &records)
	if len(records.Records) != 0 || records.Next == 0 {
		t.Errorf("from the end: got records %+v, want none", records)
	}
}

// TestUpServesTheEmbeddedModel: without any argument but a free port, with what
// the page shows of it.
func TestUpServesTheEmbeddedModel(t *testing.T) {
	at, _ := serveInTest(t, nil, "up", "--addr", "127.0.0.1:0")
	var models struct {
		Models []struct {
			ID, Card, Template string
			Tiny               bool
			Examples           []string
		}
	}
	get(t, at.URL+"/api/models", &models)
	m := models.Models[0]
	if len(models.Models) != 1 || m.ID != "tiny" || !m.Tiny || m.Template != "weft" || !strings.Contains(m.Card, "weft-tiny") || len(m.Examples) < 5 {
		t.Errorf("got %+v", models.Models)
	}
	body := strings.NewReader(`{"messages":[{"role":"user","content":"` + m.Examples[0] + `"}],"max_tokens":8}`)
	resp, err := http.Post(at.BaseURL+"/chat/completions", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"completion_tokens":`) {
		t.Errorf("an example question: got %d %s", resp.StatusCode, text)
	}
}

// TestEnormousPaste sends more text than any context takes: the answer names
// both counts, whether the tokens are too many or the bytes.
func TestEnormousPaste(t *testing.T) {
	name := filepath.Join(t.TempDir(), "small")
	if err := tinyModel(name, "weft"); err != nil {
		t.Fatal(err)
	}
	at, _ := serveInTest(t, nil, "serve", name, "--addr", "127.0.0.1:0")
	for _, test := range []struct {
		bytes, status int
		want          []string
	}{
		{3 << 20, 400, []string{"context_length_exceeded", "maximum context length is 256 tokens", " in the prompt", "nothing is cut"}},
		{17 << 20, 413, []string{"request_too_large", "limit of this server is 16777216 bytes", "the body has 178258"}},
	} {
		paste := strings.Repeat("bread and fish, ", test.bytes/16)
		resp, err := http.Post(at.BaseURL+"/chat/completions", "application/json", strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"`+paste+`"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		for _, want := range test.want {
			if resp.StatusCode != test.status || !strings.Contains(string(body), want) {
				t.Errorf("%d bytes: got %d %.300s, want %d and %q", test.bytes, resp.StatusCode, body, test.status, want)
			}
		}
	}
}

// TestBusyPort: a port nobody chose gives way to the next one, a chosen one
// does not.
func TestBusyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	errs := new(strings.Builder)
	e := &env{err: errs}
	s := serving{addr: ln.Addr().String()}
	if _, err := s.open(e); err == nil || !strings.Contains(err.Error(), "the port is in use") {
		t.Errorf("a chosen port: got %v", err)
	}
	s.nextPort = true
	other, err := s.open(e)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !strings.Contains(errs.String(), other.Addr().String()) || !strings.Contains(errs.String(), "is in use") {
		t.Errorf("on %s: it said %q, want both addresses", other.Addr(), errs)
	}
}

func TestPageURL(t *testing.T) {
	for addr, want := range map[string]string{"0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80", "[::1]:80": "http://[::1]:80", "10.0.0.1:1": "http://10.0.0.1:1"} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := pageURL(tcp); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}
