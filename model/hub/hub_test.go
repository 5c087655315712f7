package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const tinyName = "hf:acme/tiny"

// get plans and fetches a name.
func get(c *Client, name string) (*Plan, error) {
	n, err := Parse(name)
	if err != nil {
		return nil, err
	}
	p, err := c.Plan(context.Background(), n)
	if err != nil {
		return nil, err
	}
	return p, c.Fetch(context.Background(), p)
}

// same checks that a fetched file has the registry's bytes.
func (r *registry) same(path, name string) {
	r.t.Helper()
	got, err := os.ReadFile(path)
	if want := r.files[name]; err != nil || !bytes.Equal(got, want) {
		r.t.Errorf("%s: %d bytes, %v, want the %d of the registry", name, len(got), err, len(want))
	}
}

// leftovers lists what only an unfinished download leaves.
func leftovers(t *testing.T, dir string) (found []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(e.Name(), ".weft-") {
			found = append(found, e.Name())
		}
		return nil
	})
	return found
}

func find(t *testing.T, name string, c Caches) (Found, error) {
	t.Helper()
	n, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return Find(n, c)
}

// The same bytes come by one range or several at once, and land where other
// tools look for them.
func TestFetch(t *testing.T) {
	for _, jobs := range []int{1, 4} {
		r := newRegistry(t)
		var last, total int64
		c, caches := r.client(func(o *Options) {
			o.Jobs = jobs
			o.Progress = func(d, n int64) { last, total = d, n }
		})
		if _, err := find(t, tinyName, caches); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "weft pull hf:acme/tiny") {
			t.Errorf("before: %v, want %v with what to type", err, ErrAbsent)
		}
		p, err := get(c, tinyName)
		if err != nil {
			t.Fatal(err)
		}
		want := filepath.Join(caches.HuggingFace, "models--acme--tiny", "snapshots", commit)
		if p.Path != want {
			t.Errorf("path is %s, want %s", p.Path, want)
		}
		for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
			r.same(filepath.Join(want, name), name)
		}
		if target, err := os.Readlink(filepath.Join(want, "model.safetensors")); err != nil || !strings.HasPrefix(filepath.ToSlash(target), "../../blobs/") {
			t.Errorf("the snapshot's file is %q, %v, want a link into blobs", target, err)
		}
		if _, err := os.Stat(filepath.Join(want, "pytorch_model.bin")); err == nil {
			t.Error("a pickle was fetched")
		}
		if f, err := find(t, tinyName, caches); err != nil || f.Path != want || f.Commit != commit {
			t.Errorf("found %+v, %v", f, err)
		}
		if all, missing := p.Bytes(); last != all || total != all || missing != 0 {
			t.Errorf("progress ended at %d of %d, want %d; %d are missing", last, total, all, missing)
		}
		if n := r.ranges.Load(); n < 15 {
			t.Errorf("%d ranges were asked for, want one per segment", n)
		}
		if found := leftovers(t, caches.HuggingFace); found != nil {
			t.Errorf("left over: %q", found)
		}
		r.sent.Store(0)
		if _, err := get(c, tinyName); err != nil || r.sent.Load() != 0 {
			t.Errorf("again: %v, %d bytes, want none", err, r.sent.Load())
		}
	}
}

// A download that is cut at 99 % goes on there.
func TestResumeAfterCut(t *testing.T) {
	r := newRegistry(t)
	c, caches := r.client(func(o *Options) { o.Tries, o.Jobs = 2, 1 }) // one by one, so that nothing else is cut off with it
	r.cutAt.Store(99_000)
	_, err := get(c, tinyName)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("error is %v, want a connection that ended early", err)
	}
	if _, err := find(t, tinyName, caches); !errors.Is(err, ErrAbsent) {
		t.Errorf("half a model is found: %v", err)
	}
	r.resumes(t, c, 1000)
}

