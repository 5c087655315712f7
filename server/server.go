package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"weft/chat"
)

// Model is one model under the name that clients ask for.
type Model struct {
	ID      string       // name in "model"; required
	Model   chat.Model   // required
	Context int          // tokens it takes, shown to clients; unknown
	Created time.Time    // shown to clients; start of the server
	Stats   func() Stats // engine counters for /metrics and /api/models; none
	About   About        // what /api/models says beside

	Adapters Adapters // asked for by names of their own; it takes none

	// Status says whether the model is in memory, for a server that loads models
	// as they are asked for; nil: it always is.
	Status func() Status
}

// Status is where a model is.
type Status struct {
	State  string    // "loaded", "unloaded", "loading", "unloading"
	Bytes  int64     // of memory that it takes, or will take once it is loaded
	Unload time.Time // when it goes if no request comes; zero: it stays
	Failed string    // why the last load failed; empty: it did not

	Loads, Unloads, Failures uint64 // since the start
}

// loaded is the State of a model that answers at once.
const loaded = "loaded"

// taken is the memory that the model takes now.
func (s Status) taken() int64 {
	if s.State == "unloaded" {
		return 0
	}
	return s.Bytes
}

// Stats is what /metrics and /api/models show of an engine.
type Stats struct {
	Running     int // sequences being computed
	Waiting     int // sequences in the queue
	PagesFree   int // cache pages; free + used + cached = total
	PagesUsed   int
	PagesCached int    // held for their prefixes alone, given up when pages run out
	PagesTotal  int    // 0: the model is not loaded
	PageLen     int    // positions of a page
	PageBytes   int    // memory of a page
	CacheType   string // how keys and values are kept, as "f32"
	PrefixCache bool   // pages are kept for their prefixes
	LoRA        *LoRA  // adapters; nil: the engine takes none
	LoRABytes   int64  // memory of the adapters that are loaded, beside the model's

	// Since the start, also while the model was not loaded.
	Batch         Histogram // token rows of a pass
	PrefixLoaded  uint64    // pages read back from disk
	Preemptions   uint64    // sequences put back into the queue
	PrefixQueries uint64    // prompt tokens looked up in the prefix cache
	PrefixHits    uint64    // of them, those that were there
	Drafts        uint64    // passes of a sequence with guessed tokens (speculation)
	Drafted       uint64    // tokens guessed
	Accepted      uint64    // of them, right
	DraftFailures uint64    // passes in which the model that guesses failed
}

// Histogram counts values in buckets.
type Histogram struct {
	Bounds []float64 // upper ends, rising; one more bucket is above the last
	Counts []uint64  // len(Bounds)+1, each bucket by itself
	Sum    float64
}

// LoRA is what an engine does with adapters.
type LoRA struct {
	Max              int      // that one batch may have
	Running, Waiting []string // names, of requests being computed and in the queue
}

// Options says what to serve. Only Models is required.
type Options struct {
	Models   []Model       // the first answers requests that name none
	Key      string        // API key, as "Authorization: Bearer KEY"; none
	Page     fs.FS         // static chat page with an index.html; none
	Runs     Runs          // training runs for /api/runs; none
	Memory   int64         // bytes that all models may take, shown to clients; no bound
	Log      *slog.Logger  // one line per request; discarded
	Hosts    []string      // names accepted in Host without a key, beside loopback's; none
	Origins  []string      // origins whose pages may call the API, as "https://name:port"; none
	MaxBody  int64         // bytes of a request body; 16 MiB
	Deadline time.Duration // longest time a request may take, waiting included; none
	Shutdown time.Duration // how long Serve waits for running requests when it ends; 10 s
}

// Server is an http.Handler over chat models.
type Server struct {
	opts     Options
	metrics  *metrics
	handler  http.Handler
	draining atomic.Bool
	now      func() time.Time // replaced by tests that compare bytes
	newID    func() string
}

