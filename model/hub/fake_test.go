package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// registry plays both registries. Its fields, set before use, make it fail.
type registry struct {
	t     *testing.T
	files map[string][]byte // of acme/tiny, by path
	lfs   map[string]bool   // listed with a sha256
	http  *httptest.Server  // the registry
	cdn   *httptest.Server  // where files come from

	token    string            // wanted by the registry
	noRange  bool              // whole files only
	corrupt  string            // a file that arrives with a wrong byte
	lie      int64             // added to sizes that the file server says
	cutAt    atomic.Int64      // no byte at or behind it is sent; 0: all are
	hang     bool              // at the cut, wait instead of hanging up
	statuses chan int          // answers to give first
	retry    string            // Retry-After of those
	layers   []map[string]any  // of Ollama's manifest
	blobs    map[string][]byte // of Ollama, by digest
	extra    []map[string]any  // more siblings

	mu     sync.Mutex
	leaked []string // Authorization headers that the file server saw
	sent   atomic.Int64
	ranges atomic.Int64
}

// random is n bytes, the same for the same n.
func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

func newRegistry(t *testing.T) *registry {
	r := &registry{
		t: t, lfs: map[string]bool{"model.safetensors": true}, statuses: make(chan int, 10), blobs: map[string][]byte{},
		files: map[string][]byte{
			"config.json":       []byte(`{"model_type":"llama","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":128,"torch_dtype":"bfloat16"}`),
			"tokenizer.json":    random(1234),
			"model.safetensors": random(100_000),
			"pytorch_model.bin": []byte("a pickle"), "empty.txt": {}, "onnx/model.onnx": []byte("other"),
		},
	}
	r.http, r.cdn = httptest.NewServer(http.HandlerFunc(r.serve)), httptest.NewServer(http.HandlerFunc(r.serveFile))
	t.Cleanup(func() { r.http.Close(); r.cdn.CloseClientConnections(); r.cdn.Close() })
	return r
}

// client is one whose segments and pauses are small.
func (r *registry) client(change ...func(*Options)) (*Client, Caches) {
	r.t.Helper()
	dir := r.t.TempDir()
	o := Options{
		Endpoint: r.http.URL, Registry: r.http.URL, Segment: 7001, Pause: time.Millisecond, Save: 5 * time.Millisecond,
		Caches: Caches{filepath.Join(dir, "hf"), []string{filepath.Join(dir, "ollama"), filepath.Join(dir, "service")}},
	}
	for _, fn := range change {
		fn(&o)
	}
	c, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, o.Caches
}

func (r *registry) serve(w http.ResponseWriter, q *http.Request) {
	select {
	case code := <-r.statuses:
		w.Header().Set("Retry-After", r.retry)
		w.Header().Set("X-Error-Message", "no luck")
		w.WriteHeader(code)
		return
	default:
	}
	if r.token != "" && q.Header.Get("Authorization") != "Bearer "+r.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch path := q.URL.Path; {
	case path == "/api/models/acme/tiny/revision/main" && q.URL.Query().Get("blobs") == "true":
		r.list(w)
	case strings.HasPrefix(path, "/acme/tiny/resolve/"+commit+"/"):
		http.Redirect(w, q, r.cdn.URL+"/file/"+strings.TrimPrefix(path, "/acme/tiny/resolve/"+commit+"/")+"?signature=secret", http.StatusFound)
	case path == "/v2/library/tiny/manifests/latest" && q.Header.Get("Accept") == manifestType:
		_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": r.layers[0], "layers": r.layers[1:]})
	case strings.HasPrefix(path, "/v2/library/tiny/blobs/"):
		http.Redirect(w, q, r.cdn.URL+"/blob/"+strings.TrimPrefix(path, "/v2/library/tiny/blobs/"), http.StatusTemporaryRedirect)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (r *registry) list(w io.Writer) {
	siblings := append([]map[string]any{}, r.extra...)
	for path, data := range r.files {
		git := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
		s := map[string]any{"rfilename": path, "size": len(data), "blobId": hex.EncodeToString(git[:])}
		if sum := sha256.Sum256(data); r.lfs[path] {
			s["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(data), "pointerSize": 134}
		}
		siblings = append(siblings, s)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings, "id": "acme/tiny"})
}

// layer adds a blob to Ollama's manifest.
func (r *registry) layer(mediaType string, data []byte) {
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	r.blobs[digest] = data
	r.layers = append(r.layers, map[string]any{"mediaType": mediaType, "digest": digest, "size": len(data)})
}

func (r *registry) serveFile(w http.ResponseWriter, q *http.Request) {
	if a := q.Header.Get("Authorization"); a != "" || q.Header.Get("Referer") != "" {
		r.mu.Lock()
		r.leaked = append(r.leaked, a+q.Header.Get("Referer"))
		r.mu.Unlock()
	}
	name := strings.TrimPrefix(q.URL.Path, "/file/")
	data, ok := r.files[name]
	if digest, isBlob := strings.CutPrefix(q.URL.Path, "/blob/"); isBlob {
		name = digest
		data, ok = r.blobs[digest]
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if name == r.corrupt {
		data = append([]byte{data[0] ^ 1}, data[1:]...)
	}
	from, to := 0, len(data)
	size := int64(to) + r.lie
	if h := q.Header.Get("Range"); h != "" && !r.noRange {
		r.ranges.Add(1)
		if _, err := fmt.Sscanf(h, "bytes=%d-%d", &from, &to); err != nil || to >= len(data) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		to++
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
		w.Header().Set("Content-Length", strconv.Itoa(to-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	r.send(w, q, data, from, to)
}

// send writes [from, to) as far as the cut lets it.
func (r *registry) send(w http.ResponseWriter, q *http.Request, data []byte, from, to int) {
	end := to
	if cut := int(r.cutAt.Load()); cut > 0 {
		end = max(from, min(to, cut))
	}
	n, _ := w.Write(data[from:end])
	r.sent.Add(int64(n))
	if end < to {
		_ = http.NewResponseController(w).Flush()
		if r.hang {
			<-q.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
}