// resumes gets the rest of a model from a registry that is whole again.
func (r *registry) resumes(t *testing.T, c *Client, want int64) {
	t.Helper()
	r.cutAt.Store(0)
	r.sent.Store(0)
	p, err := get(c, tinyName)
	if err != nil {
		t.Fatal(err)
	}
	r.same(filepath.Join(p.Path, "model.safetensors"), "model.safetensors")
	if n := r.sent.Load(); n != want {
		t.Errorf("%d bytes were sent again, want the %d that were missing", n, want)
	}
}

// TestChild is the process that TestKilled kills.
func TestChild(t *testing.T) {
	address := os.Getenv("WEFT_TEST_REGISTRY")
	if address == "" {
		return
	}
	cache := os.Getenv("WEFT_TEST_CACHE")
	c, err := New(Options{Endpoint: address, Segment: 30_000, Save: 5 * time.Millisecond, Caches: Caches{cache, []string{cache}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = get(c, tinyName)
	t.Fatalf("not killed: %v", err)
}

// What the journal notes survives kill -9, and the rest is fetched.
func TestKilled(t *testing.T) {
	r := newRegistry(t)
	r.hang = true
	r.cutAt.Store(50_000)
	c, caches := r.client()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "WEFT_TEST_REGISTRY="+r.http.URL, "WEFT_TEST_CACHE="+caches.HuggingFace)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var noted int64
	for deadline := time.Now().Add(time.Minute); noted < 50_000 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(caches.HuggingFace, "*", "blobs", "*"+journalEnd))
		for _, name := range names {
			var j journal
			if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &j) == nil {
				noted = j.total()
			}
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if noted < 50_000 {
		t.Fatalf("the journal notes %d bytes, want the 50000 that came", noted)
	}
	r.resumes(t, c, 50_000)
}

func TestWrongChecksum(t *testing.T) {
	r := newRegistry(t)
	c, caches := r.client()
	for _, name := range []string{"model.safetensors", "config.json"} { // sha256, and git's
		r.corrupt = name
		if _, err := get(c, tinyName); !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want %v of %s", err, ErrChecksum, name)
		}
		if found := leftovers(t, caches.HuggingFace); found != nil {
			t.Errorf("left over: %q", found)
		}
		if _, err := find(t, tinyName, caches); !errors.Is(err, ErrAbsent) {
			t.Errorf("half a model is found: %v", err)
		}
		c, caches = r.client()
	}
	r.corrupt = ""
	if _, err := get(c, tinyName); err != nil {
		t.Error(err)
	}
}

func TestNoRanges(t *testing.T) {
	r := newRegistry(t)
	r.noRange = true
	c, _ := r.client()
	p, err := get(c, tinyName)
	if err != nil {
		t.Fatal(err)
	}
	r.same(filepath.Join(p.Path, "model.safetensors"), "model.safetensors")
	r.cutAt.Store(60_000) // nothing to resume from: it begins again, and fails as clearly
	c, _ = r.client(func(o *Options) { o.Tries = 2 })
	if _, err := get(c, tinyName); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}

func TestSizeLies(t *testing.T) {
	for _, noRange := range []bool{false, true} {
		for _, lie := range []int64{5, -5} {
			r := newRegistry(t)
			r.noRange, r.lie = noRange, lie
			c, _ := r.client()
			if _, err := get(c, tinyName); !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), "the list says") {
				t.Errorf("ranges %t, lie %d: %v, want %v", !noRange, lie, err, ErrSize)
			}
		}
	}
	r := newRegistry(t) // the file is shorter than the list says, and ranges behind it do not exist
	c, _ := r.client()
	n, _ := Parse(tinyName)
	p, err := c.Plan(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	r.files["model.safetensors"] = r.files["model.safetensors"][:90_000]
	if err := c.Fetch(context.Background(), p); !errors.Is(err, ErrSize) {
		t.Errorf("shorter file: %v, want %v", err, ErrSize)
	}
}

// fullDisk fails when more than room bytes were written.
type fullDisk struct {
	io.WriterAt
	room *int64
}

func (f fullDisk) WriteAt(p []byte, at int64) (int, error) {
	if *f.room -= int64(len(p)); *f.room < 0 {
		return 0, &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	}
	return f.WriterAt.WriteAt(p, at)
}

