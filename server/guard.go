package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// requestInfo is what the log line of a request says. Handlers fill it in.
type requestInfo struct {
	id                 string
	start              time.Time
	first              time.Duration // to the first text; 0: none
	model              string
	stream             bool
	prompt, completion int
	ignored            string // unknown fields
	failure            string // code of an error
	gone               bool   // the client left before the end
}

type infoKey struct{}

// infoOf returns the request's info; outside guard, a blank one.
func infoOf(r *http.Request) *requestInfo {
	if info, ok := r.Context().Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{start: time.Now()}
}

// guard wraps the routes in what every request passes, outermost first: id and
// log line, panics, Host, Origin, drain.
func (s *Server) guard(next http.Handler) (http.Handler, error) {
	h := s.refuseWhileDraining(next)
	h, err := s.checkOrigin(h)
	if err != nil {
		return nil, err
	}
	h = s.recoverPanics(s.checkHost(h))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := &requestInfo{id: requestID(r), start: time.Now()}
		if info.id == "" {
			info.id = "req_" + s.newID()
		}
		rec := &recorder{ResponseWriter: w}
		w.Header().Set("X-Request-Id", info.id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer s.logRequest(r, rec, info)
		h.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), infoKey{}, info)))
	}), nil
}

// requestID takes the client's id if it is short and plain.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	plain := func(c rune) bool { return c > ' ' && c < 0x7f }
	if len(id) > 128 || strings.ContainsFunc(id, func(c rune) bool { return !plain(c) }) {
		return ""
	}
	return id
}

// header makes text from outside fit for a header value.
func header(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), 512)]
}

// recorder remembers the status. Unwrap keeps flushing and deadlines working.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += n
	return n, err
}

// logRequest counts a finished request and writes its line: who, what, how long
// and how many tokens, never the words.
func (s *Server) logRequest(r *http.Request, w *recorder, info *requestInfo) {
	status := w.status
	if info.gone || status == 0 {
		status = 499 // client closed request, as nginx counts it
	}
	s.metrics.requests.WithLabelValues(route(r), fmt.Sprint(status)).Inc()
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case r.URL.Path == "/health" || r.URL.Path == "/metrics":
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("request_id", info.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", status), slog.Duration("took", time.Since(info.start)), slog.Int("bytes", w.bytes),
		slog.String("from", r.RemoteAddr),
	}
	if info.model != "" {
		attrs = append(attrs, slog.String("model", info.model), slog.Bool("stream", info.stream),
			slog.Int("prompt_tokens", info.prompt), slog.Int("completion_tokens", info.completion))
	}
	if info.first > 0 {
		attrs = append(attrs, slog.Duration("first_token", info.first))
	}
	if info.ignored != "" {
		attrs = append(attrs, slog.String("ignored_fields", info.ignored))
	}
	if info.failure != "" {
		attrs = append(attrs, slog.String("error_code", info.failure))
	}
	s.opts.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

// route is the path as a metric label: known paths only, so that a scanner
// cannot grow the table.
func route(r *http.Request) string {
	switch p := r.URL.Path; {
	case slices.Contains([]string{"/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/api/models", "/api/runs"}, p):
		return p
	case strings.HasPrefix(p, "/v1/models/"):
		return "/v1/models/{id}"
	case strings.HasPrefix(p, "/api/runs/"):
		return "/api/runs/{id}"
	case strings.HasPrefix(p, "/static/"):
		return "/static/"
	}
	return "other"
}

// recoverPanics turns a panic into a 500 that names the request. If the
// response has begun, the connection is cut, which clients notice.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			info := infoOf(r)
			s.opts.Log.Error("panic", "request_id", info.id, "panic", p, "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				panic(http.ErrAbortHandler)
			}
			refuse(w, r, internalError(info.id))
		}()
		next.ServeHTTP(w, r)
	})
}

// checkHost keeps a server without a key to names that only this machine has.
// Otherwise any web page could reach it by pointing its own name at 127.0.0.1
// (DNS rebinding), and the browser would think it the same origin.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Key == "" && !isLoopback(r.Host) && !slices.Contains(s.opts.Hosts, hostname(r.Host)) {
			refuse(w, r, &apiError{Status: http.StatusForbidden, Type: invalidRequest, Code: "forbidden_host",
				Message: fmt.Sprintf("without an API key this server answers to localhost only, not to the name %q", hostname(r.Host))})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostname drops the port and the brackets of IPv6.
func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

// isLoopback reports whether a host, with or without a port, is this machine
// by its name alone.
func isLoopback(hostport string) bool {
	h := strings.ToLower(strings.TrimSuffix(hostname(hostport), "."))
	if h == "localhost" || strings.HasSuffix(h, ".localhost") {
		return true
	}
	ip := net.ParseIP(h)
	return ip != nil && ip.IsLoopback()
}

// checkOrigin refuses writes from pages of other origins, and lets the
// configured ones in, with the headers that browsers ask for.
func (s *Server) checkOrigin(next http.Handler) (http.Handler, error) {
	guard := http.NewCrossOriginProtection()
	for _, o := range s.opts.Origins {
		if err := guard.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("server: origin %q: %w (want a form such as https://name:port)", o, err)
		}
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, &apiError{Status: http.StatusForbidden, Type: invalidRequest, Code: "forbidden_origin",
			Message: fmt.Sprintf("pages of %q may not call this server; allow the origin where the server is started", r.Header.Get("Origin"))})
	}))
	inner := guard.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o := r.Header.Get("Origin"); o != "" && slices.Contains(s.opts.Origins, o) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", o)
			h.Add("Vary", "Origin")
			h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, X-Weft-Ignored-Fields")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST")
				h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		inner.ServeHTTP(w, r)
	}), nil
}

// refuseWhileDraining sends new work elsewhere while running work ends.
func (s *Server) refuseWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping() && r.Method == http.MethodPost {
			refuse(w, r, stopping())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withKey asks for the API key, if there is one. Hashes are compared, so that
// neither the key's bytes nor its length show in the time it takes.
func (s *Server) withKey(next http.HandlerFunc) http.HandlerFunc {
	want := sha256.Sum256([]byte(s.opts.Key))
	return func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Key == "" {
			next(w, r)
			return
		}
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(key)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next(w, r)
			return
		}
		e := &apiError{Status: http.StatusUnauthorized, Type: invalidRequest, Code: "invalid_api_key", Message: "incorrect API key provided"}
		if key == "" {
			e.Message = "this server needs an API key: send the header Authorization: Bearer KEY"
		}
		refuse(w, r, e)
	}
}

// errNoKey is what CheckListen says; see there.
var errNoKey = errors.New("an API key is required to listen beyond this machine: set one, or listen on 127.0.0.1")

// CheckListen refuses addr (host:port) without a key unless the host is a
// loopback address: an open model server is found and used within hours.
func CheckListen(addr, key string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: want host:port, such as 127.0.0.1:8080", addr)
	}
	if key == "" && (host == "" || !isLoopback(host)) {
		return fmt.Errorf("listen address %q: %w", addr, errNoKey)
	}
	return nil
}