// New checks o and builds the handler.
func New(o Options) (*Server, error) {
	if len(o.Models) == 0 {
		return nil, errors.New("server: no model to serve")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 20
	}
	if o.Shutdown == 0 {
		o.Shutdown = 10 * time.Second
	}
	s := &Server{opts: o, now: time.Now, newID: randomID}
	seen := map[string]bool{}
	for i := range s.opts.Models {
		m := &s.opts.Models[i]
		if m.ID == "" || m.Model == nil {
			return nil, fmt.Errorf("server: model %d has no name or no model", i)
		}
		if seen[m.ID] {
			return nil, fmt.Errorf("server: two models are named %q", m.ID)
		}
		seen[m.ID] = true
		if m.Created.IsZero() {
			m.Created = time.Now()
		}
	}
	s.metrics = newMetrics(s.opts.Models)
	h, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.handler = h
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes is the whole table of paths.
func (s *Server) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	open := func(method, path string, h http.HandlerFunc) { mux.Handle(path, only(method, h)) }
	keyed := func(method, path string, h http.HandlerFunc) { open(method, path, s.withKey(h)) }

	keyed("GET", "/v1/models", s.listModels)
	keyed("GET", "/v1/models/{id...}", s.showModel)
	keyed("POST", "/v1/chat/completions", s.chatCompletions)
	keyed("POST", "/v1/completions", s.completions)
	keyed("POST", "/v1/load_lora_adapter", s.loadAdapter)
	keyed("POST", "/v1/unload_lora_adapter", s.unloadAdapter)
	keyed("GET", "/api/models", s.aboutModels)
	keyed("GET", "/api/runs", s.listRuns)
	keyed("GET", "/api/runs/{id...}", s.showRun)
	keyed("GET", "/metrics", s.metrics.handler().ServeHTTP)
	open("GET", "/health", s.health)
	if s.opts.Page != nil {
		open("GET", "/{$}", s.page)
		open("GET", "/static/", s.page)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, &apiError{Status: http.StatusNotFound, Type: invalidRequest, Code: "unknown_url",
			Message: fmt.Sprintf("unknown request URL: %s %s", r.Method, r.URL.Path)})
	})
	return s.guard(mux)
}

// only answers other methods with 405. GET includes HEAD.
func only(method string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", method)
		refuse(w, r, &apiError{Status: http.StatusMethodNotAllowed, Type: invalidRequest, Code: "method_not_allowed",
			Message: fmt.Sprintf("%s is not allowed on %s: use %s", r.Method, r.URL.Path, method)})
	})
}

// health is 200 while requests are taken, 503 while the server drains.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if s.stopping() {
		refuse(w, r, stopping())
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// stopping reports whether Serve has begun to end.
func (s *Server) stopping() bool { return s.draining.Load() }

// bodyWait is how long a client may take to send its body.
const bodyWait = time.Minute

// readBody reads a request body up to the limit.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *apiError) {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(bodyWait)) // not every test writer has one
	// Lifted again, or it would end long streams: the server watches the
	// connection by reading from it.
	defer rc.SetReadDeadline(time.Time{})
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &apiError{Status: http.StatusRequestEntityTooLarge, Type: invalidRequest, Code: "request_too_large",
			Message: bodySize(r) + fmt.Sprintf(" and the limit of this server is %d bytes; nothing is cut silently", s.opts.MaxBody)}
	case err != nil:
		return nil, &apiError{Status: http.StatusBadRequest, Type: invalidRequest, Code: "incomplete_body",
			Message: "the body did not arrive in full: " + err.Error()}
	case !utf8.Valid(body): // the JSON decoder would put U+FFFD in the place of such bytes
		return nil, &apiError{Status: http.StatusBadRequest, Type: invalidRequest, Code: "invalid_json",
			Message: fmt.Sprintf("the body must be UTF-8, got another byte at offset %d", invalidAt(body))}
	}
	return body, nil
}

// bodySize says how large a body is, as far as its header tells.
func bodySize(r *http.Request) string {
	if r.ContentLength < 0 {
		return "the body goes on"
	}
	return fmt.Sprintf("the body has %d bytes", r.ContentLength)
}

// invalidAt is the offset of the first byte of b that is no UTF-8.
func invalidAt(b []byte) int {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// randomID is unguessable, so that an id in a log names one response only.
func randomID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