func TestDiskFull(t *testing.T) {
	r := newRegistry(t)
	c, caches := r.client(func(o *Options) { o.Jobs = 1 })
	room := int64(60_000)
	c.disk = func(w io.WriterAt) io.WriterAt { return fullDisk{w, &room} }
	_, err := get(c, tinyName)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room and pull again") {
		t.Fatalf("error is %v, want a full disk and what to do", err)
	}
	room = 1 << 30
	r.sent.Store(0)
	if _, err := get(c, tinyName); err != nil {
		t.Fatal(err)
	}
	if n := r.sent.Load(); n > 60_000 {
		t.Errorf("%d bytes were sent again, want only those that had no room", n)
	}
	if found := leftovers(t, caches.HuggingFace); found != nil {
		t.Errorf("left over: %q", found)
	}
}

// The token goes to the registry, and to no host that it redirects to.
func TestToken(t *testing.T) {
	r := newRegistry(t)
	r.token = "hf_secret"
	c, _ := r.client(func(o *Options) { o.Token = "hf_secret" })
	if _, err := get(c, tinyName); err != nil {
		t.Fatal(err)
	}
	if len(r.leaked) > 0 {
		t.Errorf("the file server saw %q", r.leaked)
	}
	c, _ = r.client()
	if _, err := get(c, tinyName); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "HF_TOKEN") || strings.Contains(err.Error(), "secret") {
		t.Errorf("without a token: %v", err)
	}
	if _, err := New(Options{Endpoint: "http://mirror.example", Token: "x"}); err == nil || !strings.Contains(err.Error(), "encryption") {
		t.Errorf("token over http: %v", err)
	}
	from, to := &url.URL{Scheme: "https", Host: "a"}, &url.URL{Scheme: "http", Host: "b"}
	if err := redirect(&http.Request{URL: to, Header: http.Header{}}, []*http.Request{{URL: from}}); err == nil {
		t.Error("a redirect out of encryption is followed")
	}
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		code  int
		retry string
		want  error
		says  string
	}{
		{401, "", ErrDenied, "HF_TOKEN"}, {403, "", ErrDenied, "ask for access"}, {404, "", ErrNotFound, "check the name"},
		{429, "3600", ErrBusy, "1h0m0s"}, {429, "Fri, 31 Dec 2199 23:59:59 GMT", ErrBusy, "pull again"}, {418, "", nil, "418"},
	} {
		r := newRegistry(t)
		r.retry = c.retry
		r.statuses <- c.code
		client, caches := r.client()
		_, err := get(client, tinyName)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "no luck") || !strings.Contains(err.Error(), tinyName) {
			t.Errorf("%d: %v, want %v that says %q", c.code, err, c.want, c.says)
		}
		if _, err := os.Stat(caches.HuggingFace); err == nil {
			t.Errorf("%d: something was written", c.code)
		}
	}
	r := newRegistry(t) // what passes is waited for
	r.retry = "0"
	for _, code := range []int{429, 503, 500, 502} {
		r.statuses <- code
	}
	c, _ := r.client()
	if _, err := get(c, tinyName); err != nil {
		t.Error(err)
	}
}

// A connection that stays silent is given up, and another one made.
func TestStall(t *testing.T) {
	r := newRegistry(t)
	r.hang = true
	r.cutAt.Store(50_000)
	c, _ := r.client(func(o *Options) { o.Stall, o.Tries, o.Jobs = 2*time.Second, 1, 1 })
	if _, err := get(c, tinyName); err == nil || !strings.Contains(err.Error(), "nothing arrived for") {
		t.Errorf("error is %v", err)
	}
}

func TestCancel(t *testing.T) {
	r := newRegistry(t)
	r.hang = true
	r.cutAt.Store(50_000)
	c, caches := r.client()
	n, _ := Parse(tinyName)
	p, err := c.Plan(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for r.sent.Load() < 50_000 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := c.Fetch(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if found := leftovers(t, caches.HuggingFace); len(found) != 2 {
		t.Errorf("left: %q, want the part and its journal", found)
	}
}

// A folder must not come to hold what a list says about places outside it.
func TestHostilePaths(t *testing.T) {
	for _, path := range []string{"../../evil", "/etc/evil", "a/../../evil", `..\evil`, "", ".", "a//b", "a\x00b", "a/\n"} {
		r := newRegistry(t)
		r.extra = []map[string]any{{"rfilename": path, "size": 1, "blobId": strings.Repeat("a", 40)}}
		c, caches := r.client()
		if _, err := get(c, tinyName); !errors.Is(err, ErrListing) {
			t.Errorf("%q: %v, want %v", path, err, ErrListing)
		}
		if _, err := os.Stat(caches.HuggingFace); err == nil {
			t.Errorf("%q: something was written", path)
		}
	}
	for _, bad := range []map[string]any{
		{"rfilename": "x", "size": -1, "blobId": strings.Repeat("a", 40)}, {"rfilename": "x", "blobId": strings.Repeat("a", 40)},
		{"rfilename": "x", "size": 1, "blobId": "../../x"}, {"rfilename": "config.json", "size": 1, "blobId": strings.Repeat("a", 40)},
		{"rfilename": "x", "size": 1, "lfs": map[string]any{"sha256": strings.Repeat("A", 64), "size": 1}},
	} {
		r := newRegistry(t)
		r.extra = []map[string]any{bad}
		c, _ := r.client()
		if _, err := get(c, tinyName); !errors.Is(err, ErrListing) {
			t.Errorf("%v: %v, want %v", bad, err, ErrListing)
		}
	}
}

// Two processes do not write into one part.
func TestLocked(t *testing.T) {
	r := newRegistry(t)
	c, _ := r.client()
	n, _ := Parse(tinyName)
	p, err := c.Plan(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	it := p.Item("model.safetensors")
	if err := os.MkdirAll(filepath.Dir(it.blob), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(it.blob + partEnd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := lock(f); err != nil {
		t.Fatal(err)
	}
	if err := c.Fetch(context.Background(), p); !errors.Is(err, ErrLocked) {
		t.Errorf("error is %v, want %v", err, ErrLocked)
	}
}

// A journal that cannot be true is not believed.
func TestJournalUnsound(t *testing.T) {
	for _, text := range []string{
		"", "{", `{"size":100000,"segment":0,"done":[1]}`, `{"size":5,"segment":5,"done":[5]}`,
		`{"size":100000,"segment":50000,"done":[50000,50001]}`, `{"size":100000,"segment":50000,"done":[50000]}`, `{"size":100000,"segment":50000,"done":[-1,0]}`,
		`{"size":100000,"segment":100000,"done":[100000]}`, // the part itself is shorter
	} {
		r := newRegistry(t)
		c, _ := r.client()
		n, _ := Parse(tinyName)
		p, err := c.Plan(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		it := p.Item("model.safetensors")
		if err := os.MkdirAll(filepath.Dir(it.blob), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(it.blob+journalEnd, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := c.Fetch(context.Background(), p); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r.same(it.path(), it.Path)
	}
}

// ollama gives the registry a model of Ollama's kind.
func ollama(t *testing.T) *registry {
	r := newRegistry(t)
	r.layer("application/vnd.docker.container.image.v1+json", []byte(`{"model_format":"gguf"}`))
	r.layer("application/vnd.ollama.image.model", append([]byte("GGUF"), random(50_000)...))
	r.layer("application/vnd.ollama.image.template", []byte("{{ .Prompt }}"))
	r.layer("application/vnd.ollama.image.params", []byte(`{"stop":["<end>"]}`))
	r.layer("application/vnd.ollama.image.license", []byte("do what you like"))
	return r
}

func TestOllama(t *testing.T) {
	r := ollama(t)
	c, caches := r.client()
	p, err := get(c, "ollama:tiny")
	if err != nil {
		t.Fatal(err)
	}
	f, err := find(t, "ollama:tiny", caches)
	if err != nil || f.Path != p.Path {
		t.Fatalf("found %+v, %v, want %s", f, err, p.Path)
	}
	for kind, want := range map[string]string{"template": "{{ .Prompt }}", "params": `{"stop":["<end>"]}`, "license": "do what you like"} {
		if got, err := os.ReadFile(f.Layers[kind]); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %q", kind, got, err, want)
		}
	}
	if last := p.Items[len(p.Items)-1]; !last.Weights || last.Path != "model" || p.WeightBytes() != 50_004 {
		t.Errorf("the last file is %+v, want the weights", last)
	}
	if head, err := c.Peek(context.Background(), p.Items[len(p.Items)-1], 4); err != nil || string(head) != "GGUF" {
		t.Errorf("peek: %q, %v", head, err)
	}

	// A service's cache serves, and is left alone.
	if err := os.Rename(caches.Ollama[0], caches.Ollama[1]); err != nil {
		t.Fatal(err)
	}
	r.sent.Store(0)
	if p, err = get(c, "ollama:tiny"); err != nil || r.sent.Load() != 0 || !strings.HasPrefix(p.Path, caches.Ollama[1]) {
		t.Errorf("again: %v, %d bytes, %+v", err, r.sent.Load(), p)
	}
	if f, err = find(t, "ollama:tiny", caches); err != nil || !strings.HasPrefix(f.Path, caches.Ollama[1]) {
		t.Errorf("found %+v, %v", f, err)
	}
}

func TestOllamaRefuses(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for want, layer := range map[string]map[string]any{
		"adapter":        {"mediaType": "application/vnd.ollama.image.adapter", "digest": digest, "size": 1},
		"single tensors": {"mediaType": "application/vnd.ollama.image.tensor; name=x", "digest": digest, "size": 1},
		"2 models":       {"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 1},
		"hexadecimal":    {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:../../../../etc/evil" + strings.Repeat("a", 41), "size": 1},
		"-1 bytes":       {"mediaType": "application/vnd.ollama.image.license", "digest": digest, "size": -1},
	} {
		r := ollama(t)
		r.layers = append(r.layers, layer)
		c, caches := r.client()
		if _, err := get(c, "ollama:tiny"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one about %s", err, want)
		}
		if _, err := os.Stat(caches.Ollama[0]); err == nil {
			t.Errorf("%s: something was written", want)
		}
	}
	r := ollama(t)
	for r.corrupt = range r.blobs { // any
		break
	}
	c, caches := r.client()
	if _, err := get(c, "ollama:tiny"); !errors.Is(err, ErrChecksum) {
		t.Errorf("error is %v, want %v", err, ErrChecksum)
	}
	if _, err := find(t, "ollama:tiny", caches); !errors.Is(err, ErrAbsent) {
		t.Errorf("half a model is found: %v", err)
	}
}

// The files of a cache that others wrote count only when the set is whole.
func TestFindIncomplete(t *testing.T) {
	r := newRegistry(t)
	c, caches := r.client()
	p, err := get(c, tinyName)
	if err != nil {
		t.Fatal(err)
	}
	blob := p.Item("model.safetensors").blob
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if _, err := find(t, tinyName, caches); !errors.Is(err, ErrAbsent) {
		t.Errorf("a link that leads nowhere: %v, want %v", err, ErrAbsent)
	}
	if err := os.WriteFile(p.seals[0].path, []byte("../../evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := find(t, tinyName, caches); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "want a commit") {
		t.Errorf("a ref that is no commit: %v", err)
	}
	for _, name := range []string{"b.gguf", "a-Q4_K_M.gguf"} {
		if err := os.WriteFile(filepath.Join(p.Path, name), []byte("GGUF"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := find(t, tinyName+"@"+commit, caches); !errors.Is(err, ErrChoice) {
		t.Errorf("two GGUFs: %v, want %v", err, ErrChoice)
	}
	if f, err := find(t, tinyName+":q4_k_m@"+commit, caches); err != nil || filepath.Base(f.Path) != "a-Q4_K_M.gguf" {
		t.Errorf("by format: %+v, %v", f, err)
	}
}
